use std::collections::BTreeMap;
use std::sync::Arc;

use faultline_agent::session::limits;
use faultline_agent::session::wire::enrolment_server::{Enrolment, EnrolmentServer};
use faultline_agent::session::wire::{EnrolAnswer, EnrolRequest};
use tonic::{Request, Response, Status};

use super::gate::Credentials;
use crate::fleet::Answer;

/// The greatest request to be enrolled, in bytes: a signing request and labels. Who sends it is not known yet.
const REQUEST: usize = 64 * 1024;

/// Makes hosts agents, by one-time tokens.
pub trait Enroller: Send + Sync + 'static {
    /// Enrols a host. A token is used up by the first success. The reason of a failure must not tell an unknown token
    /// from a wrong secret.
    fn enrol(&self, request: Wanted) -> Answer<Result<Enrolled, String>>;
}

/// What a host asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The token's public part.
    pub token_id: String,
    /// The token's secret part.
    pub token_secret: String,
    /// PEM of the certificate signing request.
    pub signing_request: String,
    /// The name under which it wants to be known.
    pub name: String,
    /// Labels that its owner gave.
    pub labels: BTreeMap<String, String>,
}

/// What a host gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Its certificate, and by what it knows the controller.
    pub credentials: Credentials,
    /// The name in the controller's certificate on the agent port.
    pub server_name: String,
    /// `host:port` of the agent port; empty for the host at which it was enrolled, with the default port.
    pub agent_address: String,
}

struct Serves(Arc<dyn Enroller>);

/// The gRPC service that enrols hosts, for the API port: a tower service below `/faultline.agent.v1.Enrolment/`.
pub fn enrolment(enroller: Arc<dyn Enroller>) -> EnrolmentServer<impl Enrolment> {
    EnrolmentServer::new(Serves(enroller)).max_decoding_message_size(REQUEST).max_encoding_message_size(limits::MESSAGE)
}

#[tonic::async_trait]
impl Enrolment for Serves {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolAnswer>, Status> {
        let EnrolRequest { token_id, token_secret, signing_request, name, labels } = request.into_inner();
        let wanted = Wanted { token_id, token_secret, signing_request, name, labels: labels.into_iter().collect() };
        match tokio::time::timeout(limits::CONNECT, self.0.enrol(wanted)).await {
            Ok(Ok(Enrolled { credentials, server_name, agent_address })) => Ok(Response::new(EnrolAnswer {
                certificate_chain: credentials.certificate_chain,
                trust_bundle: credentials.trust_bundle,
                server_name,
                agent_address,
            })),
            Ok(Err(reason)) => Err(Status::permission_denied(reason)),
            Err(_) => Err(Status::deadline_exceeded("the certificate was not signed in time")),
        }
    }
}

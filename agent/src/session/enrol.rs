use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::connection::speak;
use super::dial::{Dial, Identity, TlsDial};
use super::limits::{AGENT_PORT, CONNECT, MESSAGE};
use super::wire::EnrolRequest;
use super::wire::enrolment_client::EnrolmentClient;
use super::{Address, Trouble};
use crate::credentials::{Controller, Credentials, CredentialsError, EnrolmentToken, KeyRequest, tls};

/// What a host says of itself when it is enrolled.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The controller's port for people and programs.
    pub controller: Address,
    /// The one-time token.
    pub token: EnrolmentToken,
    /// The name under which the host wants to be known.
    pub name: String,
    /// Labels that its owner gave.
    pub labels: BTreeMap<String, String>,
}

/// Enrols this host: makes a key, has it signed, and keeps both in the folder. The controller is known by the fingerprint
/// in the token before the token's secret is said.
///
/// # Errors
/// If the controller cannot be reached, is another than the token's, or refuses the token; nothing was changed then.
pub async fn enrol(enrolment: Enrolment, folder: &Path) -> Result<Credentials, Trouble> {
    let Enrolment { controller, token, name, labels } = enrolment;
    let key = KeyRequest::new().map_err(|error| trouble(&error))?;
    let signing_request = key.signing_request().map_err(|error| trouble(&error))?;
    let dial = TlsDial::new(controller.host.clone(), controller.port, ByToken::new(&controller, &token)?);
    let peer = dial.peer();
    let stream = dial.dial().await?;
    let (connection, driver) = speak(stream).await.map_err(|error| Trouble::of(&peer, &error))?;
    let driving = tokio::spawn(driver);
    let mut client = EnrolmentClient::with_origin(connection, controller.origin()).max_decoding_message_size(MESSAGE);
    let request = EnrolRequest {
        token_id: token.id.as_str().to_owned(),
        token_secret: token.secret.reveal(),
        signing_request,
        name,
        labels: labels.into_iter().collect(),
    };
    let answered = tokio::time::timeout(CONNECT, client.enrol(request)).await;
    driving.abort();
    let answer = match answered {
        Err(_) => return Err(Trouble::unreachable(&peer, "it does not answer")),
        Ok(Err(status)) => return Err(refused(&peer, &status)),
        Ok(Ok(response)) => response.into_inner(),
    };
    let address = if answer.agent_address.is_empty() {
        Address { port: AGENT_PORT, ..controller }.to_string()
    } else {
        answer.agent_address
    };
    let controller = Controller { address, server_name: answer.server_name };
    let accepted = key.accept(&answer.certificate_chain, &answer.trust_bundle, controller, Timestamp::now());
    let credentials = accepted.map_err(|error| trouble(&error))?;
    credentials.save(folder).map_err(|error| trouble(&error))?;
    Ok(credentials)
}

fn refused(peer: &str, status: &tonic::Status) -> Trouble {
    match status.code() {
        tonic::Code::PermissionDenied | tonic::Code::Unauthenticated | tonic::Code::FailedPrecondition => Trouble {
            message: format!("the controller at {peer} does not enrol this host: {}", status.message()),
            hint: "a token is good for one host and a short time: ask for a new one (`faultline token`)".into(),
            lasting: true,
        },
        tonic::Code::Unimplemented => Trouble {
            message: format!("nothing at {peer} enrols hosts"),
            hint: "name the controller's port for people and programs (its API), and not that for agents".into(),
            lasting: true,
        },
        _ => Trouble::of_status(peer, status),
    }
}

fn trouble(error: &CredentialsError) -> Trouble {
    Trouble { message: error.to_string(), hint: error.hint.clone(), lasting: true }
}

/// The controller that a token names.
struct ByToken {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl ByToken {
    fn new(controller: &Address, token: &EnrolmentToken) -> Result<Self, Trouble> {
        let config = tls::enrolment(token, tls::system_time()).map_err(|error| trouble(&error))?;
        let name = ServerName::try_from(controller.host.clone()).map_err(|_| Trouble {
            message: format!("`{}` is no name of a host, nor an address", controller.host),
            hint: "name the controller as in `--controller https://controller.example:7500`".into(),
            lasting: true,
        })?;
        Ok(Self { config, name })
    }
}

impl Identity for ByToken {
    fn tls(&self) -> Result<(Arc<ClientConfig>, ServerName<'static>), Trouble> {
        Ok((Arc::clone(&self.config), self.name.clone()))
    }
}

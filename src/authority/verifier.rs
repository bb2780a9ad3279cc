use std::sync::{Arc, PoisonError, RwLock};

use faultline_agent::credentials::{CertificateProblem, PeerIdentity, tls};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::error::AuthorityError;
use super::revocations::Revocations;

/// Verifies chain, time and purpose against the authorities that are trusted at the moment.
#[derive(Debug)]
pub(super) struct AgentVerifier(RwLock<Arc<dyn ClientCertVerifier>>);

/// The same, and that the certificate names one agent and was not revoked.
#[derive(Debug)]
pub(super) struct OnlyAgents {
    pub(super) trusted: Arc<AgentVerifier>,
    pub(super) revocations: Revocations,
}

impl AgentVerifier {
    pub(super) fn new(roots: &[CertificateDer<'static>]) -> Result<Self, AuthorityError> {
        Ok(Self(RwLock::new(verifier(roots)?)))
    }

    pub(super) fn trust(&self, roots: &[CertificateDer<'static>]) -> Result<(), AuthorityError> {
        let verifier = verifier(roots)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = verifier;
        Ok(())
    }

    fn now(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn verifier(roots: &[CertificateDer<'static>]) -> Result<Arc<dyn ClientCertVerifier>, AuthorityError> {
    WebPkiClientVerifier::builder_with_provider(Arc::new(tls::root_store(roots)?), tls::provider())
        .build()
        .map_err(|error| AuthorityError::Tls(error.to_string()))
}

impl ClientCertVerifier for OnlyAgents {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    /// None: agents have one certificate, and which authorities there are is nobody else's business.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.trusted.now().verify_client_cert(end_entity, intermediates, now)?;
        let peer = PeerIdentity::of(end_entity).map_err(|problem| match problem {
            CertificateProblem::Purpose => CertificateError::InvalidPurpose,
            CertificateProblem::Malformed => CertificateError::BadEncoding,
            CertificateProblem::Serial | CertificateProblem::Name => CertificateError::ApplicationVerificationFailure,
        })?;
        if self.revocations.contains(peer.serial) {
            return Err(CertificateError::Revoked.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &tls::provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}

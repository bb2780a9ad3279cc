//! TLS of clients: of agents, and of the command line that speaks to a controller. TLS 1.3 only, by ring.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    WantsVerifier,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::certificate::{CertificateFacts, certificates};
use super::error::CredentialsError;
use super::fingerprint::Fingerprint;
use super::pair::Credentials;
use super::token::EnrolmentToken;

/// The one provider of cryptography: ring.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// The clock of this host. Who skews that clock gives another, so that certificates are judged by true time.
pub fn system_time() -> Arc<dyn TimeProvider> {
    Arc::new(DefaultTimeProvider)
}

/// By what a controller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControllerTrust {
    /// Its authority's certificate has one of these fingerprints: several while the authority is being replaced. The
    /// controller presents that certificate in its chain.
    Pinned(Vec<Fingerprint>),
    /// Its authority is one of these, in PEM.
    Bundle(String),
}

/// For enrolment: trusts exactly the authority of the token, before the secret is said. ALPN h2.
///
/// # Errors
/// If TLS cannot be set up.
pub fn enrolment(token: &EnrolmentToken, time: Arc<dyn TimeProvider>) -> Result<Arc<ClientConfig>, CredentialsError> {
    anonymous(&ControllerTrust::Pinned(vec![token.authority]), &[b"h2"], time)
}

/// For clients without a certificate (the API port): the controller proves itself, the client sends a token later.
///
/// # Errors
/// If the trust bundle cannot be read.
pub fn anonymous(
    trust: &ControllerTrust,
    protocols: &[&[u8]],
    time: Arc<dyn TimeProvider>,
) -> Result<Arc<ClientConfig>, CredentialsError> {
    let known = match trust {
        ControllerTrust::Pinned(fingerprints) => Known::ByFingerprint(fingerprints.clone()),
        ControllerTrust::Bundle(pem) => {
            let roots = certificates(pem).ok_or_else(|| unusable("the trust bundle", "cannot be read as PEM"))?;
            Known::ByRoots(root_verifier(&roots)?)
        }
    };
    let mut config = builder(time)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ControllerVerifier { known }))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// For the session with the controller: both sides prove who they are. ALPN h2; nothing is resumed.
///
/// # Errors
/// If the credentials cannot be used.
pub fn session(credentials: &Credentials, time: Arc<dyn TimeProvider>) -> Result<Arc<ClientConfig>, CredentialsError> {
    let key = PrivateKeyDer::from_pem_slice(credentials.key_pem().as_bytes())
        .map_err(|_| unusable("the key", "cannot be read as PEM"))?;
    let known = Known::ByRoots(root_verifier(credentials.roots())?);
    let mut config = builder(time)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ControllerVerifier { known }))
        .with_client_auth_cert(credentials.chain().to_vec(), key)
        .map_err(|error| unusable("the certificate", "cannot be used for TLS").because(error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The authorities of a trust bundle, as rustls wants them.
///
/// # Errors
/// If one is no certificate.
pub fn root_store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore, CredentialsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store
            .add(root.clone())
            .map_err(|error| unusable("the trust bundle", "holds what is no authority").because(error))?;
    }
    Ok(store)
}

fn builder(time: Arc<dyn TimeProvider>) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, CredentialsError> {
    ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable("TLS 1.3", "is not there").because(error))
}

fn root_verifier(roots: &[CertificateDer<'static>]) -> Result<Arc<WebPkiServerVerifier>, CredentialsError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(root_store(roots)?), provider())
        .build()
        .map_err(|error| unusable("the trust bundle", "cannot be used").because(error))
}

fn unusable(subject: &str, problem: &str) -> CredentialsError {
    CredentialsError::new(subject, problem, "enrol this host again, with a new token")
}

/// Verifies the controller: its chain to an authority that is trusted, the time, the name, and that the certificate is
/// for servers and says so. rustls itself lets pass a certificate that says nothing of its purpose.
#[derive(Debug)]
struct ControllerVerifier {
    known: Known,
}

#[derive(Debug)]
enum Known {
    ByRoots(Arc<WebPkiServerVerifier>),
    ByFingerprint(Vec<Fingerprint>),
}

impl ServerCertVerifier for ControllerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = match &self.known {
            Known::ByRoots(verifier) => Arc::clone(verifier),
            Known::ByFingerprint(fingerprints) => pinned(fingerprints, intermediates, now)?,
        };
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        match CertificateFacts::of(end_entity) {
            Ok(facts) if facts.is_for_servers => Ok(ServerCertVerified::assertion()),
            Ok(_) => Err(CertificateError::InvalidPurpose.into()),
            Err(_) => Err(CertificateError::BadEncoding.into()),
        }
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
        rustls::crypto::verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The verifier for the one authority with such a fingerprint, if it was presented and is valid now: the validity of a
/// trust anchor is not looked at by rustls.
fn pinned(
    fingerprints: &[Fingerprint],
    presented: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let authority = presented.iter().find(|certificate| fingerprints.contains(&Fingerprint::of(certificate)));
    let authority = authority.ok_or(CertificateError::UnknownIssuer)?.clone().into_owned();
    let facts = CertificateFacts::of(&authority).map_err(|_| CertificateError::BadEncoding)?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if seconds < facts.not_before.as_second() {
        return Err(CertificateError::NotValidYet.into());
    }
    if seconds > facts.not_after.as_second() {
        return Err(CertificateError::Expired.into());
    }
    root_verifier(&[authority]).map_err(|_| CertificateError::UnknownIssuer.into())
}

//! An authority of the test's own: a root, a controller, agents.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use faultline::fleet::Answer;
use faultline::fleet::registry::Peer;
use faultline::fleet::server::{Credentials, Gate};
use faultline_agent::session::Trouble;
use faultline_agent::session::dial::Identity;
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// A validity in years from 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Years(pub(crate) i32, pub(crate) i32);

pub(crate) const VALID: Years = Years(2000, 2090);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// The authority with its key, for another process.
    #[allow(dead_code, reason = "for the benchmark")]
    pub(crate) fn to_json(&self) -> String {
        let key = self.issuer.key().serialize_der();
        serde_json::to_string(&(key, self.root.as_ref())).unwrap()
    }

    /// The authority that another process made.
    #[allow(dead_code, reason = "for the benchmark")]
    pub(crate) fn of_json(text: &str) -> Self {
        let (key, root): (Vec<u8>, Vec<u8>) = serde_json::from_str(text).unwrap();
        let key = KeyPair::try_from(key.as_slice()).unwrap();
        let root = CertificateDer::from(root);
        Self { issuer: Issuer::from_ca_cert_der(&root, key).unwrap(), root }
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        Arc::new(roots)
    }

    pub(crate) fn issue(&self, name: &str, years: Years) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![certificate.der().clone()], key)
    }

    pub(crate) fn gate(&self) -> Arc<TestGate> {
        self.gate_valid(VALID)
    }

    pub(crate) fn gate_valid(&self, years: Years) -> Arc<TestGate> {
        let (chain, key) = self.issue("controller", years);
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider()).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(TestGate { config: Arc::new(config), revoked: Mutex::default() })
    }

    pub(crate) fn identity(&self, name: &str) -> TestIdentity {
        let (chain, key) = self.issue(name, VALID);
        let config = client(self.roots()).with_client_auth_cert(chain, key).unwrap();
        TestIdentity(Arc::new(config))
    }
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) fn client(
    roots: Arc<RootCertStore>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
}

pub(crate) struct TestGate {
    config: Arc<ServerConfig>,
    pub(crate) revoked: Mutex<BTreeSet<String>>,
}

impl Gate for TestGate {
    fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    fn peer(&self, certificate: &CertificateDer<'_>) -> Result<Peer, String> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
        let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let name = name.ok_or("no name")?.to_owned();
        let seconds = certificate.validity().not_after.timestamp();
        let valid_until = jiff::Timestamp::from_second(seconds).map_err(|error| error.to_string())?;
        Ok(Peer { name, serial: certificate.raw_serial_as_string(), valid_until, labels: Default::default() })
    }

    fn admits(&self, peer: &Peer) -> Result<(), String> {
        if self.revoked.lock().unwrap().contains(&peer.name) {
            return Err("the certificate of this host was revoked".into());
        }
        Ok(())
    }

    fn renew(&self, peer: Peer, _: String) -> Answer<Result<Credentials, String>> {
        let answer = Credentials { certificate_chain: format!("for {}", peer.name), trust_bundle: "roots".into() };
        Box::pin(async { Ok(answer) })
    }
}

#[derive(Clone)]
pub(crate) struct TestIdentity(pub(crate) Arc<ClientConfig>);

impl Identity for TestIdentity {
    fn tls(&self) -> Result<(Arc<ClientConfig>, ServerName<'static>), Trouble> {
        Ok((Arc::clone(&self.0), ServerName::try_from("controller").unwrap()))
    }
}

//! Each way in which a handshake must fail, over real sockets, with what both sides then see.

use std::sync::Arc;

use faultline_agent::credentials::tls::{self as client_tls, ControllerTrust, provider, root_store};
use faultline_agent::credentials::{
    AgentName, Controller, Credentials, EnrolmentToken, KeyRequest, PeerIdentity, certificates,
};
use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::time_provider::TimeProvider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, PeerIncompatible, ServerConfig, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::tls::{agent_port, api_port, peer, system_time};
use super::{AGENT_LIFE, Authority, Revocations};

#[derive(Debug)]
struct Fixed(Timestamp);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

fn from_now(hours: i64) -> Arc<dyn TimeProvider> {
    Arc::new(Fixed(Timestamp::now() + SignedDuration::from_hours(hours)))
}

struct Place {
    folder: tempfile::TempDir,
    authority: Authority,
    revocations: Revocations,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let authority = Authority::create(&folder.path().join("a"), &names, Timestamp::now()).unwrap();
        Self { folder, authority, revocations: Revocations::default() }
    }

    fn enrol(&self, name: &str) -> Credentials {
        let request = KeyRequest::new().unwrap();
        let (name, now) = (name.parse::<AgentName>().unwrap(), Timestamp::now());
        let text = request.signing_request().unwrap();
        let issued = self.authority.issue_agent(&text, &name, &Default::default(), AGENT_LIFE, now).unwrap();
        let controller = Controller { address: "localhost:1".into(), server_name: "localhost".into() };
        request.accept(&issued.certificate_chain, &issued.trust_bundle, controller, now).unwrap()
    }

    fn agents(&self) -> Arc<ServerConfig> {
        self.agents_at(system_time())
    }

    fn agents_at(&self, time: Arc<dyn TimeProvider>) -> Arc<ServerConfig> {
        agent_port(&self.authority, &self.revocations, time).unwrap()
    }

    /// Key and certificate chain of the controller, as on its disk.
    fn server_pair(&self) -> (String, String) {
        let text = std::fs::read_to_string(self.folder.path().join("a/server.json")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        (text("key"), text("certificateChain"))
    }

    /// A client that trusts this controller and shows what it is told to.
    fn raw_client(&self, key: &str, chain: &str) -> Arc<ClientConfig> {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = self.client_of(&rustls::version::TLS13);
        Arc::new(config.with_client_auth_cert(certificates(chain).unwrap(), key).unwrap())
    }

    fn client_of(
        &self,
        version: &'static SupportedProtocolVersion,
    ) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let roots = root_store(&certificates(&self.authority.trust_bundle()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
        config.with_root_certificates(roots)
    }
}

/// A key and a certificate for it by an authority.
fn key_and_chain(authority: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let issued = authority
        .issue_agent(&request, &name.parse().unwrap(), &Default::default(), AGENT_LIFE, Timestamp::now())
        .unwrap();
    (key.serialize_pem(), issued.certificate_chain)
}

fn raw_server(key: &str, chain: Vec<CertificateDer<'static>>) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

fn tls_error(error: &std::io::Error) -> Error {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).unwrap_or_else(|| panic!("{error}")).clone()
}

/// Connects both over loopback and carries one byte to the client: what the server saw, and what the client saw.
async fn meet(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    name: &str,
) -> (Result<Option<PeerIdentity>, Error>, Result<(), Error>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let served = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(server).accept(stream).await.map_err(|error| tls_error(&error))?;
        let shown = peer(stream.get_ref().1).ok();
        stream.write_all(b"!").await.unwrap();
        stream.flush().await.unwrap();
        // Until the client has read it, the connection stands.
        let _ = stream.read(&mut [0]).await;
        Ok(shown)
    };
    let dialled = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = TlsConnector::from(client).connect(name, stream).await.map_err(|error| tls_error(&error))?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.map_err(|error| tls_error(&error))?;
        assert_eq!(byte, *b"!");
        Ok(())
    };
    let both = async { tokio::join!(served, dialled) };
    tokio::time::timeout(std::time::Duration::from_secs(20), both).await.unwrap()
}

fn alert(description: AlertDescription) -> Result<(), Error> {
    Err(Error::AlertReceived(description))
}

fn refused(reason: CertificateError) -> Error {
    Error::InvalidCertificate(reason)
}

#[tokio::test]
async fn an_agent_and_its_controller_know_each_other() {
    let place = Place::new();
    let agent = place.enrol("db-1");
    for name in ["localhost", "127.0.0.1"] {
        let client = client_tls::session(&agent, system_time()).unwrap();
        let (server, client) = meet(place.agents(), client, name).await;
        assert_eq!((server, client), (Ok(Some(agent.identity().clone())), Ok(())));
    }
    assert_eq!(agent.identity().name.as_str(), "db-1");
}

#[tokio::test]
async fn whoever_shows_no_certificate_is_refused() {
    let place = Place::new();
    let client = Arc::new(place.client_of(&rustls::version::TLS13).with_no_client_auth());
    let (server, client) = meet(place.agents(), client, "localhost").await;
    assert_eq!(server, Err(Error::NoCertificatesPresented));
    assert_eq!(client, alert(AlertDescription::CertificateRequired));
}

#[tokio::test]
async fn the_certificate_of_another_authority_is_refused() {
    let (place, foreign) = (Place::new(), Place::new());
    let (key, chain) = key_and_chain(&foreign.authority, "db-1");
    let (server, client) = meet(place.agents(), place.raw_client(&key, &chain), "localhost").await;
    assert_eq!(server, Err(refused(CertificateError::UnknownIssuer)));
    assert_eq!(client, alert(AlertDescription::UnknownCA));
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let place = Place::new();
    let client = client_tls::session(&place.enrol("db-1"), system_time()).unwrap();
    let (server, client) = meet(place.agents_at(from_now(25)), client, "localhost").await;
    assert!(matches!(server, Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))), "{server:?}");
    assert_eq!(client, alert(AlertDescription::CertificateExpired));
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_refused_but_a_clock_four_minutes_behind_is_not() {
    let place = Place::new();
    let agent = place.enrol("db-1");
    let client = || client_tls::session(&agent, system_time()).unwrap();
    let (server, told) = meet(place.agents_at(from_now(-1)), client(), "localhost").await;
    assert!(
        matches!(server, Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. }))),
        "{server:?}"
    );
    assert_eq!(told, alert(AlertDescription::CertificateExpired));
    let behind = Arc::new(Fixed(Timestamp::now() - SignedDuration::from_mins(4)));
    let (server, told) = meet(place.agents_at(behind), client(), "localhost").await;
    assert_eq!((server.is_ok(), told), (true, Ok(())));
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_also_by_a_port_that_is_open_and_knew_the_agent() {
    let place = Place::new();
    let agent = place.enrol("db-1");
    let (port, config) = (place.agents(), client_tls::session(&agent, system_time()).unwrap());
    // The plain client would resume a session if it could.
    let (key, chain) = key_and_chain(&place.authority, "db-2");
    let other = PeerIdentity::of(&certificates(&chain).unwrap()[0]).unwrap();
    let resuming = place.raw_client(&key, &chain);
    for client in [&config, &resuming] {
        let (server, client) = meet(Arc::clone(&port), Arc::clone(client), "localhost").await;
        assert_eq!((server.is_ok(), client), (true, Ok(())));
    }
    assert!(place.revocations.revoke(agent.identity().serial) && place.revocations.revoke(other.serial));
    for client in [config, resuming] {
        let (server, client) = meet(Arc::clone(&port), client, "localhost").await;
        assert_eq!(server, Err(refused(CertificateError::Revoked)));
        assert_eq!(client, alert(AlertDescription::CertificateRevoked));
    }
}

#[tokio::test]
async fn the_controllers_certificate_makes_nobody_an_agent() {
    let place = Place::new();
    let (key, chain) = place.server_pair();
    let (server, client) = meet(place.agents(), place.raw_client(&key, &chain), "localhost").await;
    assert!(
        matches!(server, Err(Error::InvalidCertificate(CertificateError::InvalidPurposeContext { .. }))),
        "{server:?}"
    );
    assert_eq!(client, alert(AlertDescription::UnsupportedCertificate));
}

#[tokio::test]
async fn a_client_certificate_that_says_nothing_of_its_purpose_or_names_no_agent_is_refused() {
    let place = Place::new();
    let issuer = place.authority.now().issuer().unwrap();
    let key = KeyPair::generate().unwrap();
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let agent = || vec![uri("faultline://agent/db-1")];
    let client = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let both = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    let two = vec![uri("faultline://agent/db-1"), uri("faultline://agent/db-2")];
    let unnamed = CertificateError::ApplicationVerificationFailure;
    for (purposes, names, reason) in [
        (vec![], agent(), CertificateError::InvalidPurpose),
        (both, agent(), CertificateError::InvalidPurpose),
        (client.clone(), vec![], unnamed.clone()),
        (client.clone(), two, unnamed.clone()),
        (client.clone(), vec![uri("faultline://agent/../x")], unnamed.clone()),
        (client, vec![uri("https://agent/db-1")], unnamed),
    ] {
        let serial = super::Serial::random().unwrap();
        let mut wanted = super::authorities::parameters(serial, Timestamp::now(), AGENT_LIFE);
        (wanted.extended_key_usages, wanted.subject_alt_names) = (purposes, names);
        let chain = wanted.signed_by(&key, &issuer).unwrap().pem();
        let config = place.raw_client(&key.serialize_pem(), &chain);
        let (server, _) = meet(place.agents(), config, "localhost").await;
        assert_eq!(server, Err(refused(reason)));
    }
}

#[tokio::test]
async fn an_agents_certificate_makes_nobody_a_controller() {
    let place = Place::new();
    let (key, chain) = key_and_chain(&place.authority, "localhost");
    let impostor = raw_server(&key, certificates(&chain).unwrap());
    let token = EnrolmentToken::random(place.authority.fingerprint().unwrap()).unwrap();
    let session = client_tls::session(&place.enrol("db-1"), system_time()).unwrap();
    for config in [session, client_tls::enrolment(&token, system_time()).unwrap()] {
        let (server, client) = meet(Arc::clone(&impostor), config, "localhost").await;
        assert!(
            matches!(client, Err(Error::InvalidCertificate(CertificateError::InvalidPurposeContext { .. }))),
            "{client:?}"
        );
        assert_eq!(server, Err(Error::AlertReceived(AlertDescription::UnsupportedCertificate)));
    }
}

#[tokio::test]
async fn tls_1_2_is_not_spoken_on_any_port() {
    let place = Place::new();
    for server in [place.agents(), api_port(&place.authority, system_time()).unwrap()] {
        let client = Arc::new(place.client_of(&rustls::version::TLS12).with_no_client_auth());
        let (server, client) = meet(server, client, "localhost").await;
        assert_eq!(server, Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled)));
        assert_eq!(client, alert(AlertDescription::ProtocolVersion));
    }
    // Nor do our clients, whatever the server wants.
    let (key, chain) = place.server_pair();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let old =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    let old = old.with_no_client_auth().with_single_cert(certificates(&chain).unwrap(), key).unwrap();
    let config = client_tls::session(&place.enrol("db-1"), system_time()).unwrap();
    let (server, client) = meet(Arc::new(old), config, "localhost").await;
    assert_eq!(server, Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled)));
    assert_eq!(client, alert(AlertDescription::ProtocolVersion));
}

#[tokio::test]
async fn a_controller_of_another_name_is_refused() {
    let place = Place::new();
    let token = EnrolmentToken::random(place.authority.fingerprint().unwrap()).unwrap();
    let session = client_tls::session(&place.enrol("db-1"), system_time()).unwrap();
    for config in [session, client_tls::enrolment(&token, system_time()).unwrap()] {
        for name in ["elsewhere.example.org", "127.0.0.2"] {
            let (server, client) = meet(place.agents(), Arc::clone(&config), name).await;
            assert!(
                matches!(client, Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))),
                "{client:?}"
            );
            assert_eq!(server, Err(Error::AlertReceived(AlertDescription::BadCertificate)));
        }
    }
}

#[tokio::test]
async fn a_host_enrols_only_at_a_controller_of_the_tokens_authority() {
    let (place, foreign) = (Place::new(), Place::new());
    let token = EnrolmentToken::random(place.authority.fingerprint().unwrap()).unwrap();
    let config = client_tls::enrolment(&token, system_time()).unwrap();
    let meet_as = |server| meet(server, Arc::clone(&config), "localhost");

    let (server, client) = meet_as(api_port(&place.authority, system_time()).unwrap()).await;
    assert_eq!((server, client), (Ok(None), Ok(())));

    // Another authority.
    let (server, client) = meet_as(api_port(&foreign.authority, system_time()).unwrap()).await;
    assert_eq!(client, Err(refused(CertificateError::UnknownIssuer)));
    assert_eq!(server, Err(Error::AlertReceived(AlertDescription::UnknownCA)));

    // Another authority, which shows the certificate of ours beside its own.
    let ours = place.authority.certificate().unwrap();
    let (key, chain) = foreign.server_pair();
    let leaf = certificates(&chain).unwrap()[0].clone();
    for chain in [vec![leaf.clone(), ours.clone()], vec![leaf, foreign.authority.certificate().unwrap(), ours.clone()]]
    {
        let (_, client) = meet_as(raw_server(&key, chain)).await;
        assert_eq!(client, Err(refused(CertificateError::UnknownIssuer)));
    }

    // Another authority of the same name, which shows the certificate of ours.
    let facts = faultline_agent::credentials::CertificateFacts::of(&ours).unwrap();
    let mut named = CertificateParams::default();
    named.distinguished_name = rcgen::DistinguishedName::new();
    named.distinguished_name.push(DnType::CommonName, format!("Faultline authority {}", facts.serial));
    named.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(named, KeyPair::generate().unwrap());
    let key = KeyPair::generate().unwrap();
    let mut wanted = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = wanted.signed_by(&key, &issuer).unwrap().der().clone();
    let (_, client) = meet_as(raw_server(&key.serialize_pem(), vec![leaf, ours])).await;
    assert_eq!(client, Err(refused(CertificateError::BadSignature)));
}

#[tokio::test]
async fn a_host_enrols_at_no_controller_whose_certificates_are_out_of_date() {
    let place = Place::new();
    let token = EnrolmentToken::random(place.authority.fingerprint().unwrap()).unwrap();
    let server = api_port(&place.authority, system_time()).unwrap();
    let at = |hours| client_tls::enrolment(&token, from_now(hours)).unwrap();
    let (_, client) = meet(Arc::clone(&server), at(8 * 24), "localhost").await;
    assert!(matches!(client, Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))), "{client:?}");
    // By then the authority itself is: rustls would not look.
    let (_, client) = meet(Arc::clone(&server), at(11 * 366 * 24), "localhost").await;
    assert_eq!(client, Err(refused(CertificateError::Expired)));
    let (_, client) = meet(server, at(-1), "localhost").await;
    assert_eq!(client, Err(refused(CertificateError::NotValidYet)));
}

#[tokio::test]
async fn the_controllers_certificate_is_renewed_while_the_port_is_open() {
    let place = Place::new();
    let agent = place.enrol("db-1");
    let port = place.agents();
    let later = Timestamp::now() + SignedDuration::from_hours(5 * 24);
    assert!(!place.authority.renew_server(Timestamp::now() + SignedDuration::from_hours(4 * 24)).unwrap());
    let before = place.authority.server_not_after();
    assert!(place.authority.renew_server(later).unwrap());
    assert!(place.authority.server_not_after() > before + SignedDuration::from_hours(4 * 24));
    // By a clock at which the first one would have expired.
    let time = from_now(8 * 24);
    let (_, client) = meet(port, client_tls::session(&agent, time).unwrap(), "localhost").await;
    // The agent's own has expired by the controller's clock only in a day: the controller's is what counts here.
    assert_eq!(client, Ok(()));
}

#[tokio::test]
async fn a_rotation_cuts_nobody_off_who_renews_in_time() {
    use super::{Step, Succession};
    let place = Place::new();
    let now = Timestamp::now();
    let (port, old_token) = (place.agents(), EnrolmentToken::random(place.authority.fingerprint().unwrap()).unwrap());
    let works = async |agent: &Credentials| {
        let config = client_tls::session(agent, system_time()).unwrap();
        let (server, client) = meet(Arc::clone(&port), config, "localhost").await;
        (server.is_ok(), client.is_ok()) == (true, true)
    };
    let before = place.enrol("before");
    let (former, certificate) = (place.authority.fingerprint().unwrap(), place.authority.prepare(now).unwrap());
    let follow =
        |step| place.authority.follow(&Succession { step, former, certificate: certificate.clone() }, now).unwrap();
    follow(Step::Begun);
    let between = place.enrol("between");
    assert!(works(&before).await && works(&between).await);
    follow(Step::Switched);
    let after = place.enrol("after");
    assert!(works(&between).await && works(&after).await);
    // Who did not learn of the new authority in time does not know the controller any more; nor do old tokens.
    assert!(!works(&before).await);
    let enrol = async |trust: &ControllerTrust| {
        let server = api_port(&place.authority, system_time()).unwrap();
        let client = client_tls::anonymous(trust, &[b"h2"], system_time()).unwrap();
        meet(server, client, "localhost").await.1
    };
    assert_eq!(
        enrol(&ControllerTrust::Pinned(vec![old_token.authority])).await,
        Err(refused(CertificateError::UnknownIssuer))
    );
    // A client that was told of both goes on.
    let new = place.authority.fingerprint().unwrap();
    assert_eq!(enrol(&ControllerTrust::Pinned(vec![old_token.authority, new])).await, Ok(()));
    assert_eq!(enrol(&ControllerTrust::Bundle(place.authority.trust_bundle())).await, Ok(()));
    follow(Step::Finished);
    assert!(works(&after).await && !works(&between).await);
}

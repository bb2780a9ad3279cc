use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{KeyPair, PublicKeyData};
use ring::digest::{SHA256, digest};
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::{Deserialize, Serialize};

use super::certificate::{CertificateFacts, PeerIdentity, certificates};
use super::error::CredentialsError;
use super::{private_file, tls};

/// The version of the file that this program writes, and the only one that it reads.
const VERSION: u32 = 1;

/// Where the controller is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Controller {
    /// `host:port` of its port for agents.
    pub address: String,
    /// The name (or address) that its certificate must be for.
    pub server_name: String,
}

/// What an agent has: its key, its certificate, and whom it trusts.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    stored: Stored,
    identity: PeerIdentity,
    server_name: ServerName<'static>,
    chain: Vec<CertificateDer<'static>>,
    roots: Vec<CertificateDer<'static>>,
}

/// The file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    version: u32,
    controller: Controller,
    /// PEM (PKCS #8).
    key: String,
    /// PEM: the agent's own first.
    certificate_chain: String,
    /// PEM.
    trust_bundle: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("Credentials");
        text.field("identity", &self.identity).field("controller", &self.stored.controller).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The file in a folder of credentials.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join("credentials.json")
    }

    /// Reads what is in a folder; `None` if this host was not enrolled. An expired certificate is read too.
    ///
    /// # Errors
    /// If others may read or write the file or the folder, or it cannot be read or understood.
    pub fn load(folder: &Path) -> Result<Option<Self>, CredentialsError> {
        let path = Self::file(folder);
        let Some(text) = private_file::read(&path)? else { return Ok(None) };
        let bad = |problem: String| {
            CredentialsError::new(path.display().to_string(), problem, "enrol this host again, with a new token")
        };
        // What serde says could quote the key.
        let stored: Stored =
            serde_json::from_str(&text).map_err(|_| bad("is cut short or was changed by hand".to_owned()))?;
        if stored.version != VERSION {
            return Err(bad(format!("has version {}, and this program knows version {VERSION}", stored.version)));
        }
        Self::read(stored).map(Some).map_err(|error| bad(format!("cannot be used: {error}")))
    }

    /// Writes them into a folder, in place of what was there, in one step.
    ///
    /// # Errors
    /// If the folder is not private, or cannot be written durably; the old ones then stand.
    pub fn save(&self, folder: &Path) -> Result<(), CredentialsError> {
        let path = Self::file(folder);
        let text = serde_json::to_string_pretty(&self.stored).map_err(|error| {
            CredentialsError::new(path.display().to_string(), "cannot be written", "this is a fault of the program")
                .because(error)
        })?;
        private_file::write(&path, &(text + "\n"))
    }

    /// Who this agent is.
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// Where its controller is.
    pub fn controller(&self) -> &Controller {
        &self.stored.controller
    }

    /// The name that the controller's certificate must be for, as TLS wants it.
    pub fn server_name(&self) -> ServerName<'static> {
        self.server_name.clone()
    }

    /// PEM of the authorities by which the controller is known.
    pub fn trust_bundle(&self) -> &str {
        &self.stored.trust_bundle
    }

    /// Whether it is time for a new certificate.
    pub fn needs_renewal(&self, now: Timestamp, seed: u64) -> bool {
        now >= self.renew_at(seed)
    }

    /// When a new certificate is due: at two thirds of the life of this one, and up to a tenth of it later, so that a
    /// fleet enrolled at once does not renew at once. The seed is the host's own; the moment is the same each time.
    pub fn renew_at(&self, seed: u64) -> Timestamp {
        let PeerIdentity { serial, not_before, not_after, .. } = &self.identity;
        let life = Duration::try_from(not_after.duration_since(*not_before)).unwrap_or_default();
        let hash = digest(&SHA256, &[&seed.to_be_bytes()[..], &serial.bytes()[..]].concat());
        let thousandths = hash.as_ref().iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)) % 1000;
        let thousandths = u32::try_from(thousandths).unwrap_or_default();
        let wait = SignedDuration::try_from(life * 2 / 3 + life / 10 * thousandths / 1000).unwrap_or_default();
        not_before.checked_add(wait).unwrap_or(*not_after)
    }

    pub(super) fn key_pem(&self) -> &str {
        &self.stored.key
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(super) fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    pub(super) fn checked(
        key: String,
        certificate_chain: &str,
        trust_bundle: &str,
        controller: Controller,
        now: Timestamp,
    ) -> Result<Self, CredentialsError> {
        let (certificate_chain, trust_bundle) = (certificate_chain.to_owned(), trust_bundle.to_owned());
        let credentials = Self::read(Stored { version: VERSION, controller, key, certificate_chain, trust_bundle })?;
        let refused = |problem: String| {
            CredentialsError::new(
                "the certificate that the controller signed",
                problem,
                "nothing was changed on this host; is its clock right, and that of the controller?",
            )
        };
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let roots = Arc::new(tls::root_store(&credentials.roots)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, tls::provider()).build();
        let verifier = verifier.map_err(|error| refused(format!("comes without an authority: {error}")))?;
        let [own, others @ ..] = credentials.chain.as_slice() else { return Err(refused("is missing".into())) };
        let verified = verifier.verify_client_cert(own, others, now);
        verified.map_err(|error| refused(format!("is not accepted: {error}")))?;
        Ok(credentials)
    }

    fn read(stored: Stored) -> Result<Self, CredentialsError> {
        let bad = |subject: &str, problem: String| CredentialsError::new(subject, problem, "enrol this host again");
        let parse = |subject: &str, pem: &str| {
            certificates(pem).ok_or_else(|| bad(subject, "cannot be read as PEM".to_owned()))
        };
        let chain = parse("the certificate chain", &stored.certificate_chain)?;
        let roots = parse("the trust bundle", &stored.trust_bundle)?;
        let not_ours = |problem: &dyn fmt::Display| bad("the certificate", format!("is none of an agent: {problem}"));
        let identity = PeerIdentity::of(&chain[0]).map_err(|problem| not_ours(&problem))?;
        let facts = CertificateFacts::of(&chain[0]).map_err(|problem| not_ours(&problem))?;
        let key = KeyPair::from_pem(&stored.key).map_err(|_| bad("the key", "cannot be read".into()))?;
        if key.der_bytes() != facts.public_key {
            return Err(bad("the certificate", "is not for this host's key".into()));
        }
        let server_name = ServerName::try_from(stored.controller.server_name.clone())
            .map_err(|_| bad("the controller's name", "is no name of a host, nor an address".into()))?;
        Ok(Self { stored, identity, server_name, chain, roots })
    }
}

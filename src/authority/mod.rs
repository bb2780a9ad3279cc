//! The authority of a fleet: who may be an agent, and how the controller proves that it is one.
//!
//! - The subject of a certificate is decided here; of a signing request only the key is taken, and the proof that its
//!   sender has it.
//! - Certificates are short-lived; the controller renews its own without a restart ([`Authority::renew_server`]).
//! - A revoked certificate is refused at the handshake ([`tls::agent_port`]) and in a session that stands
//!   ([`Revocations`]). No session is resumed, since that would pass by both.
//! - All keys of the authority are one file, replaced by one rename. It is 0600 in a folder that is 0700.

mod authorities;
mod error;
mod issue;
mod revocations;
mod rotation;
mod server;
#[cfg(test)]
mod tests;
pub mod tls;
#[cfg(test)]
mod tls_tests;
mod verifier;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use faultline_agent::credentials::{Fingerprint, private_file};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use authorities::Authorities;
use server::ServerCertificate;
use verifier::AgentVerifier;

pub use error::{AuthorityError, IssueError};
pub use faultline_agent::credentials::{AgentName, PeerIdentity, Serial};
pub use issue::IssuedCertificate;
pub use revocations::{NotValid, Revocations};
pub use rotation::{Step, Succession};

/// How long a certificate of an agent is valid unless told otherwise.
pub const AGENT_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long a certificate of the controller is valid. It is renewed at two thirds of it.
pub const SERVER_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an authority's own certificate is valid: ten years.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(3653 * 24 * 3600);
/// Certificates are valid from so long ago, for clocks that are behind.
pub const BACKDATE: Duration = Duration::from_secs(300);

/// The authority, from its folder. Shared freely; what is signed and trusted may change while it is in use.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    authorities: RwLock<Arc<Authorities>>,
    server: Arc<ServerCertificate>,
    verifier: Arc<AgentVerifier>,
    /// Held by whoever changes the files.
    changing: Mutex<()>,
}

impl Authority {
    /// Where the authority lies in a controller's data folder.
    pub fn folder(data: &Path) -> PathBuf {
        data.join("authority")
    }

    /// Makes a new authority in a folder, which is made too (0700), for a controller of these names and addresses.
    ///
    /// # Errors
    /// If there is one already, a name is none, or the folder is not private or cannot be written.
    pub fn create(folder: &Path, names: &[String], now: Timestamp) -> Result<Self, AuthorityError> {
        let authorities = Authorities::new(names, now)?;
        private_file::folder(folder)?;
        authorities.write_new(folder)?;
        Self::of(folder, authorities, now)
    }

    /// Makes the folder of another controller of the same fleet, of these names: with the authority in `from`, which is a
    /// copy of the folder of one that is there already (or of the data folder around it). What is its own, its
    /// certificate, it makes itself. Hosts that were enrolled at any of them trust all of them.
    ///
    /// # Errors
    /// If there is an authority in the folder already, none in `from`, others may read either, a name is none, or it cannot
    /// be written.
    pub fn join(folder: &Path, from: &Path, names: &[String], now: Timestamp) -> Result<Self, AuthorityError> {
        let authorities = Authorities::read(&Self::copy(from))?.joined_by(names)?;
        private_file::folder(folder)?;
        authorities.write_new(folder)?;
        Self::of(folder, authorities, now)
    }

    /// The authority's folder in what was copied: that folder, or the data folder around it.
    fn copy(from: &Path) -> PathBuf {
        let within = Self::folder(from);
        if within.is_dir() { within } else { from.to_owned() }
    }

    /// Opens the authority in a folder; makes a new server certificate if there is none that is still valid for long.
    ///
    /// # Errors
    /// If there is none, or others may read or write it or its folder, or it cannot be understood.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, AuthorityError> {
        Self::of(folder, Authorities::read(folder)?, now)
    }

    fn of(folder: &Path, authorities: Authorities, now: Timestamp) -> Result<Self, AuthorityError> {
        let server = ServerCertificate::open(folder, &authorities, now)?;
        let verifier = AgentVerifier::new(&authorities.trusted()?)?;
        Ok(Self {
            folder: folder.to_owned(),
            authorities: RwLock::new(Arc::new(authorities)),
            server: Arc::new(server),
            verifier: Arc::new(verifier),
            changing: Mutex::default(),
        })
    }

    /// The fingerprint of the authority that signs now; it goes into enrolment tokens.
    ///
    /// # Errors
    /// If its certificate cannot be read.
    pub fn fingerprint(&self) -> Result<Fingerprint, AuthorityError> {
        Ok(Fingerprint::of(&self.now().signing_certificate()?))
    }

    /// The certificate of the authority that signs now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn certificate(&self) -> Result<CertificateDer<'static>, AuthorityError> {
        self.now().signing_certificate()
    }

    /// Until when the authority that signs now is valid; it must be rotated before.
    ///
    /// # Errors
    /// If its certificate cannot be read.
    pub fn not_after(&self) -> Result<Timestamp, AuthorityError> {
        self.now().signing_not_after()
    }

    /// PEM of all authorities that are trusted now: what agents get beside their certificate.
    pub fn trust_bundle(&self) -> String {
        self.now().bundle()
    }

    /// The names and addresses of this controller, for which its certificate is; the first is the one that others are told.
    pub fn names(&self) -> Vec<String> {
        self.now().names().to_vec()
    }

    /// The name by which agents know every controller of the fleet, whatever its address.
    pub fn known_as(&self) -> String {
        self.now().known_as().unwrap_or_default().to_owned()
    }

    /// Until when the controller's certificate is valid.
    pub fn server_not_after(&self) -> Timestamp {
        self.server.not_after()
    }

    /// Makes a new server certificate if two thirds of the life of this one are over; handshakes from then on use it.
    /// Returns whether it did. To be called every few minutes.
    ///
    /// # Errors
    /// If it cannot be signed or written; the old one is used on.
    pub fn renew_server(&self, now: Timestamp) -> Result<bool, AuthorityError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.server.renew_if_due(&self.folder, &self.now(), now)
    }

    fn now(&self) -> Arc<Authorities> {
        Arc::clone(&self.authorities.read().unwrap_or_else(PoisonError::into_inner))
    }
}

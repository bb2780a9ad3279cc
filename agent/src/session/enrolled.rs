//! An enrolled host: its credentials on disk, with which it dials, and which it renews in time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::Trouble;
use super::dial::Identity;
use crate::credentials::{Credentials, CredentialsError, KeyRequest, tls};
use crate::state::StateFolder;

/// Where the credentials of an agent are, in its state folder.
pub fn folder(state: &StateFolder) -> PathBuf {
    state.path().join("credentials")
}

/// New certificates for old ones, while a session stands.
pub trait Renewal: Send + Sync + 'static {
    /// PEM of a signing request for a new key, if it is time for one, or one is wanted at once.
    fn due(&self, at_once: bool) -> Option<String>;

    /// Takes the answer to the last request; from the next connection on it is used.
    ///
    /// # Errors
    /// If it is not for the key, or cannot be kept; the present one stands.
    fn accept(&self, certificate_chain: &str, trust_bundle: &str) -> Result<(), String>;
}

/// The credentials of this host.
#[derive(Debug, Clone)]
pub struct Enrolled(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Spreads the renewals of a fleet over time.
    seed: u64,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    credentials: Credentials,
    tls: Arc<ClientConfig>,
    asked: Option<KeyRequest>,
}

impl Enrolled {
    /// Reads the credentials of this host; nothing if it was not enrolled.
    ///
    /// # Errors
    /// If they are there and cannot be used.
    pub fn load(folder: &Path, seed: u64) -> Result<Option<Self>, CredentialsError> {
        let Some(credentials) = Credentials::load(folder)? else { return Ok(None) };
        let tls = tls::session(&credentials, tls::system_time())?;
        let held = Mutex::new(Held { credentials, tls, asked: None });
        Ok(Some(Self(Arc::new(Inner { folder: folder.to_owned(), seed, held }))))
    }

    /// The credentials as they are now.
    pub fn credentials(&self) -> Credentials {
        self.held().credentials.clone()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity for Enrolled {
    fn tls(&self) -> Result<(Arc<ClientConfig>, ServerName<'static>), Trouble> {
        let held = self.held();
        let not_after = held.credentials.identity().not_after;
        let now = Timestamp::now();
        if now > not_after {
            return Err(Trouble {
                message: format!("this host's certificate was valid until {not_after}, and its clock says {now}"),
                hint: "enrol it again, with a new token: `faultline-agent enrol`; is the clock right?".into(),
                lasting: true,
            });
        }
        let not_before = held.credentials.identity().not_before;
        if now < not_before {
            return Err(Trouble {
                message: format!("this host's certificate is valid from {not_before}, and its clock says {now}"),
                hint: "set this host's clock, best by NTP".into(),
                lasting: true,
            });
        }
        Ok((Arc::clone(&held.tls), held.credentials.server_name()))
    }
}

impl Renewal for Enrolled {
    fn due(&self, at_once: bool) -> Option<String> {
        let mut held = self.held();
        if !at_once && !held.credentials.needs_renewal(Timestamp::now(), self.0.seed) {
            return None;
        }
        let made = KeyRequest::new().and_then(|request| request.signing_request().map(|text| (request, text)));
        match made {
            Ok((request, text)) => {
                held.asked = Some(request);
                Some(text)
            }
            Err(error) => {
                tracing::error!(%error, hint = error.hint, "the certificate cannot be renewed");
                None
            }
        }
    }

    fn accept(&self, certificate_chain: &str, trust_bundle: &str) -> Result<(), String> {
        let mut held = self.held();
        let told = |error: CredentialsError| format!("{error} (hint: {})", error.hint);
        let request = held.asked.take().ok_or("no certificate was asked for")?;
        let controller = held.credentials.controller().clone();
        let credentials =
            request.accept(certificate_chain, trust_bundle, controller, Timestamp::now()).map_err(told)?;
        let tls = tls::session(&credentials, tls::system_time()).map_err(told)?;
        credentials.save(&self.0.folder).map_err(told)?;
        held.credentials = credentials;
        held.tls = tls;
        Ok(())
    }
}

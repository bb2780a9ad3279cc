use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use super::{PeerIdentity, Serial};

/// The serial numbers of certificates that are not accepted any more. All clones are one set, which can be replaced at
/// any time: from the store at the start, and whenever another controller revoked something.
#[derive(Debug, Clone, Default)]
pub struct Revocations(Arc<RwLock<Arc<HashSet<Serial>>>>);

/// Why a certificate that was accepted at the handshake is no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotValid {
    /// It was revoked.
    #[error("its certificate was revoked")]
    Revoked,
    /// Its time is over.
    #[error("its certificate was valid until {0}")]
    Expired(Timestamp),
}

impl Revocations {
    /// Takes these in place of all before.
    pub fn replace(&self, serials: HashSet<Serial>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(serials);
    }

    /// Revokes one more; whether it was not revoked before.
    pub fn revoke(&self, serial: Serial) -> bool {
        Arc::make_mut(&mut self.0.write().unwrap_or_else(PoisonError::into_inner)).insert(serial)
    }

    /// Whether a certificate is revoked.
    pub fn contains(&self, serial: Serial) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&serial)
    }

    /// Whether a session may go on whose peer showed this at the handshake. To be asked at each heartbeat.
    ///
    /// # Errors
    /// If its certificate was revoked or has expired since.
    pub fn check(&self, peer: &PeerIdentity, now: Timestamp) -> Result<(), NotValid> {
        if self.contains(peer.serial) {
            return Err(NotValid::Revoked);
        }
        if now > peer.not_after { Err(NotValid::Expired(peer.not_after)) } else { Ok(()) }
    }
}

//! A new authority in place of the old, without enrolling a host again.
//!
//! 1. begun: the new authority is trusted beside the old, which still signs. Agents learn of the new one with their next
//!    certificate.
//! 2. switched: the new one signs, also the controllers' own certificates. Those of the old are still accepted.
//! 3. finished: the old one is forgotten, key and all.
//!
//! What step is taken, the fleet decides, and each controller follows it. Its public part is all that they tell each
//! other; the key is made by one of them, and brought to the others by a person, as that of the first one was
//! ([`Authority::take`]). Following is idempotent: what a crash cut off is done at the next look.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use faultline_agent::credentials::Fingerprint;
use jiff::Timestamp;

use super::authorities::Authorities;
use super::{Authority, AuthorityError};

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The new authority is trusted; the old one signs.
    Begun,
    /// The new authority signs; the old one is still trusted.
    Switched,
    /// The old authority is forgotten.
    Finished,
}

/// Which authority follows upon which, as the fleet decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// How far it is.
    pub step: Step,
    /// The one before.
    pub former: Fingerprint,
    /// PEM of the certificate of the new one.
    pub certificate: String,
}

impl Authority {
    /// PEM of an authority that can follow upon the present one. Its key is here from now on; nobody trusts it before the
    /// fleet has decided so. The same until then, however often it is asked for.
    ///
    /// # Errors
    /// If it cannot be made, or the file not be written.
    pub fn prepare(&self, now: Timestamp) -> Result<String, AuthorityError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = Authorities::read(&self.folder)?;
        let certificate = kept.prepare(now)?;
        kept.write(&self.folder)?;
        Ok(certificate)
    }

    /// Trusts and signs as the fleet decided, also at the ports that are open. Whether anything is different now.
    ///
    /// # Errors
    /// [`AuthorityError::NoKey`] if the key by which it is to be signed is not here; it is trusted as decided all the same.
    /// Or if the file cannot be read or written: then nothing has changed.
    pub fn follow(&self, to: &Succession, now: Timestamp) -> Result<bool, AuthorityError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // From the disk: a person may have brought a key.
        let kept = Authorities::read(&self.folder)?;
        let mut next = kept.clone();
        next.follow(to)?;
        let trusted = next.trusted()?;
        // Written first, and trusted then: what a restart would read is never older than what is in use.
        if next != kept {
            next.write(&self.folder)?;
        }
        let changed = next != *self.now();
        if changed {
            self.verifier.trust(&trusted)?;
            *self.authorities.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        }
        self.server.renew_if_due(&self.folder, &self.now(), now)?;
        Ok(changed)
    }

    /// The authorities whose keys are here.
    ///
    /// # Errors
    /// If the certificate of one cannot be read.
    pub fn held(&self) -> Result<Vec<Fingerprint>, AuthorityError> {
        self.now().held()
    }

    /// Takes the authorities, keys and all, of another controller of the same fleet into the folder of one that lacks them:
    /// from a copy of its folder, or of the data folder around it. The names stay. A controller that serves from the folder
    /// has them within seconds. Those whose keys are there then.
    ///
    /// # Errors
    /// If either has none, others may read either, they are of two fleets, or it cannot be written.
    pub fn take(folder: &Path, from: &Path) -> Result<Vec<Fingerprint>, AuthorityError> {
        let taken = Authorities::read(folder)?.taken_from(Authorities::read(&Self::copy(from))?)?;
        taken.write(folder)?;
        taken.held()
    }
}

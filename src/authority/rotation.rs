//! A new authority in place of the old, without enrolling a host again.
//!
//! 1. begin: the new authority is made and trusted beside the old, which still signs. Agents learn of the new one with
//!    their next certificate.
//! 2. switch, after the life of an agent's certificate: the new one signs, also the controller's own certificate.
//!    Certificates of the old are still accepted. Enrolment tokens made before no longer fit, and are made anew.
//! 3. finish, after that time again: the old one is forgotten, key and all.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::authorities::Authorities;
use super::{Authority, AuthorityError};

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "step")]
pub enum Rotation {
    /// The new authority is trusted; the old one signs.
    Begun {
        /// When that was.
        at: Timestamp,
    },
    /// The new authority signs; the old one is still trusted.
    Switched {
        /// When that was.
        at: Timestamp,
    },
}

/// Whether a step waits until nobody is cut off by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It is refused before every agent had to renew; their certificates live so long.
    After(Duration),
    /// It is done now, as when a key leaked. Agents that did not renew in between must be enrolled again.
    AtOnce,
}

impl Authority {
    /// How far a rotation is, if one is under way.
    pub fn rotation(&self) -> Option<Rotation> {
        self.now().rotation
    }

    /// Makes a new authority and trusts it beside the old.
    ///
    /// # Errors
    /// If a rotation is under way, or the file cannot be written: then nothing has changed.
    pub fn begin_rotation(&self, now: Timestamp) -> Result<(), AuthorityError> {
        self.change(|authorities| {
            if authorities.rotation.is_some() {
                return Err(AuthorityError::NotNow("a rotation is under way already"));
            }
            authorities.rotation = Some(Rotation::Begun { at: now });
            authorities.add(now)
        })
    }

    /// Lets the new authority sign, and gives the controller a certificate of it.
    ///
    /// # Errors
    /// If no rotation was begun, it is too early, or the file cannot be written.
    pub fn switch_rotation(&self, pace: Pace, now: Timestamp) -> Result<(), AuthorityError> {
        self.change(|authorities| {
            let Some(Rotation::Begun { at }) = authorities.rotation else {
                return Err(AuthorityError::NotNow("no rotation was begun that could be switched"));
            };
            wait(at, pace, now)?;
            authorities.rotation = Some(Rotation::Switched { at: now });
            authorities.sign_with_newest();
            Ok(())
        })?;
        self.server.renew(&self.folder, &self.now(), now)
    }

    /// Forgets the old authority and its key.
    ///
    /// # Errors
    /// If the rotation was not switched, it is too early, or the file cannot be written.
    pub fn finish_rotation(&self, pace: Pace, now: Timestamp) -> Result<(), AuthorityError> {
        self.change(|authorities| {
            let Some(Rotation::Switched { at }) = authorities.rotation else {
                return Err(AuthorityError::NotNow("no rotation was switched that could be finished"));
            };
            wait(at, pace, now)?;
            authorities.rotation = None;
            authorities.forget_all_but_signing();
            Ok(())
        })
    }

    /// Writes first, and trusts then: what a restart would read is never older than what is in use.
    fn change(
        &self,
        change: impl FnOnce(&mut Authorities) -> Result<(), AuthorityError>,
    ) -> Result<(), AuthorityError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut authorities = (*self.now()).clone();
        change(&mut authorities)?;
        let trusted = authorities.trusted()?;
        authorities.write(&self.folder)?;
        self.verifier.trust(&trusted)?;
        *self.authorities.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(authorities);
        Ok(())
    }
}

fn wait(since: Timestamp, pace: Pace, now: Timestamp) -> Result<(), AuthorityError> {
    let Pace::After(life) = pace else { return Ok(()) };
    let until = since.saturating_add(life).unwrap_or(Timestamp::MAX);
    if now < until { Err(AuthorityError::TooEarly { until }) } else { Ok(()) }
}

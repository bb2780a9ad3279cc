//! Signatures of what is sent, as [Standard Webhooks](https://www.standardwebhooks.com) has them, and how a receiver
//! checks them.
//!
//! A request carries
//!
//! ```text
//! webhook-id:        the message's id: the same whenever it is sent again, so a receiver can drop what it has had
//! webhook-timestamp: when it was sent, in seconds since 1970
//! webhook-signature: v1,BASE64 for each secret, with a space between them
//! ```
//!
//! and `BASE64` is that of HMAC-SHA256 (RFC 2104) over `ID.TIMESTAMP.BODY`, the body byte for byte as it came. A receiver
//! must compare in constant time, must refuse a time that is far from its own (five minutes are usual: an old request
//! cannot be played to it again), and should remember the ids of that time. [`verify`] does the first two.
//!
//! Where there are several secrets, a request is signed with each of them, so that a receiver can change to the new one
//! at any time in between.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::hmac;

/// How far a request's time may be from the receiver's: what Standard Webhooks' own libraries use.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// How secrets begin as they are written.
const PREFIX: &str = "whsec_";

/// The bounds that Standard Webhooks sets to the bytes of a secret.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that sender and receiver share. It is never shown.
#[derive(Clone)]
pub struct SigningSecret {
    key: hmac::Key,
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningSecret(…)")
    }
}

/// Why a text is no secret. It never holds the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is not Base64.
    #[error("a signing secret is written `whsec_` and Base64; this is not Base64")]
    NotBase64,
    /// It is too short to be safe, or too long.
    #[error("a signing secret has 24 to 64 bytes, this has {0}; `openssl rand -base64 32` makes one")]
    Length(usize),
}

impl std::str::FromStr for SigningSecret {
    type Err = SecretError;

    /// Reads `whsec_BASE64`; the prefix may be missing.
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).map_err(|_| SecretError::NotBase64)?;
        if !LENGTHS.contains(&bytes.len()) {
            return Err(SecretError::Length(bytes.len()));
        }
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
    }
}

/// The value of `webhook-signature`: one signature for each secret.
pub fn sign(secrets: &[SigningSecret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = content(id, timestamp, body);
    let each = secrets.iter().map(|secret| format!("v1,{}", STANDARD.encode(hmac::sign(&secret.key, &signed))));
    each.collect::<Vec<_>>().join(" ")
}

/// Why a request is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// `webhook-timestamp` is no number.
    #[error("webhook-timestamp is not a number of seconds")]
    NoTimestamp,
    /// It was sent too long ago, or the clocks differ.
    #[error("the request was sent {0} s ago, too long to be believed; is the clock right?")]
    TooOld(i64),
    /// It comes from the future.
    #[error("the request was sent {0} s in the future; is the clock right?")]
    TooNew(i64),
    /// No signature is one of these secrets'.
    #[error("no signature in webhook-signature was made with a secret that is known here")]
    WrongSignature,
}

/// Whether a request was signed with one of the secrets, not longer ago than `tolerance` ([`TOLERANCE`] is usual), and
/// not changed since. The arguments after the secrets are the request's three headers and its body, byte for byte.
/// Signatures are compared in constant time.
///
/// # Errors
/// With the reason not to believe it. Answer 401 and do nothing.
pub fn verify(
    secrets: &[SigningSecret],
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), Unverified> {
    let sent: i64 = timestamp.parse().map_err(|_| Unverified::NoTimestamp)?;
    let age = now.as_second().saturating_sub(sent);
    let most = i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX);
    if age > most {
        return Err(Unverified::TooOld(age));
    }
    if age < -most {
        return Err(Unverified::TooNew(age.saturating_neg()));
    }
    let signed = content(id, sent, body);
    let given = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    for signature in given {
        // `ring::hmac::verify` compares in constant time.
        if secrets.iter().any(|secret| hmac::verify(&secret.key, &signed, &signature).is_ok()) {
            return Ok(());
        }
    }
    Err(Unverified::WrongSignature)
}

fn content(id: &str, timestamp: i64, body: &[u8]) -> Vec<u8> {
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    signed
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn secret(text: &str) -> SigningSecret {
        text.parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The example of Standard Webhooks' own libraries.
    #[test]
    fn the_standards_own_example_comes_out() {
        let key = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(std::slice::from_ref(&key), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, BODY);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        assert_eq!(verify(&[key], id, "1614265330", &signature, BODY, at(1_614_265_400), TOLERANCE), Ok(()));
    }

    #[test]
    fn what_is_changed_old_or_foreign_is_not_believed() {
        let (ours, theirs) = (secret(&STANDARD.encode([7; 32])), secret(&STANDARD.encode([8; 32])));
        let signature = sign(std::slice::from_ref(&ours), "a", 1000, BODY);
        let check = |id: &str, time: &str, signature: &str, body: &[u8], now: i64| {
            verify(std::slice::from_ref(&ours), id, time, signature, body, at(now), TOLERANCE)
        };
        assert_eq!(check("a", "1000", &signature, BODY, 1300), Ok(()));
        assert_eq!(check("a", "1000", &signature, BODY, 1301), Err(Unverified::TooOld(301)));
        assert_eq!(check("a", "1000", &signature, BODY, 699), Err(Unverified::TooNew(301)));
        assert_eq!(check("b", "1000", &signature, BODY, 1000), Err(Unverified::WrongSignature));
        assert_eq!(check("a", "1001", &signature, BODY, 1000), Err(Unverified::WrongSignature));
        assert_eq!(check("a", "1000", &signature, b"{}", 1000), Err(Unverified::WrongSignature));
        assert_eq!(check("a", "soon", &signature, BODY, 1000), Err(Unverified::NoTimestamp));
        for nothing in ["", "v1,", "v1, ", "v2,AAAA", &signature[3..], &signature[..20]] {
            assert_eq!(check("a", "1000", nothing, BODY, 1000), Err(Unverified::WrongSignature), "{nothing}");
        }
        let foreign = sign(&[theirs], "a", 1000, BODY);
        assert_eq!(check("a", "1000", &foreign, BODY, 1000), Err(Unverified::WrongSignature));
    }

    #[test]
    fn while_secrets_change_either_is_enough() {
        let (old, new) = (secret(&STANDARD.encode([7; 32])), secret(&STANDARD.encode([8; 32])));
        let signature = sign(&[new.clone(), old.clone()], "a", 1000, BODY);
        assert_eq!(signature.split(' ').count(), 2);
        for known in [old, new] {
            assert_eq!(verify(&[known], "a", "1000", &signature, BODY, at(1000), TOLERANCE), Ok(()));
        }
    }

    #[test]
    fn a_weak_secret_is_refused_and_none_is_shown() {
        assert_eq!("whsec_AAAA".parse::<SigningSecret>().unwrap_err(), SecretError::Length(3));
        assert_eq!("correct horse".parse::<SigningSecret>().unwrap_err(), SecretError::NotBase64);
        assert_eq!(format!("{:?}", secret(&STANDARD.encode([7; 32]))), "SigningSecret(…)");
    }
}

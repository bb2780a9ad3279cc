//! The parts of which tokens are made.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::CredentialsError;

/// Random bytes from the system.
pub(super) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], CredentialsError> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        CredentialsError::new(
            "the system",
            "gives no random numbers",
            "getrandom(2) failed: is this a very old kernel?",
        )
    })?;
    Ok(bytes)
}

/// A text is no token. What is wrong is said; the text, which may hold a secret, is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no {kind}: {problem}")]
pub struct TokenError {
    /// Which kind of token was expected.
    pub kind: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// The public part of a token: 16 hexadecimal digits, by which people and the audit log name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(String);

impl TokenId {
    /// A new one.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn random() -> Result<Self, CredentialsError> {
        Ok(Self(format!("{:016x}", u64::from_be_bytes(random()?))))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl FromStr for TokenId {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let fits = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let error = TokenError { kind: "id of a token", problem: "16 lower-case hexadecimal digits are" };
        if fits { Ok(Self(text.into())) } else { Err(error) }
    }
}

impl Serialize for TokenId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The secret part of a token: 256 random bits, so that its plain SHA-256 can be kept. Never shown by `Debug`.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn random() -> Result<Self, CredentialsError> {
        Ok(Self(random()?))
    }

    /// The text that goes into the token: 43 letters of base64url. Whoever reads it has what the token gives.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &self.0).as_ref());
        SecretHash(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash()
    }
}

impl Eq for Secret {}

impl FromStr for Secret {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let error = TokenError { kind: "secret of a token", problem: "43 letters of base64url are" };
        // Longer texts are refused before they are decoded.
        let bytes = if text.len() == 43 { URL_SAFE_NO_PAD.decode(text).ok() } else { None };
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(error)
    }
}

/// The SHA-256 of a secret; all that is ever kept. Written as 64 hexadecimal digits. Two are compared in constant time.
#[derive(Debug, Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Whether it is of this secret.
    pub fn is_of(&self, secret: &Secret) -> bool {
        *self == secret.hash()
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        let difference =
            self.0.iter().zip(&other.0).fold(0, |sum, (one, other)| std::hint::black_box(sum | (one ^ other)));
        std::hint::black_box(difference) == 0
    }
}

impl Eq for SecretHash {}

impl fmt::Display for SecretHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl FromStr for SecretHash {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let error = TokenError { kind: "hash of a secret", problem: "64 lower-case hexadecimal digits are" };
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(error);
        }
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[place * 2..place * 2 + 2], 16).map_err(|_| error)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for SecretHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

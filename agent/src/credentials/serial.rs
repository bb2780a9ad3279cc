use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::CredentialsError;
use super::secret::random;

/// The serial number of a certificate: 128 random bits (RFC 5280, 4.1.2.2, allows 160). Written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(u128);

/// A text is no serial number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no serial number of a certificate: 32 hexadecimal digits")]
pub struct SerialError(String);

impl Serial {
    /// A new one.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn random() -> Result<Self, CredentialsError> {
        // Zero is no serial number (RFC 5280, 4.1.2.2).
        Ok(Self(u128::from_be_bytes(random()?).max(1)))
    }

    /// From the content of the DER integer: big-endian, perhaps with a leading zero. `None` if it is none of ours.
    pub fn from_der(bytes: &[u8]) -> Option<Self> {
        let start = bytes.iter().position(|byte| *byte != 0)?;
        let mut whole = [0; 16];
        let digits = &bytes[start..];
        whole.get_mut(16_usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
        Some(Self(u128::from_be_bytes(whole)))
    }

    /// Big-endian.
    pub fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        let fits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = if fits { u128::from_str_radix(text, 16).ok() } else { None };
        number.filter(|number| *number != 0).map(Self).ok_or_else(|| SerialError(text.chars().take(64).collect()))
    }
}

impl Serialize for Serial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

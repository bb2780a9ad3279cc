use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

/// A range of addresses in CIDR notation: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many leading bits are fixed.
    pub prefix_length: u8,
}

/// A text that is no range of addresses or ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {expected}")]
pub struct PeerRangeError {
    given: String,
    expected: String,
}

impl PeerRangeError {
    fn new(given: &str, expected: impl Into<String>) -> Self {
        Self { given: given.into(), expected: expected.into() }
    }
}

impl Network {
    /// The range of exactly one address.
    pub fn of_one(address: IpAddr) -> Self {
        Self { address, prefix_length: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Its first and its last address.
    pub fn bounds(&self) -> (IpAddr, IpAddr) {
        match self.address {
            IpAddr::V4(address) => {
                let free = u32::MAX.checked_shr(self.prefix_length.into()).unwrap_or(0);
                let first = address.to_bits() & !free;
                (Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(first | free).into())
            }
            IpAddr::V6(address) => {
                let free = u128::MAX.checked_shr(self.prefix_length.into()).unwrap_or(0);
                let first = address.to_bits() & !free;
                (Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(first | free).into())
            }
        }
    }

    /// Whether all of its addresses are this host's loopback addresses (`127.0.0.0/8`, `::1`).
    pub fn is_loopback(&self) -> bool {
        let (first, last) = self.bounds();
        first.is_loopback() && last.is_loopback()
    }
}

impl FromStr for Network {
    type Err = PeerRangeError;

    fn from_str(text: &str) -> Result<Self, PeerRangeError> {
        let refuse = || PeerRangeError::new(text, "a range of addresses, such as 10.0.0.0/8, fd00::/8 or 192.0.2.7");
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let whole = Self::of_one(address.parse().map_err(|_| refuse())?);
        let Some(length) = length else { return Ok(whole) };
        let prefix_length = length.parse().ok().filter(|bits| *bits <= whole.prefix_length).ok_or_else(refuse)?;
        let network = Self { prefix_length, ..whole };
        let (first, _) = network.bounds();
        if first == network.address {
            return Ok(network);
        }
        let meant = Self { address: first, ..network };
        Err(PeerRangeError::new(text, format!("the start of its range: write {meant}, or {address} for that one host")))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::of_one(self.address) {
            return self.address.fmt(formatter);
        }
        write!(formatter, "{}/{}", self.address, self.prefix_length)
    }
}

impl TryFrom<String> for Network {
    type Error = PeerRangeError;

    fn try_from(text: String) -> Result<Self, PeerRangeError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl JsonSchema for Network {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "a range of addresses, such as 10.0.0.0/8, fd00::/8 or 192.0.2.7",
            "pattern": r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$",
        })
    }
}

/// One port or a range of ports, both ends included: `5432`, `"8000-8010"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

const PORT_EXPECTED: &str = "a port from 1 to 65535 or a range of ports, such as 5432 or 8000-8010";

impl FromStr for PortRange {
    type Err = PeerRangeError;

    fn from_str(text: &str) -> Result<Self, PeerRangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |digits: &str| digits.trim().parse::<u16>().ok().filter(|port| *port > 0);
        port(first)
            .zip(port(last))
            .filter(|(first, last)| first <= last)
            .map(|(first, last)| Self { first, last })
            .ok_or_else(|| PeerRangeError::new(text, PORT_EXPECTED))
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(formatter);
        }
        write!(formatter, "{}-{}", self.first, self.last)
    }
}

impl Serialize for PortRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.first == self.last { serializer.serialize_u16(self.first) } else { serializer.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Notation;
        impl Visitor<'_> for Notation {
            type Value = PortRange;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(PORT_EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<PortRange, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<PortRange, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<PortRange, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Notation)
    }
}

impl JsonSchema for PortRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "description": PORT_EXPECTED,
            "minimum": 1,
            "maximum": 65535,
            "pattern": r"^[0-9]+(-[0-9]+)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_addresses_read_back_and_know_their_ends() {
        for (text, last) in [
            ("10.0.0.0/8", "10.255.255.255"),
            ("192.0.2.7", "192.0.2.7"),
            ("0.0.0.0/0", "255.255.255.255"),
            ("fd00::/8", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("::1", "::1"),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), text);
            assert_eq!(network.bounds().1.to_string(), last);
        }
        let error = "10.1.2.3/8".parse::<Network>().unwrap_err().to_string();
        insta::assert_snapshot!(error, @"`10.1.2.3/8` is not the start of its range: write 10.0.0.0/8, or 10.1.2.3 for that one host");
        for text in ["", "10.0.0.0/33", "::/129", "example.com", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert!("127.0.0.0/8".parse::<Network>().unwrap().is_loopback());
        assert!(!"0.0.0.0/0".parse::<Network>().unwrap().is_loopback());
    }

    #[test]
    fn ports_are_numbers_or_ranges() {
        let ports: Vec<PortRange> = serde_json::from_str(r#"[5432, "8000-8010", "80"]"#).unwrap();
        assert_eq!(serde_json::to_string(&ports).unwrap(), r#"[5432,"8000-8010",80]"#);
        for text in ["0", "65536", "-1", "\"10-5\"", "\"0-5\"", "\"http\""] {
            assert!(serde_json::from_str::<PortRange>(text).is_err(), "{text}");
        }
    }
}

//! Names that survive a crash: of faults, of processes, of network namespaces, of this boot.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of one injected fault: 12 lower-case hexadecimal digits.
///
/// Everything that a fault leaves in the kernel bears a name made from it, so that undo needs no output of a
/// half-done step and the orphan sweep knows its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct FaultId(String);

impl FaultId {
    /// The id with this number (its low 48 bits).
    pub fn from_number(number: u64) -> Self {
        Self(format!("{:012x}", number & 0xffff_ffff_ffff))
    }

    /// The number that it stands for.
    pub fn number(&self) -> u64 {
        u64::from_str_radix(&self.0, 16).unwrap_or(0)
    }

    /// The name of the nftables table of this fault.
    pub fn table_name(&self) -> String {
        format!("faultline_{}", self.0)
    }

    /// The name of the scratch folder or file of this fault.
    pub fn scratch_name(&self) -> String {
        format!(".faultline-{}", self.0)
    }
}

impl fmt::Display for FaultId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl From<FaultId> for String {
    fn from(id: FaultId) -> Self {
        id.0
    }
}

/// A text that is not the name of a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a fault (12 hexadecimal digits)")]
pub struct FaultIdError(String);

impl TryFrom<String> for FaultId {
    type Error = FaultIdError;

    fn try_from(text: String) -> Result<Self, FaultIdError> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 12 && digits { Ok(Self(text)) } else { Err(FaultIdError(text)) }
    }
}

impl FromStr for FaultId {
    type Err = FaultIdError;

    fn from_str(text: &str) -> Result<Self, FaultIdError> {
        text.to_owned().try_into()
    }
}

/// One process, told from any later one with the same number by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessIdentity {
    /// The process number.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks since boot at which it started.
    pub start_time: u64,
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.pid)
    }
}

/// A network namespace, named so that it can be entered again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkNamespace {
    /// The one in which the agent itself runs.
    #[default]
    Own,
    /// A namespace file: `/run/netns/NAME`, `/proc/PID/ns/net`, or a bind mount of one. The inode number tells
    /// whether it is still the same namespace.
    Path {
        /// Where the namespace can be opened.
        path: PathBuf,
        /// The inode number that it had when the plan was made.
        inode: u64,
    },
}

impl fmt::Display for NetworkNamespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => formatter.write_str("the agent's own network namespace"),
            Self::Path { path, .. } => write!(formatter, "network namespace {}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_id_reads_back_and_refuses_what_could_be_a_path() {
        let id = FaultId::from_number(0xabc);
        assert_eq!(id.to_string().parse::<FaultId>(), Ok(id.clone()));
        assert_eq!(id.number(), 0xabc);
        for text in ["../../etc/xx", "ABCDEFABCDEF", "abc", ""] {
            assert!(text.parse::<FaultId>().is_err(), "{text}");
        }
    }
}

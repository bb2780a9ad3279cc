//! Names that survive a crash: of faults, of processes, of network namespaces, of this boot.

use std::path::PathBuf;
use std::str::FromStr;
use std::{fmt, fs, io};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the names of all nftables tables of Faultline begin.
pub const TABLE_PREFIX: &str = "faultline_";

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
        format!("{TABLE_PREFIX}{}", self.0)
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

impl ProcessIdentity {
    /// The process that has this number now.
    ///
    /// # Errors
    /// If there is none, or `/proc` cannot be read.
    pub fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start_time: stat(pid)?.starttime })
    }

    /// This process.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn own() -> io::Result<Self> {
        Self::of(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// Whether this very process still runs; a zombie does not. If that cannot be told, it is taken to run.
    pub fn is_alive(&self) -> bool {
        match stat(self.pid) {
            Ok(stat) => stat.starttime == self.start_time && !matches!(stat.state, 'Z' | 'X' | 'x'),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

fn stat(pid: i32) -> io::Result<procfs::process::Stat> {
    let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
    stat.map_err(|error| match error {
        procfs::ProcError::NotFound(_) => io::ErrorKind::NotFound.into(),
        procfs::ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
        // It ended between the opening of the file and the reading of it.
        procfs::ProcError::Io(error, _) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            io::ErrorKind::NotFound.into()
        }
        procfs::ProcError::Io(error, _) => error,
        other => io::Error::other(other.to_string()),
    })
}

/// The random name that the kernel gave to this boot; pids, inodes of namespaces and times since boot mean nothing in
/// another.
///
/// # Errors
/// If `/proc/sys/kernel/random/boot_id` cannot be read.
pub fn boot_id() -> io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned())
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
    fn this_process_is_alive_and_one_with_another_start_time_is_not() {
        let own = ProcessIdentity::own().unwrap();
        assert!(own.is_alive());
        assert!(!ProcessIdentity { start_time: own.start_time + 1, ..own }.is_alive());
        assert_eq!(boot_id().unwrap().len(), 36);
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let identity = ProcessIdentity::of(i32::try_from(child.id()).unwrap()).unwrap();
        while stat(identity.pid).unwrap().state != 'Z' {
            std::thread::yield_now();
        }
        assert!(!identity.is_alive());
        child.wait().unwrap();
        assert!(!identity.is_alive());
    }

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

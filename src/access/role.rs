use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a token may do at most. Each role may do all that those before it may.
///
/// An approver may also do what an operator does, since small teams have no others. Duties are kept apart by persons
/// instead: nobody approves what he himself asked for, whatever his role (see [`allow`](super::allow)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees, and halts: to stop is never forbidden.
    Viewer,
    /// Plans, runs and aborts experiments; keeps schedules; leads game days.
    Operator,
    /// Approves what others asked for; releases a halt of the fleet.
    Approver,
    /// Enrols and revokes hosts, makes and revokes tokens, sets the limits of the fleet, rotates the authority.
    Admin,
}

/// A text is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: viewer, operator, approver, admin")]
pub struct RoleError(String);

impl Role {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| RoleError(text.chars().take(64).collect()))
    }
}

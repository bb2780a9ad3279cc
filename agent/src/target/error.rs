use crate::facts::{FactsError, SelectorError};

/// Why a target could not be resolved; nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Nothing on this host is what was looked for.
    #[error("target `{target}`: {message}")]
    NoMatch {
        /// Its name in the document.
        target: String,
        /// What was looked for, and what there is instead.
        message: String,
        /// The way on.
        hint: String,
    },
    /// Only things that no fault may touch match.
    #[error("target `{target}`: {message}")]
    Protected {
        /// Its name in the document.
        target: String,
        /// What matches, and why it may not be touched.
        message: String,
    },
    /// The selector makes no sense on this host.
    #[error("target `{target}`: {source}")]
    Selector {
        /// Its name in the document.
        target: String,
        /// The reason.
        source: SelectorError,
    },
    /// The host could not be read.
    #[error(transparent)]
    Facts(#[from] FactsError),
}

impl TargetError {
    /// The way on.
    pub fn hint(&self) -> &str {
        match self {
            Self::NoMatch { hint, .. } => hint,
            Self::Protected { .. } => {
                "narrow the selector: process 1, kernel threads, Faultline and what it runs below \
                                       are never touched"
            }
            Self::Selector { source: SelectorError::User(_), .. } => "give the user's number, or a user of this host",
            Self::Selector { .. } => "see https://docs.rs/regex for what can be written",
            Self::Facts(_) => "Faultline needs /proc, and root to see every user's processes",
        }
    }
}

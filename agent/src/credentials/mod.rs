//! How an agent proves who it is, and how it knows its controller.
//!
//! - A key is made on the host and never leaves it: only a signing request goes out ([`KeyRequest`]).
//! - Key, certificate and trust bundle are one file, replaced by one rename ([`Credentials::save`]): a crash half-way
//!   through a renewal leaves the old pair or the new one, never half of each.
//! - Files with keys are 0600 in a folder that is 0700; anything looser is refused, not repaired ([`private_file`]).
//! - TLS 1.3 only, and never a connection to a controller that was not proven ([`tls`]).
//! - No secret appears in `Debug` ([`Secret`]).

mod certificate;
mod error;
mod fingerprint;
mod labels;
mod name;
mod pair;
pub mod private_file;
mod request;
mod secret;
mod serial;
#[cfg(test)]
mod tests;
pub mod tls;
mod token;

pub use certificate::{CertificateFacts, CertificateProblem, PeerIdentity, certificates};
pub use error::CredentialsError;
pub use fingerprint::{Fingerprint, FingerprintError};
pub use labels::{MOST_BOUND, is_plain_label, label_uri};
pub use name::{AgentName, AgentNameError};
pub use pair::{Controller, Credentials};
pub use request::KeyRequest;
pub use secret::{Secret, SecretHash, TokenError, TokenId};
pub use serial::{Serial, SerialError};
pub use token::EnrolmentToken;

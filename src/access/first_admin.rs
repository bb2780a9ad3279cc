//! The first token: made by `faultline init` before there is a store, and taken into the store by `faultline serve`.

use std::path::{Path, PathBuf};

use faultline_agent::credentials::{CredentialsError, SecretHash, TokenId, private_file};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::decide::Principal;

/// The record of a token: no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FirstAdmin {
    /// Its public part.
    pub id: TokenId,
    /// The SHA-256 of its secret part.
    pub secret_hash: SecretHash,
    /// Whose it is, and what he may do.
    pub principal: Principal,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The file in the authority's folder.
pub fn file(authority: &Path) -> PathBuf {
    authority.join("first-admin.json")
}

/// Records it; there must be none yet.
///
/// # Errors
/// If there is one, or it cannot be written.
pub fn write(authority: &Path, admin: &FirstAdmin) -> Result<(), CredentialsError> {
    let path = file(authority);
    let text =
        serde_json::to_string_pretty(admin).map_err(|error| damaged(&path, "cannot be written").because(error))?;
    private_file::write_new(&path, &(text + "\n"))
}

/// Reads it; `None` if there is none. It stays where it is: the store knows the id, and whether it was revoked since.
///
/// # Errors
/// If others may read or write it, or it cannot be understood.
pub fn read(authority: &Path) -> Result<Option<FirstAdmin>, CredentialsError> {
    let path = file(authority);
    let Some(text) = private_file::read(&path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| damaged(&path, "cannot be understood").because(error))
}

fn damaged(path: &Path, problem: &str) -> CredentialsError {
    CredentialsError::new(path.display().to_string(), problem, "remove it and make a token with another admin's")
}

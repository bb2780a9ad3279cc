//! Secrets, which are in files alone. Nothing here shows what is in them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::notify::signature::{SecretError, SigningSecret};

/// No secret is as long.
const LONGEST: u64 = 16 * 1024;

/// A file with a secret. It is read when the secret is needed, so a secret can be changed at any time.
#[derive(Debug, Clone)]
pub(in crate::notify) struct SecretFile {
    path: PathBuf,
}

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::notify) enum SecretFileError {
    #[error("cannot read the secret file {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("everybody on this host can read the secret file {path}")]
    Open { path: PathBuf },
    #[error("the secret file {path} is empty")]
    Empty { path: PathBuf },
    #[error("the secret file {path} holds something else than one line of letters, digits and signs")]
    NotOneLine { path: PathBuf },
    #[error("line {line} of the secret file {path}: {source}")]
    Wrong { path: PathBuf, line: usize, source: SecretError },
}

impl SecretFileError {
    pub(in crate::notify) fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => "its path counts from the folder of the settings".into(),
            Self::Open { path } => {
                format!("`chmod o= {}`, and change the secret if others have an account here", path.display())
            }
            Self::Empty { .. } | Self::NotOneLine { .. } | Self::Wrong { .. } => String::new(),
        }
    }
}

impl SecretFile {
    pub(in crate::notify) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The secrets to sign with, one a line, the first is the newest.
    pub(in crate::notify) fn signing(&self) -> Result<Vec<SigningSecret>, SecretFileError> {
        let text = read(&self.path)?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let secrets: Vec<SigningSecret> = lines
            .map(|(index, line)| {
                line.parse().map_err(|source| SecretFileError::Wrong {
                    path: self.path.clone(),
                    line: index + 1,
                    source,
                })
            })
            .collect::<Result<_, _>>()?;
        if secrets.is_empty() { Err(SecretFileError::Empty { path: self.path.clone() }) } else { Ok(secrets) }
    }

    /// The one word in it.
    pub(in crate::notify) fn key(&self) -> Result<String, SecretFileError> {
        read_line(&self.path)
    }
}

/// The one line of a file: printable ASCII without spaces, fit for a header and a URL.
pub(in crate::notify) fn read_line(path: &Path) -> Result<String, SecretFileError> {
    let text = read(path)?;
    let word = text.trim();
    if word.is_empty() {
        return Err(SecretFileError::Empty { path: path.to_owned() });
    }
    if !word.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(SecretFileError::NotOneLine { path: path.to_owned() });
    }
    Ok(word.to_owned())
}

fn read(path: &Path) -> Result<String, SecretFileError> {
    let unreadable = |source| SecretFileError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")));
    }
    if metadata.mode() & 0o007 != 0 {
        return Err(SecretFileError::Open { path: path.to_owned() });
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

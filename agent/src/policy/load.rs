use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::Policy;
use crate::fault::CATALOGUE;

/// Where root keeps the policy; one of them.
const PLACES: [&str; 3] = ["/etc/faultline/policy.yaml", "/etc/faultline/policy.yml", "/etc/faultline/policy.json"];

/// There is a policy that cannot be obeyed, so nothing may be injected.
#[derive(Debug, thiserror::Error)]
#[error("the policy of this host, {path}, {problem}", path = path.display())]
pub struct PolicyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, as the rest of a sentence.
    pub problem: String,
}

impl PolicyError {
    /// A way on.
    pub fn hint(&self) -> String {
        "nothing is injected on a host whose policy is there and cannot be trusted or understood; ask its root".into()
    }
}

impl Policy {
    /// Reads the policy: the given file, else the one below `/etc/faultline`, else everything is permitted.
    ///
    /// # Errors
    /// If the file cannot be read or understood, names faults that do not exist, could have been written by anybody
    /// but the owner of the file system's root, or if there are several.
    pub fn load(explicit: Option<&Path>) -> Result<Self, PolicyError> {
        let places: Vec<PathBuf> = match explicit {
            Some(path) => vec![path.to_owned()],
            None => PLACES.iter().map(PathBuf::from).filter(|path| path.symlink_metadata().is_ok()).collect(),
        };
        match places.as_slice() {
            [] => Ok(Self::default()),
            [path] => read(path).map_err(|problem| PolicyError { path: path.clone(), problem }),
            [first, second, ..] => {
                let problem = format!("is not the only one: there is {} too", second.display());
                Err(PolicyError { path: first.clone(), problem })
            }
        }
    }
}

fn read(path: &Path) -> Result<Policy, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let folder = path.parent().unwrap_or(Path::new("/"));
    // In a user namespace root appears under another number, as does the owner of the root folder.
    let root = fs::metadata("/").map_err(unreadable)?.uid();
    for place in [folder, path] {
        let metadata = fs::metadata(place).map_err(unreadable)?;
        if metadata.uid() != root || metadata.mode() & 0o022 != 0 {
            return Err(format!("cannot be trusted: {} is not root's alone to write", place.display()));
        }
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let mut policy: Policy = serde_saphyr::from_str(&text).map_err(|error| format!("cannot be understood: {error}"))?;
    let listed = policy.faults.allow.iter().flatten().chain(&policy.faults.forbid).chain(policy.limits.keys());
    for name in listed {
        if !CATALOGUE.iter().any(|entry| entry.name == name) {
            return Err(format!("names a fault that does not exist, `{name}`"));
        }
    }
    policy.path = Some(path.to_owned());
    Ok(policy)
}

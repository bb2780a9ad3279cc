use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use super::Failure;

/// Where the configuration is unless `--config` names another file.
pub(super) const DEFAULT: &str = "/etc/faultline/agent.yaml";

/// The agent's configuration: its keys are the long flags of `faultline-agent run`, and a flag wins over its key.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct Config {
    /// `--controller`
    pub(super) controller: Option<String>,
    /// `--state`
    pub(super) state: Option<PathBuf>,
    /// `--labels`
    pub(super) labels: BTreeMap<String, String>,
}

/// Reads the file that was named, or the default one where there is one.
pub(super) fn load(named: Option<&Path>) -> Result<Config, Failure> {
    let path = named.unwrap_or(Path::new(DEFAULT));
    match fs::read_to_string(path) {
        Ok(text) => serde_saphyr::from_str(&text).map_err(|error| Failure {
            message: format!("{} cannot be understood: {error}", path.display()),
            hint: Some("its keys are controller, state and labels (a mapping)".into()),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(Config::default()),
        Err(error) => Err(Failure { message: format!("cannot read {}: {error}", path.display()), hint: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_an_unknown_key_is_told() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("agent.yaml");
        fs::write(&path, "controller: https://c:7443\nlabels: { role: db }\n").unwrap();
        let config = load(Some(&path)).unwrap();
        assert_eq!((config.controller.as_deref(), config.labels["role"].as_str()), (Some("https://c:7443"), "db"));
        fs::write(&path, "controler: x\n").unwrap();
        assert!(load(Some(&path)).unwrap_err().message.contains("controler"));
        assert!(load(Some(&scratch.path().join("none"))).is_err(), "a file that was named must be there");
    }
}

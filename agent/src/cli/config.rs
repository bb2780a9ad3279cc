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
    /// `--controller`: one, or a list
    pub(super) controller: Option<Controllers>,
    /// `--state`
    pub(super) state: Option<PathBuf>,
    /// `--labels`
    pub(super) labels: BTreeMap<String, String>,
}

/// The addresses of controllers: one text, in which commas may stand, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Controllers {
    /// As on the command line.
    Text(String),
    /// One by one.
    List(Vec<String>),
}

impl Controllers {
    /// Each of them.
    pub(super) fn all(self) -> Vec<String> {
        match self {
            Self::Text(text) => text.split(',').map(|one| one.trim().to_owned()).collect(),
            Self::List(list) => list,
        }
    }
}

/// Reads the file that was named, or the default one where there is one.
pub(super) fn load(named: Option<&Path>) -> Result<Config, Failure> {
    let path = named.unwrap_or(Path::new(DEFAULT));
    match fs::read_to_string(path) {
        Ok(text) => serde_saphyr::from_str(&text).map_err(|error| Failure {
            message: format!("{} cannot be understood: {error}", path.display()),
            hint: Some("its keys are controller (an address or a list of them), state and labels (a mapping)".into()),
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
        let controllers = config.controller.unwrap().all();
        assert_eq!((&controllers[..], config.labels["role"].as_str()), (&["https://c:7443".to_owned()][..], "db"));
        for several in ["controller: [https://c:1, \"d:2\"]\n", "controller: \"https://c:1, d:2\"\n"] {
            fs::write(&path, several).unwrap();
            assert_eq!(load(Some(&path)).unwrap().controller.unwrap().all(), ["https://c:1", "d:2"]);
        }
        fs::write(&path, "controler: x\n").unwrap();
        assert!(load(Some(&path)).unwrap_err().message.contains("controler"));
        assert!(load(Some(&scratch.path().join("none"))).is_err(), "a file that was named must be there");
    }
}

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::experiment::document::is_label_name;

/// What stands before the name of each label that an agent discovered by itself: `faultline.dev/kernel`. Nobody can
/// give a host a label of this kind, but for [`PROTECTED`].
pub const DISCOVERED: &str = "faultline.dev/";

/// The label by which whoever runs a host keeps it out of every choice: with any value but `false`, which may say why.
pub const PROTECTED: &str = "faultline.dev/protected";

/// A host as the controller sees it at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// Its name in the fleet; no other host has it.
    pub name: String,
    /// Its labels, given and discovered (see [`host_labels`]).
    pub labels: BTreeMap<String, String>,
    /// Those among them that its enrolment bound, and no host can give itself. By these alone it is decided who may act
    /// on it.
    #[serde(default)]
    pub bound: BTreeMap<String, String>,
    /// Whether its agent is connected.
    pub connected: bool,
    /// How its agent is.
    pub health: HostHealth,
}

/// Whether a host is fit for a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostHealth {
    /// Its agent says that all is well.
    Healthy,
    /// It is not, for this reason: halted, an undo is stuck, no journal, draining.
    Unhealthy(String),
    /// A run may have left something on it, and neither its agent has shown since that nothing is there nor has a person
    /// acknowledged it.
    Unclean {
        /// That run.
        run: String,
        /// What it may have left.
        left: String,
    },
}

/// Why a host's labels cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// The name of a label is none.
    #[error("`{0}` is not the name of a label: letters, digits, `-`, `_`, `.`, and perhaps a prefix before one slash")]
    Name(String),
    /// Somebody gave a host what only its agent can find out.
    #[error("the label `{0}` cannot be given: what begins with `faultline.dev/` is what the agent itself discovered")]
    Reserved(String),
}

impl LabelsError {
    /// The way on.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Name(_) => "as in `role`, `zone`, `example.org/team`",
            Self::Reserved(_) => {
                "choose another name; only `faultline.dev/protected` can be given, to keep a host out of every experiment"
            }
        }
    }
}

/// The labels of a host: those given to it, and those that its agent discovered (`kernel`, `host-name`, …), which get
/// their prefix here so that none can be taken for the other.
///
/// # Errors
/// If the name of one cannot be a label's, or a given one claims to be discovered.
pub fn host_labels(
    given: &BTreeMap<String, String>,
    discovered: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, LabelsError> {
    let mut labels = BTreeMap::new();
    for (name, value) in given {
        if !is_label_name(name) {
            return Err(LabelsError::Name(name.clone()));
        }
        if name.starts_with(DISCOVERED) && name != PROTECTED {
            return Err(LabelsError::Reserved(name.clone()));
        }
        labels.insert(name.clone(), value.clone());
    }
    for (name, value) in discovered {
        let full = format!("{DISCOVERED}{name}");
        if name.contains('/') || !is_label_name(&full) {
            return Err(LabelsError::Name(name.clone()));
        }
        // What protects a host is given to it; an agent that was told to protect it says so under the same name.
        labels.entry(full).or_insert_with(|| value.clone());
    }
    Ok(labels)
}

impl HostFacts {
    /// The value of a label. A name without a slash that was not given to the host means what its agent discovered:
    /// `kernel` is `faultline.dev/kernel`.
    pub fn label(&self, name: &str) -> Option<&str> {
        let given = self.labels.get(name);
        let found = given.or_else(|| match name.contains('/') {
            true => None,
            false => self.labels.get(&format!("{DISCOVERED}{name}")),
        });
        found.map(String::as_str)
    }

    /// Why the host may not be chosen by anyone, if whoever runs it said so.
    pub fn protection(&self) -> Option<&str> {
        self.labels.get(PROTECTED).map(String::as_str).filter(|value| *value != "false")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn given_labels_cannot_pass_for_discovered_ones() {
        let given = labels(&[("role", "db"), ("kernel", "mine")]);
        let host = HostFacts {
            name: "db-1".into(),
            labels: host_labels(&given, &labels(&[("kernel", "6.1.0"), ("host-name", "db")])).unwrap(),
            bound: BTreeMap::new(),
            connected: true,
            health: HostHealth::Healthy,
        };
        assert_eq!(host.label("faultline.dev/kernel"), Some("6.1.0"));
        assert_eq!(host.label("kernel"), Some("mine"), "what is given comes first");
        assert_eq!(host.label("host-name"), Some("db"));
        assert_eq!(host.label("zone"), None);
        let forged = host_labels(&labels(&[("faultline.dev/kernel", "9")]), &labels(&[]));
        assert_eq!(forged, Err(LabelsError::Reserved("faultline.dev/kernel".into())));
        assert!(host_labels(&labels(&[("a b", "")]), &labels(&[])).is_err());
        assert!(host_labels(&labels(&[]), &labels(&[("x/y", "")])).is_err());
    }

    #[test]
    fn any_value_but_false_protects() {
        for (value, protected) in [("true", true), ("", true), ("ask anna", true), ("false", false)] {
            let host = HostFacts {
                name: "db-1".into(),
                labels: host_labels(&labels(&[(PROTECTED, value)]), &labels(&[])).unwrap(),
                bound: BTreeMap::new(),
                connected: true,
                health: HostHealth::Healthy,
            };
            assert_eq!(host.protection().is_some(), protected, "{value}");
        }
    }
}

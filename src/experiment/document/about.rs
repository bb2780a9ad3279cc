use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Spec;

/// Of which service an experiment is, and on what that service depends: for the score of the service (`faultline score`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct About {
    /// The service whose resilience is tested.
    #[schemars(length(min = 1))]
    pub service: String,
    /// Everything on which it depends, by name; an empty list says that there is nothing. The lists of all experiments of
    /// a service are put together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<String>>,
    /// Which of these this experiment takes away or makes worse; unless told, those that a target of a fault, or the
    /// service that it means, is called after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Vec<String>>,
}

impl Spec {
    /// The dependencies that the experiment tests, in alphabetical order.
    pub fn tested_dependencies(&self) -> Vec<String> {
        let Some(about) = &self.about else { return Vec::new() };
        let tested: BTreeSet<&str> = match &about.tests {
            Some(tests) => tests.iter().map(String::as_str).collect(),
            None => {
                let met: BTreeSet<&str> = self
                    .injections()
                    .filter_map(|inject| Some((inject.on.as_deref()?, self.target(inject)?)))
                    .flat_map(|(name, target)| [Some(name), target.service.as_deref()])
                    .flatten()
                    .collect();
                about.depends_on.iter().flatten().map(String::as_str).filter(|name| met.contains(name)).collect()
            }
        };
        tested.into_iter().map(str::to_owned).collect()
    }
}

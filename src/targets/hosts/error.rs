use super::left_out::LeftOut;

/// Why no hosts can be chosen; nothing was touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostChoiceError {
    /// Fewer hosts can be had than the target needs.
    #[error("target `{target}`: {found} of the hosts it means can be had, and it needs at least {needed}{}", why(.left_out))]
    TooFew {
        /// The target's name in the document.
        target: String,
        /// How many can be had.
        found: usize,
        /// How many are needed.
        needed: usize,
        /// Every host that it did not get, those that it does not mean included.
        left_out: Vec<LeftOut>,
    },
    /// A fault of the method is on a target without `hosts`, or on none: among many hosts, nobody knows which is meant.
    #[error("`{fault}` is on {}, which does not say on which hosts of the fleet", named(.target))]
    NoHosts {
        /// The fault's name.
        fault: String,
        /// The target's name, if it has one.
        target: Option<String>,
    },
}

impl HostChoiceError {
    /// The way on.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooFew { left_out, .. } if left_out.iter().all(|left| !left.reason.is_selected()) => {
                "no host of the fleet is meant: compare the target's `hosts` with what `faultline agents` lists"
            }
            Self::TooFew { .. } => {
                "wait until more hosts can be had, or ask for fewer: `atLeast`, `pick`, `blastRadius`"
            }
            Self::NoHosts { .. } => "give it a target with `hosts`, such as `{ hosts: { labels: { role: db } } }`",
        }
    }
}

/// The first few hosts that the target means and did not get.
fn why(left_out: &[LeftOut]) -> String {
    let meant: Vec<&LeftOut> = left_out.iter().filter(|left| left.reason.is_selected()).collect();
    let mut told: Vec<String> = meant.iter().take(3).map(|left| format!("{}: {}", left.host, left.reason)).collect();
    if meant.len() > told.len() {
        told.push(format!("and {} more", meant.len() - told.len()));
    }
    if told.is_empty() { String::new() } else { format!(" ({})", told.join("; ")) }
}

fn named(target: &Option<String>) -> String {
    match target {
        Some(target) => format!("target `{target}`"),
        None => "no target".into(),
    }
}

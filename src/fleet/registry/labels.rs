use std::collections::{BTreeMap, HashMap};

use faultline_agent::credentials::is_plain_label;
use faultline_agent::session::discover::PREFIX;

/// How many labels a host may have, and how many bytes in all.
const LABELS: (usize, usize) = (128, 16 * 1024);

/// The longest value that an agent finds out, in bytes.
const FOUND: usize = 1024;

/// The labels of a host, by where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Labelled {
    /// All that count.
    pub(super) all: BTreeMap<String, String>,
    /// Those that its certificate binds.
    pub(super) bound: BTreeMap<String, String>,
    /// What its owner gave against those.
    pub(super) contradicted: BTreeMap<String, String>,
}

impl Labelled {
    /// From what the certificate binds, what the host's owner gave, and what the agent found out.
    ///
    /// # Errors
    /// If a label is none, is given although only agents find it out, or the other way round, or there are too many.
    pub(super) fn new(
        bound: &BTreeMap<String, String>,
        given: HashMap<String, String>,
        discovered: HashMap<String, String>,
    ) -> Result<Self, String> {
        if let Some(name) = given.keys().find(|name| name.starts_with(PREFIX)) {
            return Err(format!(
                "the label `{}` cannot be given: what begins with `{PREFIX}` is found out by the agent",
                shown(name)
            ));
        }
        if let Some(name) = discovered.keys().find(|name| !name.starts_with(PREFIX)) {
            return Err(format!("the label `{}` cannot be found out: such labels begin with `{PREFIX}`", shown(name)));
        }
        let plain = given.iter().all(|(name, value)| is_plain_label(name, value));
        let found = |(name, value): (&String, &String)| {
            is_plain_label(name, "") && value.len() <= FOUND && !value.chars().any(char::is_control)
        };
        if !plain || !discovered.iter().all(found) {
            return Err("a label is made of letters, digits, `-`, `_`, `.` and `/`".into());
        }
        let mut all: BTreeMap<String, String> = discovered.into_iter().collect();
        let contradicts = |name: &String, value: &String| bound.get(name).is_some_and(|fixed| fixed != value);
        let (contradicted, added): (BTreeMap<_, _>, BTreeMap<_, _>) =
            given.into_iter().partition(|(name, value)| contradicts(name, value));
        all.extend(added);
        // Last, so that nothing is before them.
        all.extend(bound.clone());
        let bytes: usize = all.iter().chain(&contradicted).map(|(name, value)| name.len() + value.len()).sum();
        if all.len() + contradicted.len() > LABELS.0 || bytes > LABELS.1 {
            return Err(format!("a host has at most {} labels of {} bytes in all", LABELS.0, LABELS.1));
        }
        Ok(Self { all, bound: bound.clone(), contradicted })
    }
}

/// A name as it may be shown, whatever it is.
fn shown(name: &str) -> String {
    name.chars().take(64).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs<T: FromIterator<(String, String)>>(pairs: &[(&str, &str)]) -> T {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_bound_stays_whatever_a_host_says_of_itself() {
        let bound = pairs(&[("team", "payments"), ("faultline.dev/protected", "true")]);
        let given = pairs(&[("team", "web"), ("role", "db"), ("Team", "web")]);
        let found = pairs(&[("faultline.dev/kernel", "6.18.0+x86~1"), ("faultline.dev/protected", "false")]);
        let labels = Labelled::new(&bound, given, found).unwrap();
        assert_eq!(labels.all["team"], "payments");
        assert_eq!(labels.all["faultline.dev/protected"], "true");
        assert_eq!((labels.all["role"].as_str(), labels.all["Team"].as_str()), ("db", "web"), "added");
        assert_eq!(labels.contradicted, pairs(&[("team", "web")]));
        assert_eq!(labels.bound, bound);
        let same = Labelled::new(&bound, pairs(&[("team", "payments")]), HashMap::new()).unwrap();
        assert!(same.contradicted.is_empty(), "saying the same is no contradiction");
    }

    #[test]
    fn what_is_no_label_is_refused() {
        let none = BTreeMap::new();
        for given in
            [("faultline.dev/kernel", "9"), ("a b", "c"), ("team\u{1b}[31m", "x"), ("", "x"), ("team", "a,b=c")]
        {
            assert!(Labelled::new(&none, pairs(&[given]), HashMap::new()).is_err(), "{given:?}");
        }
        for found in [("team", "payments"), ("faultline.dev/kernel", "\u{1b}[2J"), ("faultline.dev/\n", "x")] {
            let refusal = Labelled::new(&none, HashMap::new(), pairs(&[found])).unwrap_err();
            assert!(!refusal.contains(char::is_control), "{refusal:?}");
        }
    }
}

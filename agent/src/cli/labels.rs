use std::collections::BTreeMap;

use faultline_agent::credentials::is_plain_label;
use faultline_agent::session::discover::PREFIX;

use super::Failure;

/// Reads `KEY=VALUE`; a key that agents find out themselves cannot be given.
pub(super) fn parse(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is written KEY=VALUE")?;
    check(key, value)?;
    Ok((key.to_owned(), value.to_owned()))
}

fn check(key: &str, value: &str) -> Result<(), String> {
    if !is_plain_label(key, value) {
        return Err("a label is made of letters, digits, `-`, `_`, `.` and `/`".into());
    }
    if key.starts_with(PREFIX) {
        return Err(format!("labels that begin with `{PREFIX}` are found out by the agent"));
    }
    Ok(())
}

/// Checks labels of a file.
pub(super) fn check_all(labels: &BTreeMap<String, String>) -> Result<(), Failure> {
    let wrong = labels.iter().find_map(|(key, value)| check(key, value).err().map(|problem| (key, problem)));
    match wrong {
        None => Ok(()),
        Some((key, problem)) => Err(Failure { message: format!("label `{key}`: {problem}"), hint: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs_of_plain_words() {
        assert_eq!(parse("role=db").unwrap(), ("role".into(), "db".into()));
        assert_eq!(parse("zone=").unwrap(), ("zone".into(), String::new()));
        for (text, problem) in
            [("role", "KEY=VALUE"), ("=x", "letters"), ("a b=c", "letters"), ("faultline.dev/x=1", "found out")]
        {
            assert!(parse(text).unwrap_err().contains(problem), "{text}");
        }
    }
}

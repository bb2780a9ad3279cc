use std::collections::BTreeMap;

/// What the URI of a label in an agent's certificate begins with.
const URI: &str = "faultline://label/";

/// How many labels a certificate binds at the most.
pub const MOST_BOUND: usize = 32;

/// The longest name and the longest value of a label, in bytes.
const LONGEST: usize = 253;

/// Whether this can be a label that is given to a host: letters, digits, `-`, `_`, `.` and `/`, at most 253 of them in
/// the name and in the value, which may be empty. So it can be written into a certificate and a scope as it is.
pub fn is_plain_label(name: &str, value: &str) -> bool {
    let plain = |text: &str| {
        text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
    };
    !name.is_empty() && plain(name) && plain(value)
}

/// As a bound label stands in a certificate: `faultline://label/team=payments`.
pub fn label_uri(name: &str, value: &str) -> String {
    format!("{URI}{name}={value}")
}

/// The labels that these URIs of a certificate bind; `None` if one is no label, or one is bound twice, or there are too
/// many of them.
pub(super) fn of_uris(uris: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for uri in uris {
        let (name, value) = uri.strip_prefix(URI)?.split_once('=')?;
        if !is_plain_label(name, value) || labels.insert(name.to_owned(), value.to_owned()).is_some() {
            return None;
        }
    }
    (labels.len() <= MOST_BOUND).then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_from_their_uris_and_nothing_else_does() {
        let (team, zone) = (label_uri("example.org/team", "payments"), label_uri("zone", ""));
        let read = of_uris(&[&team, &zone]).unwrap();
        assert_eq!(read, BTreeMap::from([("example.org/team".into(), "payments".into()), ("zone".into(), "".into())]));
        assert_eq!(of_uris(&[]), Some(BTreeMap::new()));
        let long = label_uri("a", &"x".repeat(254));
        for wrong in
            ["faultline://label/team", "faultline://label/=x", "https://label/a=b", "faultline://label/a=b=c", &long]
        {
            assert_eq!(of_uris(&[wrong]), None, "{wrong}");
        }
        assert_eq!(of_uris(&[&label_uri("a", "1"), &label_uri("a", "2")]), None, "bound twice");
        let many: Vec<String> = (0..=MOST_BOUND).map(|number| label_uri(&format!("l{number}"), "")).collect();
        assert_eq!(of_uris(&many.iter().map(String::as_str).collect::<Vec<_>>()), None);
    }
}

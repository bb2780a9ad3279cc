use std::fmt;

/// A version: numbers parted by dots, compared number by number; what is missing at the end counts as 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelVersion(Vec<u64>);

impl LabelVersion {
    /// The version with which a label's value begins (`6.1` of `6.1.0-13-amd64`); a `v` before it is passed over. `None`
    /// if there is none.
    pub fn leading(value: &str) -> Option<Self> {
        Self::read(value.strip_prefix('v').unwrap_or(value)).map(|(version, _)| version)
    }

    /// A version and nothing else.
    pub fn whole(text: &str) -> Option<Self> {
        Self::read(text).filter(|(_, rest)| rest.is_empty()).map(|(version, _)| version)
    }

    fn read(text: &str) -> Option<(Self, &str)> {
        let mut numbers = Vec::new();
        let mut rest = text;
        loop {
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            // Only the first number may be missing, and then there is no version.
            numbers.push(rest[..end].parse().ok()?);
            rest = &rest[end..];
            match rest.strip_prefix('.') {
                Some(next) if next.starts_with(|letter: char| letter.is_ascii_digit()) => rest = next,
                _ => break,
            }
        }
        while numbers.len() > 1 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        Some((Self(numbers), rest))
    }
}

impl fmt::Display for LabelVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u64::to_string).collect();
        formatter.pad(&numbers.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        let version = |text| LabelVersion::leading(text).unwrap();
        assert!(version("6.10") > version("6.9.99"));
        assert_eq!(version("v6.1.0-rc1"), version("6.1"));
        assert_eq!(version("0"), version("0.0.0"));
        assert_eq!(version("6."), version("6"));
        for text in ["", "v", "x1", ".1", "-1", "99999999999999999999"] {
            assert_eq!(LabelVersion::leading(text), None, "{text}");
        }
        assert_eq!(LabelVersion::whole("6.1-rc"), None);
        assert_eq!(LabelVersion::whole("6.1").unwrap().to_string(), "6.1");
    }
}

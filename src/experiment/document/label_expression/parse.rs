//! Reading an expression.

use std::str::FromStr;

use super::{LabelCondition, LabelExpression, LabelVersion, VersionComparison, is_label_name};

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no expression about labels: {reason}")]
pub struct LabelExpressionError {
    /// As written.
    text: String,
    /// What is wrong, and what would be right.
    reason: String,
}

impl FromStr for LabelExpression {
    type Err = LabelExpressionError;

    fn from_str(text: &str) -> Result<Self, LabelExpressionError> {
        read(text.trim()).map_err(|reason| LabelExpressionError { text: text.into(), reason })
    }
}

/// Whether a letter can be part of a label's name.
pub(super) fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_./".contains(&byte)
}

fn read(text: &str) -> Result<LabelExpression, String> {
    if let Some(label) = text.strip_prefix('!') {
        let label = label.trim();
        return match is_label_name(label) {
            true => Ok(LabelExpression { label: label.into(), condition: LabelCondition::Absent }),
            false => Err("after `!` comes the name of a label and nothing else, as in `!spot`".into()),
        };
    }
    let end = text.bytes().position(|byte| !is_of_a_name(byte)).unwrap_or(text.len());
    let (label, rest) = (&text[..end], text[end..].trim());
    if !is_label_name(label) {
        return Err("it begins with the name of a label, as in `zone in (a, b)`, `spot` or `kernel >= 6.1`".into());
    }
    Ok(LabelExpression { label: label.into(), condition: condition(rest)? })
}

fn condition(text: &str) -> Result<LabelCondition, String> {
    if text.is_empty() {
        return Ok(LabelCondition::Exists);
    }
    for (word, is_in) in [("notin", false), ("in", true)] {
        // `in(a)` is as good as `in (a)`, but `inside` is another word.
        let rest = text.strip_prefix(word).filter(|rest| !rest.starts_with(|letter: char| letter.is_alphanumeric()));
        if let Some(rest) = rest {
            let values = values(word, rest.trim())?;
            return Ok(if is_in { LabelCondition::In(values) } else { LabelCondition::NotIn(values) });
        }
    }
    // Longer signs first: `>=` is not `>` with a value that begins with `=`.
    for (sign, comparison) in [
        (">=", VersionComparison::AtLeast),
        ("<=", VersionComparison::AtMost),
        (">", VersionComparison::Above),
        ("<", VersionComparison::Below),
    ] {
        if let Some(rest) = text.strip_prefix(sign) {
            let given = rest.trim();
            let version = LabelVersion::whole(given).ok_or_else(|| {
                format!(
                    "after `{sign}` comes a version, numbers parted by dots, as in `kernel {sign} 6.1`; not `{given}`"
                )
            })?;
            return Ok(LabelCondition::Version(comparison, version));
        }
    }
    for (sign, is_in) in [("==", true), ("!=", false), ("=", true)] {
        if let Some(rest) = text.strip_prefix(sign) {
            let value = value(rest.trim())?;
            let values = vec![value.to_owned()];
            return Ok(if is_in { LabelCondition::In(values) } else { LabelCondition::NotIn(values) });
        }
    }
    if text.starts_with(',') {
        return Err("write each expression as an item of its own; all must be true".into());
    }
    Err("after the label comes `in (…)`, `notin (…)`, `=`, `!=`, `>`, `>=`, `<`, `<=` or nothing".into())
}

fn values(word: &str, text: &str) -> Result<Vec<String>, String> {
    let inside = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or_else(|| {
        format!("after `{word}` come values in parentheses and nothing else, as in `zone {word} (a, b)`")
    })?;
    let mut values =
        inside.split(',').map(|one| value(one.trim()).map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

fn value(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        return Err("a value is missing".into());
    }
    let odd =
        text.chars().find(|letter| letter.is_whitespace() || letter.is_control() || ",()=!<>\"'`".contains(*letter));
    match odd {
        None => Ok(text),
        Some(',') => Err("write each expression as an item of its own; all must be true".into()),
        Some(letter) => Err(format!("a value has no {letter:?} in it")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spaces_do_not_matter_and_the_notation_is_one() {
        for (text, expected) in [
            ("zone in(b,a, a)", "zone in (a, b)"),
            (" tier   notin ( gold ) ", "tier notin (gold)"),
            ("a.b/c", "a.b/c"),
            ("! spot", "!spot"),
            ("role==db", "role in (db)"),
            ("role!=db", "role notin (db)"),
            ("kernel>=6.1.0", "kernel >= 6.1"),
            ("in in (in)", "in in (in)"),
            ("notin", "notin"),
        ] {
            assert_eq!(text.parse::<LabelExpression>().unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (text, reason) in [
            ("", "it begins with the name of a label, as in `zone in (a, b)`, `spot` or `kernel >= 6.1`"),
            ("!", "after `!` comes the name of a label and nothing else, as in `!spot`"),
            ("!a b", "after `!` comes the name of a label and nothing else, as in `!spot`"),
            ("zone in a", "after `in` come values in parentheses and nothing else, as in `zone in (a, b)`"),
            ("zone in (a) x", "after `in` come values in parentheses and nothing else, as in `zone in (a, b)`"),
            ("zone in ()", "a value is missing"),
            ("zone in (a,,b)", "a value is missing"),
            ("zone in (a b)", "a value has no ' ' in it"),
            ("role =", "a value is missing"),
            ("a, b", "write each expression as an item of its own; all must be true"),
            ("a = b, c", "write each expression as an item of its own; all must be true"),
            ("a = b,c", "write each expression as an item of its own; all must be true"),
            ("kernel > new", "after `>` comes a version, numbers parted by dots, as in `kernel > 6.1`; not `new`"),
            (
                "kernel >= 6.1-rc",
                "after `>=` comes a version, numbers parted by dots, as in `kernel >= 6.1`; not `6.1-rc`",
            ),
            (
                "zone inside (a)",
                "after the label comes `in (…)`, `notin (…)`, `=`, `!=`, `>`, `>=`, `<`, `<=` or nothing",
            ),
            ("zone like a", "after the label comes `in (…)`, `notin (…)`, `=`, `!=`, `>`, `>=`, `<`, `<=` or nothing"),
        ] {
            let error = text.parse::<LabelExpression>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is no expression about labels: {reason}"));
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_as_the_same(label in "[a-z]{1,4}(/[a-z]{1,3})?", which in 0..5, values in "[a-z0-9]{1,3}") {
            let text = match which {
                0 => label,
                1 => format!("!{label}"),
                2 => format!("{label} in ({values}, x)"),
                3 => format!("{label} notin ({values})"),
                _ => format!("{label} < 1.{}", values.len()),
            };
            let once: LabelExpression = text.parse().unwrap();
            prop_assert_eq!(&once.to_string().parse::<LabelExpression>().unwrap(), &once);
        }

        #[test]
        fn no_text_breaks_it(text in ".{0,40}") {
            let _ = text.parse::<LabelExpression>();
        }
    }
}

//! Reading text into trees, within limits that no honest document meets.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, Spanned};

use super::{Entry, Kind, Node, Place, Scalar, Value};

/// The longest document that is read, in bytes.
pub const LONGEST: usize = 1 << 20;
/// How deep lists and mappings may be nested.
const DEEPEST: usize = 32;
/// How many values a file may have, those repeated by aliases included.
const MOST_VALUES: usize = 50_000;

/// Text that is not YAML, or more of it than is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Place,
    /// The way on, where there is a better one than the message.
    pub hint: Option<String>,
}

/// Reads all documents of a text; empty ones are left out.
///
/// # Errors
/// If the text is not YAML, has a key twice, or goes beyond the limits on depth, number of values and aliases.
pub fn read(text: &str, source: usize) -> Result<Vec<Node>, ReadError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_nodes: MOST_VALUES,
            max_events: 4 * MOST_VALUES,
            max_documents: 100,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
            max_recorded_anchor_events: MOST_VALUES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_VALUES,
            max_replay_stack_depth: DEEPEST,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Merge,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        emit_comments: false,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let documents: Vec<Spanned<Raw>> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| read_error(&error, text, source))?;
    Ok(documents.into_iter().map(|document| node(document, text, source)).collect())
}

/// What serde can tell of a value, before its text is looked up in the source.
enum Raw {
    Null,
    Boolean(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Self>>),
    Mapping(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Raw;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Boolean(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Unsigned(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
                Ok(u64::try_from(value).map_or(Raw::Signed(value), Raw::Unsigned))
            }
            fn visit_u128<E: de::Error>(self, value: u128) -> Result<Raw, E> {
                #[expect(clippy::cast_precision_loss, reason = "its text is kept; as a number it is only too large")]
                Ok(Raw::Float(value as f64))
            }
            fn visit_i128<E: de::Error>(self, value: i128) -> Result<Raw, E> {
                #[expect(clippy::cast_precision_loss, reason = "its text is kept; as a number it is only too large")]
                Ok(Raw::Float(value as f64))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Float(value))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::Text(value.into()))
            }
            fn visit_string<E: de::Error>(self, value: String) -> Result<Raw, E> {
                Ok(Raw::Text(value))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = mapping.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Mapping(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn place(location: Location, text: &str, source: usize) -> Place {
    let span = location.span();
    let index = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
    let start = index(span.byte_offset()).unwrap_or_else(|| offset_of(location, text)).min(text.len());
    let end = start.saturating_add(index(span.byte_len()).unwrap_or(0)).min(text.len());
    if text.is_char_boundary(start) && text.is_char_boundary(end) {
        Place { source, start, end }
    } else {
        Place { source, start: 0, end: 0 }
    }
}

/// The byte at a line and column, for locations that come without bytes.
fn offset_of(location: Location, text: &str) -> usize {
    let line = usize::try_from(location.line().saturating_sub(1)).unwrap_or(0);
    let column = usize::try_from(location.column().saturating_sub(1)).unwrap_or(0);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text[start..].lines().next().unwrap_or_default();
    start + rest.char_indices().nth(column).map_or(rest.len(), |(offset, _)| offset)
}

fn node(raw: Spanned<Raw>, text: &str, source: usize) -> Node {
    let written = place(raw.defined, text, source);
    let place = place(raw.referenced, text, source);
    // The text as written tells `1.10` from `1.1`; where an alias or a tag is in the way, the number itself must do.
    let scalar = |kind, otherwise: String| {
        let plain = text[written.start..written.end].trim();
        let as_written = !plain.is_empty() && !plain.starts_with(['"', '\'', '|', '>', '*', '&', '!']);
        Value::Scalar(Scalar { text: if as_written { plain.to_owned() } else { otherwise }, kind })
    };
    let value = match raw.value {
        Raw::Null => Value::Scalar(Scalar { text: text[written.start..written.end].trim().into(), kind: Kind::Null }),
        Raw::Boolean(value) => scalar(Kind::Boolean(value), value.to_string()),
        Raw::Unsigned(value) => scalar(Kind::Unsigned(value), value.to_string()),
        Raw::Signed(value) => scalar(Kind::Signed(value), value.to_string()),
        Raw::Float(value) => scalar(Kind::Float(value), value.to_string()),
        // What is too large for a number comes as the text of infinity; what was written says more.
        Raw::Text(value) if matches!(value.as_str(), ".inf" | "-.inf" | ".nan") => scalar(Kind::Text, value),
        Raw::Text(value) => Value::Scalar(Scalar { text: value, kind: Kind::Text }),
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(item, text, source)).collect()),
        Raw::Mapping(entries) => Value::Mapping(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    place: self::place(key.referenced, text, source),
                    key: key.value,
                    node: node(value, text, source),
                })
                .collect(),
        ),
    };
    Node { value, place }
}

fn read_error(error: &serde_saphyr::Error, text: &str, source: usize) -> ReadError {
    let error = error.without_snippet();
    let place = error.location().map(|location| place(location, text, source)).unwrap_or_default();
    let (message, hint) = in_words(error);
    ReadError { message, place, hint: hint.map(str::to_owned) }
}

/// The reader's errors in words for people who do not know its options.
fn in_words(error: &serde_saphyr::Error) -> (String, Option<&'static str>) {
    use serde_saphyr::Error as Yaml;
    const LIMITS: &str = "an experiment is a short document; nothing of this one was used";
    match error {
        Yaml::DuplicateMappingKey { key, .. } => (
            format!("the key {} is given twice", key.as_deref().map_or("here".into(), |key| format!("`{key}`"))),
            Some("keep one of the two; which of them was meant cannot be told"),
        ),
        Yaml::UnknownAnchor { .. } => ("this alias names an anchor that is not defined before it".into(), None),
        Yaml::UnsupportedTag { tag, .. } => (format!("the tag `{tag}` means nothing here"), None),
        Yaml::NullIntoString { .. } | Yaml::Unexpected { expected: "string scalar", .. } => {
            ("a key must be a text".into(), None)
        }
        Yaml::Budget { breach, .. } => (format!("this goes beyond a limit: {}", limit(breach)), Some(LIMITS)),
        Yaml::AliasReplayLimitExceeded { .. }
        | Yaml::AliasReplayStackDepthExceeded { .. }
        | Yaml::AliasExpansionLimitExceeded { .. } => {
            ("this goes beyond a limit: its aliases expand to too much".into(), Some(LIMITS))
        }
        Yaml::AliasError { error, .. } => in_words(error),
        Yaml::RecursiveReferencesRequireWeakTypes { .. } => ("this alias stands inside its own anchor".into(), None),
        other => {
            // The place is shown beside the message; serde-saphyr appends it in words.
            let full = other.render();
            let message = full.split(" at line ").next().unwrap_or(&full).trim();
            match message {
                "recursion limit exceeded" => {
                    (format!("this goes beyond a limit: nested more than {DEEPEST} deep"), Some(LIMITS))
                }
                "mapping values are not allowed in this context" => (
                    "a `: ` stands where no key can be".into(),
                    Some("put a text that holds `: ` in quotes, and give the keys of one mapping the same indentation"),
                ),
                "while parsing a block mapping, did not find expected key" => (
                    "a key was expected here".into(),
                    Some("give the keys of one mapping, and the items of one list, the same indentation"),
                ),
                tab if tab.starts_with("tabs disallowed") => {
                    ("a tab cannot indent in YAML".into(), Some("indent with spaces"))
                }
                _ => (format!("this is not YAML: {message}"), None),
            }
        }
    }
}

fn limit(breach: &serde_saphyr::budget::BudgetBreach) -> String {
    use serde_saphyr::budget::BudgetBreach as Breach;
    match breach {
        Breach::Depth { .. } => format!("nested more than {DEEPEST} deep"),
        Breach::Nodes { .. } | Breach::Events { .. } => format!("more than {MOST_VALUES} values"),
        Breach::Documents { .. } => "more than 100 documents".into(),
        Breach::Aliases { .. }
        | Breach::Anchors { .. }
        | Breach::RecordedAnchorEvents { .. }
        | Breach::RecordedAnchorBytes { .. }
        | Breach::AliasAnchorRatio { .. }
        | Breach::MergeKeys { .. } => "its anchors and aliases expand to too much".into(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        read(text, 0).unwrap_err().message
    }

    #[test]
    fn bombs_are_refused_at_once() {
        let began = std::time::Instant::now();
        let row = |from: &str| [from; 9].join(",");
        let laughs: String = std::iter::once(format!("a0: &a0 [{}]\n", row("x")))
            .chain((1..12).map(|level| format!("a{level}: &a{level} [{}]\n", row(&format!("*a{}", level - 1)))))
            .collect();
        let keys: String = (0..100_000).map(|number| format!("k{number}: 1\n")).collect();
        for (what, text) in [
            ("aliases", laughs),
            ("lists", "[".repeat(100_000)),
            ("mappings", "{a: ".repeat(100_000)),
            ("dashes", "- ".repeat(100_000)),
            ("keys", keys),
            ("documents", "---\na: 1\n".repeat(1000)),
            ("merges", format!("a: &a {{x: 1}}\nb:\n{}", "  <<: *a\n".repeat(2000))),
        ] {
            assert!(read(&text, 0).is_err(), "{what}");
        }
        assert!(error(&"[".repeat(100_000)).ends_with("nested more than 32 deep"));
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    }

    #[test]
    fn what_was_written_is_kept_beside_what_it_means() {
        let tree = read("a: 1.10\nb: '1.10'\nc: no\nd: 1e999\ne: [\u{fc}, ~]\n", 0).unwrap().remove(0);
        let scalars: Vec<_> = ["a", "b", "c", "d"]
            .map(|key| tree.child(&key.into()).map(|node| node.value.clone()))
            .into_iter()
            .flatten()
            .collect();
        let scalar = |text: &str, kind| Value::Scalar(Scalar { text: text.into(), kind });
        assert_eq!(
            scalars,
            [
                scalar("1.10", Kind::Float(1.1)),
                scalar("1.10", Kind::Text),
                scalar("no", Kind::Text),
                scalar("1e999", Kind::Text),
            ]
        );
    }

    #[test]
    fn errors_are_in_words_with_their_place() {
        for (text, place, message) in [
            ("a: 1\na: 2\n", "a", "the key `a` is given twice"),
            ("a: b: c\n", "", "a `: ` stands where no key can be"),
            ("a: *b\n", "", "this alias names an anchor that is not defined before it"),
            ("a: !run x\n", "x", "the tag `!run` means nothing here"),
            ("null: x\n", "null", "a key must be a text"),
            ("{a: 1", "", "this is not YAML: unclosed bracket '{'"),
        ] {
            let error = read(text, 0).unwrap_err();
            assert_eq!((error.message.as_str(), &text[error.place.start..error.place.end]), (message, place), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\-\\[\\]{}:,&*!|>'\"%@#?a\u{fc}\n\t 0.~<]{0,60}") {
            let _ = read(&text, 0);
        }
    }
}

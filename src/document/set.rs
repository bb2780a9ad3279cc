//! `--set PATH=VALUE`: changing a value of the document from the command line, before it is typed and checked.

use std::str::FromStr;

use super::diagnostic::{Diagnostic, Severity};
use super::suggest;
use super::yaml::read;
use super::yaml::{Entry, Kind, Node, Path, Place, Scalar, Segment, Value};

/// One `--set`: `spec.method[1].inject.for=5s`, or without the leading `spec.`.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    text: String,
    path: Path,
    value: Node,
}

/// A text that is no setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingError(String);

/// The keys at the top of a document; every other path is meant to begin below `spec`.
const TOP: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (path, equals) = parse_path(text)?;
        let start = equals + 1;
        let mut documents = read::read(&text[start..], 0)
            .map_err(|error| SettingError(format!("the value behind `=`: {}", error.message)))?;
        let mut value = match (documents.pop(), documents.is_empty()) {
            (Some(value), true) => value,
            (None, _) => {
                Node { value: Value::Scalar(Scalar { text: String::new(), kind: Kind::Null }), place: Place::default() }
            }
            _ => return Err(SettingError("the value behind `=` is more than one document".into())),
        };
        moved(&mut value, start);
        Ok(Self { text: text.into(), path, value })
    }
}

/// Moves places from the value's own text to that of the whole setting.
fn moved(node: &mut Node, by: usize) {
    let shift = |place: &mut Place| {
        place.start += by;
        place.end += by;
    };
    shift(&mut node.place);
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| moved(item, by)),
        Value::Mapping(entries) => entries.iter_mut().for_each(|entry| {
            shift(&mut entry.place);
            moved(&mut entry.node, by);
        }),
    }
}

/// Gives places the number of their source.
fn numbered(node: &mut Node, source: usize) {
    node.place.source = source;
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| numbered(item, source)),
        Value::Mapping(entries) => entries.iter_mut().for_each(|entry| {
            entry.place.source = source;
            numbered(&mut entry.node, source);
        }),
    }
}

/// Reads the path up to its `=`, and says where that is. Keys with dots stand in quotes: `metadata.labels."a.b"=c`.
fn parse_path(text: &str) -> Result<(Path, usize), SettingError> {
    let wrong = |what: &str| SettingError(format!("`{text}` is no setting: {what} (as in `method[1].inject.for=5s`)"));
    let mut segments = Vec::new();
    let mut rest = text;
    loop {
        if let Some(inside) = rest.strip_prefix('"') {
            let end = inside.find('"').ok_or_else(|| wrong("a quote is not closed"))?;
            segments.push(Segment::Key(inside[..end].into()));
            rest = &inside[end + 1..];
        } else {
            let end = rest.find(['.', '[', '=']).ok_or_else(|| wrong("there is no `=`"))?;
            if end == 0 {
                return Err(wrong("a key is empty"));
            }
            segments.push(Segment::Key(rest[..end].into()));
            rest = &rest[end..];
        }
        while let Some(inside) = rest.strip_prefix('[') {
            let end = inside.find(']').ok_or_else(|| wrong("a bracket is not closed"))?;
            let index = inside[..end].parse().map_err(|_| wrong("in brackets stands a number, counted from 0"))?;
            segments.push(Segment::Index(index));
            rest = &inside[end + 1..];
        }
        if rest.starts_with('=') {
            break;
        }
        rest = rest.strip_prefix('.').ok_or_else(|| wrong("there is no `=`"))?;
    }
    let at_top = matches!(segments.first(), Some(Segment::Key(key)) if TOP.contains(&key.as_str()));
    if !at_top {
        segments.insert(0, Segment::Key("spec".into()));
    }
    Ok((Path::from(segments), text.len() - rest.len()))
}

impl Setting {
    /// As given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Changes the value in a tree; `source` is the number under which this setting's text is shown.
    ///
    /// Keys on the way that are not there yet are made, except names (of signals, services, targets) and items of
    /// lists: those must exist.
    ///
    /// # Errors
    /// If the path leads nowhere, with what is there instead.
    pub fn apply(&self, tree: &mut Node, source: usize) -> Result<(), Diagnostic> {
        let place = Place { source, start: 0, end: self.text.find('=').unwrap_or(self.text.len()) };
        let mut value = self.value.clone();
        numbered(&mut value, source);
        let mut node = tree;
        let mut walked = Path::default();
        let segments = self.path.segments();
        for (position, segment) in segments.iter().enumerate() {
            let last = position + 1 == segments.len();
            let list_follows = matches!(segments.get(position + 1), Some(Segment::Index(_)));
            if let Some(problem) = obstacle(node, &walked, segment, last, list_follows) {
                return Err(Diagnostic {
                    severity: Severity::Error,
                    path: self.path.to_string(),
                    message: problem.0,
                    hint: Some(problem.1),
                    place,
                });
            }
            if let (Value::Mapping(entries), Segment::Key(key)) = (&mut node.value, segment)
                && !entries.iter().any(|entry| entry.key == *key)
            {
                entries.push(Entry { key: key.clone(), place, node: Node::empty_mapping(place) });
            }
            walked = walked.join(segment.clone());
            // Every segment is there by now: found, made, or refused above.
            let Some(next) = node.child_mut(segment) else { return Ok(()) };
            node = next;
        }
        *node = value;
        Ok(())
    }
}

/// Why a path cannot go on, and what there is instead.
fn obstacle(node: &Node, walked: &Path, segment: &Segment, last: bool, list_follows: bool) -> Option<(String, String)> {
    let here = if walked.segments().is_empty() { "the document".into() } else { format!("`{walked}`") };
    match (&node.value, segment) {
        (Value::Mapping(_), Segment::Key(key)) => {
            let names = matches!(walked.to_string().as_str(), "spec.signals" | "spec.services" | "spec.targets");
            let missing = node.child(segment).is_none();
            (missing && (list_follows || names && !last))
                .then(|| (format!("there is no `{key}` in {here}"), suggest::hint(key, node.keys())))
        }
        (Value::Mapping(_), Segment::Index(_)) => {
            Some((format!("{here} has keys, not numbered items"), suggest::there_is(&node.keys().collect::<Vec<_>>())))
        }
        (Value::List(items), Segment::Index(index)) => (*index >= items.len()).then(|| {
            let there = match items.len() {
                0 => "the list is empty".into(),
                1 => "there is only [0]".into(),
                more => format!("there is [0] to [{}]", more - 1),
            };
            (format!("{here} has no item [{index}]"), there)
        }),
        (Value::List(items), Segment::Key(key)) => {
            let example = format!("{walked}[0].{key}");
            let hint = format!("it has {} items; name one by its number, as in `{example}`", items.len());
            Some((format!("{here} is a list"), hint))
        }
        (Value::Scalar(Scalar { kind: Kind::Null, .. }), Segment::Key(key)) => {
            Some((format!("{here} has no `{key}`: it is empty"), "write `{}` for it in the file first".into()))
        }
        (Value::Scalar(scalar), _) => {
            Some((format!("{here} is a value without parts: `{}`", scalar.text), "end the path there".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "spec: { seed: 1, signals: { a: {} }, method: [ { observe: 1s }, { observe: 2s } ] }";

    fn set(text: &str) -> Result<Node, String> {
        let mut tree = read::read(TEXT, 0).unwrap().pop().unwrap();
        let setting: Setting = text.parse().map_err(|error: SettingError| error.to_string())?;
        setting
            .apply(&mut tree, 1)
            .map_err(|error| format!("{error}; {}", error.hint.clone().unwrap_or_default()))
            .map(|()| tree)
    }

    #[test]
    fn changes_and_adds_values_by_long_and_short_paths() {
        for (text, path, expected) in [
            ("spec.method[1].observe=5s", "method[1].observe", "5s"),
            ("method[0].observe=0.5s", "method[0].observe", "0.5s"),
            ("recovery.within=9s", "recovery.within", "9s"),
            ("signals.a.http.headers.\"x.y\"=a=b", "signals.a.http.headers.\"x.y\"", "a=b"),
        ] {
            let tree = set(text).unwrap();
            let (path, _) = parse_path(&format!("{path}=")).unwrap();
            let node = tree.at(&path).unwrap();
            assert!(matches!(&node.value, Value::Scalar(scalar) if scalar.text == expected), "{text}: {node:?}");
            assert_eq!(&text[node.place.start..node.place.end], expected);
            assert_eq!(node.place.source, 1);
        }
        let tree = set("targets.db={ process: { name: nginx } }").unwrap();
        assert!(tree.at(&parse_path("targets.db.process.name=").unwrap().0).is_some());
    }

    #[test]
    fn a_path_that_leads_nowhere_says_what_is_there() {
        for (text, expected) in [
            ("method[7].observe=1s", "spec.method[7].observe: `spec.method` has no item [7]; there is [0] to [1]"),
            (
                "signals.b.http.rate=1/s",
                "spec.signals.b.http.rate: there is no `b` in `spec.signals`; there is only `a`",
            ),
            ("seed.x=1", "spec.seed.x: `spec.seed` is a value without parts: `1`; end the path there"),
            (
                "method.observe=1",
                "spec.method.observe: `spec.method` is a list; it has 2 items; name one by its number, as in \
                 `spec.method[0].observe`",
            ),
            ("metod[0].observe=1", "spec.metod[0].observe: there is no `metod` in `spec`; did you mean `method`?"),
        ] {
            assert_eq!(set(text).unwrap_err(), expected, "{text}");
        }
        for text in ["", "=1", "a", "a..b=1", "a[x]=1", "a[1=2", "\"a=1", "a=[1", "a=b: c: d"] {
            assert!(text.parse::<Setting>().is_err(), "{text}");
        }
    }
}

//! A place in the tree of a file, from which to read on.

use crate::document::diagnostic::{Diagnostic, Severity};
use crate::document::yaml::{Kind, Node, Path, Scalar, Segment, Value};

/// A value in a tree and the way to it.
#[derive(Debug, Clone)]
pub(super) struct At<'a> {
    root: &'a Node,
    node: &'a Node,
    path: Path,
}

impl<'a> At<'a> {
    pub(super) fn root(root: &'a Node) -> Self {
        Self { root, node: root, path: Path::default() }
    }

    fn child(&self, segment: Segment) -> Option<Self> {
        let node = self.node.child(&segment)?;
        Some(Self { root: self.root, node, path: self.path.join(segment) })
    }

    /// The value of a key; nothing if it is not there, or null.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        self.child(key.into()).filter(|at| !at.is_null())
    }

    /// The value of the first of these keys that is there.
    pub(super) fn any(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &str) -> Result<Self, Diagnostic> {
        self.get(key).ok_or_else(|| self.wrong(format!("`{key}` is missing here"), ""))
    }

    /// The value at the end of several keys.
    pub(super) fn deep(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self.clone(), |at, key| at.get(key))
    }

    pub(super) fn items(&self) -> Vec<Self> {
        let count = match &self.node.value {
            Value::List(items) => items.len(),
            _ => 0,
        };
        (0..count).filter_map(|index| self.child(index.into())).collect()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.node.keys()
    }

    fn scalar(&self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| scalar.kind == Kind::Null)
    }

    /// Its text; nothing of a list or mapping.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.scalar().map(|scalar| scalar.text.as_str())
    }

    /// The text of a key's value.
    pub(super) fn text_of(&self, key: &str) -> Option<&'a str> {
        self.get(key).and_then(|at| at.text())
    }

    /// The text of a key that must be there.
    pub(super) fn need_text(&self, key: &str) -> Result<&'a str, Diagnostic> {
        let at = self.need(key)?;
        at.text().ok_or_else(|| at.wrong(format!("`{key}` must be a text"), ""))
    }

    pub(super) fn number(&self) -> Result<f64, Diagnostic> {
        let number = self.text().and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite());
        number.ok_or_else(|| self.wrong("this must be a number", ""))
    }

    pub(super) fn is_true(&self) -> bool {
        self.scalar().is_some_and(|scalar| scalar.kind == Kind::Boolean(true))
    }

    /// Something wrong here.
    pub(super) fn wrong(&self, message: impl Into<String>, hint: &str) -> Diagnostic {
        self.finding(Severity::Error, message, hint)
    }

    /// Something here that is probably not meant.
    pub(super) fn doubtful(&self, message: impl Into<String>, hint: &str) -> Diagnostic {
        self.finding(Severity::Warning, message, hint)
    }

    fn finding(&self, severity: Severity, message: impl Into<String>, hint: &str) -> Diagnostic {
        Diagnostic {
            severity,
            path: self.path.to_string(),
            message: message.into(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
            place: self.root.place_of(&self.path),
        }
    }
}

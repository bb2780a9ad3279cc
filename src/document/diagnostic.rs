//! Something wrong with a document, shown with the line that it is about.

use std::fmt;

use serde::Serialize;

use super::yaml::Place;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document can be used, but probably does not do what its author wants.
    Warning,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The way to the value: `spec.method[1].inject.for`. Empty where the text is no YAML at all.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// The way on.
    pub hint: Option<String>,
    /// Where it was written.
    pub place: Place,
}

/// A text in which something can be wrong: the file, or one `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name: the path as given, `standard input`, or `--set`.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A [`Diagnostic`] for other programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Located {
    /// `error` or `warning`.
    pub severity: Severity,
    /// The file, or `--set`.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted in characters from 1.
    pub column: usize,
    /// The way to the value; empty where the text is no YAML at all.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// The way on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How wide a source line is shown at most.
const WIDEST: usize = 140;

impl Diagnostic {
    /// With the place in lines and columns.
    pub fn locate(&self, sources: &[Source]) -> Located {
        let source = sources.get(self.place.source);
        let line = Line::of(self.place, source.map_or("", |source| source.text.as_str()));
        Located {
            severity: self.severity,
            file: source.map(|source| source.name.clone()).unwrap_or_default(),
            line: line.number,
            column: line.column,
            path: self.path.clone(),
            message: self.message.clone(),
            hint: self.hint.clone(),
        }
    }

    /// The message, the line with a caret below what is meant, and the hint.
    pub fn render(&self, sources: &[Source], colour: bool) -> String {
        let paint = |style: &str, text: &str| {
            if colour && !text.is_empty() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let (word, style) = match self.severity {
            Severity::Error => ("error", "1;31"),
            Severity::Warning => ("warning", "1;33"),
        };
        let located = self.locate(sources);
        let subject = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        let mut text = format!("{}: {subject}{}\n", paint(style, word), self.message);
        if let Some(source) = sources.get(self.place.source) {
            let line = Line::of(self.place, &source.text);
            let margin = " ".repeat(line.number.to_string().len());
            let bar = paint("2", "|");
            let arrow = paint("2", "-->");
            text += &format!("{margin} {arrow} {}:{}:{}\n{margin} {bar}\n", source.name, located.line, located.column);
            text += &format!("{} {bar} {}\n", paint("2", &line.number.to_string()), line.shown);
            let caret = paint(style, &"^".repeat(line.width));
            text += &format!("{margin} {bar} {}{caret}\n", " ".repeat(line.indent));
        }
        if let Some(hint) = &self.hint {
            text += &format!("  {} {hint}\n", paint("1;36", "hint:"));
        }
        text
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)
    }
}

/// One line of a source, made fit to be shown.
struct Line {
    number: usize,
    column: usize,
    /// The line without tabs, control characters and what is too far from the place.
    shown: String,
    /// How many characters of it stand before the place.
    indent: usize,
    /// How many carets to draw.
    width: usize,
}

impl Line {
    fn of(place: Place, text: &str) -> Self {
        let floor = |mut offset: usize| {
            offset = offset.min(text.len());
            while !text.is_char_boundary(offset) {
                offset -= 1;
            }
            offset
        };
        // An error at the very end is shown behind the last line that has something on it.
        let written = text.trim_end().len();
        let start = floor(if place.start >= written && written > 0 { written } else { place.start });
        let end = floor(place.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let before: Vec<char> = visible(&text[line_start..start]);
        let meant: Vec<char> = visible(text[start..end.min(line_end)].trim_end());
        let column = text[line_start..start].chars().count() + 1;
        let number = text[..start].matches('\n').count() + 1;
        let whole = visible(text[line_start..line_end].trim_end_matches('\r'));

        let cut = if before.len() > WIDEST * 2 / 3 { before.len() - WIDEST / 3 } else { 0 };
        let mut shown: String = whole.iter().skip(cut).take(WIDEST).collect();
        let mut indent = before.len() - cut;
        if cut > 0 {
            shown.insert_str(0, "...");
            indent += 3;
        }
        if whole.len() > cut + WIDEST {
            shown.push_str("...");
        }
        let width = meant.len().clamp(1, shown.chars().count().saturating_sub(indent).max(1));
        Self { number, column, shown, indent, width }
    }
}

/// Characters as they can be shown in a line: a tab is a space, a control character a replacement character.
fn visible(text: &str) -> Vec<char> {
    let show = |letter| match letter {
        '\t' => ' ',
        letter if letter.is_control() => '\u{fffd}',
        letter => letter,
    };
    text.chars().map(show).collect()
}

/// Which things are wrong, in words: `2 errors and 1 warning`.
pub fn count(diagnostics: &[Diagnostic]) -> String {
    let number = |severity, word: &str| {
        let count = diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
        match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            more => Some(format!("{more} {word}s")),
        }
    };
    let parts = [number(Severity::Error, "error"), number(Severity::Warning, "warning")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, start: usize, end: usize) -> String {
        let source = Source { name: "x.yaml".into(), text: text.into() };
        let place = Place { source: 0, start, end };
        let severity = Severity::Error;
        Diagnostic { severity, path: "a.b".into(), message: "no".into(), hint: Some("yes".into()), place }
            .render(&[source], false)
    }

    #[test]
    fn the_caret_stands_below_what_is_meant() {
        let text = "a:\n\tb: \u{fc}x\u{1b}[31m # c\n";
        insta::assert_snapshot!(shown(text, 7, 10), @r"
        error: a.b: no
          --> x.yaml:2:5
          |
        2 |  b: üx�[31m # c
          |     ^^
          hint: yes
        ");
    }

    #[test]
    fn nothing_hostile_breaks_the_drawing() {
        let long = format!("{{a: {}}}", "x".repeat(100_000));
        assert!(shown(&long, 4, 90_000).len() < 1000);
        assert!(shown(&long, 99_000, 99_001).len() < 1000);
        assert!(shown("", 5, 9).contains("x.yaml:1:1"));
        assert!(shown("a: 1\n\n\n", 7, 7).contains("1 | a: 1\n"));
        assert!(shown("\u{20ac}", 1, 2).contains("x.yaml:1:1"));
    }
}

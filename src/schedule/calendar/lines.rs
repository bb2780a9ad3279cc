use super::CalendarError;

/// A content line (RFC 5545, 3.1): `NAME;PARAMETER=VALUE:VALUE`, unfolded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins in the file, counted from 1.
    pub(super) number: usize,
    /// The name, in capitals.
    pub(super) name: String,
    /// The parameters, names in capitals, values without quotes.
    pub(super) parameters: Vec<(String, String)>,
    /// The value as written.
    pub(super) value: String,
}

impl Line {
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.name == name && self.value.eq_ignore_ascii_case(value)
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn wrong(&self, message: impl Into<String>) -> CalendarError {
        CalendarError::new(self.number, message)
    }
}

/// Joins folded lines and takes each apart. Line ends may be LF instead of CRLF, as many programs write them.
pub(super) fn unfold(text: &str) -> Result<Vec<Line>, CalendarError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut logical: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), logical.last_mut()) {
            (Some(rest), Some((_, begun))) => begun.push_str(rest),
            (Some(_), None) => return Err(CalendarError::new(index + 1, "the first line is the rest of another")),
            (None, _) if line.is_empty() => {}
            (None, _) => logical.push((index + 1, line.to_owned())),
        }
    }
    logical.into_iter().map(|(number, line)| take_apart(number, &line)).collect()
}

fn take_apart(number: usize, line: &str) -> Result<Line, CalendarError> {
    let refuse = || CalendarError::new(number, "this is no content line, `NAME:VALUE`");
    let name_end = line.find([':', ';']).ok_or_else(refuse)?;
    let name = &line[..name_end];
    let fits = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !fits(name) {
        return Err(refuse());
    }
    let mut parameters = Vec::new();
    let mut rest = &line[name_end..];
    while let Some(behind) = rest.strip_prefix(';') {
        let equals = behind.find('=').ok_or_else(refuse)?;
        let parameter = &behind[..equals];
        if !fits(parameter) {
            return Err(refuse());
        }
        let end = end_of_value(&behind[equals + 1..]).ok_or_else(refuse)? + equals + 1;
        parameters.push((parameter.to_ascii_uppercase(), behind[equals + 1..end].replace('"', "")));
        rest = &behind[end..];
    }
    let value = rest.strip_prefix(':').ok_or_else(refuse)?;
    Ok(Line { number, name: name.to_ascii_uppercase(), parameters, value: value.to_owned() })
}

/// Where the value of a parameter ends: before a `;` or `:` that is not in quotes.
fn end_of_value(text: &str) -> Option<usize> {
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            ';' | ':' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

//! What a service wrote: kept in a file of the run, and its end shown when the service fails.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of the end is read.
const TAIL: u64 = 8 * 1024;
/// How many lines of it are shown.
const LINES: usize = 12;

/// The last lines of a file; empty if it cannot be read.
pub(super) fn last_lines(path: &Path) -> String {
    read_tail(path).map(|text| shorten(&text)).unwrap_or_default()
}

fn read_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn shorten(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_output_is_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..5000).map(|number| format!("line {number}\n\n")).collect();
        std::fs::write(file.path(), text).unwrap();
        let shown = last_lines(file.path());
        assert_eq!(shown.lines().count(), LINES);
        assert!(shown.starts_with("line 4988\n") && shown.ends_with("line 4999"), "{shown}");
        assert_eq!(last_lines(Path::new("/nonexistent")), "");
    }
}

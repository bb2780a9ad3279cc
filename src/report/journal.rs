//! Reading a run's journal back, also one whose writer was killed in the middle of a line.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use super::ReportError;
use crate::run::journal::Entry;

/// A journal as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    /// Every whole entry.
    pub entries: Vec<Entry>,
    /// The number of bytes behind the last whole entry: the beginning of a line that was never finished.
    pub torn: usize,
}

impl Journal {
    /// Reads a journal from its file.
    ///
    /// The last line may be torn: an append that a crash cut off. A line that cannot be read and is followed by
    /// others is an error, since an append-only file has no such line.
    ///
    /// # Errors
    /// If the file cannot be read, or a line before the last is not an entry.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let read_error = |source| ReportError::Read { path: path.into(), source };
        let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(read_error)?);
        let mut entries = Vec::new();
        let mut bytes = Vec::new();
        let mut torn: Option<(usize, usize, serde_json::Error)> = None;
        for line in 1.. {
            bytes.clear();
            if reader.read_until(b'\n', &mut bytes).map_err(read_error)? == 0 {
                break;
            }
            if let Some((line, _, source)) = torn {
                return Err(ReportError::Line { path: path.into(), line, source });
            }
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice(&bytes) {
                Ok(entry) => entries.push(entry),
                Err(source) => torn = Some((line, bytes.len(), source)),
            }
        }
        Ok(Self { entries, torn: torn.map_or(0, |(_, bytes, _)| bytes) })
    }
}

/// Reads the entries of a journal; see [`Journal::read`].
///
/// # Errors
/// As there.
pub fn read_journal(path: &Path) -> Result<Vec<Entry>, ReportError> {
    Journal::read(path).map(|journal| journal.entries)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::report::fixture::{self, Ending};

    fn written(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        file
    }

    #[test]
    fn a_journal_reads_back_as_written_and_cut_at_any_byte_loses_only_its_last_line() {
        let entries: Vec<_> = fixture::journal(Ending::Held).into_iter().take(12).collect();
        let text = fixture::lines(&entries);
        let whole = Journal::read(written(text.as_bytes()).path()).unwrap();
        assert_eq!(whole, Journal { entries: entries.clone(), torn: 0 });
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        for cut in (0..text.len()).step_by(7) {
            let journal = Journal::read(written(&text.as_bytes()[..cut]).path()).unwrap();
            // A line that lacks nothing but its line end is whole.
            let lines = ends.iter().filter(|end| **end <= cut + 1).count();
            let start = if lines == 0 { 0 } else { ends[lines - 1] };
            assert_eq!(journal.entries, entries[..lines], "cut at {cut}");
            assert_eq!(journal.torn, cut.saturating_sub(start), "cut at {cut}");
        }
    }

    #[test]
    fn a_line_broken_in_the_middle_is_an_error_that_names_the_line() {
        let entries: Vec<_> = fixture::journal(Ending::Held).into_iter().take(3).collect();
        let text = fixture::lines(&entries).replacen("\n{", "\nrubbish {", 1);
        let error = Journal::read(written(text.as_bytes()).path()).unwrap_err();
        assert!(matches!(error, ReportError::Line { line: 2, .. }), "{error}");
        assert!(matches!(Journal::read(Path::new("/nonexistent/x")), Err(ReportError::Read { .. })));
    }
}

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::calendar;
use super::document::Schedule;

/// A calendar file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the calendar {} cannot be read: {source}", file.display())]
pub struct CalendarFileError {
    /// Which of the document's blackouts names it, counted from 0.
    pub blackout: usize,
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl Schedule {
    /// The same schedule with the text of its calendar files in place of their names (`calendarText`), so that it means
    /// the same on every controller. Relative names are meant from `folder`; without one, no file can be read.
    ///
    /// # Errors
    /// With the first file that cannot be read. Whether its text is understood is another question.
    pub fn with_calendars(&self, folder: Option<&Path>) -> Result<Self, CalendarFileError> {
        let mut schedule = self.clone();
        for (blackout, of) in schedule.spec.blackouts.iter_mut().enumerate() {
            let Some(file) = of.calendar.take() else { continue };
            let text = match folder {
                Some(folder) => read(&folder.join(&file)),
                None => Err(io::Error::other("the document is in no folder; give the text by `calendarText`")),
            };
            of.calendar_text = Some(text.map_err(|source| CalendarFileError { blackout, file, source })?);
        }
        Ok(schedule)
    }
}

fn read(file: &Path) -> io::Result<String> {
    // Asked before it is opened: a pipe would be waited for.
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    File::open(file)?.take(calendar::LONGEST as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

//! The forms of a sheet as files of a folder.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::{Format, Sheet, SheetError};

const FILES: [(&str, Format); 5] = [
    ("sheet.md", Format::Markdown),
    ("sheet.html", Format::Html),
    ("sheet.json", Format::Json),
    ("postmortem.md", Format::PostmortemMarkdown),
    ("postmortem.html", Format::PostmortemHtml),
];

impl Sheet {
    /// Writes every form into a folder that is there, on disk before it returns.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write_into(&self, folder: &Path) -> Result<(), SheetError> {
        for (name, format) in FILES {
            let (path, text) = (folder.join(name), self.render(format)?);
            write(&path, &text).map_err(|source| SheetError::File { path, source })?;
        }
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| SheetError::File { path: folder.to_owned(), source })
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

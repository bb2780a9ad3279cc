//! Writing to the standard streams, where the reader may leave and the disk may be full.

use std::io::{self, Write};

use anyhow::Context;

/// Writes data to standard output. That the reader has left (`faultline faults | head -1`) is no error.
///
/// # Errors
/// If the data could not be written, as on a full disk: data that was not delivered must not look delivered.
pub fn print(data: &str) -> anyhow::Result<()> {
    settle(deliver(&mut io::stdout().lock(), data)).context("cannot write to standard output")
}

/// Prints data as JSON, indented, with a line feed at the end.
///
/// # Errors
/// As [`print()`].
pub fn print_json(data: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(data).context("cannot write this as JSON")?;
    print(&(text + "\n"))
}

/// Prints data as JSON for programs, else as text for people.
///
/// # Errors
/// As [`print()`].
pub fn either(json: bool, data: &impl serde::Serialize, human: impl FnOnce() -> String) -> anyhow::Result<()> {
    if json { print_json(data) } else { print(&human()) }
}

/// Writes a message for people to standard error. Nobody is left to hear that this failed.
pub fn tell(message: &str) {
    let _ = deliver(&mut io::stderr().lock(), message);
}

fn deliver(stream: &mut impl Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

fn settle(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_who_left_is_forgiven() {
        assert!(settle(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(settle(Err(io::ErrorKind::StorageFull.into())).is_err());
    }
}

use std::io::{self, ErrorKind, Write};

use super::Failure;

/// Writes data to standard output. A reader who left is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stream = io::stdout().lock();
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure { message: format!("cannot write to standard output: {error}"), hint: None })
        }
        _ => Ok(()),
    }
}

/// Prints data as JSON, indented, with a line feed at the end.
pub(crate) fn print_json(data: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(data).map_err(|error| Failure::of(&error))?;
    print(&(text + "\n"))
}

/// Writes a line for people to standard error. Nobody is left to hear that this failed.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

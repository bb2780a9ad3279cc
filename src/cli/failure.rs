//! How an error is told, and which exit code it has.
//!
//! Rooms have errors of their own types; subcommands return them by `?`. Here is the one list of those types that
//! have a hint or an exit code of their own.

use std::error::Error;
use std::fmt;

use faultline_agent::credentials::CredentialsError;
use faultline_agent::engine::{EngineError, InjectError};
use faultline_agent::fault::PlanError;
use faultline_agent::halt::HaltError;
use faultline_agent::policy::{PolicyError, Refusal};
use faultline_agent::state::StateError;

use super::flags::Global;
use super::output;
use crate::authority::AuthorityError;
use crate::document::load::LoadError;
use crate::hypothesis::AgainError;
use crate::report::ReportError;
use crate::report::runs::RunsError;
use crate::services::ServiceError;
use crate::targets::TargetError;
use faultline_agent::target::TargetError as HostTargetError;

/// The document or the command line is wrong.
pub const USAGE: u8 = 2;
/// Something that must be so beforehand is not: rights, files, targets, policy. Nothing was touched.
pub const PRECONDITION: u8 = 3;
/// The fault could not be applied.
pub const NOT_APPLIED: u8 = 6;
/// It is not certain that everything was undone.
pub const UNCERTAIN: u8 = 7;

/// An error that a subcommand itself finds, with its exit code and the way on.
#[derive(Debug)]
pub struct Failure {
    message: String,
    hint: Option<String>,
    code: u8,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// The document or the command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// Something that must be so beforehand is not.
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(PRECONDITION, message)
    }

    /// It is not certain that everything was undone.
    pub fn uncertain(message: impl Into<String>) -> Self {
        Self::new(UNCERTAIN, message)
    }

    /// A failure with any exit code but those of success and of a violated objective.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: if code < 2 { PRECONDITION } else { code }, source: None }
    }

    /// The same with a way on.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with what caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What a room's error says beside its message.
struct Told {
    code: u8,
    hint: Option<String>,
}

/// The one list of errors with an exit code or a hint of their own.
fn told(error: &(dyn Error + 'static)) -> Option<Told> {
    let of = |code, hint: &str| Some(Told { code, hint: (!hint.is_empty()).then(|| hint.to_owned()) });
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return of(failure.code, failure.hint.as_deref().unwrap_or_default());
    }
    if error.is::<LoadError>() || error.is::<crate::schedule::CalendarFileError>() {
        return of(USAGE, "");
    }
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return of(PRECONDITION, &refusal.hint);
    }
    if let Some(error) = error.downcast_ref::<PolicyError>() {
        return of(PRECONDITION, &error.hint());
    }
    if let Some(error) = error.downcast_ref::<EngineError>() {
        return of(PRECONDITION, error.hint().as_deref().unwrap_or_default());
    }
    if let Some(error) = error.downcast_ref::<InjectError>() {
        let code = match error {
            InjectError::Halted(_) | InjectError::Refused(_) => PRECONDITION,
            _ if !error.stuck().is_empty() => UNCERTAIN,
            _ => NOT_APPLIED,
        };
        return of(code, error.hint().as_deref().unwrap_or_default());
    }
    if let Some(error) = error.downcast_ref::<TargetError>() {
        return of(PRECONDITION, error.hint());
    }
    if let Some(error) = error.downcast_ref::<HostTargetError>() {
        return of(PRECONDITION, error.hint());
    }
    if let Some(error) = error.downcast_ref::<AuthorityError>() {
        let code = match error {
            AuthorityError::Name(_) | AuthorityError::NoName => USAGE,
            _ => PRECONDITION,
        };
        return of(code, &error.hint());
    }
    if let Some(error) = error.downcast_ref::<CredentialsError>() {
        return of(PRECONDITION, &error.hint);
    }
    if let Some(error) = error.downcast_ref::<StateError>() {
        return of(PRECONDITION, &error.hint);
    }
    if let Some(error) = error.downcast_ref::<ServiceError>() {
        return of(if error.is_of_the_document() { USAGE } else { PRECONDITION }, error.hint());
    }
    if let Some(error) = error.downcast_ref::<PlanError>() {
        let code = match error {
            PlanError::Parameter { .. } => USAGE,
            PlanError::NoTarget { .. } | PlanError::Refused { .. } | PlanError::Facts(_) => PRECONDITION,
            PlanError::Unsupported { .. } => NOT_APPLIED,
        };
        return of(code, error.hint());
    }
    if let Some(error) = error.downcast_ref::<HaltError>() {
        return match error {
            HaltError::File { .. } => of(PRECONDITION, "halt one state folder with --state, or as root everything"),
            HaltError::Processes(_) | HaltError::Recover(_) => of(UNCERTAIN, "`faultline list` shows what is in place"),
        };
    }
    if let Some(error) = error.downcast_ref::<ReportError>() {
        return of(PRECONDITION, error.hint());
    }
    if let Some(error) = error.downcast_ref::<AgainError>() {
        return of(USAGE, error.hint().as_deref().unwrap_or_default());
    }
    if let Some(error) = error.downcast_ref::<RunsError>() {
        return of(USAGE, &error.hint());
    }
    if let Some(error) = error.downcast_ref::<faultline_agent::kernel::KernelError>() {
        return of(NOT_APPLIED, error.hint.as_deref().unwrap_or_default());
    }
    None
}

/// The exit code: the first in the chain of causes that has one, else that of an unmet precondition. Never 0, and
/// never 1, which is a verdict.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(told).map_or(PRECONDITION, |told| told.code)
}

/// The hints of an error and its causes, each once.
pub fn hints(error: &anyhow::Error) -> Vec<String> {
    let mut hints: Vec<String> = error.chain().filter_map(told).filter_map(|told| told.hint).collect();
    hints.dedup();
    hints
}

/// Prints an error with its causes and hints to standard error.
pub fn report(error: &anyhow::Error, global: &Global) {
    output::tell(&render(error, global.colour_on_stderr()));
}

/// A wrong document is shown line by line; any other error as `error: …`, a line `caused by: …` for each cause that says something new, and after an empty line the hints.
pub fn render(error: &anyhow::Error, colour: bool) -> String {
    if let Some(error) = error.downcast_ref::<LoadError>() {
        return error.render(colour);
    }
    let paint = |style: &str, word: &str| if colour { format!("\x1b[{style}m{word}\x1b[0m") } else { word.to_owned() };
    let mut text = format!("{} {error}\n", paint("1;31", "error:"));
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let message = cause.to_string();
        // Many errors already end with their source; saying it twice helps nobody.
        if !last.contains(&message) {
            text.push_str(&format!("  {} {message}\n", paint("2", "caused by:")));
            last = message;
        }
    }
    for hint in hints(error) {
        text.push_str(&format!("\n{} {hint}\n", paint("1;36", "hint:")));
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn causes_and_hints_are_told_once_each() {
        let io = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "permission denied");
        let error = Err::<(), _>(Failure::precondition("cannot open /x").because(io).hint("run it as root"))
            .context("cannot list the active faults")
            .unwrap_err();
        assert_eq!(
            render(&error, false),
            "error: cannot list the active faults\n  caused by: cannot open /x\n  caused by: permission denied\n\n\
             hint: run it as root\n"
        );
        assert_eq!(exit_code(&error), PRECONDITION);
    }

    #[test]
    fn an_error_is_never_success_nor_a_verdict() {
        assert_eq!(exit_code(&anyhow::anyhow!("anything")), PRECONDITION);
        assert_eq!(exit_code(&Failure::new(0, "x").into()), PRECONDITION);
        assert_eq!(exit_code(&Failure::new(1, "x").into()), PRECONDITION);
        let unsupported = PlanError::Unsupported { message: "no netem".into(), hint: String::new() };
        assert_eq!(exit_code(&unsupported.into()), NOT_APPLIED);
    }
}

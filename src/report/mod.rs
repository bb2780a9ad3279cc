//! Reports, one file a format, made from a run's journal alone.
//!
//! [`read_journal`] reads the journal, [`RunReport::from_entries`] puts everything together that any format says, and
//! [`render`] writes one of them. Nothing here asks the host, the clock or the network: the same journal gives the same
//! report, to the byte, as often as one likes.

mod assemble;
mod chain;
mod faults;
pub mod gate;
mod hosts;
pub(crate) mod html;
mod human;
pub(crate) mod ink;
mod journal;
mod json;
mod junit;
pub(crate) mod markdown;
mod model;
pub(crate) mod notation;
pub mod runs;
pub mod sarif;
pub(crate) mod series;
pub(crate) mod timeline;

#[cfg(test)]
pub(crate) mod fixture;

pub use journal::{Journal, read_journal};
pub use json::schema;
pub use model::{
    Bound, BoundRole, BoundSide, DoseRow, Failure, FaultProgress, FaultReport, GuardrailRow, HostMoment, HostReport,
    JudgedAgain, Link, LinkState, Moment, MomentKind, ObjectiveRow, Panel, PhaseLatency, PhaseSpan, PhaseSummary,
    PhaseVerdict, Point, ReportKind, RunIdentity, RunReport, ServiceChange, ServiceReport, SignalSeries, StepReport,
};

use std::path::PathBuf;

/// The formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal.
    Human {
        /// Whether to use colour.
        colour: bool,
        /// The number of columns; never taken for fewer than 40.
        width: usize,
    },
    /// All data, as `schemas/report.json` describes it.
    Json,
    /// One HTML file that loads nothing and runs nothing.
    Html,
    /// JUnit XML, for CI systems.
    Junit,
    /// Markdown, for the summaries of CI systems.
    Markdown,
}

/// Writes a report in a format.
///
/// # Errors
/// If the format cannot hold what the report says.
pub fn render(report: &RunReport, format: Format) -> Result<String, ReportError> {
    match format {
        Format::Human { colour, width } => Ok(human::render(report, colour, width)),
        Format::Json => json::render(report),
        Format::Html => Ok(html::render(report)),
        Format::Junit => junit::render(report),
        Format::Markdown => Ok(markdown::render(report)),
    }
}

/// Several reports in one JUnit file, a test suite each.
///
/// # Errors
/// If XML cannot hold what a report says.
pub fn junit(reports: &[RunReport]) -> Result<String, ReportError> {
    junit::render_all(reports)
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The journal could not be read.
    #[error("cannot read the journal {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A line of the journal, other than a torn last one, is not an entry.
    #[error("{}:{line}: this line of the journal is not an entry: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The reason.
        source: serde_json::Error,
    },
    /// The journal does not say how the run began, so there was no run.
    #[error("the journal does not begin with the start of a run")]
    NotStarted,
    /// A format cannot hold the report.
    #[error("cannot write the report as {format}: {reason}")]
    Write {
        /// The format.
        format: &'static str,
        /// The reason.
        reason: String,
    },
}

impl ReportError {
    /// The way on.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "`faultline report --list` shows the runs whose journals are here",
            Self::Line { .. } => {
                "the file was changed by hand, or written by another version of faultline: use the version that wrote \
                 it (the first line names it)"
            }
            Self::NotStarted => {
                "the run ended before anything was recorded, and so before anything was touched; start it again"
            }
            Self::Write { .. } => "the other formats are not concerned: try `--format human`",
        }
    }
}

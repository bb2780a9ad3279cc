//! `faultline check`: whether documents can be used, with everything that is wrong with them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::flags::Global;
use super::{failure, output};
use crate::document::diagnostic::{self, Diagnostic, Located, Severity};
use crate::document::load::{self, LoadError};
use crate::document::set::Setting;
use crate::document::{Document, Kind};
use crate::report::sarif;

/// Check documents and say everything that is wrong; touches nothing
#[derive(Debug, Args)]
pub struct Arguments {
    /// Files of documents; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Change a value first, as in `--set method[1].inject.for=5s`
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<Setting>,
    /// Fail on warnings too
    #[arg(long)]
    pub strict: bool,
    /// How to print: text for people, JSON, or SARIF 2.1.0 for code hosts
    #[arg(long, value_enum, default_value_t)]
    pub format: CheckFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// In which format findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CheckFormat {
    /// For people
    #[default]
    Human,
    /// All findings as JSON
    Json,
    /// SARIF 2.1.0
    Sarif,
}

/// What is printed for other programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    /// The files, as given.
    file: String,
    /// Whether it can be used (with `--strict`, without a warning).
    usable: bool,
    /// The names of the experiments in it, if it can be used.
    experiments: Vec<String>,
    /// All documents in it, if it can be used.
    documents: Vec<CheckedDocument>,
    /// Everything that is wrong.
    findings: Vec<Located>,
}

/// A document that can be used.
#[derive(Debug, Serialize)]
struct CheckedDocument {
    /// Its kind, as written behind `kind:`.
    kind: &'static str,
    /// Its name.
    name: String,
}

/// Checks each file, prints what is wrong, and answers with 2 if any cannot be used.
///
/// # Errors
/// If the findings cannot be printed.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let colour = global.colour_on_stderr();
    let format = if arguments.json { CheckFormat::Json } else { arguments.format };
    let mut checked = Vec::new();
    let mut text = String::new();
    for file in &arguments.files {
        let name = load::name_of(file);
        let (documents, findings, told) = match load::load(file, &arguments.set) {
            Ok(loaded) => {
                let warnings: Vec<Diagnostic> = loaded.iter().flat_map(|one| one.warnings.clone()).collect();
                let told: String = loaded.iter().map(|one| one.render_warnings(colour)).collect();
                let located =
                    loaded.iter().flat_map(|one| one.warnings.iter().map(|warning| warning.locate(&one.sources)));
                let documents: Vec<&Document> = loaded.iter().map(|one| &one.document).collect();
                text += &summary(&name, &documents, &warnings);
                let checked: Vec<CheckedDocument> = documents
                    .iter()
                    .map(|one| CheckedDocument { kind: one.kind().name(), name: one.metadata().name.clone() })
                    .collect();
                (checked, located.collect(), told)
            }
            Err(error) => (Vec::new(), located(&error, &name), error.render(colour)),
        };
        let failed = |finding: &Located| arguments.strict || finding.severity == Severity::Error;
        let usable = !findings.iter().any(failed);
        if format == CheckFormat::Human && !told.is_empty() {
            output::tell(&(told + "\n"));
        }
        let experiments = documents.iter().filter(|one| one.kind == Kind::Experiment.name());
        let experiments = experiments.map(|one| one.name.clone()).collect();
        checked.push(Checked { file: name, usable, experiments, documents, findings });
    }
    match format {
        CheckFormat::Json => output::print_json(&checked)?,
        CheckFormat::Sarif => {
            let findings: Vec<Located> = checked.iter().flat_map(|file| file.findings.clone()).collect();
            output::print(&sarif::render(&findings)?)?;
        }
        CheckFormat::Human if global.quiet => {}
        CheckFormat::Human => output::print(&text)?,
    }
    let usable = checked.iter().all(|file| file.usable);
    Ok(if usable { ExitCode::SUCCESS } else { ExitCode::from(failure::USAGE) })
}

fn located(error: &LoadError, name: &str) -> Vec<Located> {
    match error {
        LoadError::Wrong { diagnostics, sources, .. } => {
            diagnostics.iter().map(|diagnostic| diagnostic.locate(sources)).collect()
        }
        LoadError::Unreadable { hint, .. } => vec![Located {
            severity: Severity::Error,
            file: name.into(),
            line: 0,
            column: 0,
            path: String::new(),
            message: error.to_string(),
            hint: (!hint.is_empty()).then(|| hint.clone()),
        }],
    }
}

fn summary(file: &str, documents: &[&Document], warnings: &[Diagnostic]) -> String {
    let mut what = Vec::new();
    for kind in Kind::ALL {
        let of = documents.iter().filter(|document| document.kind() == *kind);
        let names: Vec<&str> = of.map(|document| document.metadata().name.as_str()).collect();
        match names.as_slice() {
            [] => {}
            [one] => what.push(format!("{} {one}", kind.noun())),
            several => what.push(format!("{}s {}", kind.noun(), several.join(", "))),
        }
    }
    let but = if warnings.is_empty() { String::new() } else { format!(", with {}", diagnostic::count(warnings)) };
    format!("{file}: {} can be used{but}\n", what.join(" and "))
}

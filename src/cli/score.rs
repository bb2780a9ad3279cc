//! `faultline score`: how resilient services have shown themselves to be.

use std::process::ExitCode;

use clap::Args;
use faultline_agent::state::StateFolder;
use serde::Serialize;

use super::failure::Failure;
use super::flags::{DataFormat, Global};
use super::output;
use crate::document::suggest;
use crate::score::record::{self, SERVICE_LABEL, Trials};
use crate::score::{ServiceScore, scores, text};

/// Show how resilient each service has proven to be; touches nothing
///
/// By its runs on this host, one number from 0 to 100 a service: the mean over its dependencies and itself of what its experiments showed, by the share
/// of held verdicts and their age. What was not tested counts as zero. docs/score.md has the definition. A service is named
/// by spec.about.service of its experiments, or by their label `service`. Runs of a fleet are told by the host of their
/// controller, with its state folder.
#[derive(Debug, Args)]
pub struct Arguments {
    /// One service [default: all]
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// What is printed for other programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Scored {
    /// The services.
    services: Vec<ServiceScore>,
    /// How many runs name no service.
    runs_of_no_service: usize,
    /// How many journals could not be read.
    unreadable: usize,
}

/// Prints the scores.
///
/// # Errors
/// If the runs cannot be read, or there is no such service.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let Trials { trials, of_no_service, unreadable } = match StateFolder::existing(global.state.as_deref())? {
        Some(state) => record::read(&state.runs())?,
        None => Trials::default(),
    };
    let mut services = scores(&trials, jiff::Timestamp::now());
    if let Some(wanted) = &arguments.service {
        let names: Vec<String> = services.iter().map(|score| score.service.clone()).collect();
        services.retain(|score| score.service == *wanted);
        if services.is_empty() {
            return Err(unknown(wanted, &names).into());
        }
    }
    if arguments.format.json {
        output::print_json(&Scored { services, runs_of_no_service: of_no_service, unreadable })?;
        return Ok(ExitCode::SUCCESS);
    }
    if services.is_empty() {
        output::print(
            "no run of a service yet: name the service in its experiments, `spec: { about: { service: NAME } }`\n",
        )?;
    } else {
        output::print(&text::render(&services))?;
    }
    if !global.quiet {
        output::tell(&left_out(of_no_service, unreadable));
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(wanted: &str, names: &[String]) -> Failure {
    let near = suggest::nearest(wanted, names.iter().map(String::as_str));
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    let all = if names.is_empty() { "none".into() } else { names.join(", ") };
    Failure::usage(format!("no run on this host is of the service `{wanted}`"))
        .hint(format!("{near}the services are: {all}"))
}

/// What is not in the scores.
fn left_out(of_no_service: usize, unreadable: usize) -> String {
    let mut told = String::new();
    if of_no_service > 0 {
        let runs = if of_no_service == 1 { "1 run is".to_owned() } else { format!("{of_no_service} runs are") };
        told += &format!("{runs} of no service (neither spec.about nor the label `{SERVICE_LABEL}`)\n");
    }
    if unreadable > 0 {
        let journals = if unreadable == 1 { "1 journal".to_owned() } else { format!("{unreadable} journals") };
        told += &format!("{journals} cannot be read: `faultline report --list` names each\n");
    }
    told
}

//! `faultline runs`: the runs of a controller.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::client::{ControllerFlags, part, query};
use super::flags::{DataFormat, Global};
use super::report::ReportFormat;
use super::{output, table};
use crate::console::{ApprovalRequest, Reason};
use crate::controller::runs::{RunDetails, RunView, RunsPage};

/// List, show, approve and cancel the runs of a controller
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: RunsCommand,
    /// The controller
    #[command(flatten)]
    pub controller: ControllerFlags,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// What can be done with runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List runs, the newest first
    List {
        /// Only those in these states: queued, waiting-for-approval, claimed, running, closing, finished, cancelled
        #[arg(long, value_name = "STATE,…")]
        states: Option<String>,
        /// Only those of this experiment
        #[arg(long, value_name = "NAME")]
        experiment: Option<String>,
        /// Only those that this schedule made
        #[arg(long, value_name = "NAME")]
        schedule: Option<String>,
        /// Only those with these labels
        #[arg(long, value_name = "NAME=VALUE,…")]
        labels: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_name = "NUMBER")]
        limit: u32,
    },
    /// Show one run with its hosts and approvals
    Show {
        /// Its id
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// Print the report of a run, as far as it has come
    Report {
        /// Its id
        #[arg(value_name = "RUN")]
        run: String,
        /// In which format
        #[arg(long, value_enum, default_value = "human")]
        format: ReportFormat,
    },
    /// Approve the plan of a run
    Approve {
        /// Its id
        #[arg(value_name = "RUN")]
        run: String,
        /// The hash of the plan that you have looked at (`faultline runs show`)
        #[arg(long, value_name = "HASH")]
        plan_hash: String,
    },
    /// Cancel a run that waits; have one that is under way undo everything and end
    Cancel {
        /// Its id
        #[arg(value_name = "RUN")]
        run: String,
        /// Why, for those who wait for it and for the audit log
        #[arg(long, default_value = "cancelled by hand")]
        reason: String,
    },
}

/// Asks the controller.
///
/// # Errors
/// If it cannot be asked, or refuses.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    let client = arguments.controller.client()?;
    let json = arguments.format.json;
    match arguments.command {
        RunsCommand::List { states, experiment, schedule, labels, limit } => {
            let limit = Some(limit.to_string());
            let pairs = [
                ("state", states),
                ("experiment", experiment),
                ("schedule", schedule),
                ("labels", labels),
                ("limit", limit),
            ];
            let page: RunsPage = client.get(&format!("/v1/runs{}", query(pairs)))?;
            output::either(json, &page, || list(&page.runs))?;
        }
        RunsCommand::Show { run } => {
            let details: RunDetails = client.get(&format!("/v1/runs/{}", part(&run)))?;
            output::either(json, &details, || show(&details))?;
        }
        RunsCommand::Report { run, format } => {
            let format = if json { "json" } else { format.word() };
            output::print(&client.text(&format!("/v1/runs/{}/report?format={format}", part(&run)))?)?;
        }
        RunsCommand::Approve { run, plan_hash } => {
            let path = format!("/v1/runs/{}/approval", part(&run));
            let details: RunDetails = client.send_once(&path, None, &ApprovalRequest { plan_hash }, output::tell)?;
            output::either(json, &details, || {
                let (given, needed) = (details.approvals.len(), details.run.approvals_needed);
                format!("approved, {given} of {needed}: run {} is {}\n", details.run.id, details.run.state.word())
            })?;
        }
        RunsCommand::Cancel { run, reason } => {
            let path = format!("/v1/runs/{}/cancel", part(&run));
            let run: RunView = client.send_once(&path, None, &Reason { reason }, output::tell)?;
            output::either(json, &run, || match run.stop_requested {
                Some(_) => format!("run {} undoes everything and ends: `faultline runs show {}`\n", run.id, run.id),
                None => format!("run {} is cancelled\n", run.id),
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(runs: &[RunView]) -> String {
    if runs.is_empty() {
        return "no runs\n".into();
    }
    let mut lines = table::table(&["run", "state", "submitted", "by", "experiment"]);
    for run in runs {
        let state = run.verdict.clone().unwrap_or_else(|| run.state.word().into());
        let submitted = run.submitted_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        lines.add_row([run.id.clone(), state, submitted, run.requested_by.clone(), run.experiment.clone()]);
    }
    table::text(&mut lines)
}

fn show(details: &RunDetails) -> String {
    let run = &details.run;
    let mut text = format!("{} {}\n", run.id, run.experiment);
    let state = match (&run.verdict, &run.because) {
        (Some(verdict), Some(because)) => format!("{verdict}: {because}"),
        (None, Some(because)) => format!("{}: {because}", run.state.word()),
        _ => run.state.word().into(),
    };
    text += &format!("  {state}\n  asked for by {} at {}\n", run.requested_by, run.submitted_at);
    details.waiting_for.iter().for_each(|reason| text += &format!("  waits for {reason}\n"));
    if let Some(reason) = &run.stop_requested {
        text += &format!("  asked to end: {reason}\n");
    }
    text += &format!("  hosts: {}\n  seed {}, plan {}\n", details.hosts.join(" "), run.seed, run.plan_hash);
    if run.approvals_needed > 0 {
        let by: Vec<&str> = details.approvals.iter().map(|approval| approval.approver.as_str()).collect();
        text += &format!("  approvals: {} of {} ({})\n", by.len(), run.approvals_needed, by.join(", "));
    }
    if let Some(controller) = &run.controller {
        text += &format!("  driven by {controller}\n");
    }
    text
}

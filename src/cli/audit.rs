//! `faultline audit`: the audit log of a controller.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;
use jiff::Timestamp;

use super::client::{ControllerFlags, query};
use super::flags::{DataFormat, Global};
use super::{output, table};
use crate::console::VerifyRequest;
use crate::controller::audit::{AuditPage, AuditVerified};

/// Read the audit log of a controller, and see that nobody changed it
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: AuditCommand,
    /// The controller
    #[command(flatten)]
    pub controller: ControllerFlags,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List records, the newest first
    List {
        /// Only what this actor did, such as token/ci
        #[arg(long)]
        actor: Option<String>,
        /// Only this action, such as run or halt
        #[arg(long)]
        action: Option<String>,
        /// Only what was done to this, such as run/20261121T074455-3fa9c1
        #[arg(long)]
        object: Option<String>,
        /// Only at this time or later, such as 2026-11-21T08:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "NUMBER")]
        limit: u32,
    },
    /// Follow the whole log; prints its head, to be kept elsewhere and given the next time
    Verify {
        /// A head that was kept elsewhere: the log must contain it
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<String>,
    },
}

/// Asks the controller.
///
/// # Errors
/// If it cannot be asked, or refuses, or the log was tampered with.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    let client = arguments.controller.client()?;
    let json = arguments.format.json;
    match arguments.command {
        AuditCommand::List { actor, action, object, since, limit } => {
            let (since, limit) = (since.map(|since| since.to_string()), Some(limit.to_string()));
            let pairs = [("actor", actor), ("action", action), ("object", object), ("since", since), ("limit", limit)];
            let page: AuditPage = client.get(&format!("/v1/audit{}", query(pairs)))?;
            output::either(json, &page, || human(&page))?;
        }
        AuditCommand::Verify { head } => {
            let verified: AuditVerified =
                client.send(Method::POST, "/v1/audit/verify", Some(&VerifyRequest { head }))?;
            output::either(json, &verified, || format!("{}\n", verified.head))?;
            if !json {
                output::tell(&format!("{} records, none of them changed, removed or put in\n", verified.records));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn human(page: &AuditPage) -> String {
    let mut lines = table::table(&["number", "at", "who", "what", "to what", "outcome"]);
    for record in &page.records {
        lines.add_row([
            record.sequence.to_string(),
            record.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            record.actor.clone(),
            record.action.clone(),
            record.object.clone(),
            record.outcome.clone(),
        ]);
    }
    table::wrapped(&mut lines)
}

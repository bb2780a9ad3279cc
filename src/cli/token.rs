//! `faultline token`: tokens of a controller's API.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use faultline_agent::units::TimeSpan;
use http::Method;

use super::client::{ControllerFlags, part};
use super::flags::{DataFormat, Global};
use super::{output, table};
use crate::access::{Role, Scope};
use crate::console::ApiTokenRequest;
use crate::controller::api_tokens::{ApiTokenView, ApiTokensList, MadeApiToken};

/// Make, list and revoke tokens of a controller's API
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: TokenCommand,
    /// The controller
    #[command(flatten)]
    pub controller: ControllerFlags,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is shown this once
    Create {
        /// Who bears it: a person or a program, as the audit log will say
        #[arg(value_name = "NAME")]
        name: String,
        /// What it is good for: viewer, operator, approver or admin
        #[arg(long)]
        role: Role,
        /// To what it is limited, such as team=payments,env=staging|test
        #[arg(long, default_value = "*", value_name = "LABELS")]
        scope: Scope,
        /// How long it is good [default: for ever]
        #[arg(long, value_name = "TIME")]
        lasts: Option<TimeSpan>,
    },
    /// List all tokens, without their secrets
    List,
    /// Take a token back
    Revoke {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
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
        TokenCommand::Create { name, role, scope, lasts } => {
            let request = ApiTokenRequest { name, role: role.to_string(), scope: scope.to_string(), lasts };
            let made: MadeApiToken = client.send(Method::POST, "/v1/tokens", Some(&request))?;
            output::either(json, &made, || format!("{}\n", made.token))?;
            if !json {
                output::tell(&format!("token {} of {} is not shown again\n", made.id, request.name));
            }
        }
        TokenCommand::List => {
            let list: ApiTokensList = client.list("/v1/tokens")?;
            output::either(json, &list, || human(&list.tokens))?;
        }
        TokenCommand::Revoke { id } => {
            let path = format!("/v1/tokens/{}", part(&id));
            let token: ApiTokenView = client.send(Method::DELETE, &path, None::<&()>)?;
            output::either(json, &token, || format!("token {} of {} is taken back\n", token.id, token.name))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn human(tokens: &[ApiTokenView]) -> String {
    let mut lines = table::table(&["token", "of", "role", "scope", "last used", "state"]);
    for token in tokens {
        let state = match (&token.revoked_at, &token.expires_at) {
            (Some(at), _) => format!("revoked {at}"),
            (None, Some(end)) => format!("until {end}"),
            (None, None) => "for ever".into(),
        };
        let used = token.used_at.map_or_else(|| "never".into(), |at| at.strftime("%Y-%m-%d %H:%MZ").to_string());
        let ApiTokenView { id, name, role, scope, .. } = token.clone();
        lines.add_row([id, name, role, scope, used, state]);
    }
    table::text(&mut lines)
}

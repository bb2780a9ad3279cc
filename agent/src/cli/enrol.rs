use std::io::Read;
use std::process::ExitCode;

use clap::Args;
use faultline_agent::credentials::{EnrolmentToken, TokenError};
use faultline_agent::session::{Address, Enrolment, discover, enrol, enrolled};

use super::{Failure, Global, labels, output};

/// The variable that holds a token, for whom does not want it among the arguments, where others can read it.
const TOKEN_VARIABLE: &str = "FAULTLINE_ENROLMENT_TOKEN";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The controller's port for people and programs
    #[arg(long, value_name = "URL")]
    controller: String,
    /// The one-time token, or `-` to read it from standard input [default: $FAULTLINE_ENROLMENT_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The name under which this host is known [default: its host name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Labels by which this host is chosen as a target
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_delimiter = ',', value_parser = labels::parse)]
    labels: Vec<(String, String)>,
}

pub(super) fn run(global: &Global, arguments: Arguments) -> Result<ExitCode, Failure> {
    let state = global.state()?;
    let controller: Address =
        arguments.controller.parse().map_err(|error: faultline_agent::session::AddressError| Failure::of(&error))?;
    let token: EnrolmentToken = token(arguments.token)?.parse().map_err(|error: TokenError| Failure {
        hint: Some("copy it whole, as `faultline token` printed it".into()),
        ..Failure::of(&error)
    })?;
    let own_name = || discover::labels().remove("faultline.dev/host-name").unwrap_or_default();
    let name = arguments.name.unwrap_or_else(own_name);
    let enrolment = Enrolment { controller, token, name, labels: arguments.labels.into_iter().collect() };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| Failure::of(&error))?;
    let credentials = runtime
        .block_on(enrol(enrolment, &enrolled::folder(&state)))
        .map_err(|trouble| Failure { message: trouble.message, hint: Some(trouble.hint) })?;
    let (identity, controller) = (credentials.identity(), credentials.controller());
    if global.json {
        output::print_json(&serde_json::json!({
            "name": identity.name,
            "serial": identity.serial,
            "notAfter": identity.not_after,
            "controller": controller.address,
        }))?;
    } else {
        output::print(&format!(
            "enrolled as {} at {}; certificate valid until {}\n",
            identity.name, controller.address, identity.not_after
        ))?;
        output::tell("`faultline-agent run` connects it");
    }
    Ok(ExitCode::SUCCESS)
}

fn token(given: Option<String>) -> Result<String, Failure> {
    match given {
        Some(text) if text == "-" => {
            let mut text = String::new();
            std::io::stdin().take(4096).read_to_string(&mut text).map_err(|error| Failure::of(&error))?;
            Ok(text)
        }
        Some(text) => Ok(text),
        None => std::env::var(TOKEN_VARIABLE).map_err(|_| Failure {
            message: format!("no token: neither --token nor {TOKEN_VARIABLE} names one"),
            hint: Some("make one at the controller: `faultline token`".into()),
        }),
    }
}

//! `faultline rotate`: a new authority in place of the old, for a whole fleet.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;

use super::client::{Client, ControllerFlags};
use super::flags::{DataFormat, Global};
use super::{output, table};
use crate::authority::Authority;
use crate::controller::rotation::{Force, RotationRequest, RotationView};

/// Replace the authority that signs the certificates of a fleet, without enrolling a host again
///
/// Three steps, while everything goes on. `begin` makes the next authority, which is trusted beside the present one from
/// then on; connected agents are told to renew their certificates and learn of it within seconds. `switch` lets it sign,
/// certificates of controllers too; agents renew once more. `finish` forgets the former authority and refuses what it
/// signed. A step that would cut a host off is refused, and names it, unless it is forced.
///
/// Whoever uses the command line with --fingerprint must name the next authority too from `begin` on, and with --ca the
/// file must hold both: `status` prints them. Tokens by which hosts join are good for the authority that signed when they
/// were made.
///
/// Of several controllers, the one that is asked to begin has the new key, and no other gets it over the network or from the
/// store: copy its folder `authority` to each of them, `join` there, and remove the copy. `switch` waits for that.
///
/// --json prints an object whose fields keep their names: `step`, `since`, `fingerprints`, `trustBundle`, `nextStep`,
/// `waits`, `controllers`, `agents`, `agentsWaitedFor`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: RotateCommand,
    /// The controller
    #[command(flatten)]
    pub controller: ControllerFlags,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// The steps of a rotation.
#[derive(Debug, Subcommand)]
pub enum RotateCommand {
    /// Show which authorities are trusted, how far a rotation is, and what its next step waits for
    Status {
        /// Print the certificates of all that are trusted (PEM), for --ca, and nothing else
        #[arg(long, conflicts_with = "json")]
        pem: bool,
    },
    /// Make the next authority, and have everybody trust it. Forced: anew, if one was begun whose key is lost
    Begin(Forced),
    /// Let the next authority sign. Forced: although agents do not trust it yet, which must be enrolled again then
    Switch(Forced),
    /// Forget the former authority. Forced: although agents live by it, which must be enrolled again then
    Finish(Forced),
    /// On a controller that has not the key of the next authority: take it from a copy of the folder of one that has it
    Join {
        /// The controller's own data folder
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The copy of the folder `authority` of the other one, only readable for its owner
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
}

/// Whether a step is taken whoever is cut off by it.
#[derive(Debug, Args)]
pub struct Forced {
    /// Take the step at once, whoever is cut off by it
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// Why it is forced, for the audit log
    #[arg(long, value_name = "TEXT", requires = "force")]
    pub reason: Option<String>,
}

impl Forced {
    fn request(self) -> RotationRequest {
        RotationRequest { force: self.reason.filter(|_| self.force).map(|reason| Force { reason }) }
    }
}

/// Asks the controller, or takes the keys.
///
/// # Errors
/// If it cannot be asked, or refuses; if there are no keys to be taken.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    let Arguments { command, controller, format } = arguments;
    let (step, forced) = match command {
        RotateCommand::Join { data, from } => return join(&data, &from, format.json),
        RotateCommand::Status { pem } => {
            let view: RotationView = controller.client()?.get("/v1/authority")?;
            if pem {
                output::print(&view.trust_bundle)?;
            } else {
                output::either(format.json, &view, || human(&view))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        RotateCommand::Begin(forced) => ("begin", forced),
        RotateCommand::Switch(forced) => ("switch", forced),
        RotateCommand::Finish(forced) => ("finish", forced),
    };
    let client: Client = controller.client()?;
    let view: RotationView = client.send(Method::POST, &format!("/v1/authority/{step}"), Some(&forced.request()))?;
    output::either(format.json, &view, || human(&view))?;
    Ok(ExitCode::SUCCESS)
}

fn join(data: &std::path::Path, from: &std::path::Path, json: bool) -> anyhow::Result<ExitCode> {
    let held = Authority::take(&Authority::folder(data), from)?;
    let held: Vec<String> = held.iter().map(ToString::to_string).collect();
    output::either(json, &serde_json::json!({ "holds": held }), || {
        format!(
            "this controller has the keys of {}\nremove the copy: it holds the keys of the fleet\n",
            held.join(" and ")
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn human(view: &RotationView) -> String {
    let mut text = match (view.step.as_deref(), view.since) {
        (Some(step), Some(since)) => format!("rotation     {step} since {}\n", since.strftime("%Y-%m-%d %H:%M:%SZ")),
        _ => "rotation     never\n".to_owned(),
    };
    for (number, fingerprint) in view.fingerprints.iter().enumerate() {
        let role = if number == 0 { "signs" } else { "is trusted" };
        text += &format!("authority    {fingerprint} {role}\n");
    }
    if view.fingerprints.len() > 1 {
        text += &format!("             FAULTLINE_FINGERPRINT={}\n", view.fingerprints.join(","));
    }
    let mut lines = table::table(&["controller", "at", "signs with", "key"]);
    for one in &view.controllers {
        let key = if one.has_key { "here" } else { "MISSING" };
        lines.add_row([one.id.clone(), one.url.clone(), one.signs.clone(), key.into()]);
    }
    text += &table::text(&mut lines);
    for agent in &view.agents {
        let state = if agent.connected { "is connected, and told to renew" } else { "is not connected here" };
        let until = agent.not_after.strftime("%Y-%m-%d %H:%M:%SZ");
        text += &format!("waits for    {}: {state}; its certificate ends {until}\n", agent.agent);
    }
    text += &view.waits.iter().map(|wait| format!("before       {wait}\n")).collect::<String>();
    text + &format!("next         faultline rotate {}\n", view.next_step)
}

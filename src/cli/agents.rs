//! `faultline agents`: the hosts of a fleet, and tokens by which hosts join it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use faultline_agent::units::TimeSpan;
use http::Method;

use super::client::{ControllerFlags, part};
use super::flags::{DataFormat, Global};
use super::{output, table};
use crate::console::{EnrolmentTokenRequest, Reason};
use crate::controller::agents::{AgentDetails, AgentView, AgentsList, Revoked};
use crate::controller::enrolment::{EnrolmentTokenView, EnrolmentTokensList, MadeEnrolmentToken};
use crate::controller::unclean::{Acknowledged, UncleanView};

/// Show the agents of a controller, take one out, make tokens by which hosts join
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: AgentsCommand,
    /// The controller
    #[command(flatten)]
    pub controller: ControllerFlags,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// What can be done with agents.
#[derive(Debug, Subcommand)]
pub enum AgentsCommand {
    /// List all agents: health, faults in place, undos that are stuck, labels
    List,
    /// Show one agent with its certificates and what is stuck there
    Show {
        /// Its name
        #[arg(value_name = "AGENT")]
        agent: String,
    },
    /// Take an agent out of the fleet: its certificates are refused from now on, its connection ends
    Revoke {
        /// Its name
        #[arg(value_name = "AGENT")]
        agent: String,
        /// Why, for the audit log
        #[arg(long)]
        reason: String,
    },
    /// Take a host back on which a run may have left something, once you have seen to it: other runs may be put there
    Acknowledge {
        /// Its name
        #[arg(value_name = "HOST")]
        host: String,
        /// What you have seen and done, for the audit log
        #[arg(long)]
        reason: String,
    },
    /// Make a token by which hosts join the fleet; it is shown this once
    Token {
        /// A label that is bound to every host enrolled by it: the host cannot change it, and scopes of tokens decide by
        /// bound labels alone; may be given several times
        #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        /// How long it is good, 30 days at most
        #[arg(long, default_value = "1h", value_name = "TIME")]
        lasts: TimeSpan,
        /// How many hosts it enrols
        #[arg(long, default_value_t = 1, value_name = "NUMBER")]
        uses: u32,
    },
    /// List the tokens by which hosts join, without their secrets
    Tokens,
    /// Take such a token back
    RevokeToken {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE, such as role=db")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Asks the controller.
///
/// # Errors
/// If it cannot be asked, or refuses.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    let client = arguments.controller.client()?;
    let json = arguments.format.json;
    match arguments.command {
        AgentsCommand::List => {
            let list: AgentsList = client.list("/v1/agents")?;
            output::either(json, &list, || human(&list.agents))?;
        }
        AgentsCommand::Show { agent } => {
            let details: AgentDetails = client.get(&format!("/v1/agents/{}", part(&agent)))?;
            output::either(json, &details, || one(&details))?;
        }
        AgentsCommand::Revoke { agent, reason } => {
            let path = format!("/v1/agents/{}/revoke", part(&agent));
            let revoked: Revoked = client.send(Method::POST, &path, Some(&Reason { reason }))?;
            output::either(json, &revoked, || {
                let then = if revoked.cut_off { "; it was connected and is cut off" } else { "" };
                format!("{} is revoked: {} certificates are refused{then}\n", revoked.agent, revoked.certificates.len())
            })?;
        }
        AgentsCommand::Acknowledge { host, reason } => {
            let path = format!("/v1/agents/{}/acknowledge", part(&host));
            let answer: Acknowledged = client.send(Method::POST, &path, Some(&Reason { reason }))?;
            output::either(json, &answer, || acknowledged(&answer))?;
        }
        AgentsCommand::Token { labels, lasts, uses } => {
            let labels: BTreeMap<String, String> = labels.into_iter().collect();
            let request = EnrolmentTokenRequest { labels, lasts, uses };
            let made: MadeEnrolmentToken = client.send(Method::POST, "/v1/enrolment-tokens", Some(&request))?;
            output::either(json, &made, || format!("{}\n", made.token))?;
            if !json {
                output::tell(&format!(
                    "token {} is good until {} and is not shown again; on the host: `faultline-agent enrol`\n",
                    made.id, made.expires_at
                ));
            }
        }
        AgentsCommand::Tokens => {
            let list: EnrolmentTokensList = client.list("/v1/enrolment-tokens")?;
            output::either(json, &list, || tokens(&list.tokens))?;
        }
        AgentsCommand::RevokeToken { id } => {
            let path = format!("/v1/enrolment-tokens/{}", part(&id));
            let token: EnrolmentTokenView = client.send(Method::DELETE, &path, None::<&()>)?;
            output::either(json, &token, || format!("token {} is taken back\n", token.id))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn human(agents: &[AgentView]) -> String {
    if agents.is_empty() {
        return "no agents yet: `faultline agents token` makes a token by which a host joins\n".into();
    }
    let mut lines = table::table(&["agent", "state", "faults", "stuck", "last seen", "labels"]);
    for agent in agents {
        lines.add_row([
            agent.name.clone(),
            state(agent),
            agent.active.len().to_string(),
            agent.stuck.len().to_string(),
            agent.last_seen.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            [labels(&agent.labels, false), contradictions(agent)].join(" ").trim_end().to_owned(),
        ]);
    }
    let mut text = table::wrapped(&mut lines);
    for agent in agents.iter().filter(|agent| !agent.unclean.is_empty()) {
        text += &unclean(agent, "");
    }
    text
}

/// How an agent is, in a word or two.
fn state(agent: &AgentView) -> String {
    let word = if agent.connected { agent.health.as_str() } else { "away" };
    if agent.unclean.is_empty() || word == "unclean" { word.into() } else { format!("{word}, unclean") }
}

/// What runs may have left on a host, and what is to be done about it.
fn unclean(agent: &AgentView, indent: &str) -> String {
    let line = |unclean: &UncleanView| {
        let UncleanView { run, left, since } = unclean;
        format!("{indent}UNCLEAN {} since {since}, by run {run}: {}\n", agent.name, left.join("; "))
    };
    let lines: String = agent.unclean.iter().map(line).collect();
    let hint = "no run is put there; its agent clears it once nothing is left, or see to it and";
    format!("{lines}{indent}  {hint} `faultline agents acknowledge {} --reason \"…\"`\n", agent.name)
}

fn acknowledged(answer: &Acknowledged) -> String {
    if answer.acknowledged.is_empty() {
        return format!("nothing was left on {}\n", answer.agent);
    }
    let line = |unclean: &UncleanView| format!("  run {}: {}\n", unclean.run, unclean.left.join("; "));
    let lines: String = answer.acknowledged.iter().map(line).collect();
    format!("{} is acknowledged, and runs may be put there again:\n{lines}", answer.agent)
}

/// Given labels; with `all` also those that the agent found out.
fn labels(labels: &BTreeMap<String, String>, all: bool) -> String {
    let shown = labels.iter().filter(|(name, _)| all || !name.starts_with("faultline.dev/"));
    shown.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// What the host says of itself against what is bound to it.
fn contradictions(agent: &AgentView) -> String {
    let told = agent.contradicted.iter().map(|(name, value)| {
        let bound = agent.bound.get(name).map_or("", String::as_str);
        format!("(CLAIMS {name}={value}, bound is {bound})")
    });
    told.collect::<Vec<_>>().join(" ")
}

fn one(details: &AgentDetails) -> String {
    let AgentView { name, connected, controllers, health, version, address, last_seen, active, stuck, .. } =
        &details.agent;
    let mut text = format!("{name}\n");
    let place = match (&controllers[..], address) {
        ([_, ..], Some(address)) => format!("connected to {} from {address}", controllers.join(", ")),
        ([_, ..], None) => format!("connected to {}", controllers.join(", ")),
        _ if *connected => "connected".into(),
        _ => "not connected".into(),
    };
    text += &format!("  {place}, last seen {last_seen}\n  {health}, faultline-agent {version}\n");
    text += &format!("  labels: {}\n", labels(&details.agent.labels, true));
    text += &format!("  of these are bound: {}\n", labels(&details.agent.bound, true));
    if !details.agent.contradicted.is_empty() {
        text += &format!("  {}: what is bound counts\n", contradictions(&details.agent));
    }
    for fault in active {
        text += &format!(
            "  fault {} {}: {}, gone in {} ms\n",
            fault.id,
            fault.fault,
            fault.targets.join(", "),
            fault.left_ms
        );
    }
    for fault in stuck {
        text += &format!("  STUCK {} {}\n", fault.id, fault.fault);
        text += &fault.by_hand.iter().map(|command| format!("    {command}\n")).collect::<String>();
    }
    if !details.agent.unclean.is_empty() {
        text += &unclean(&details.agent, "  ");
    }
    for certificate in &details.certificates {
        let state = match (&certificate.revoked_at, &certificate.revoked_because) {
            (Some(at), Some(because)) => format!("revoked {at}: {because}"),
            (Some(at), None) => format!("revoked {at}"),
            (None, _) => format!("valid until {}", certificate.not_after),
        };
        text += &format!("  certificate {}: {state}\n", certificate.serial);
    }
    text
}

fn tokens(tokens: &[EnrolmentTokenView]) -> String {
    if tokens.is_empty() {
        return "no tokens\n".into();
    }
    let mut lines = table::table(&["token", "uses left", "expires", "by", "state", "labels"]);
    for token in tokens {
        let state = match (&token.revoked_at, &token.used_by) {
            (Some(_), _) => "revoked".into(),
            (None, Some(host)) => format!("used by {host}"),
            (None, None) => "unused".into(),
        };
        let expires = token.expires_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let uses = token.uses_left.to_string();
        lines.add_row([token.id.clone(), uses, expires, token.created_by.clone(), state, labels(&token.labels, true)]);
    }
    table::wrapped(&mut lines)
}

//! Experiments on a fleet: sent to a controller, followed to their verdicts, reported like any other.

use std::process::ExitCode;

use http::Method;
use ring::rand::{SecureRandom, SystemRandom};

use super::Client;
use super::follow::Followed;
use crate::cli::failure::Failure;
use crate::cli::flags::Global;
use crate::cli::live::{Live, LiveTarget};
use crate::cli::output;
use crate::cli::report::output_width;
use crate::cli::run::{Arguments, OutputFormat, worst, write};
use crate::console::{PlanRequest, RunRequest};
use crate::controller::plan::{PlanAnswer, PlannedHost};
use crate::controller::runs::RunView;
use crate::document::load::Loaded;
use crate::experiment::document::Experiment;
use crate::report::{self, Format, RunReport};
use crate::targets::fleet_plan::{FleetPlan, render};

/// The text that is sent: that of the file, unless it holds other documents too or values were changed.
fn text(loaded: &Loaded<Experiment>, as_it_is: bool) -> anyhow::Result<String> {
    // JSON is YAML.
    if as_it_is { Ok(loaded.text.clone()) } else { Ok(serde_json::to_string_pretty(&loaded.document)?) }
}

/// Runs every experiment on the controller, one after the other; the worst verdict decides the exit code.
pub(in crate::cli) fn run_all(
    client: &Client,
    documents: &[Loaded<Experiment>],
    arguments: &Arguments,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let (mut codes, mut reports) = (Vec::new(), Vec::new());
    for loaded in documents {
        let report = one(client, loaded, arguments, global)?;
        match arguments.format {
            OutputFormat::Human => {
                let colour = global.colour_on_stdout();
                output::print(&report::render(&report, Format::Human { colour, width: output_width() })?)?;
            }
            OutputFormat::Json => output::print(&(serde_json::to_string(&report)? + "\n"))?,
        }
        codes.push(report.exit_code);
        let interrupted = report.exit_code == 130;
        reports.push(report);
        if interrupted {
            break;
        }
    }
    if let Some(file) = &arguments.junit {
        write(file, &report::junit(&reports)?)?;
    }
    Ok(ExitCode::from(worst(&codes)))
}

fn one(
    client: &Client,
    loaded: &Loaded<Experiment>,
    arguments: &Arguments,
    global: &Global,
) -> anyhow::Result<RunReport> {
    let tell = |text: &str| {
        if !global.quiet {
            output::tell(text);
        }
    };
    let Arguments { flags, approvals, plan_hash, .. } = arguments;
    let as_it_is = flags.set.is_empty();
    let asked = Asked { as_it_is, seed: flags.seed, approvals: *approvals, plan_hash: plan_hash.clone() };
    let run = submit(client, loaded, asked, tell)?;
    let mut live = Live::new(&loaded.document, LiveTarget::choose(global));
    let followed = client.follow(&run, |entry| live.entry(entry), tell);
    live.finish();
    match followed? {
        Followed::Finished(entries) => Ok(RunReport::from_entries(&entries)?),
        Followed::Cancelled(because) => {
            Err(Failure::precondition(format!("run {} did not begin: {because}", run.id)).into())
        }
    }
}

/// What is asked of a controller with a document.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Asked {
    /// Whether no value of the document was changed.
    pub(in crate::cli) as_it_is: bool,
    /// The seed, instead of the document's.
    pub(in crate::cli) seed: Option<u64>,
    /// How many people must approve.
    pub(in crate::cli) approvals: u32,
    /// The hash that the plan must have.
    pub(in crate::cli) plan_hash: Option<String>,
}

/// Asks a controller for a run; once, however often the answer is lost.
pub(in crate::cli) fn submit(
    client: &Client,
    loaded: &Loaded<Experiment>,
    asked: Asked,
    tell: impl Fn(&str),
) -> anyhow::Result<RunView> {
    let request = RunRequest {
        document: text(loaded, asked.as_it_is && loaded.alone())?,
        seed: asked.seed,
        approvals: asked.approvals,
        plan_hash: asked.plan_hash,
        not_before: None,
        deadline: None,
    };
    let run: RunView = client.send_once("/v1/runs", Some(&new_key()?), &request, &tell)?;
    tell(&format!("run {} on {}\n", run.id, client.url()));
    Ok(run)
}

/// A key for one request that nobody else has.
fn new_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    let random = SystemRandom::new();
    random.fill(&mut bytes).map_err(|_| Failure::precondition("this host gives no random numbers (getrandom)"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Shows what runs would do on the fleet now.
pub(in crate::cli) fn plan(
    client: &Client,
    documents: &[Loaded<Experiment>],
    as_it_is: bool,
    seed: Option<u64>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut plans: Vec<PlanAnswer> = Vec::new();
    for loaded in documents {
        let request = PlanRequest { document: text(loaded, as_it_is && loaded.alone())?, seed };
        plans.push(client.send(Method::POST, "/v1/plans", Some(&request))?);
    }
    if json {
        output::print_json(&plans)?;
    } else {
        let texts = plans.iter().map(human).collect::<Result<Vec<_>, _>>()?;
        output::print(&texts.join("\n"))?;
    }
    let refused =
        plans.iter().any(|plan| plan.halted.is_some() || plan.hosts.iter().any(|host| host.refused.is_some()));
    Ok(if refused { ExitCode::from(crate::cli::failure::PRECONDITION) } else { ExitCode::SUCCESS })
}

fn human(plan: &PlanAnswer) -> anyhow::Result<String> {
    let fleet: FleetPlan = serde_json::from_value(plan.plan.clone())?;
    let mut text = render(&fleet);
    text += "\nwhat the hosts say\n";
    for PlannedHost { host, injection, touches, steps, undo, refused, not_asked } in &plan.hosts {
        text += &match (refused, not_asked) {
            (Some(reason), _) => format!("  {host}, fault {injection}: REFUSED: {reason}\n"),
            (None, Some(reason)) => format!("  {host}, fault {injection}: not asked: {reason}\n"),
            (None, None) => format!("  {host}, fault {injection}: {}\n", touches.join(", ")),
        };
        text += &steps.iter().map(|step| format!("    {step}\n")).collect::<String>();
        if let Some(undo) = undo {
            text += &format!("    {}\n", undo.describe());
        }
    }
    if let Some(halted) = &plan.halted {
        text += &format!("\nthe fleet is halted, so no run would begin now: {halted}\n");
    }
    Ok(text)
}

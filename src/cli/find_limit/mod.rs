//! `faultline find-limit`: the largest dose of a fault at which the hypothesis holds.

mod asked;
mod subject;
mod told;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use faultline_agent::units::{Percent, TimeSpan};

use self::asked::{asked, rules};
use self::subject::Subject;
use super::client::ControllerFlags;
use super::failure::{Failure, PRECONDITION};
use super::flags::{Global, RunFlags};
use super::gate::ground::{Making, with_ground};
use super::output;
use crate::gate::length::{reserve, seconds};
use crate::gate::result::worst;
use crate::gate::{Candidate, Length};
use crate::limit::drive::Drive;
use crate::limit::kept::LimitFile;
use crate::limit::result::{Circumstances, settle};
use crate::limit::search::Next;
use crate::limit::{Answer, DoseRange, Search};

const DRY_RUN: &str = "Say how many runs there may be, how long they take and which doses come first; touch nothing";

/// Find the largest dose of a fault at which the hypothesis holds, with few runs
///
/// The runs follow one another, each a whole experiment with its journal, its guardrails and its undo. The code is 0 for a limit, 1 if
/// the mildest dose fails or the limit is not what is asked of it, 4 if that is not known, and else that of the run that ended the search.
#[derive(Debug, Args)]
#[command(
    mut_arg("set", |flag| flag.help("Change a value of the document first, as `faultline run --set` does")),
    mut_arg("dry_run", |flag| flag.help(DRY_RUN)),
    mut_arg("out", |flag| flag.help_heading("Search")),
)]
pub struct Arguments {
    /// A file with one experiment; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The parameter and its doses from mild to harsh: `delay=0ms..2s`, `every=60s..1s`; before a parameter that several faults have, the
    /// number of the step or the fault's name: `1.delay`, `network-latency.delay`
    #[arg(long, value_name = "PARAMETER=LOW..HIGH")]
    pub dose: DoseRange,
    /// How many runs there may be
    #[arg(long, default_value_t = 14, value_name = "NUMBER", help_heading = "Search")]
    pub runs: usize,
    /// The time in which everything ends, cleaning up included: `20m`
    #[arg(long, value_name = "TIME", help_heading = "Search")]
    pub within: Option<TimeSpan>,
    /// How narrow the interval is to be: a share of the limit, or a dose
    #[arg(long, default_value = "5%", value_name = "PERCENT|DOSE", help_heading = "Search")]
    pub resolution: String,
    /// With which probability the interval holds the limit: from 50% to 99.9%
    #[arg(long, default_value = "95%", value_name = "PERCENT", help_heading = "Search")]
    pub confidence: Percent,
    /// How the runs are made
    #[command(flatten)]
    pub flags: RunFlags,
    /// Fail if the hypothesis does not hold at this dose
    #[arg(long, value_name = "DOSE", help_heading = "Objective")]
    pub at_least: Option<String>,
    /// Compare with the last limit that this file keeps
    #[arg(long, value_name = "FILE", help_heading = "Objective")]
    pub baseline: Option<PathBuf>,
    /// Which of the file's baselines
    #[arg(long, default_value = "main", value_name = "NAME", requires = "baseline", help_heading = "Objective")]
    pub baseline_name: String,
    /// Add the limit to the baseline
    #[arg(long, requires = "baseline", help_heading = "Objective")]
    pub update_baseline: bool,
    /// Fail if the limit is worse than the baseline's by more than this
    #[arg(long, value_name = "PERCENT", requires = "baseline", help_heading = "Objective")]
    pub not_worse_than: Option<Percent>,
    /// Print the whole result as JSON instead of text for people
    #[arg(long)]
    pub json: bool,
    /// The controller on whose fleet to run, instead of this host
    #[command(flatten)]
    pub controller: ControllerFlags,
}

/// Searches, and tells what was found.
///
/// # Errors
/// If the document or the usage is wrong, or the time box has no room for a run; nothing was touched then.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let subject = Subject::read(&arguments, global)?;
    let (rules, scale) = rules(&arguments, &subject)?;
    let mut file = arguments.baseline.as_deref().map(LimitFile::read).transpose();
    let file = file.as_mut().map_err(|error| {
        Failure::usage(error.to_string()).hint("give another file, or move this one away: it is never written over")
    })?;
    let name = subject.harshest.document.metadata.name.clone();
    let last = file.as_ref().and_then(|file| file.last(&arguments.baseline_name, &name, &subject.path));
    let asked = asked(&arguments, last, global)?;
    let mut search = Search::new(&scale, rules);
    plan(&arguments, &subject, &search, global)?;
    if arguments.flags.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let started = jiff::Timestamp::now().to_string();
    // Each dose makes another document of the one in the file.
    let making = Making {
        controller: &arguments.controller,
        as_it_is: false,
        flags: &arguments.flags,
        parallel: 1,
        placebo: false,
    };
    let spec = &subject.harshest.document.spec;
    let mut watcher =
        told::Progress { range: &arguments.dose, most: arguments.runs, quiet: global.quiet, answered: false };
    let driven = with_ground(making, spec.has_private_network(), global, |ground| {
        let drive = Drive {
            candidate: &|dose| Ok(Candidate::new(subject.at(dose)?)),
            ground,
            within: arguments.within.map(TimeSpan::duration),
            least: Length::of(spec).least,
        };
        drive.carry_out(&mut search, |number| arguments.dose.dose(number), &mut watcher)
    })?;
    let result = settle(
        &search,
        driven,
        Circumstances {
            experiment: &name,
            file: &subject.harshest.file,
            parameter: &subject.path,
            range: &arguments.dose,
            error_rate: rules.error_rate,
            confidence: rules.confidence,
            started,
            asked: &asked,
        },
    );
    let mut codes = vec![result.exit_code];
    output::either(arguments.json, &result, || told::text(&result, global.colour_on_stdout()))?;
    if let (Some(file), Some(path), true) = (file.as_mut(), &arguments.baseline, arguments.update_baseline) {
        file.add(&arguments.baseline_name, &result);
        if let Err(error) = file.write(path) {
            output::tell(&format!("error: {error}\n"));
            codes.push(PRECONDITION);
        }
    }
    Ok(ExitCode::from(worst(&codes)))
}

/// Tells what is going to happen, and refuses a time box in which nothing fits.
fn plan(arguments: &Arguments, subject: &Subject<'_>, search: &Search, global: &Global) -> anyhow::Result<()> {
    let length = Length::of(&subject.harshest.document.spec);
    let most = u32::try_from(arguments.runs).unwrap_or(u32::MAX);
    let of = |one: std::time::Duration| seconds(one.saturating_mul(most));
    let range = &arguments.dose;
    let mut text = format!(
        "find-limit: {} from {} to {} with at most {} runs of at least {} each: {}, and at most {}, in all\n",
        subject.path,
        range.dose(range.mildest).told(),
        range.dose(range.harshest).told(),
        arguments.runs,
        seconds(length.least),
        of(length.least),
        of(length.most),
    );
    if range.begins_with_nothing() {
        text += "  a dose of 0 is not run: the baseline of every run shows that the hypothesis holds there\n";
    }
    if let Next::Run(index) = search.next() {
        let told = |search: &Search| match search.next() {
            Next::Run(index) => range.dose(search.dose(index)).told(),
            Next::Stop(_) => "none".into(),
        };
        let after = |answer| {
            let mut search = search.clone();
            search.take(index, answer);
            told(&search)
        };
        let (first, holds, fails) = (told(search), after(Answer::Holds), after(Answer::Fails));
        text += &format!("  first {first}, then {holds} if that holds and {fails} if it does not\n");
    }
    if arguments.flags.dry_run {
        output::print(&text)?;
    } else if !global.quiet {
        output::tell(&text);
    }
    let Some(within) = arguments.within.map(TimeSpan::duration) else { return Ok(()) };
    let kept = reserve(within);
    if length.least > within.saturating_sub(kept) {
        let (least, within, kept) = (seconds(length.least), seconds(within), seconds(kept));
        let message = format!(
            "a run takes at least {least}, and the time box is {within}, of which {kept} are kept for cleaning up"
        );
        return Err(Failure::usage(message).hint("give --within more; nothing was started").into());
    }
    if length.least.saturating_mul(most) > within && !global.quiet {
        output::tell("  not all of it is certain to fit: the interval is as narrow as there is time for\n");
    }
    Ok(())
}

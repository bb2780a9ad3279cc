//! `faultline gate`: many experiments, one exit code that a pipeline can trust.

mod baseline;
mod deliver;
mod fleet;
pub(super) mod ground;
mod here;
mod placebo_rate;
mod read;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use faultline_agent::units::{Percent, TimeSpan};

use self::baseline::Baseline;
use self::ground::{Making, with_ground};
use super::client::ControllerFlags;
use super::failure::{Failure, USAGE};
use super::flags::{Global, RunFlags};
use super::output;
use crate::experiment::document::LabelExpression;
use crate::gate::agenda::Pace;
use crate::gate::baseline::KEPT;
use crate::gate::drive::{self, Driven};
use crate::gate::length::{reserve, seconds, sum};
use crate::gate::quarantine::QuarantineList;
use crate::gate::result::BaselineState;
use crate::gate::settle::{Circumstances, settle};
use crate::gate::{Agenda, Candidate, Length, Quarantine, Rules, meet};

const DRY_RUN: &str = "Say what would run, how long it takes and what does not run beside one another; touch nothing";

/// Run many experiments and answer with one exit code: the gate of a pipeline
///
/// The code is the worst that counts, in the order 7 130 2 6 3 5 1 4 0. What did not run never counts as passed.
#[derive(Debug, Args)]
#[command(
    mut_arg("set", |flag| flag.help("Change a value of every document first, as `faultline run --set` does")),
    mut_arg("seed", |flag| flag.help("The seed of everything left to chance, instead of the documents'")),
    mut_arg("dry_run", |flag| flag.help(DRY_RUN)),
    mut_arg("out", |flag| flag.help_heading("Running")),
)]
pub struct Arguments {
    /// Documents, or folders whose *.yaml files are read, those below them too
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only experiments of whose labels this is true: `team=payments`, `tier in (1, 2)`, `!slow`; all of several must be
    #[arg(long, value_name = "EXPRESSION")]
    pub select: Vec<LabelExpression>,
    /// Run each experiment so many times with nothing injected, and tell how often the gate alarms all the same; the code is 1 if
    /// that is shown to be more often than the documents state
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with_all = ["controller", "retry", "quarantine", "baseline", "junit", "markdown", "annotations"],
        help_heading = "Running"
    )]
    pub placebo_rate: Option<u32>,
    /// The time in which everything ends, cleaning up included: `20m`
    #[arg(long, value_name = "TIME", help_heading = "Running")]
    pub within: Option<TimeSpan>,
    /// How many may run beside one another, as far as their targets certainly do not meet
    #[arg(long, default_value_t = 1, value_name = "NUMBER", help_heading = "Running")]
    pub parallel: usize,
    /// How often an experiment that was violated or not decided is run again; one that holds then is flaky, and told so
    #[arg(long, default_value_t = 0, value_name = "NUMBER", help_heading = "Running")]
    pub retry: u32,
    /// How the runs are made
    #[command(flatten)]
    pub flags: RunFlags,
    /// What a flaky experiment is to the exit code
    #[arg(long, value_enum, default_value = "pass", value_name = "WHAT", help_heading = "Counting")]
    pub flaky: PassOrFail,
    /// What an experiment that was not decided is to the exit code; one without data always fails
    #[arg(long, value_enum, default_value = "fail", value_name = "WHAT", help_heading = "Counting")]
    pub inconclusive: PassOrFail,
    /// Experiments that are told of and do not count: `quarantine: [ { experiment: NAME, until: 2027-01-31, reason: WHY } ]`
    #[arg(long, value_name = "FILE", help_heading = "Counting")]
    pub quarantine: Option<PathBuf>,
    /// Compare with the last runs that this file keeps, instead of those that the controller does
    #[arg(long, value_name = "FILE", help_heading = "Baseline")]
    pub baseline: Option<PathBuf>,
    /// Which of the baselines
    #[arg(long, default_value = "main", value_name = "NAME", help_heading = "Baseline")]
    pub baseline_name: String,
    /// Add these runs to the baseline
    #[arg(long, help_heading = "Baseline")]
    pub update_baseline: bool,
    /// How many runs of an experiment a baseline keeps
    #[arg(long, default_value_t = KEPT, value_name = "NUMBER", help_heading = "Baseline")]
    pub baseline_runs: usize,
    /// Fail if an objective is outside the spread of the last runs, and worse than their mean by more than this
    #[arg(long, value_name = "PERCENT", help_heading = "Baseline")]
    pub fail_if_worse: Option<Percent>,
    /// Write JUnit XML to this file
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub junit: Option<PathBuf>,
    /// Write Markdown to this file; it is added to the end if the file is `$GITHUB_STEP_SUMMARY`
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub markdown: Option<PathBuf>,
    /// Print annotations for the lines of the documents
    #[arg(long, value_enum, value_name = "FOR", help_heading = "Reports")]
    pub annotations: Option<Annotations>,
    /// Print the whole result as JSON instead of text for people
    #[arg(long, help_heading = "Reports")]
    pub json: bool,
    /// The controller on whose fleet to run, instead of this host
    #[command(flatten)]
    pub controller: ControllerFlags,
}

/// What something is to the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PassOrFail {
    /// It passes
    Pass,
    /// It fails
    Fail,
}

/// For whom annotations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Annotations {
    /// GitHub Actions
    Github,
}

/// Selects, checks, runs, judges and tells.
///
/// # Errors
/// If a document, the usage or the time box is wrong; nothing was touched then.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let tell = |text: &str| {
        if !global.quiet {
            output::tell(text);
        }
    };
    let Some(candidates) = read::candidates(&arguments, global)? else { return Ok(ExitCode::from(USAGE)) };
    if let Some(times) = arguments.placebo_rate {
        return Ok(ExitCode::from(placebo_rate::run(&arguments, &candidates, times, global, &tell)?));
    }
    let mut notes = Vec::new();
    let quarantines = quarantines(&arguments, &candidates, &mut notes)?;
    let mut baseline = Baseline::read(&arguments)?;
    let agenda = agenda(&arguments, &candidates, &tell)?;
    if arguments.flags.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let (started, today) = (jiff::Timestamp::now().to_string(), jiff::Zoned::now().date());
    let driven = carry_out(&arguments, &candidates, agenda, false, global)?;
    let reports: Vec<_> = driven.attempts.values().filter_map(|runs| runs.last()?.report.clone()).collect();
    let mut trouble = Vec::new();
    let mut state = baseline.as_ref().map(|baseline| BaselineState {
        place: baseline.place(),
        name: arguments.baseline_name.clone(),
        updated: arguments.update_baseline,
    });
    if let (Some(baseline), Some(state), true) = (baseline.as_mut(), state.as_mut(), arguments.update_baseline)
        && let Err(why) = baseline.add(&arguments.baseline_name, &reports, arguments.baseline_runs)
    {
        state.updated = false;
        trouble.push(why);
    }
    // The comparison is with the runs before these.
    let before = baseline.as_ref().map(|baseline| &baseline.before);
    let result = settle(
        &candidates,
        driven,
        Circumstances {
            rules: Rules {
                undecided_passes: arguments.inconclusive == PassOrFail::Pass,
                flaky_fails: arguments.flaky == PassOrFail::Fail,
                worse_by: arguments.fail_if_worse.map(Percent::number),
            },
            quarantines: &quarantines,
            today,
            baseline: before.zip(state.as_ref()),
            started,
            within: arguments.within.map(TimeSpan::duration),
            notes,
        },
    );
    Ok(ExitCode::from(deliver::deliver(&result, &arguments, trouble, global)?))
}

/// Runs everything to the end of the agenda, on this host or on a controller's fleet.
fn carry_out(
    arguments: &Arguments,
    candidates: &[Candidate],
    agenda: Agenda,
    placebo: bool,
    global: &Global,
) -> anyhow::Result<Driven> {
    let making = Making {
        controller: &arguments.controller,
        as_it_is: arguments.flags.set.is_empty(),
        flags: &arguments.flags,
        parallel: arguments.parallel,
        placebo,
    };
    let private = candidates.iter().any(|candidate| candidate.loaded.document.spec.has_private_network());
    with_ground(making, private, global, |ground| {
        drive::drive(candidates, agenda, ground).context("cannot listen to signals")
    })
}

fn quarantines(
    arguments: &Arguments,
    candidates: &[Candidate],
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<Option<Quarantine>>> {
    let list = match &arguments.quarantine {
        None => QuarantineList::default(),
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Failure::usage(format!("cannot read the quarantine {}", file.display())).because(error)
            })?;
            QuarantineList::parse(&text)
                .map_err(|error| Failure::usage(format!("the quarantine {} is wrong: {error}", file.display())))?
        }
    };
    let names: Vec<&str> = candidates.iter().map(Candidate::name).collect();
    for name in list.unknown(&names) {
        notes.push(format!("the quarantine names {name}, which is not among these experiments"));
    }
    let mut quarantines = Vec::new();
    for candidate in candidates {
        let metadata = &candidate.loaded.document.metadata;
        let quarantine = list
            .of(&metadata.name, &metadata.labels, &metadata.annotations)
            .map_err(|error| Failure::usage(format!("{}:{}: {error}", candidate.loaded.file, candidate.line)))?;
        quarantines.push(quarantine);
    }
    Ok(quarantines)
}

/// What meets, how long everything takes, and whether that fits.
fn agenda(arguments: &Arguments, candidates: &[Candidate], tell: &dyn Fn(&str)) -> anyhow::Result<Agenda> {
    let specs: Vec<_> = candidates.iter().map(|candidate| &candidate.loaded.document.spec).collect();
    let lengths: Vec<Length> = specs.iter().map(|spec| Length::of(spec)).collect();
    let mut pairs = Vec::new();
    let mut text = String::new();
    for (first, one) in candidates.iter().enumerate() {
        text += &format!("  {}  {}\n", one.name(), seconds(lengths[first].least));
        for (second, other) in candidates.iter().enumerate().take(first).filter(|_| arguments.parallel > 1) {
            if let Some(because) = meet::meeting(specs[first], specs[second]) {
                text += &format!("    not beside {}: {because}\n", other.name());
                pairs.push((first, second));
            }
        }
    }
    let within = arguments.within.map(TimeSpan::duration);
    let pace = Pace { within, parallel: arguments.parallel, retries: arguments.retry };
    let agenda = Agenda::new(lengths.clone(), pairs, pace);
    let (least, most) = (agenda.rehearse(), sum(&lengths).most);
    let (number, beside) = (candidates.len(), arguments.parallel);
    let beside = if beside > 1 { format!(", up to {beside} beside one another") } else { String::new() };
    tell(&format!(
        "gate: {number} experiments take at least {}{beside}, and at most {} one after the other\n{text}",
        seconds(least),
        seconds(most)
    ));
    if let Some(within) = within {
        let kept = reserve(within);
        if least > within - kept {
            let (sum, within, kept) = (seconds(least), seconds(within), seconds(kept));
            let message = format!(
                "the experiments take at least {sum}{beside}, and the time box is {within}, of which {kept} are kept for cleaning up"
            );
            return Err(Failure::usage(message)
                .hint("give --within more, --parallel more, or --select fewer; nothing was started")
                .into());
        }
        if most > within {
            tell(
                "  not all of it is certain to fit: what did not run by the end will be told so, and fails the gate\n",
            );
        }
    }
    Ok(agenda)
}

//! `faultline gate --placebo-rate`: every experiment several times, with nothing injected.

use super::ground::{RunFlags, with_ground};
use super::{Arguments, agenda};
use crate::cli::flags::Global;
use crate::cli::output;
use crate::gate::Candidate;
use crate::gate::drive;
use crate::gate::placebo_rate::{PlaceboRate, settle};

/// Runs so many placebos of each experiment, and counts alarms.
///
/// # Errors
/// As the gate's own.
pub(super) fn run(
    arguments: &Arguments,
    candidates: &[Candidate],
    times: u32,
    global: &Global,
    tell: &dyn Fn(&str),
) -> anyhow::Result<u8> {
    let copies: Vec<Candidate> = (0..times).flat_map(|_| candidates.iter().cloned()).collect();
    tell(&format!("{times} placebo runs of each experiment: nothing is injected\n"));
    let agenda = agenda(arguments, &copies, tell)?;
    if arguments.dry_run {
        return Ok(0);
    }
    let flags = RunFlags {
        controller: &arguments.controller,
        as_it_is: arguments.set.is_empty(),
        seed: arguments.seed,
        out: arguments.out.as_deref(),
        parallel: arguments.parallel,
        placebo: true,
    };
    let private = candidates.iter().any(|candidate| candidate.loaded.document.spec.has_private_network());
    let driven = with_ground(flags, private, global, |ground| Ok(drive::drive(&copies, agenda, ground)?))?;
    let result = settle(&copies, &driven);
    output::either(arguments.json, &result, || text(&result))?;
    Ok(result.exit_code)
}

fn text(result: &PlaceboRate) -> String {
    let mut out = String::new();
    for one in &result.experiments {
        out += &format!("{}: {}\n", one.experiment, one.rate.text);
        for (run, because) in &one.alarmed {
            out += &format!("    {run}: {because}\n");
        }
        if let Some(because) = one.left_out.first() {
            out += &format!("    {} runs were not begun: {because}\n", one.left_out.len());
        }
    }
    out += &format!("all experiments: {}\n", result.all.text);
    out
}

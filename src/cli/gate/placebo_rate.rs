//! `faultline gate --placebo-rate`: every experiment several times, with nothing injected.

use super::{Arguments, agenda, carry_out};
use crate::cli::flags::Global;
use crate::cli::output;
use crate::gate::Candidate;
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
    if arguments.flags.dry_run {
        return Ok(0);
    }
    let driven = carry_out(arguments, &copies, agenda, true, global)?;
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

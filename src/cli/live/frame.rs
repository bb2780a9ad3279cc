//! The picture of a run: pure text from what is known, as wide and high as there is room.

use faultline_agent::plan::Bite;

use super::state::{FaultState, SignalState, State};
use crate::experiment::document::{Objective, quantile_name};
use crate::report::ink::{self, Ink};
use crate::report::notation::{self, one_line};
use crate::report::series::Sums;
use crate::report::{MomentKind, timeline};
use crate::run::journal::RunState;

/// The room for a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Columns.
    pub(super) width: usize,
    /// Lines.
    pub(super) height: usize,
    /// Whether colour is used.
    pub(super) colour: bool,
}

/// A line: pieces of text with their ink.
type Line = Vec<(String, Ink)>;

/// The picture. It is never higher than the room, and no line is wider.
pub(super) fn frame(state: &State, room: Room) -> String {
    let mut blocks: Vec<Vec<Line>> = vec![head(state, room), faults(state), signals(state, room), guardrails(state)];
    blocks.retain(|block| !block.is_empty());
    // The last line stays free, since a picture that fills the window scrolls it.
    let most = room.height.saturating_sub(1).max(3);
    let used: usize = blocks.iter().map(Vec::len).sum::<usize>();
    let spaced = used + blocks.len() + 1 < most;
    let events = most.saturating_sub(used + if spaced { blocks.len() } else { 0 }).min(6);
    let events = state.events.iter().skip(state.events.len().saturating_sub(events)).map(event);
    blocks.push(events.collect());
    blocks.retain(|block| !block.is_empty());
    let mut lines: Vec<Line> = Vec::new();
    for block in blocks {
        if spaced && !lines.is_empty() {
            lines.push(Line::new());
        }
        lines.extend(block);
    }
    lines.truncate(most);
    lines.iter().map(|line| paint(line, room) + "\n").collect()
}

/// A line cut to the width, in colour if there is any.
fn paint(line: &Line, room: Room) -> String {
    let mut left = room.width;
    let mut out = String::new();
    for (text, ink) in line {
        let length = text.chars().count();
        let cut: String = if length <= left {
            text.clone()
        } else {
            text.chars().take(left.saturating_sub(1)).chain(['…'].into_iter().take(left)).collect()
        };
        left = left.saturating_sub(length);
        out.push_str(&ink.paint(&cut, room.colour));
    }
    out.trim_end().to_owned()
}

fn piece(text: impl Into<String>, ink: Ink) -> (String, Ink) {
    (text.into(), ink)
}

/// Name, clock, progress, and what is going on.
fn head(state: &State, room: Room) -> Vec<Line> {
    let clock = notation::clock(state.now);
    let name: String = one_line(&state.name).chars().take(room.width.saturating_sub(clock.len() + 2)).collect();
    let space = " ".repeat(room.width.saturating_sub(name.chars().count() + clock.chars().count()));
    let first = vec![piece(name, Ink::Bold), piece(space, Ink::Plain), piece(clock, Ink::Faint)];
    if let Some((verdict, because)) = &state.verdict {
        let (sign, ink) = ink::of_run(*verdict);
        let word = notation::run_verdict(*verdict).to_uppercase();
        return vec![first, vec![piece(format!("{sign} {word}  "), ink), piece(one_line(because), Ink::Plain)]];
    }
    let done = match state.state {
        RunState::Planned => 0.0,
        RunState::Recovering | RunState::Judged => 1.0,
        _ => {
            let since = state.steady_at.map_or(0.0, |at| state.now - at);
            if state.method > 0.0 { (since / state.method).clamp(0.0, 1.0) } else { 0.0 }
        }
    };
    let ink = if under_fault(state) { Ink::Fault } else { Ink::Plain };
    let left = state.method * (1.0 - done);
    let left =
        if done > 0.0 && left >= 1.0 { format!(", {} to go", notation::seconds(left.ceil())) } else { String::new() };
    let doing = format!("{}{left}", timeline::state(state.state));
    let percent = format!(" {:>3.0}%  ", done * 100.0);
    let bar = room.width.saturating_sub(percent.len() + doing.len()).clamp(4, 36);
    let mut second = progress(done, bar, ink);
    second.push(piece(percent, Ink::Plain));
    second.push(piece(doing, ink));
    vec![first, second]
}

fn under_fault(state: &State) -> bool {
    state.faults.iter().any(|fault| fault.injected.is_some() && fault.undone.is_none())
}

fn progress(share: f64, width: usize, ink: Ink) -> Line {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a terminal's width"
    )]
    let full = (share * width as f64).round() as usize;
    vec![piece("━".repeat(full), ink), piece("─".repeat(width - full.min(width)), Ink::Faint)]
}

fn faults(state: &State) -> Vec<Line> {
    state.faults.iter().map(|fault| one_fault(fault, state)).collect()
}

fn one_fault(fault: &FaultState, state: &State) -> Line {
    let name = format!("{} on {}  ", one_line(&fault.name), one_line(&fault.target));
    let (sign, word, ink) = match (fault.undone, fault.injected, fault.failed) {
        (Some(true), _, false) => ("✔", "undone and verified".into(), Ink::Good),
        (Some(false), ..) => ("✘", "undo NOT verified".into(), Ink::Bad),
        (_, _, true) => ("✘", "could not be put in place".into(), Ink::Bad),
        (None, ..) if fault.lost => ("?", "lost with its host, which undoes it alone".into(), Ink::Open),
        (None, Some(at), _) => {
            let left = fault.lasts.map(|lasts| (at + lasts - state.now).max(0.0).ceil());
            let left = left.map(|left| format!(", {} left", notation::seconds(left))).unwrap_or_default();
            ("●", format!("in place{left}"), Ink::Fault)
        }
        (None, None, false) => ("○", "planned".into(), Ink::Faint),
    };
    let mut line = vec![piece(format!("{sign} {name}"), ink), piece(word, Ink::Plain)];
    match fault.evidence.as_ref().map(|evidence| (&evidence.bite, evidence.measurements.first())) {
        Some((Bite::Yes, Some(found))) => {
            let measure = one_line(&notation::named(&found.name, found.measured, &found.unit));
            line.push(piece(format!("  ✔ bites: {measure}"), Ink::Good));
        }
        Some((Bite::Yes, None)) => line.push(piece("  ✔ bites", Ink::Good)),
        Some((Bite::NotYet(why), _)) => line.push(piece(format!("  ? not yet: {}", one_line(why)), Ink::Open)),
        Some((Bite::No(why), _)) => line.push(piece(format!("  ✘ no effect: {}", one_line(why)), Ink::Bad)),
        None => {}
    }
    line
}

fn guardrails(state: &State) -> Vec<Line> {
    let line = |(name, _, breached): &(String, Objective, bool)| {
        let (sign, word, ink) =
            if *breached { ("✘", "BREACHED", Ink::Bad) } else { ("✔", "not breached", Ink::Good) };
        vec![piece(format!("{sign} guardrail {}  ", one_line(name)), ink), piece(word, ink)]
    };
    state.guardrails.iter().map(line).collect()
}

fn event((at, kind, text): &(f64, MomentKind, String)) -> Line {
    let ink = match kind {
        MomentKind::Alarm => Ink::Bad,
        MomentKind::Fault => Ink::Fault,
        _ => Ink::Faint,
    };
    vec![piece(format!("{}  ", notation::clock(*at)), Ink::Faint), piece(one_line(text), ink)]
}

/// What a row of a signal shows.
struct Row {
    name: String,
    numbers: Vec<Option<f64>>,
    /// The bound with the side on which is good: `true` for below.
    bound: Option<(f64, bool)>,
    print: fn(f64) -> String,
}

fn signals(state: &State, room: Room) -> Vec<Line> {
    let spark = room.width.saturating_sub(48).clamp(8, 60);
    let mut lines = Vec::new();
    for (name, signal) in &state.signals {
        let rows = rows(signal, state.now, spark);
        if rows.is_empty() {
            lines.push(vec![piece(label(name), Ink::Bold), piece("no reading yet", Ink::Open)]);
        }
        for (index, row) in rows.iter().enumerate() {
            let first = if index == 0 { label(name) } else { label("") };
            let mut line = vec![piece(first, Ink::Bold), piece(format!("{:<8}", short(&row.name, 7)), Ink::Faint)];
            line.extend(row_of(row));
            lines.push(line);
        }
    }
    lines
}

fn label(name: &str) -> String {
    format!("{:<13}", short(&one_line(name), 12))
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn rows(signal: &SignalState, now: f64, length: usize) -> Vec<Row> {
    let bound = |of: &dyn Fn(&Objective) -> Option<(f64, bool)>| signal.objectives.iter().find_map(of);
    let mut rows: Vec<Row> = Vec::new();
    let mut add = |name: String, bound, print, number: &dyn Fn(&Sums) -> Option<f64>| {
        // The answers of the newest second are still on their way; counted now it would look like lost traffic.
        let settled = if name == "traffic" { now - 1.0 } else { now };
        let numbers = signal.row(settled, length, number);
        if signal.bins.iter().any(|(_, sums)| number(sums).is_some()) {
            rows.push(Row { name, numbers, bound, print });
        }
    };
    let latency = signal.objectives.iter().find_map(|objective| objective.latency.as_ref());
    let quantile = latency.map_or(0.99, |latency| latency.quantile);
    let latency = latency.and_then(|latency| Some((latency.below?.duration().as_secs_f64(), true)));
    add(quantile_name(quantile), latency, notation::seconds, &|sums| sums.latency(quantile));
    let errors =
        bound(&|objective| objective.errors.as_ref().and_then(|errors| Some((errors.below?.fraction(), true))));
    add("errors".into(), errors, percent, &|sums| (sums.events > 0.0).then(|| sums.bad / sums.events));
    let pace = signal.pace;
    let bin = signal.bin;
    add("traffic".into(), None, per_second, &|sums| {
        if sums.counted > 0.0 { sums.rate(pace) } else { sums.rate_over(bin) }
    });
    let value = bound(&|objective| {
        let value = objective.value?;
        value.below.map(|limit| (limit, true)).or(value.at_least.map(|limit| (limit, false)))
    });
    add("value".into(), value, notation::number, &Sums::value);
    let bounded = signal.objectives.iter().filter_map(|objective| objective.saturation);
    let mut resources: Vec<(&str, Option<(f64, bool)>)> =
        bounded.map(|bound| (bound.resource.name(), Some((bound.below.fraction(), true)))).collect();
    if resources.is_empty() {
        resources.push(("cpu", None));
    }
    for (resource, bound) in resources {
        add(resource.into(), bound, percent, &|sums| sums.host().get(resource).copied());
    }
    rows
}

fn percent(share: f64) -> String {
    format!("{}%", notation::number(share * 100.0))
}

fn per_second(rate: f64) -> String {
    format!("{}/s", notation::number(rate))
}

/// Sparkline, current number, bound.
fn row_of(row: &Row) -> Line {
    let highest = row.numbers.iter().flatten().copied().fold(0.0, f64::max);
    let scale =
        row.bound.map_or(highest, |(limit, _)| if limit <= highest * 4.0 { highest.max(limit) } else { highest });
    let current = row.numbers.iter().rev().take(3).flatten().next();
    let out =
        row.bound.zip(current).is_some_and(|((limit, below), now)| if below { *now >= limit } else { *now < limit });
    let bad = if out { Ink::Bad } else { Ink::Plain };
    let now = current.map_or_else(|| "no data".into(), |now| (row.print)(*now));
    let sign = if out { "✘" } else { " " };
    let mut line = vec![piece(sparkline(&row.numbers, scale), bad), piece(format!(" {now:>9} {sign} "), bad)];
    if let Some((limit, below)) = row.bound {
        let word = if below { "below" } else { "at least" };
        line.push(piece(format!("{word} {}", (row.print)(limit)), Ink::Faint));
    }
    line
}

/// Eighths of a line's height, one column a bin; a dot where nothing was read after the first reading.
fn sparkline(numbers: &[Option<f64>], scale: f64) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let level = |number: &f64| {
        let share = if scale > 0.0 { (number / scale).clamp(0.0, 1.0) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
        let index = (share * 7.0).round() as usize;
        LEVELS[index]
    };
    let before = numbers.iter().take_while(|number| number.is_none()).count();
    let gap = |index: usize| if index < before { ' ' } else { '·' };
    numbers.iter().enumerate().map(|(index, number)| number.as_ref().map_or_else(|| gap(index), level)).collect()
}

#[cfg(test)]
mod tests;

//! How often each rule of the statistics is wrong, and how soon it is right: `cargo bench --bench error_rates`.
//!
//! Prints the tables of docs/error-rates.md; with names after `--` only those of one-sample, shares, rates, quantiles,
//! bursts and guardrails. Seeded: the same numbers each time. A rule whose nulls are those of its
//! theorem and that is wrong more often than it states, by more than three standard errors of the simulation, ends
//! the bench with an error; bursty streams break the assumption of the theorem, and their rows are there to be read.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::missing_docs_in_private_items,
    reason = "a program that prints"
)]

#[path = "parts/mod.rs"]
mod parts;

use std::process::ExitCode;

use faultline::experiment::document::Spec;
use faultline::hypothesis::Judge;
use faultline::hypothesis::statistics::{
    DecisionRule, Dispersion, Events, Margin, Pace, Ranked, SequentialTest, quantile_is_above, quantile_is_below,
    rate_is_above, rate_is_below, share_is_above, share_is_below, threshold, unfit,
};
use faultline::hypothesis::verdict::Phase;
use faultline::signals::sample::{Reading, Sample};
use parts::Part;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Runs of each row.
const RUNS: u32 = 10_000;
/// Requests a second.
const RATE: u32 = 50;
const RULE: SequentialTest = SequentialTest;
/// How often a signal without bursts may be called unfit: the judge's own, for one objective at an error rate of 5%.
const UNFIT: f64 = 0.005;

/// A guardrail at an error rate of 1%: a quarter of what the document states, since there are four chances to be wrong.
/// Read once a second; the interval is shorter only so that bursts are looked for second by second.
const GUARDED: &str = "
hypothesis: checkout is well
signals: { s: { prometheus: { url: 'http://127.0.0.1/', bad: bad, total: total, interval: 300ms } } }
steadyState: [ { signal: s, errors: { below: 1% } } ]
guardrails: [ { signal: s, errors: { below: 1% } } ]
method: [ observe: 30s ]
errorRate: 4%
";

/// When a rule first answered, in seconds, for each run in which it did; and how many runs were left aside as unfit.
#[derive(Default)]
struct Answers {
    seconds: Vec<f64>,
    runs: u32,
    unfit: u32,
}

fn simulate(runs: u32, mut run: impl FnMut(&mut ChaCha8Rng) -> Option<Option<f64>>) -> Answers {
    let mut answers = Answers::default();
    for seed in 0..runs {
        match run(&mut ChaCha8Rng::seed_from_u64(u64::from(seed))) {
            Some(answer) => {
                answers.runs += 1;
                answers.seconds.extend(answer);
            }
            None => answers.unfit += 1,
        }
    }
    answers
}

impl Answers {
    fn share(&self) -> f64 {
        f64::from(u32::try_from(self.seconds.len()).unwrap_or(u32::MAX)) / f64::from(self.runs.max(1))
    }

    fn median(&self) -> Option<f64> {
        // Of all runs, those without an answer last.
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        seconds.get(self.runs as usize / 2).copied()
    }
}

/// A row of the table; answers whether the measured rate is above the stated one.
fn row(rule: &str, situation: &str, nominal: Option<f64>, answers: &Answers) -> bool {
    let measured = answers.share();
    let error = (measured * (1.0 - measured) / f64::from(answers.runs.max(1))).sqrt();
    let unfit = f64::from(answers.unfit) / f64::from(answers.unfit + answers.runs);
    let unfit = if answers.unfit == 0 { String::new() } else { format!("{:.1}%", unfit * 100.0) };
    let median = answers.median().map_or_else(String::new, |median| format!("{median:.1} s"));
    match nominal {
        Some(nominal) => {
            println!(
                "| {rule} | {situation} | {:.2}% | {:.2}% ± {:.2}% | | | {unfit} |",
                nominal * 100.0,
                measured * 100.0,
                error * 100.0
            );
            measured > nominal + 3.0 * (nominal * (1.0 - nominal) / f64::from(answers.runs.max(1))).sqrt()
        }
        None => {
            println!("| {rule} | {situation} | | | {:.1}% | {median} | {unfit} |", measured * 100.0);
            false
        }
    }
}

fn head() {
    println!("| rule | situation | stated | false answers | power | median | unfit |");
    println!("|---|---|---|---|---|---|---|");
}

fn second(share: f64, chance: &mut ChaCha8Rng) -> Events {
    let bad = (0..RATE).filter(|_| chance.random::<f64>() < share).count();
    let bad = f64::from(u32::try_from(bad).unwrap_or(0));
    Events { bad, good: f64::from(RATE) - bad }
}

fn add(sum: &mut Events, more: Events) {
    (sum.bad, sum.good) = (sum.bad + more.bad, sum.good + more.good);
}

/// How often a Poisson process strikes (Knuth).
fn poisson(mean: f64, chance: &mut ChaCha8Rng) -> f64 {
    let (mut product, mut count) = (chance.random::<f64>(), 0.0);
    while product > (-mean).exp() {
        product *= chance.random::<f64>();
        count += 1.0;
    }
    count
}

const PARTS: [Part; 6] = [
    ("one-sample", one_sample),
    ("shares", shares),
    ("rates", rates),
    ("quantiles", quantiles),
    ("bursts", bursts),
    ("guardrails", guardrails),
];

fn main() -> ExitCode {
    println!("At {RATE} requests a second, {RUNS} seeded runs a row, a look every second.\n");
    parts::run(&PARTS)
}

/// One stream against the bound of 1%.
fn one_sample() -> bool {
    println!("## One stream against a bound of 1%\n");
    head();
    let runs = |runs, share: f64, error_rate: f64, above: bool| {
        simulate(runs, move |chance| {
            let mut seen = Events { bad: 0.0, good: 0.0 };
            let found = (1..=120_u32).find(|_| {
                add(&mut seen, second(share, chance));
                let evidence = if above {
                    RULE.ratio_is_above(0.01, seen.bad, seen.good)
                } else {
                    RULE.ratio_is_below(0.01, seen.bad, seen.good)
                };
                evidence >= threshold(error_rate)
            });
            Some(found.map(f64::from))
        })
    };
    let mut wrong = row("harm", "exactly at the bound, 120 s", Some(0.01), &runs(RUNS, 0.01, 0.01, true));
    wrong |= row("harm", "0.5% errors, 120 s", Some(0.01), &runs(RUNS, 0.005, 0.01, true));
    wrong |= row("health", "exactly at the bound, 120 s", Some(0.05), &runs(RUNS, 0.01, 0.05, false));
    for (share, text) in [(0.02, "2% errors"), (0.05, "5% errors"), (0.2, "20% errors")] {
        row("harm, at 1%", text, None, &runs(2_000, share, 0.01, true));
    }
    for (share, text) in [(0.0, "no errors"), (0.002, "0.2% errors"), (0.005, "0.5% errors")] {
        row("health, at 5%", text, None, &runs(2_000, share, 0.05, false));
    }
    println!();
    wrong
}

/// A fault against a baseline of 60 s that is over, or a control that grows beside it.
fn shares() -> bool {
    println!("## Errors against a reference, at most +1 percentage point\n");
    head();
    let margin = Margin { factor: 1.0, plus: 0.01 };
    let runs = |runs, of_reference: f64, share: f64, error_rate: f64, above: bool, beside: bool| {
        simulate(runs, move |chance| {
            let (mut reference, mut seen) = (Events { bad: 0.0, good: 0.0 }, Events { bad: 0.0, good: 0.0 });
            if !beside {
                (0..60).for_each(|_| add(&mut reference, second(of_reference, chance)));
            }
            let needed = threshold(error_rate);
            let found = (1..=120_u32).find(|_| {
                if beside {
                    add(&mut reference, second(of_reference, chance));
                }
                add(&mut seen, second(share, chance));
                let evidence = if above {
                    share_is_above(&RULE, seen, reference, margin, needed)
                } else {
                    share_is_below(&RULE, seen, reference, margin, needed)
                };
                evidence >= needed
            });
            Some(found.map(f64::from))
        })
    };
    let mut wrong = false;
    for (beside, name) in [(false, "baseline of 60 s"), (true, "control beside it")] {
        for (of, text) in [(0.0, "0% and 1%"), (0.005, "0.5% and 1.5%"), (0.05, "5% and 6%")] {
            let text = format!("{name}: {text}, at the margin");
            wrong |= row("harm", &text, Some(0.05), &runs(RUNS, of, of + 0.01, 0.05, true, beside));
            wrong |= row("health", &text, Some(0.05), &runs(RUNS, of, of + 0.01, 0.05, false, beside));
        }
        for (of, share, text) in [(0.005, 0.03, "0.5% and 3%"), (0.005, 0.06, "0.5% and 6%"), (0.0, 0.05, "0% and 5%")]
        {
            let text = format!("{name}: {text}");
            row("harm, at 1.25%", &text, None, &runs(1_000, of, share, 0.0125, true, beside));
        }
        for (of, text) in [(0.0, "no errors in either"), (0.002, "0.2% in both"), (0.01, "1% in both")] {
            let text = format!("{name}: {text}");
            row("health, at 5%", &text, None, &runs(1_000, of, of, 0.05, false, beside));
        }
    }
    println!();
    wrong
}

/// Poisson streams: at least 80% of the reference.
fn rates() -> bool {
    println!("## Traffic against a baseline of 60 s at 20 a second, at least 80%\n");
    head();
    let margin = Margin { factor: 0.8, plus: 0.0 };
    let runs = |runs, rate: f64, error_rate: f64, above: bool| {
        simulate(runs, move |chance| {
            let reference = Pace { count: (0..60).map(|_| poisson(20.0, chance)).sum(), seconds: 60.0 };
            let mut count = 0.0;
            let needed = threshold(error_rate);
            let found = (1..=120_u32).find(|second| {
                count += poisson(rate, chance);
                let here = Pace { count, seconds: f64::from(*second) };
                let evidence = if above {
                    rate_is_above(&RULE, here, reference, margin, needed)
                } else {
                    rate_is_below(&RULE, here, reference, margin, needed)
                };
                evidence >= needed
            });
            Some(found.map(f64::from))
        })
    };
    let mut wrong = row("too little", "exactly 80%", Some(0.05), &runs(RUNS, 16.0, 0.05, false));
    wrong |= row("enough", "exactly 80%", Some(0.05), &runs(RUNS, 16.0, 0.05, true));
    row("too little, at 1.25%", "60% of it", None, &runs(1_000, 12.0, 0.0125, false));
    row("too little, at 1.25%", "nothing at all", None, &runs(1_000, 0.0, 0.0125, false));
    row("enough, at 5%", "100% of it", None, &runs(1_000, 20.0, 0.05, true));
    println!();
    wrong
}

/// Latencies between 100 ms and 200 ms with a tail of one in twenty up to a second, to three digits.
fn latency(slowed: f64, chance: &mut ChaCha8Rng) -> u32 {
    let tail = if chance.random::<f64>() < 0.05 { 1.0 + 4.0 * chance.random::<f64>() } else { 1.0 };
    let milliseconds = 100.0 * (1.0 + chance.random::<f64>()) * tail * slowed;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 100 and 10,000")]
    let whole = milliseconds.round() as u32;
    whole
}

fn ranked(values: &[u32]) -> Ranked {
    Ranked::new(values.iter().map(|value| (f64::from(*value), 1)), 0)
}

fn quantiles() -> bool {
    println!("## A latency quantile against a baseline of 60 s, at most +20% (2,000 runs a row, a look every 5 s)\n");
    head();
    let margin = Margin { factor: 1.2, plus: 0.0 };
    let runs = |runs, quantile: f64, slowed: f64, error_rate: f64, above: bool| {
        simulate(runs, move |chance| {
            let reference: Vec<u32> = (0..60 * RATE).map(|_| latency(1.0, chance)).collect();
            let reference = ranked(&reference);
            let mut seen = Vec::new();
            let needed = threshold(error_rate);
            let found = (1..=24_u32).find(|_| {
                seen.extend((0..5 * RATE).map(|_| latency(slowed, chance)));
                let here = ranked(&seen);
                let evidence = if above {
                    quantile_is_above(&RULE, quantile, &here, &reference, margin, needed)
                } else {
                    quantile_is_below(&RULE, quantile, &here, &reference, margin, needed)
                };
                evidence >= needed
            });
            Some(found.map(|look| 5.0 * f64::from(look)))
        })
    };
    let mut wrong = false;
    for (quantile, name) in [(0.5, "p50"), (0.9, "p90"), (0.99, "p99")] {
        let text = format!("{name}, slower by exactly 20%");
        wrong |= row("slower", &text, Some(0.05), &runs(2_000, quantile, 1.2, 0.05, true));
        wrong |= row("as quick", &text, Some(0.05), &runs(2_000, quantile, 1.2, 0.05, false));
        row("slower, at 1.25%", &format!("{name}, slower by 60%"), None, &runs(300, quantile, 1.6, 0.0125, true));
        row("as quick, at 5%", &format!("{name}, not slower"), None, &runs(300, quantile, 1.0, 0.05, false));
    }
    println!();
    wrong
}

/// Errors whose probability itself wanders: `mean × exp(AR(1))`, with a coefficient of variation and a resemblance from
/// second to second.
struct Bursts {
    mean: f64,
    spread: f64,
    resemblance: f64,
    state: f64,
}

impl Bursts {
    fn new(mean: f64, variation: f64, resemblance: f64, chance: &mut ChaCha8Rng) -> Self {
        let spread = (1.0 + variation * variation).ln().sqrt();
        Self { mean, spread, resemblance, state: normal(chance) }
    }

    fn second(&mut self, chance: &mut ChaCha8Rng) -> Events {
        let fresh = (1.0 - self.resemblance * self.resemblance).sqrt();
        self.state = self.resemblance * self.state + fresh * normal(chance);
        let share = self.mean * (self.spread * self.state - self.spread * self.spread / 2.0).exp();
        second(share.min(1.0), chance)
    }
}

fn normal(chance: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| chance.random::<f64>()).sum::<f64>() - 6.0
}

/// Healthy on average, in bursts: the theorem does not cover these; the dispersion of the baseline corrects them, or the
/// signal is declared unfit.
fn bursts() -> bool {
    println!("## Healthy streams in bursts against a bound of 1%, harm at 1%, 300 s\n");
    head();
    for length in [60_u32, 300] {
        bursts_after(length);
    }
    power_with_dispersion();
    println!();
    false
}

/// Mean, variation and resemblance from second to second of the healthy streams.
const STREAMS: [(f64, f64, f64); 5] =
    [(0.005, 0.0, 0.0), (0.005, 1.0, 0.5), (0.005, 1.0, 0.9), (0.002, 2.0, 0.9), (0.005, 2.0, 0.95)];

fn situation(length: u32, (mean, variation, resemblance): (f64, f64, f64)) -> String {
    let mean = mean * 100.0;
    format!("baseline of {length} s: {mean}% on average, variation {variation}, resemblance {resemblance}")
}

fn bursts_after(length: u32) {
    for (mean, variation, resemblance) in STREAMS {
        let text = situation(length, (mean, variation, resemblance));
        for corrected in [false, true] {
            let answers = simulate(RUNS, |chance| {
                let mut bursts = Bursts::new(mean, variation, resemblance, chance);
                let baseline: Vec<Events> = (0..length).map(|_| bursts.second(chance)).collect();
                let dispersion = if corrected { Dispersion::of(&baseline) } else { Dispersion::NONE };
                if corrected && unfit(&RULE, &baseline, UNFIT).is_some() {
                    return None;
                }
                let mut seen = Events { bad: 0.0, good: 0.0 };
                let found = (1..=300_u32).find(|_| {
                    add(&mut seen, bursts.second(chance));
                    let Events { bad, good } = dispersion.deflated(seen);
                    bad > 0.01 * (bad + good) && RULE.ratio_is_above(0.01, bad, good) >= threshold(0.01)
                });
                Some(found.map(f64::from))
            });
            row(if corrected { "harm, by dispersion" } else { "harm, plain" }, &text, Some(0.01), &answers);
        }
    }
}

/// The same healthy streams before a guardrail, looked at every second of 300 s, by the judge itself; and how soon it sees
/// harm that begins with the injection. Signals that the judge calls unfit are left
/// aside, though a guardrail on these still guards.
fn guardrails() -> bool {
    println!("## A guardrail on healthy streams in bursts, bound 1%, at 1%, 300 s\n");
    head();
    let spec: Spec = serde_saphyr::from_str(GUARDED).expect("a document");
    for length in [60_u32, 300] {
        for stream in STREAMS {
            let (mean, variation, resemblance) = stream;
            let answers = simulate(RUNS, |chance| {
                let mut bursts = Bursts::new(mean, variation, resemblance, chance);
                guarded(&spec, length, |_| bursts.second(chance))
            });
            row("guardrail", &situation(length, stream), Some(0.01), &answers);
        }
    }
    for (share, text) in [(0.02, "2% errors"), (0.05, "5% errors"), (0.2, "20% errors")] {
        let answers =
            simulate(2_000, |chance| guarded(&spec, 60, |at| second(if at < 60 { 0.005 } else { share }, chance)));
        row("guardrail", &format!("baseline of 60 s: 0.5% errors, then {text}"), None, &answers);
    }
    println!();
    false
}

/// When a guardrail breached in the 300 s after a baseline, if it did; nothing if the signal was unfit.
fn guarded(spec: &Spec, length: u32, mut events: impl FnMut(u32) -> Events) -> Option<Option<f64>> {
    let mut judge = Judge::new(spec).expect("a document that can be judged");
    let mut second = |judge: &mut Judge, at: u32| {
        let events = events(at);
        let reading = Reading::Counts { bad: events.bad, total: events.bad + events.good };
        judge.observe(&Sample { signal: "s".into(), at: f64::from(at) + 0.5, reading });
        events
    };
    judge.begin(Phase::Before, 0.0);
    let baseline: Vec<Events> = (0..length).map(|at| second(&mut judge, at)).collect();
    judge.end(Phase::Before, f64::from(length));
    judge.begin(Phase::During, f64::from(length));
    if unfit(&RULE, &baseline, 0.004).is_some() {
        return None;
    }
    let found = (1..=300_u32).find(|after| {
        second(&mut judge, length + after - 1);
        judge.breach(f64::from(length + after)).is_some()
    });
    Some(found.map(f64::from))
}

fn power_with_dispersion() {
    for (share, text) in [(0.05, "5% errors after a plain baseline"), (0.02, "2% errors after a plain baseline")] {
        let answers = simulate(2_000, |chance| {
            let baseline: Vec<Events> = (0..60).map(|_| second(0.005, chance)).collect();
            let dispersion = Dispersion::of(&baseline);
            if unfit(&RULE, &baseline, UNFIT).is_some() {
                return None;
            }
            let mut seen = Events { bad: 0.0, good: 0.0 };
            let found = (1..=300_u32).find(|_| {
                add(&mut seen, second(share, chance));
                let Events { bad, good } = dispersion.deflated(seen);
                bad > 0.01 * (bad + good) && RULE.ratio_is_above(0.01, bad, good) >= threshold(0.01)
            });
            Some(found.map(f64::from))
        });
        row("harm, by dispersion", text, None, &answers);
    }
}

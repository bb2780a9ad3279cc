//! How often the judge is wrong, how soon it is right, and what a look costs: `cargo bench --bench judge`.
//!
//! Every rate that the judge states is measured here at the worst place, which is a system exactly at its bound, with a
//! look at every second. A rate above the stated one ends the bench with an error. Seeded: the same numbers each time.
//!
//! `cargo bench --bench judge -- looks hour` does these parts alone, of `rates`, `delays`, `looks` and `hour`.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::missing_docs_in_private_items,
    reason = "a program that prints"
)]

#[path = "parts/mod.rs"]
mod parts;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use faultline::experiment::document::Spec;
use faultline::hypothesis::verdict::{Phase, Verdict};
use faultline::hypothesis::{Judge, Steady};
use faultline::signals::sample::{Reading, Sample};
use parts::Part;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const RUNS: u32 = 10_000;

const ERRORS: &str = "
hypothesis: checkout is well
signals: { s: { http: { url: 'http://127.0.0.1/', rate: 50/s, timeout: 1s } } }
steadyState: [ { signal: s, errors: { below: 1% } } ]
guardrails: [ { signal: s, errors: { below: 1% } } ]
method: [ observe: 30s ]
";

const TRAFFIC: &str = "
hypothesis: orders come in
signals: { s: { prometheus: { url: 'http://127.0.0.1/', total: total } } }
steadyState: [ { signal: s, traffic: { atLeast: 16/s } } ]
method: [ observe: 30s ]
";

const PARTS: [Part; 4] = [("rates", rates), ("delays", delays), ("looks", looks), ("hour", hour)];

fn main() -> ExitCode {
    parts::run(&PARTS)
}

fn judge(yaml: &str) -> Judge {
    let spec: Spec = serde_saphyr::from_str(yaml).expect("a document");
    Judge::new(&spec).expect("a document that can be judged")
}

/// A second of 50 requests, failing with a probability.
fn second(judge: &mut Judge, second: u32, error: f64, chance: &mut ChaCha8Rng) {
    for tick in 0..50 {
        let failure = (chance.random::<f64>() < error).then(String::new);
        let at = f64::from(second) + f64::from(tick) / 50.0;
        judge.observe(&Sample::request("s", at, Duration::from_millis(20), failure));
    }
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

fn counted(judge: &mut Judge, second: u32, total: f64) {
    let reading = Reading::Counts { bad: 0.0, total };
    judge.observe(&Sample { signal: "s".into(), at: f64::from(second) + 0.5, reading });
}

/// The share of seeded runs in which something happened.
fn share(mut happens: impl FnMut(&mut ChaCha8Rng) -> bool) -> f64 {
    let count = (0..RUNS).filter(|seed| happens(&mut ChaCha8Rng::seed_from_u64(u64::from(*seed)))).count();
    f64::from(u32::try_from(count).unwrap_or(RUNS)) / f64::from(RUNS)
}

/// Prints a measured rate beside the stated one, and says whether it is above it by more than chance explains.
fn row(what: &str, measured: f64, stated: f64) -> bool {
    let noise = 3.0 * (stated * (1.0 - stated) / f64::from(RUNS)).sqrt();
    let above = measured > stated + noise;
    println!("{what:<66} {:>7.2}% {:>7.2}%{}", measured * 100.0, stated * 100.0, if above { "  ABOVE" } else { "" });
    above
}

fn rates() -> bool {
    println!(
        "{:<66} {:>8} {:>8}",
        format!("wrong verdicts in {RUNS} runs of 60 s, a look each second"),
        "measured",
        "stated"
    );
    let errors = judge_of(ERRORS);
    let gate = |wanted: fn(&Steady) -> bool| {
        share(|chance| {
            let mut judge = errors();
            judge.begin(Phase::Before, 0.0);
            (0..60).any(|at| {
                second(&mut judge, at, 0.01, chance);
                wanted(&judge.is_steady(f64::from(at + 1)))
            })
        })
    };
    let mut above =
        row("errors at the bound of 1%: called steady at some look", gate(|steady| *steady == Steady::Yes), 0.05);
    above |= row(
        "errors at the bound of 1%: refused at some look",
        gate(|steady| matches!(steady, Steady::No(_))),
        0.05 / 4.0,
    );
    let recovered = share(|chance| {
        let mut judge = errors();
        judge.begin(Phase::After, 0.0);
        (0..60).any(|at| {
            second(&mut judge, at, 0.01, chance);
            judge.is_steady(f64::from(at + 1)) == Steady::Yes
        })
    });
    above |= row("errors at the bound of 1%: called recovered at some look", recovered, 0.05);
    let aborted = share(|chance| {
        let mut judge = errors();
        judge.begin(Phase::Before, 0.0);
        (0..60).any(|at| {
            second(&mut judge, at, 0.01, chance);
            judge.breach(f64::from(at + 1)).is_some()
        })
    });
    above |= row("errors at the bound of 1%: guardrail breached at some look", aborted, 0.05 / 4.0);

    let traffic = judge_of(TRAFFIC);
    let rate = |wanted: Verdict| {
        share(|chance| {
            let mut judge = traffic();
            judge.begin(Phase::During, 0.0);
            (0..60).any(|at| {
                counted(&mut judge, at, poisson(16.0, chance));
                judge.begin(Phase::During, f64::from(at + 1));
                judge.verdicts().iter().any(|judged| judged.verdict == wanted)
            })
        })
    };
    above |= row("traffic at the floor of 16/s: held at some look", rate(Verdict::Held), 0.05);
    above |= row("traffic at the floor of 16/s: violated at some look", rate(Verdict::Violated), 0.05 / 3.0);
    let baseline = judge_of(&TRAFFIC.replace("16/s", "80%, of: baseline"));
    let compared = |wanted: Verdict| {
        share(|chance| {
            let mut judge = baseline();
            judge.begin(Phase::Before, 0.0);
            (0..30).for_each(|at| counted(&mut judge, at, poisson(20.0, chance)));
            judge.end(Phase::Before, 30.0);
            judge.begin(Phase::During, 30.0);
            (30..90).for_each(|at| counted(&mut judge, at, poisson(16.0, chance)));
            judge.end(Phase::During, 90.0);
            judge.verdicts().iter().any(|judged| judged.phase == Phase::During && judged.verdict == wanted)
        })
    };
    above |= row("traffic at 80% of the baseline, 80% asked: held", compared(Verdict::Held), 0.05);
    above |= row("traffic at 80% of the baseline, 80% asked: violated", compared(Verdict::Violated), 0.05 / 3.0);
    above
}

/// A judge of a document, made anew for each run without reading it again.
fn judge_of(yaml: &str) -> impl Fn() -> Judge + use<> {
    let spec: Spec = serde_saphyr::from_str(yaml).expect("a document");
    move || Judge::new(&spec).expect("a document that can be judged")
}

/// Seconds until an answer, sorted; those without one within two minutes last.
fn quantiles(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let at = |part: usize| seconds.get(seconds.len() * part / 100).copied().unwrap_or(f64::INFINITY);
    let show = |value: f64| if value.is_finite() { format!("{value:>6.1} s") } else { "  never ".into() };
    format!("{} {}", show(at(50)), show(at(95)))
}

fn delays() -> bool {
    println!("\nseconds to an answer at 50 requests/s, bound 1%, in 500 runs       median     95%");
    let yaml = ERRORS.replace("method", "errorRate: 4%\nmethod");
    let fresh = judge_of(&yaml);
    for error in [0.015, 0.02, 0.05, 0.2, 1.0] {
        let delays = (0..500).map(|seed| {
            let mut chance = ChaCha8Rng::seed_from_u64(seed);
            let mut judge = fresh();
            judge.begin(Phase::Before, 0.0);
            (0..30).for_each(|at| second(&mut judge, at, 0.0, &mut chance));
            judge.end(Phase::Before, 30.0);
            judge.begin(Phase::During, 30.0);
            (0..6_000_u32)
                .find_map(|tick| {
                    let at = 30.0 + f64::from(tick) / 50.0;
                    let failure = (chance.random::<f64>() < error).then(String::new);
                    judge.observe(&Sample::request("s", at, Duration::from_millis(20), failure));
                    (tick % 5 == 4 && judge.breach(at + 0.02).is_some()).then_some(at + 0.02 - 30.0)
                })
                .unwrap_or(f64::INFINITY)
        });
        println!("guardrail at {:>5.1}% errors{:<40} {}", error * 100.0, "", quantiles(delays.collect()));
    }
    for error in [0.0, 0.001, 0.002, 0.005] {
        let delays = (0..500).map(|seed| {
            let mut chance = ChaCha8Rng::seed_from_u64(seed);
            let mut judge = fresh();
            judge.begin(Phase::Before, 0.0);
            (0..120)
                .find(|at| {
                    second(&mut judge, *at, error, &mut chance);
                    judge.is_steady(f64::from(at + 1)) == Steady::Yes
                })
                .map_or(f64::INFINITY, |at| f64::from(at + 1))
        });
        println!(
            "steady shown at {:>5.1}% errors (with 1 s for late answers){:<11} {}",
            error * 100.0,
            "",
            quantiles(delays.collect())
        );
    }
    false
}

/// What a look costs: 1,000 signals with an objective on errors, one on latency and a guardrail each, in mid-run.
fn looks() -> bool {
    use std::fmt::Write as _;
    let (mut signals, mut objectives, mut guardrails) = (String::new(), String::new(), String::new());
    for number in 0..1_000 {
        let _ = writeln!(signals, "  s{number}: {{ http: {{ url: 'http://127.0.0.1/', rate: 5/s }} }}");
        let _ = writeln!(objectives, "  - {{ signal: s{number}, errors: {{ below: 1% }} }}");
        let _ = writeln!(objectives, "  - {{ signal: s{number}, latency: {{ quantile: 0.99, below: 300ms }} }}");
        let _ = writeln!(guardrails, "  - {{ signal: s{number}, errors: {{ below: 5% }} }}");
    }
    let mut judge = judge(&format!(
        "hypothesis: x\nsignals:\n{signals}steadyState:\n{objectives}guardrails:\n{guardrails}method: [ observe: 30s ]\n"
    ));
    let mut chance = ChaCha8Rng::seed_from_u64(7);
    judge.begin(Phase::Before, 0.0);
    let feed = |judge: &mut Judge, from: u32, to: u32, chance: &mut ChaCha8Rng| {
        let started = Instant::now();
        for tick in from * 5..to * 5 {
            for number in 0..1_000 {
                let failure = (chance.random::<f64>() < 0.002).then(String::new);
                let at = f64::from(tick) / 5.0;
                judge.observe(&Sample::request(&format!("s{number}"), at, Duration::from_millis(20), failure));
            }
        }
        started.elapsed() / ((to - from) * 5_000)
    };
    let sample = feed(&mut judge, 0, 60, &mut chance);
    let before = time(|| drop(judge.is_steady(60.0)));
    judge.end(Phase::Before, 60.0);
    judge.begin(Phase::During, 60.0);
    feed(&mut judge, 60, 120, &mut chance);
    let guardrails = time(|| drop(judge.breach(120.0)));
    judge.end(Phase::During, 120.0);
    judge.begin(Phase::After, 120.0);
    feed(&mut judge, 120, 180, &mut chance);
    let after = time(|| drop(judge.is_steady(180.0)));
    let verdicts = time(|| drop(judge.verdicts()));
    println!("\none look at 1,000 signals, 2,000 objectives and 1,000 guardrails after 60 s of 5 requests/s each");
    println!("a sample taken in                          {sample:>10.1?}");
    println!("is it steady, before                       {before:>10.1?}");
    println!("is a guardrail breached                    {guardrails:>10.1?}");
    println!("is it recovered                            {after:>10.1?}");
    println!("all 6,000 verdicts in words, once a run    {verdicts:>10.1?}");
    let slow = before.max(guardrails).max(after) > Duration::from_millis(10);
    if slow {
        println!("ABOVE 10 ms");
    }
    slow
}

/// What a recorded hour costs to judge: 100 signals read ten times a second, an objective on errors and one on latency each.
/// The yardstick in the same run: looking each sample's signal up by its name and counting it.
fn hour() -> bool {
    use std::fmt::Write as _;
    const SIGNALS: usize = 100;
    let (mut signals, mut objectives) = (String::new(), String::new());
    for number in 0..SIGNALS {
        let _ = writeln!(signals, "  s{number}: {{ http: {{ url: 'http://127.0.0.1/', rate: 10/s }} }}");
        let _ = writeln!(objectives, "  - {{ signal: s{number}, errors: {{ atMost: +1pp, of: baseline }} }}");
        let _ = writeln!(objectives, "  - {{ signal: s{number}, latency: {{ quantile: 0.99, below: 300ms }} }}");
    }
    let mut judge =
        judge(&format!("hypothesis: x\nsignals:\n{signals}steadyState:\n{objectives}method: [ observe: 30s ]\n"));
    let mut chance = ChaCha8Rng::seed_from_u64(7);
    let mut counted: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let (mut taken, mut yardstick) = (Duration::ZERO, Duration::ZERO);
    judge.begin(Phase::Before, 0.0);
    for minute in 0..60_u32 {
        if minute == 10 {
            judge.end(Phase::Before, 600.0);
            judge.begin(Phase::During, 600.0);
        }
        let samples: Vec<Sample> = (0..600_u32)
            .flat_map(|tick| (0..SIGNALS).map(move |number| (tick, number)))
            .map(|(tick, number)| {
                let failure = (chance.random::<f64>() < 0.002).then(String::new);
                let latency = Duration::from_micros(20_000 + u64::from(chance.random::<u16>()));
                let at = f64::from(minute) * 60.0 + f64::from(tick) / 10.0;
                Sample::request(&format!("s{number}"), at, latency, failure)
            })
            .collect();
        let started = Instant::now();
        samples.iter().for_each(|sample| judge.observe(sample));
        taken += started.elapsed();
        let started = Instant::now();
        for sample in &samples {
            let bad = matches!(&sample.reading, Reading::Request { failure: Some(_), .. });
            if let Some(sums) = counted.get_mut(&sample.signal) {
                (sums.0, sums.1) = (sums.0 + u64::from(bad), sums.1 + 1);
            } else {
                counted.insert(sample.signal.clone(), (u64::from(bad), 1));
            }
        }
        yardstick += started.elapsed();
    }
    judge.end(Phase::During, 3_600.0);
    let started = Instant::now();
    let verdicts = judge.verdicts();
    let judged = started.elapsed();
    let whole = taken + judged;
    println!("\na recorded hour of {SIGNALS} signals at 10 Hz, 3,600,000 samples");
    println!("taken in                                   {taken:>10.1?}");
    println!("{} verdicts with effects and intervals    {judged:>10.1?}", verdicts.len());
    println!("in all                                     {whole:>10.1?}");
    println!("yardstick: finding and counting alone      {yardstick:>10.1?}");
    println!("in all, in yardsticks                      {:>10.1}", whole.as_secs_f64() / yardstick.as_secs_f64());
    let slow = whole > Duration::from_secs(1);
    if slow {
        println!("ABOVE 1 s");
    }
    slow
}

/// The median of a few repetitions.
fn time(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..7)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed()
        })
        .collect();
    times.sort();
    times.get(3).copied().unwrap_or_default()
}

//! Journals as a run would write them, seeded, for the tests of every format. Documents and plans are written as JSON,
//! as they stand in a real journal.

#![allow(clippy::needless_pass_by_value, reason = "JSON built in place reads best when it is handed over")]

mod document;

pub(crate) use document::document;
use document::plan;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use faultline_agent::plan::Plan;

use super::RunReport;
use crate::run::journal::{Entry, Event};

/// How the run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every link holds.
    Held,
    /// The latency bound is missed under the fault.
    Violated,
    /// The fault is applied, and no packet meets it.
    Invalid,
    /// A guardrail aborts the run.
    Aborted,
    /// The worker is killed while the fault acts.
    CutOff,
}

impl Ending {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Held, Self::Violated, Self::Invalid, Self::Aborted, Self::CutOff];

    /// Its name in the names of files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Violated => "violated",
            Self::Invalid => "invalid",
            Self::Aborted => "aborted",
            Self::CutOff => "cut-off",
        }
    }
}

/// The entries as lines of a journal.
pub(crate) fn lines(entries: &[Entry]) -> String {
    entries.iter().map(|entry| serde_json::to_string(entry).unwrap() + "\n").collect()
}

const FAULT: &str = "00000000f417";
const INJECT: f64 = 12.4;
const UNDO: &str = "remove table inet faultline_00000000f417";

/// The journal of a run with this end.
pub(crate) fn journal(ending: Ending) -> Vec<Entry> {
    journal_of(ending, document())
}

/// The journal of such a run of another document.
pub(crate) fn journal_of(ending: Ending, document: Value) -> Vec<Entry> {
    let stop = match ending {
        Ending::Aborted => INJECT + 4.3,
        Ending::CutOff => INJECT + 9.0,
        _ => INJECT + 20.0,
    };
    let end = if ending == Ending::CutOff { stop } else { stop + 6.5 };
    let mut entries = vec![
        entry(
            0.0,
            json!({ "started": {
            "run": "20261121T081500-5ca1ab", "version": "0.1.0", "host": "shop-1 (Linux 6.18.0)",
            "time": "2026-11-21T08:15:00Z", "seed": 7, "experiment": document, "file": "experiments/slow-backend.yaml",
        } }),
        ),
        entry(0.05, json!({ "planned": { "target": "shop", "plan": plan() } })),
        entry(0.131, json!({ "service": { "name": "backend", "change": "up after 118 ms" } })),
        entry(0.264, json!({ "service": { "name": "shop", "change": "up after 131 ms" } })),
        entry(0.4, json!({ "state": { "state": "steady" } })),
    ];
    entries.extend(samples(ending, stop, end));
    entries.extend(injection(ending, stop));
    if ending != Ending::CutOff {
        entries.extend(conclusion(ending, stop, end));
    }
    entries.sort_by(|one, other| one.at.total_cmp(&other.at));
    // An undo is told of in the words of the plan, which are the step's own.
    for entry in &mut entries {
        if let Event::Undone { steps, .. } = &mut entry.event {
            steps[0].step = words_of_the_plan();
        }
    }
    entries
}

/// The report of the run with this end, with fixed words for what other rooms describe in theirs: for snapshots.
pub(crate) fn report(ending: Ending) -> RunReport {
    plain(RunReport::from_entries(&journal(ending)).unwrap())
}

/// The report of [`fleet_journal`], in the same way.
pub(crate) fn fleet_report() -> RunReport {
    plain(RunReport::from_entries(&fleet_journal()).unwrap())
}

/// The journal of a run that held on three hosts, of which one vanished and came back clean while another joined, on a
/// fleet that had changed a little since the plan.
pub(crate) fn fleet_journal() -> Vec<Entry> {
    let hosts = ["shop-1", "shop-2", "shop-3"];
    let fault = |number: usize| format!("00000000f41{}", 7 + number);
    let mut entries = Vec::new();
    for mut entry in journal(Ending::Held) {
        let text = serde_json::to_string(&entry).unwrap();
        if let Event::Started(started) = &mut entry.event {
            started.hosts = vec![hosts.map(str::to_owned).to_vec()];
        }
        if !text.contains(FAULT) {
            entries.push(entry);
            continue;
        }
        for (number, host) in hosts.iter().enumerate() {
            let mut entry: Entry = serde_json::from_str(&text.replace(FAULT, &fault(number))).unwrap();
            if let Event::Planned { host: of, .. } = &mut entry.event {
                *of = Some((*host).to_owned());
            }
            let lost = number == 1;
            match &entry.event {
                // It vanished before it was measured for the last time, and was asked once it was back.
                Event::Evidence { .. } if lost && entry.at > INJECT + 1.0 => {}
                Event::Undone { .. } if lost => entries.push(Entry { at: INJECT + 15.1, ..entry }),
                _ => entries.push(entry),
            }
        }
    }
    let host = |at: f64, host: &str, what: Value, note: &str, lost: &[String]| {
        entry(at, json!({ "host": { "host": host, "what": what, "note": note, "lost": lost } }))
    };
    entries.push(entry(0.001, json!({ "drifted": { "differences": ["shop-2: zone was a and is b"] } })));
    let vanished = "shop-2 vanished: nothing was heard of it for 15 s; its own lease undoes what is on it (1 of 3 hosts lost, 1 tolerated)";
    let silent = json!({ "kind": "vanished", "silent": 15 });
    entries.push(host(INJECT + 9.0, "shop-2", silent, vanished, &[fault(1)]));
    let joined = json!({ "kind": "joined", "targets": ["shop"] });
    let note = "shop-9 joined and is meant by `shop`: it is not of the approved plan, and nothing is injected there";
    entries.push(host(INJECT + 11.0, "shop-9", joined, note, &[]));
    let note = "shop-2 is back; nothing is injected into it again, and it must say that the fault is gone";
    entries.push(host(INJECT + 15.0, "shop-2", json!({ "kind": "returned" }), note, &[]));
    let because = "nothing was heard of the controller for the length of the lease";
    let alone = json!({ "kind": "undone-alone", "fault": fault(1), "because": because, "verified": true });
    entries.push(host(INJECT + 15.0, "shop-2", alone, &format!("shop-2 undid its fault by itself ({because})"), &[]));
    entries.sort_by(|one, other| one.at.total_cmp(&other.at));
    entries
}

/// A score of the run's service, before and after it.
pub(crate) fn service_score() -> crate::score::AroundRun {
    let week = |until: &str, score: f64, runs: usize| json!({ "until": until, "score": score, "runs": runs });
    serde_json::from_value(json!({
        "service": "checkout", "before": 41.2, "after": 62.5, "earlierRuns": 7,
        "trend": [week("2026-11-07", 0.0, 1), week("2026-11-14", 41.2, 6), week("2026-11-21", 62.5, 1)],
        "advice": [{
            "what": "test-dependency", "about": "cache", "gain": 33.3,
            "sentence": "test the dependency `cache`: no run of it came to a verdict",
        }],
    }))
    .unwrap()
}

fn plain(mut report: RunReport) -> RunReport {
    for fault in &mut report.faults {
        fault.plan.steps.clear();
        for step in &mut fault.steps {
            step.does = Some(format!("add table inet faultline_{FAULT} in the agent's own network namespace"));
            step.undo = UNDO.into();
            step.manual = step.manual.take().map(|_| format!("nft delete table inet faultline_{FAULT}"));
        }
    }
    report.experiment.spec.method.truncate(1);
    for link in &mut report.chain {
        link.detail = link.detail.replace(&words_of_the_plan(), UNDO);
    }
    report
}

/// The same with few numbers of two signals: for snapshots of the formats that hold every number.
pub(crate) fn thin_report(ending: Ending) -> RunReport {
    thin(report(ending))
}

/// The same of [`fleet_report`].
pub(crate) fn thin_fleet_report() -> RunReport {
    thin(fleet_report())
}

fn thin(mut report: RunReport) -> RunReport {
    report.signals.retain(|signal| ["checkout", "queue"].contains(&signal.name.as_str()));
    for signal in &mut report.signals {
        signal.points.retain(|point| (10.0..16.0).contains(&point.at) || (19.0..23.0).contains(&point.at));
    }
    report
}

fn words_of_the_plan() -> String {
    serde_json::from_value::<Plan>(plan()).unwrap().steps[0].describe_undo()
}

fn entry(at: f64, event: Value) -> Entry {
    serde_json::from_value(json!({ "at": at, "event": event })).unwrap()
}

fn injection(ending: Ending, stop: f64) -> Vec<Entry> {
    let evidence = |bite: Value, delay: Option<f64>| {
        let measurements: Vec<Value> = delay.map_or_else(Vec::new, |delay| {
            vec![
                json!({ "name": "delay", "asked": 100.0, "measured": delay, "unit": "ms", "by": "median hold of 2,048 packets" }),
                json!({ "name": "jitter", "asked": 10.0, "measured": 9.84, "unit": "ms", "by": "standard deviation of their holds" }),
                json!({ "name": "packets held", "measured": 2048.0, "unit": "packets", "by": "queue counter" }),
            ]
        });
        json!({ "evidence": { "fault": FAULT, "evidence": { "bite": bite, "measurements": measurements } } })
    };
    let mut entries = vec![
        entry(INJECT, json!({ "state": { "state": "injecting" } })),
        entry(INJECT + 0.004, json!({ "injected": { "fault": FAULT, "took": 0.0038 } })),
        entry(INJECT + 0.0041, json!({ "state": { "state": "biting" } })),
        entry(INJECT + 0.1, evidence(json!({ "not-yet": "no packet has passed so far" }), None)),
    ];
    if ending == Ending::Invalid {
        entries.push(entry(stop, evidence(json!({ "no": "no packet passed in 20 s" }), None)));
        return entries;
    }
    entries.push(entry(INJECT + 0.6, evidence(json!("yes"), Some(100.21))));
    entries.push(entry(INJECT + 0.6, json!({ "state": { "state": "watching" } })));
    entries.push(entry(stop - 0.4, evidence(json!("yes"), Some(100.08))));
    if ending == Ending::Aborted {
        let guardrail = verdict(3, ("during", "violated"), "12.4% of 202", (202.0, 25.0), "E = 143 exceeds 20");
        entries.push(entry(stop - 0.1, json!({ "breached": { "guardrail": guardrail } })));
        entries.push(entry(stop - 0.1, json!({ "stopped": { "by": "guardrail checkout: errors below 5%" } })));
    }
    entries
}

fn conclusion(ending: Ending, stop: f64, end: f64) -> Vec<Entry> {
    let (run_verdict, because) = match ending {
        Ending::Held => {
            ("held", "every objective held before, during and after; the fault was measured to act, and undone")
        }
        Ending::Violated => ("violated", "checkout: p99 latency below 300ms was violated under the fault: p99 412 ms"),
        Ending::Invalid => ("invalid", "network-latency had no effect: no packet passed in 20 s"),
        Ending::Aborted | Ending::CutOff => {
            ("aborted", "guardrail checkout: errors below 5% was breached: 12.4% of 202")
        }
    };
    let undone = json!({ "undone": {
        "fault": FAULT,
        "steps": [{ "step": UNDO, "outcome": "undone", "clean": true }],
        "verified": true, "took": 0.0062,
    } });
    vec![
        entry(stop, json!({ "state": { "state": "undoing" } })),
        entry(stop + 0.0063, undone),
        entry(stop + 0.007, json!({ "state": { "state": "recovering" } })),
        entry(end - 0.2, json!({ "recovered": { "after": 6.3 } })),
        entry(end - 0.1, json!({ "state": { "state": "judged" } })),
        entry(end - 0.05, json!({ "judged": { "objectives": verdicts(ending) } })),
        entry(end, json!({ "finished": { "verdict": run_verdict, "because": because } })),
    ]
}

/// A verdict on an objective of the document, by its number; 3 is the guardrail.
fn verdict(
    objective: usize,
    (phase, verdict): (&str, &str),
    text: &str,
    (events, bad): (f64, f64),
    because: &str,
) -> Value {
    let document = document();
    let (objective, description) = match objective {
        0 => (&document["spec"]["steadyState"][0], "checkout: p99 latency below 300ms"),
        1 => (&document["spec"]["steadyState"][1], "checkout: errors below 1%"),
        2 => (&document["spec"]["steadyState"][2], "checkout: traffic at least 80% of the baseline"),
        4 => (&document["spec"]["steadyState"][3], "shop-host: cpu below 90%"),
        _ => (&document["spec"]["guardrails"][0], "checkout: errors below 5%"),
    };
    json!({
        "objective": objective, "description": description, "phase": phase, "verdict": verdict, "measuredText": text,
        "events": events, "bad": bad, "errorRate": 0.05, "because": because,
    })
}

fn verdicts(ending: Ending) -> Vec<Value> {
    let proof = "1,000 events, as many as it takes";
    let mut verdicts = Vec::new();
    for phase in ["before", "during", "after"] {
        let events = if phase == "during" { 1000.0 } else { 600.0 };
        let latency = match (phase, ending) {
            ("during", Ending::Violated) => verdict(0, (phase, "violated"), "p99 412 ms", (events, 96.0), proof),
            ("during", Ending::Held) => verdict(0, (phase, "held"), "p99 171 ms", (events, 0.0), proof),
            ("during", Ending::Aborted) => verdict(
                0,
                (phase, "inconclusive"),
                "p99 295 ms",
                (215.0, 2.0),
                "382 requests without a slow one would decide it",
            ),
            _ => verdict(0, (phase, "held"), "p99 58.1 ms", (events, 0.0), proof),
        };
        let errors = match (phase, ending) {
            ("during", Ending::Aborted) => verdict(1, (phase, "violated"), "12.4% of 202", (202.0, 25.0), proof),
            _ => verdict(1, (phase, "held"), "0.1% of 1,000", (events, 1.0), proof),
        };
        verdicts.extend([
            latency,
            errors,
            verdict(2, (phase, "held"), "49.9/s, 100% of the baseline", (events, 0.0), proof),
            verdict(4, (phase, "held"), "31% on average", (20.0, 0.0), proof),
        ]);
    }
    verdicts
}

/// The samples of all four signals.
fn samples(ending: Ending, stop: f64, end: f64) -> Vec<Entry> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut entries = Vec::new();
    let mut sample = |at: f64, lag: f64, signal: &str, reading: Value| {
        if at + lag <= end - 0.21 || ending == Ending::CutOff && at + lag < end {
            entries.push(entry(at + lag, json!({ "sample": { "signal": signal, "at": at, "reading": reading } })));
        }
    };
    let delay = match ending {
        Ending::Invalid => 0.0,
        Ending::Violated | Ending::Aborted => 0.24,
        Ending::Held | Ending::CutOff => 0.1,
    };
    let steps = ((end - 0.4) * 50.0).floor();
    let mut step = 0.0;
    while step < steps {
        let at: f64 = 0.4 + step / 50.0;
        let faulted = (INJECT..stop).contains(&at);
        let tail = if random.random_bool(0.02) { 0.02 } else { 0.0 };
        let delay = if faulted { delay + random.random_range(-0.01..0.02) * delay * 10.0 } else { 0.0 };
        let latency = 0.021 + random.random_range(0.0..0.018) + tail + delay;
        let likely = if faulted && ending == Ending::Aborted { 0.12 } else { 0.001 };
        if random.random_bool(likely) {
            sample(at, latency, "checkout", json!({ "request": { "latency": latency, "failure": "status 503" } }));
        } else {
            sample(at, latency, "checkout", json!({ "request": { "latency": latency } }));
        }
        step += 1.0;
    }
    let mut second = 0.5;
    while second < end {
        let faulted = (INJECT..stop).contains(&second);
        let cpu = random.random_range(0.2..0.35) + if faulted { 0.12 } else { 0.0 };
        let reading = json!({ "host": {
            "saturation": [["cpu", cpu], ["memory", 0.41 + second / 1000.0], ["disk", 0.63]],
            "numbers": [["tcp round trip (ms)", if faulted { 1000.0 * delay } else { 0.08 }]],
        } });
        sample(second, 0.001, "shop-host", reading);
        let queue = if (20.0..22.5).contains(&second) {
            json!({ "missing": { "reason": "exit code 1: connection refused" } })
        } else {
            let depth: f64 = random.random_range(2.0..5.0) + if faulted { 14.0 } else { 0.0 };
            json!({ "value": { "value": depth.round() } })
        };
        sample(second + 0.05, 0.03, "queue", queue);
        if second.fract() == 0.5 && (second - 0.5) % 2.0 == 0.0 {
            let bad = if faulted { 2.0 } else { 0.0 };
            sample(second + 0.1, 0.004, "orders", json!({ "counts": { "bad": bad, "total": 96.0 } }));
        }
        second += 1.0;
    }
    entries
}

/// A name that tries to be markup, an escape sequence, a table cell and a line of its own.
pub(crate) const HOSTILE: &str =
    "</script><script>alert(1)</script>\"' & | `x` [x](http://e) @everyone ]]> \u{1b}[2J\n# held\u{202e}";

/// A journal whose every text of foreign origin is hostile.
pub(crate) fn hostile() -> Vec<Entry> {
    let text = lines(&journal(Ending::Aborted));
    let hostile = serde_json::to_string(HOSTILE).unwrap();
    let hostile = hostile.trim_matches('"');
    let mut text = text;
    for honest in [
        "checkout-survives-a-slow-backend",
        "When the backend answers 100 ms late",
        "experiments/slow-backend.yaml",
        "shop-1 (Linux 6.18.0)",
        "status 503",
        "exit code 1: connection refused",
        "process 4711",
        "median hold of 2,048 packets",
        "12.4% of 202",
        "E = 143 exceeds 20",
        "up after 118 ms",
        "payments",
    ] {
        assert!(text.contains(honest), "{honest}");
        text = text.replace(honest, hostile);
    }
    text = text.replace("\"checkout\"", &format!("\"{hostile}\"")).replace("checkout: ", &format!("{hostile}: "));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

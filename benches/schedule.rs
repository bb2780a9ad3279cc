//! One simulated year of 1,000 schedules, each asked whenever it wants to be: `cargo bench --bench schedule`.
//!
//! The yardstick is croner alone, going through the same patterns over the same year without windows, blackouts, draws,
//! states or decisions. Aims: a decision costs less than 50 µs, and the whole year of all schedules less than 60 s on one
//! processor; it runs as one thread.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark prints, and may stop")]

use std::time::{Duration, Instant};

use faultline::schedule::document::Schedule;
use faultline::schedule::{Decision, LastRun, Rule, State, decide};
use jiff::Timestamp;

const SCHEDULES: usize = 1_000;
const PATTERNS: [&str; 5] = ["0 10 * * mon-fri", "*/30 8-18 * * *", "15 3 1,15 * *", "0 */4 * * *", "0 9 * * mon#1"];
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Sydney"];

fn document(number: usize) -> Schedule {
    let zone = ZONES[number % ZONES.len()];
    // One in five is by chance.
    let trigger = if number % 5 == 4 {
        "probabilistic: { groups: { a: {} }, meanTimeBetweenRuns: 5d, minimumGap: 2d }".to_owned()
    } else {
        format!("cron: \"{}\"\n  jitter: 5m", PATTERNS[number / 5 % PATTERNS.len()])
    };
    let text = format!(
        "apiVersion: faultline.dev/v1\nkind: Schedule\nmetadata: {{ name: schedule-{number} }}\nspec:\n  experiment: other\n  \
         {trigger}\n  timeZone: {zone}\n  windows: [ {{ days: mon-fri, hours: \"02:00-19:00\" }} ]\n  \
         blackouts: [ {{ from: 2026-12-20, to: 2027-01-06 }}, {{ calendarText: \"{CALENDAR}\" }} ]\n"
    );
    faultline::document::load::from_text("bench.yaml", &text, &[])
        .unwrap_or_else(|error| panic!("{}", error.render(false)))
        .remove(0)
        .schedule()
        .expect("a schedule")
        .document
}

const CALENDAR: &str = "BEGIN:VCALENDAR\\nBEGIN:VEVENT\\nDTSTART:20260101\\nRRULE:FREQ=MONTHLY;BYDAY=2WE\\nEND:VEVENT\\n\
                        BEGIN:VEVENT\\nDTSTART:20260501\\nRRULE:FREQ=YEARLY\\nEND:VEVENT\\nEND:VCALENDAR";

fn main() {
    let (from, until): (Timestamp, Timestamp) =
        ("2026-01-01T00:00:00Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
    let begun = Instant::now();
    let documents: Vec<Schedule> = (0..SCHEDULES).map(document).collect();
    println!("{SCHEDULES} documents read and checked in {:.2?}", begun.elapsed());
    let rules: Vec<Rule> = documents.iter().flat_map(|document| Rule::compile(document).unwrap()).collect();

    let begun = Instant::now();
    let (mut decisions, mut fired, mut skipped, mut slots) = (0_u32, 0_u32, 0_u32, 0_u32);
    for rule in &rules {
        let mut state = State { settled: from, last_run: LastRun::Never, running: 0, suspended: false };
        let mut now = from;
        while now < until {
            let decision = decide(rule, &state, now);
            decisions += 1;
            if let Some(settled) = decision.settles() {
                state.settled = settled;
                slots += u32::from(rule.group.is_none());
            }
            match decision {
                Decision::Wait { until } => now = until,
                Decision::Fire { .. } => {
                    state.last_run = LastRun::At(now);
                    fired += 1;
                }
                Decision::Skip { .. } => skipped += 1,
                Decision::Missed { count, .. } => panic!("{count} missed, though nobody was away"),
            }
        }
    }
    let year = begun.elapsed();
    println!(
        "one year: {decisions} decisions, {fired} runs, {skipped} skipped, in {year:.2?}: {:.2?} each",
        year / decisions
    );

    let begun = Instant::now();
    let mut matched = 0_u32;
    for document in &documents {
        let (Some(pattern), zone) = (&document.spec.cron, document.spec.time_zone.rules()) else { continue };
        let mut local = zone.to_datetime(from);
        let end = zone.to_datetime(until);
        while let Some(next) = pattern.next_after(local).filter(|next| *next < end) {
            local = next;
            matched += 1;
        }
    }
    let yardstick = begun.elapsed();
    println!(
        "croner alone: {matched} matches in {yardstick:.2?}; the whole rule takes {:.1} times as long",
        year.as_secs_f64() / yardstick.as_secs_f64()
    );
    // Every match of a pattern is settled, but for those that clocks leave out or join.
    assert!(slots.abs_diff(matched) <= matched / 100, "{slots} slots and {matched} matches");
    let within = |what: &str, took: Duration, aim: Duration| {
        println!("{what}: {took:.2?}, aim {aim:.2?}: {}", if took < aim { "met" } else { "MISSED" });
    };
    within("a decision", year / decisions, Duration::from_micros(50));
    within("a year of all schedules", year, Duration::from_secs(60));
}

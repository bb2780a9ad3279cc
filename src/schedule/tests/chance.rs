use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::world::{World, drive};
use super::{at, rule, rules};
use crate::schedule::{Decision, LastRun, State, decide};

/// Working days of Berlin, 09:00 to 15:00, without one week in summer.
const BUSINESS: &str = "timeZone: Europe/Berlin
windows: [ { days: mon-fri, hours: 09:00-15:00 } ]
blackouts: [ { from: 2030-07-01, to: 2030-07-07 } ]";

/// Number of working days from one day to another, by hand.
fn working_days(from: Date, to: Date) -> i32 {
    let summer = Date::constant(2030, 7, 1)..=Date::constant(2030, 7, 7);
    let mut date = from;
    let mut days = 0;
    while date < to {
        date = date.tomorrow().unwrap();
        days += i32::from(date.weekday().to_monday_zero_offset() < 5 && !summer.contains(&date));
    }
    days
}

/// The working days between runs over many years.
fn gaps(mean: u32, minimum: u32, seed: u64) -> (Vec<i32>, Vec<Timestamp>) {
    let spec = format!(
        "probabilistic: {{ groups: {{ a: {{}} }}, meanTimeBetweenRuns: {mean}d, minimumGap: {minimum}d }}\nseed: {seed}\n{BUSINESS}"
    );
    let rule = rule(&spec);
    let history = drive(&rule, &World::default(), at("2026-01-01T00:00:00Z"), at("2066-01-01T00:00:00Z"));
    assert_eq!((history.missed.len(), history.skipped.len()), (0, 0));
    let times: Vec<Timestamp> = history.fired.iter().map(|(.., now, _)| *now).collect();
    let days: Vec<Date> = times.iter().map(|at| rule.zone().to_datetime(*at).date()).collect();
    (days.windows(2).map(|pair| working_days(pair[0], pair[1])).collect(), times)
}

#[test]
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn the_mean_time_between_runs_is_the_one_asked_for_and_the_gap_is_kept() {
    for (mean, minimum) in [(5, 1), (5, 3), (2, 1), (10, 5), (4, 4)] {
        let (gaps, _) = gaps(mean, minimum, 7);
        let count = gaps.len() as f64;
        let measured = f64::from(gaps.iter().sum::<i32>()) / count;
        // The geometric part has mean m = mean − minimum + 1 and variance m² − m.
        let part = f64::from(mean - minimum + 1);
        let bound = 3.3 * ((part * part - part) / count).sqrt() + 1e-9;
        println!("mean {mean} minimum {minimum}: {measured:.3} ± {bound:.3} over {count} gaps");
        assert!((measured - f64::from(mean)).abs() <= bound, "mean {mean} minimum {minimum}: {measured} ± {bound}");
        assert!(gaps.iter().all(|gap| *gap >= i32::try_from(minimum).unwrap()), "mean {mean} minimum {minimum}");
        assert_eq!(gaps.iter().min(), Some(&i32::try_from(minimum).unwrap()));
    }
}

#[test]
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn runs_are_spread_evenly_over_the_hours_of_the_window_and_the_days_of_the_week() {
    let (_, times) = gaps(2, 1, 11);
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let mut hours: BTreeMap<i8, u32> = BTreeMap::new();
    let mut days: BTreeMap<i8, u32> = BTreeMap::new();
    for time in &times {
        let local = zone.to_datetime(*time);
        *hours.entry(local.hour()).or_default() += 1;
        *days.entry(local.weekday().to_monday_zero_offset()).or_default() += 1;
    }
    assert_eq!(hours.keys().copied().collect::<Vec<_>>(), [9, 10, 11, 12, 13, 14]);
    assert_eq!(days.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    // The 99.9% points of chi-squared with 5 and with 4 degrees of freedom.
    for (counts, bound) in [(&hours, 20.52), (&days, 18.47)] {
        let expected = times.len() as f64 / counts.len() as f64;
        let chi: f64 = counts.values().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        println!("{counts:?}: chi-squared {chi:.2}, bound {bound}");
        assert!(chi < bound, "{chi} {counts:?}");
    }
}

#[test]
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn hours_are_slots_too() {
    let rule = rule(&format!(
        "probabilistic: {{ groups: {{ a: {{}} }}, meanTimeBetweenRuns: 12h, minimumGap: 4h }}\n{BUSINESS}"
    ));
    let history = drive(&rule, &World::default(), at("2026-01-01T00:00:00Z"), at("2036-01-01T00:00:00Z"));
    // Six eligible hours a working day: about 2,609 days of which five are blacked out.
    let slots = 6.0 * f64::from(working_days(Date::constant(2025, 12, 31), Date::constant(2035, 12, 31)));
    let expected = slots / 12.0;
    let count = history.fired.len() as f64;
    // Renewals: variance of the count is slots · σ² / μ³, σ² = 9² − 9.
    let bound = 3.3 * (slots * 72.0 / 12.0_f64.powi(3)).sqrt();
    println!("{count} runs, {expected:.0} ± {bound:.0} expected");
    assert!((count - expected).abs() < bound, "{count} {expected} ± {bound}");
}

#[test]
fn groups_draw_for_themselves() {
    let both =
        rules(&format!("probabilistic: {{ groups: {{ a: {{}}, b: {{}} }}, meanTimeBetweenRuns: 3d }}\n{BUSINESS}"));
    let runs: Vec<_> = both
        .iter()
        .map(|rule| drive(rule, &World::default(), at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).fired)
        .collect();
    assert_eq!((both[0].id.as_str(), both[1].id.as_str()), ("it/a", "it/b"));
    assert!(runs[0].iter().all(|(slot, ..)| slot.group.as_deref() == Some("a") && slot.key.starts_with("it/a@")));
    assert_ne!(
        runs[0].iter().map(|run| run.1).collect::<Vec<_>>(),
        runs[1].iter().map(|run| run.1).collect::<Vec<_>>()
    );
}

#[test]
fn without_knowing_the_last_run_nothing_fires() {
    let rule = rule(&format!("probabilistic: {{ groups: {{ a: {{}} }}, meanTimeBetweenRuns: 1d }}\n{BUSINESS}"));
    let mut state =
        State { settled: at("2026-11-22T00:00:00Z"), last_run: LastRun::Unknown, running: 0, suspended: false };
    let mut now = state.settled;
    let mut skipped = 0;
    while now < at("2026-12-06T00:00:00Z") {
        match decide(&rule, &state, now) {
            Decision::Wait { until } => now = until,
            Decision::Skip { slot, why, .. } => {
                assert_eq!(why.to_string(), "it is not known when the last run was");
                state.settled = slot.start;
                skipped += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(skipped, 10);
}

#[test]
fn a_run_is_not_followed_within_the_gap_whatever_was_settled_since() {
    let rule = rule(&format!(
        "probabilistic: {{ groups: {{ a: {{}} }}, meanTimeBetweenRuns: 5d, minimumGap: 5d }}\n{BUSINESS}"
    ));
    // A run on Monday; every later slot fires for certain once four working days are between.
    let last_run = LastRun::At(at("2026-11-23T10:00:00Z"));
    for settled in ["2026-11-22T23:00:00Z", "2026-11-23T12:00:00Z", "2026-11-25T12:00:00Z"] {
        let state = State { settled: at(settled), last_run, running: 0, suspended: false };
        let mut now = at("2026-11-23T12:00:00Z");
        let slot = loop {
            match decide(&rule, &state, now) {
                Decision::Wait { until } => now = until,
                Decision::Fire { slot, .. } => break slot,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(slot.key, "it/a@2026-11-29T23:00:00Z", "the Monday after");
    }
}

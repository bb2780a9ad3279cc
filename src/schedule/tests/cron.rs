use jiff::{SignedDuration, Timestamp};

use super::world::{World, drive};
use super::{at, rule};
use crate::schedule::{Decision, LastRun, State, decide, preview};

fn fires(spec: &str, from: &str, until: &str) -> Vec<String> {
    let rule = rule(spec);
    let local = |at: Timestamp| at.to_zoned(rule.zone().clone()).strftime("%Y-%m-%d %H:%M %:z").to_string();
    drive(&rule, &World::default(), at(from), at(until)).fired.iter().map(|(.., now, _)| local(*now)).collect()
}

#[test]
fn a_time_that_is_left_out_fires_at_once_after_the_gap_and_one_that_is_twice_fires_once() {
    let berlin = "{ cron: \"30 2 * * *\", timeZone: Europe/Berlin }";
    assert_eq!(
        fires(&spec(berlin), "2027-03-27T00:00:00Z", "2027-03-29T12:00:00Z"),
        ["2027-03-27 02:30 +01:00", "2027-03-28 03:00 +02:00", "2027-03-29 02:30 +02:00"]
    );
    assert_eq!(
        fires(&spec(berlin), "2026-10-24T00:00:00Z", "2026-10-26T12:00:00Z"),
        ["2026-10-24 02:30 +02:00", "2026-10-25 02:30 +02:00", "2026-10-26 02:30 +01:00"]
    );
    // Every half hour: the gap's two times are one, and the hour that is twice fires in its first pass.
    assert_eq!(
        fires(
            &spec("{ cron: \"*/30 * * * *\", timeZone: Europe/Berlin }"),
            "2027-03-28T00:10:00Z",
            "2027-03-28T01:40:00Z"
        ),
        ["2027-03-28 01:30 +01:00", "2027-03-28 03:00 +02:00", "2027-03-28 03:30 +02:00"]
    );
    assert_eq!(
        fires(
            &spec("{ cron: \"*/30 * * * *\", timeZone: Europe/Berlin }"),
            "2026-10-24T23:50:00Z",
            "2026-10-25T02:10:00Z"
        ),
        ["2026-10-25 02:00 +02:00", "2026-10-25 02:30 +02:00", "2026-10-25 03:00 +01:00"]
    );
    // A state from within the second pass does not fire the first pass again.
    assert_eq!(
        fires(
            &spec("{ cron: \"15 2 * * *\", timeZone: Europe/Berlin }"),
            "2026-10-25T01:05:00Z",
            "2026-10-26T02:00:00Z"
        ),
        ["2026-10-26 02:15 +01:00"]
    );
}

/// A `spec` in flow style as lines.
fn spec(flow: &str) -> String {
    flow.trim_start_matches("{ ")
        .trim_end_matches(" }")
        .replace(", timeZone", "\ntimeZone")
        .replace(", windows", "\nwindows")
}

#[test]
fn a_time_moved_out_of_its_window_by_clocks_does_not_fire() {
    let rule = rule("cron: \"30 2 * * *\"\ntimeZone: Europe/Berlin\nwindows: [ { hours: 02:00-03:00 } ]");
    let history = drive(&rule, &World::default(), at("2027-03-27T12:00:00Z"), at("2027-03-29T12:00:00Z"));
    let skipped: Vec<String> = history.skipped.iter().map(|(slot, why)| format!("{slot}: {why}")).collect();
    assert_eq!(skipped, ["it@2027-03-28T01:00:00Z: outside the windows"]);
    assert_eq!(history.fired.len(), 1);
}

#[test]
fn a_leap_day_and_either_day_of_cron() {
    assert_eq!(
        fires("cron: \"0 9 29 2 *\"", "2025-01-01T00:00:00Z", "2033-01-01T00:00:00Z"),
        ["2028-02-29 09:00 +00:00", "2032-02-29 09:00 +00:00"]
    );
    // The 13th or a Friday; with `+`, only Friday the 13th.
    assert_eq!(fires("cron: \"0 9 13 * fri\"", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z").len(), 4);
    let either = fires("cron: \"0 9 13 * fri\"", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z");
    assert_eq!(either.len(), 6, "five Fridays and a Tuesday: {either:?}");
    assert_eq!(
        fires("cron: \"0 9 13 * +fri\"", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ["2026-02-13 09:00 +00:00", "2026-03-13 09:00 +00:00", "2026-11-13 09:00 +00:00"]
    );
    assert_eq!(
        fires("cron: \"0 9 * * fri#L\"", "2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ["2026-11-27 09:00 +00:00", "2026-12-25 09:00 +00:00"]
    );
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_on_which_it_begins() {
    let spec = "cron: \"0 */2 * * *\"\nwindows: [ { days: fri, hours: 22:00-06:00 } ]";
    // 2026-11-20 is a Friday.
    assert_eq!(
        fires(spec, "2026-11-20T00:00:00Z", "2026-11-23T00:00:00Z"),
        ["2026-11-20 22:00 +00:00", "2026-11-21 00:00 +00:00", "2026-11-21 02:00 +00:00", "2026-11-21 04:00 +00:00"]
    );
    // From Sunday into Monday, over the end of the week.
    let spec = "cron: \"0 */6 * * *\"\nwindows: [ { days: sun, hours: 18:00-06:01 } ]";
    assert_eq!(
        fires(spec, "2026-11-21T00:00:00Z", "2026-11-24T00:00:00Z"),
        ["2026-11-22 18:00 +00:00", "2026-11-23 00:00 +00:00", "2026-11-23 06:00 +00:00"]
    );
}

#[test]
fn of_runs_missed_while_nobody_was_there_none_or_the_last_is_made_up_for() {
    let down = World { down: vec![(at("2026-11-21T05:30:00Z"), at("2026-11-21T09:40:00Z"))], ..World::default() };
    let (from, until) = (at("2026-11-21T04:30:00Z"), at("2026-11-21T11:30:00Z"));
    let told = |spec: &str| {
        let history = drive(&rule(spec), &down, from, until);
        let mut lines: Vec<String> =
            history.fired.iter().map(|(slot, _, now, _)| format!("{slot} ran {}", now.strftime("%H:%M"))).collect();
        lines.extend(history.missed.iter().map(|(first, last, count)| format!("{count} missed: {first} to {last}")));
        lines
    };
    assert_eq!(
        told("cron: \"0 * * * *\""),
        [
            "it@2026-11-21T05:00:00Z ran 05:00",
            "it@2026-11-21T10:00:00Z ran 10:00",
            "it@2026-11-21T11:00:00Z ran 11:00",
            "4 missed: it@2026-11-21T06:00:00Z to it@2026-11-21T09:00:00Z"
        ]
    );
    assert_eq!(
        told("cron: \"0 * * * *\"\nmissed: { policy: run-once, deadline: 1h }"),
        [
            "it@2026-11-21T05:00:00Z ran 05:00",
            "it@2026-11-21T09:00:00Z ran 09:40",
            "it@2026-11-21T10:00:00Z ran 10:00",
            "it@2026-11-21T11:00:00Z ran 11:00",
            "3 missed: it@2026-11-21T06:00:00Z to it@2026-11-21T08:00:00Z"
        ]
    );
    assert_eq!(
        told("cron: \"0 * * * *\"\nmissed: { policy: run-once, deadline: 30m }").last().unwrap(),
        "4 missed: it@2026-11-21T06:00:00Z to it@2026-11-21T09:00:00Z",
    );
    // What is made up for is made up for in a window only.
    let closed =
        "cron: \"0 6-9 * * *\"\nwindows: [ { hours: 06:00-09:30 } ]\nmissed: { policy: run-once, deadline: 1h }";
    assert_eq!(drive(&rule(closed), &down, from, until).fired.len(), 0);
}

#[test]
fn a_year_of_missed_minutes_is_settled_in_few_steps() {
    let rule = rule("cron: \"* * * * *\"");
    let down = World { down: vec![(at("2026-01-01T00:00:30Z"), at("2027-01-01T00:00:30Z"))], ..World::default() };
    let history = drive(&rule, &down, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:01:30Z"));
    let missed: u64 = history.missed.iter().map(|(.., count)| count).sum();
    assert_eq!((missed, history.fired.len()), (525_599, 2), "the one of midnight is on time");
    assert!(history.asked < 70, "{}", history.asked);
}

#[test]
fn an_earlier_run_that_has_not_ended_is_waited_for_joined_or_replaced() {
    let world = World { run: SignedDuration::from_mins(90), ..World::default() };
    for (concurrency, fired, replaced) in [("forbid", 3, 0), ("allow", 6, 0), ("replace", 6, 5)] {
        let rule = rule(&format!("cron: \"0 * * * *\"\nconcurrency: {concurrency}"));
        let history = drive(&rule, &world, at("2026-11-21T00:30:00Z"), at("2026-11-21T06:30:00Z"));
        assert_eq!(history.fired.len(), fired, "{concurrency}");
        assert_eq!(history.fired.iter().filter(|fire| fire.3).count(), replaced, "{concurrency}");
        assert_eq!(history.skipped.len(), 6 - fired, "{concurrency}");
        assert!(history.skipped.iter().all(|(_, why)| why == "an earlier run has not ended"));
    }
}

#[test]
fn a_calendar_that_is_not_understood_stops_the_schedule_and_says_why() {
    for blackout in [
        "calendarText: \"BEGIN:VCALENDAR\\nBEGIN:VEVENT\\nDTSTART:20260101\\nRRULE:FREQ=HOURLY\\nEND:VEVENT\\nEND:VCALENDAR\"",
        "calendar: never-read.ics",
        "from: 2026-01-02",
    ] {
        for trigger in ["cron: \"0 * * * *\"", "probabilistic: { groups: { a: {} }, meanTimeBetweenRuns: 1d }"] {
            let rule = rule(&format!("{trigger}\nblackouts: [ {{ {blackout} }} ]"));
            let history = drive(&rule, &World::default(), at("2026-11-01T00:30:00Z"), at("2026-11-08T00:30:00Z"));
            assert_eq!(history.fired, [], "{blackout}");
            assert!(history.skipped.len() >= 6, "{blackout} {}", history.skipped.len());
            for (_, why) in &history.skipped {
                assert!(why.starts_with("a blackout is not understood: blackouts[0]: "), "{why}");
            }
            assert!(rule.not_understood().is_some());
        }
    }
}

#[test]
fn suspended_schedules_fire_nothing_and_account_for_it() {
    let span = (at("2026-11-21T02:30:00Z"), at("2026-11-21T05:30:00Z"));
    let world = World { suspended: vec![span], ..World::default() };
    let history = drive(&rule("cron: \"0 * * * *\""), &world, at("2026-11-21T00:30:00Z"), at("2026-11-21T08:30:00Z"));
    assert_eq!((history.fired.len(), history.skipped.len()), (5, 3));
    let history = drive(&rule("cron: \"0 * * * *\"\nsuspend: true"), &world, span.0, span.1);
    assert_eq!((history.fired.len(), history.skipped.len()), (0, 3));
}

#[test]
fn jitter_is_the_same_everywhere_and_another_with_another_seed_or_name() {
    let times = |spec: &str, name: &str| {
        let mut schedule = super::schedule(spec);
        schedule.metadata.name = name.into();
        let rule = crate::schedule::Rule::compile(&schedule).unwrap().remove(0);
        let listed = preview(&rule, at("2026-11-01T00:00:00Z"), at("2027-02-01T00:00:00Z"));
        listed.entries.iter().map(|entry| entry.at).collect::<Vec<_>>()
    };
    let spec = "cron: \"0 10 * * *\"\njitter: 30m";
    let first = times(spec, "a");
    assert_eq!(first, times(spec, "a"));
    assert_ne!(first, times(spec, "b"));
    assert_ne!(first, times(&format!("{spec}\nseed: 1"), "a"));
    let late: Vec<i64> = first.iter().map(|at| at.as_second() % 86_400 - 36_000).collect();
    assert!(late.iter().all(|late| (0..1800).contains(late)), "{late:?}");
    let mean = late.iter().sum::<i64>() / 92;
    assert!((700..1100).contains(&mean), "{mean}");
}

#[test]
fn a_clock_that_was_set_back_fires_nothing_twice() {
    let rule = rule("cron: \"0 * * * *\"");
    let state = State { settled: at("2026-11-21T10:00:00Z"), last_run: LastRun::Never, running: 0, suspended: false };
    for now in ["2026-11-21T09:59:59Z", "2026-11-21T10:00:00Z", "2026-11-21T10:59:59Z"] {
        assert_eq!(decide(&rule, &state, at(now)), Decision::Wait { until: at("2026-11-21T11:00:00Z") }, "{now}");
    }
    let Decision::Fire { slot, .. } = decide(&rule, &state, at("2026-11-21T11:00:00Z")) else { panic!() };
    assert_eq!(slot.key, "it@2026-11-21T11:00:00Z");
}

//! Laws of the firing rule, against a calendar counted minute by minute.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

use super::rule;
use super::world::{World, drive};
use crate::schedule::{LastRun, Rule, local};

/// A schedule of which everything is known beforehand.
#[derive(Debug, Clone)]
struct Case {
    zone: &'static str,
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    /// Days of the week from 0 for Sunday; all if empty.
    days: BTreeSet<i8>,
    /// First and last day of the window (from 0 for Monday), its first and last hour.
    window: Option<(i8, i8, i8, i8)>,
    blackout: Option<(i64, i64)>,
    jitter: i64,
    forbid: bool,
    run_once: bool,
    run: i64,
    down: Vec<(i64, i64)>,
    suspended: Option<(i64, i64)>,
    begin: i64,
}

const DAYS: i64 = 12;

fn case() -> impl Strategy<Value = Case> {
    let zones =
        prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]);
    // Where clocks change in one of the zones, or the year does.
    let begins = prop::sample::select(vec![
        "2026-03-05T00:00:00Z",
        "2026-03-22T00:00:00Z",
        "2026-10-20T00:00:00Z",
        "2026-10-28T00:00:00Z",
        "2026-12-25T00:00:00Z",
        "2028-02-24T00:00:00Z",
    ]);
    let some = |range: std::ops::Range<i8>, most| prop::collection::btree_set(range, 1..most);
    let span = || (0..DAYS * 24, 1..60_i64).prop_map(|(from, length)| (from, from + length));
    (
        (zones, some(0..60, 4), some(0..24, 12), prop::collection::btree_set(0..7_i8, 0..6)),
        prop::option::of((0..7_i8, 0..7_i8, 0..24_i8, 0..24_i8)),
        prop::option::of(span()),
        (prop::sample::select(vec![0, 0, 1, 30, 59]), any::<bool>(), any::<bool>(), 0..180_i64),
        prop::collection::vec(span(), 0..3),
        prop::option::of(span()),
        begins,
    )
        .prop_map(|((zone, minutes, hours, days), window, blackout, kind, down, suspended, begin)| Case {
            zone,
            minutes,
            hours,
            days,
            window: window.filter(|(.., from, until)| from != until),
            blackout,
            jitter: kind.0,
            forbid: kind.1,
            run_once: kind.2,
            run: kind.3,
            down,
            suspended,
            begin: begin.parse::<Timestamp>().unwrap().as_second(),
        })
}

impl Case {
    fn zone(&self) -> TimeZone {
        TimeZone::get(self.zone).unwrap()
    }

    fn instant(&self, hour: i64) -> Timestamp {
        Timestamp::from_second(self.begin + hour * 3600).unwrap()
    }

    fn spans(&self, hours: &[(i64, i64)]) -> Vec<(Timestamp, Timestamp)> {
        hours.iter().map(|(from, until)| (self.instant(*from), self.instant(*until))).collect()
    }

    fn rule(&self) -> Rule {
        let list = |set: &BTreeSet<i8>| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let days = if self.days.is_empty() { "*".to_owned() } else { list(&self.days) };
        let mut spec = format!(
            "cron: \"{} {} * * {days}\"\ntimeZone: {}\njitter: {}s\nconcurrency: {}\n",
            list(&self.minutes),
            list(&self.hours),
            self.zone,
            self.jitter,
            if self.forbid { "forbid" } else { "allow" },
        );
        if self.run_once {
            spec += "missed: { policy: run-once, deadline: 3h }\n";
        }
        if let Some((first, last, from, until)) = self.window {
            let name = |day: i8| ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][usize::try_from(day).unwrap()];
            spec += &format!(
                "windows: [ {{ days: {}-{}, hours: \"{from:02}:00-{until:02}:00\" }} ]\n",
                name(first),
                name(last)
            );
        }
        if let Some((from, until)) = self.blackout {
            let local = |hour| self.zone().to_datetime(self.instant(hour)).strftime("%Y-%m-%dT%H:%M").to_string();
            spec += &format!("blackouts: [ {{ from: \"{}\", to: \"{}\" }} ]\n", local(from), local(until));
        }
        rule(&spec)
    }

    /// Whether the window is open, by the clock on the wall.
    fn window_open(&self, local: DateTime) -> bool {
        let Some((first, last, from, until)) = self.window else { return true };
        let of_week = |weekday: i8| {
            if first <= last { (first..=last).contains(&weekday) } else { weekday >= first || weekday <= last }
        };
        let today = local.weekday().to_monday_zero_offset();
        let yesterday = (today + 6) % 7;
        let hour = local.hour();
        if from < until {
            of_week(today) && (from..until).contains(&hour)
        } else {
            of_week(today) && hour >= from || of_week(yesterday) && hour < until
        }
    }

    fn blacked_out(&self, at: Timestamp) -> bool {
        // The blackout is written in local time: where that is there twice, the first is meant.
        self.blackout.is_some_and(|(from, until)| {
            let instant =
                |hour| local::first_instant(&self.zone(), self.zone().to_datetime(self.instant(hour))).unwrap();
            (instant(from)..instant(until)).contains(&at)
        })
    }

    fn matches(&self, local: DateTime) -> bool {
        local.second() == 0
            && self.minutes.contains(&local.minute())
            && self.hours.contains(&local.hour())
            && (self.days.is_empty() || self.days.contains(&local.weekday().to_sunday_zero_offset()))
    }

    /// Every slot, counted minute by minute of local time: a local time that was seen before is none, and those that
    /// clocks jump over are one at the jump.
    fn slots(&self, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let zone = self.zone();
        let mut slots = Vec::new();
        let mut at = Timestamp::from_second(from.as_second() - 86_400).unwrap();
        let mut latest = zone.to_datetime(at);
        while at < until {
            let local = zone.to_datetime(at);
            let mut due = local > latest && self.matches(local);
            let mut jumped = latest.checked_add(1.minute()).unwrap();
            while jumped < local {
                due |= self.matches(jumped);
                jumped = jumped.checked_add(1.minute()).unwrap();
            }
            latest = latest.max(local);
            if due && at > from {
                slots.push(at);
            }
            at = at.checked_add(SignedDuration::from_mins(1)).unwrap();
        }
        slots
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_slot_is_settled_once_and_no_run_starts_when_none_may(case in case()) {
        let rule = case.rule();
        let (from, until) = (case.instant(0), case.instant(DAYS * 24));
        let zone = case.zone();
        let world = World {
            down: case.spans(&case.down),
            suspended: case.spans(&case.suspended.into_iter().collect::<Vec<_>>()),
            run: SignedDuration::from_mins(case.run),
            tick: None,
            twice: true,
        };
        let history = drive(&rule, &world, from, until);
        let slots = case.slots(from, until);

        // Every slot that is certainly due is accounted for, and nothing else is.
        let mut settled: BTreeMap<Timestamp, u32> = BTreeMap::new();
        for slot in history.fired.iter().map(|run| &run.0).chain(history.skipped.iter().map(|skip| &skip.0)) {
            *settled.entry(slot.start).or_default() += 1;
            prop_assert_eq!(&slot.key, &format!("it@{}", slot.start));
        }
        for (first, last, count) in &history.missed {
            let between: Vec<_> = slots.iter().filter(|slot| (first.start..=last.start).contains(slot)).collect();
            prop_assert_eq!(between.len() as u64, *count);
            for slot in between {
                *settled.entry(*slot).or_default() += 1;
            }
        }
        prop_assert!(settled.values().all(|times| *times == 1));
        let last = until.checked_sub(SignedDuration::from_secs(case.jitter)).unwrap();
        let down_at_the_end = world.down.iter().filter(|span| span.1 >= until).map(|span| span.0).min();
        // Spans may overlap: what is down at the end has been since the first of those that touch.
        let since = |down: Timestamp| world.down.iter().filter(|span| span.1 >= down).map(|span| span.0).fold(down, Timestamp::min);
        let down_at_the_end = down_at_the_end.map(|down| world.down.iter().fold(down, |down, _| since(down)));
        let certain = down_at_the_end.map_or(last, |down| down.min(last));
        for slot in slots.iter().filter(|slot| **slot < certain) {
            prop_assert!(settled.contains_key(slot), "{slot} is lost");
        }
        prop_assert!(settled.keys().all(|slot| slots.contains(slot)), "a slot of our own making");

        let inside = |spans: &[(Timestamp, Timestamp)], at: Timestamp| spans.iter().any(|span| (span.0..span.1).contains(&at));
        let mut ends: Vec<Timestamp> = Vec::new();
        for (slot, due, now, _) in &history.fired {
            let late = now.duration_since(*due).as_secs();
            let most = if case.run_once { 3 * 3600 } else { 60 };
            prop_assert!((0..=most).contains(&late));
            prop_assert!((0..=case.jitter).contains(&due.duration_since(slot.start).as_secs()));
            for at in [slot.start, *due, *now] {
                prop_assert!(case.window_open(zone.to_datetime(at)), "{} is outside the windows", at);
                prop_assert!(!case.blacked_out(at), "{} is in a blackout", at);
            }
            prop_assert!(!inside(&world.suspended, *now) && !inside(&world.down, *now));
            prop_assert!(!case.forbid || ends.iter().all(|end| end <= now), "runs overlap");
            ends.push(now.checked_add(world.run).unwrap());
        }
        // Nothing is skipped without its reason.
        for (slot, why) in &history.skipped {
            let (_, due) = rule.next(slot.start.checked_sub(SignedDuration::from_secs(1)).unwrap(), LastRun::Never, until).unwrap();
            let closed = |at: Timestamp| !case.window_open(zone.to_datetime(at)) || case.blacked_out(at);
            match why.as_str() {
                "suspended" => prop_assert!(case.suspended.is_some()),
                "an earlier run has not ended" => prop_assert!(case.forbid && case.run > 0),
                _ => prop_assert!(closed(slot.start) || closed(due) || !case.down.is_empty(), "{slot}: {why}"),
            }
        }
    }

    #[test]
    fn how_often_the_rule_is_asked_changes_nothing(case in case(), tick in 60..7200_i64) {
        let rule = case.rule();
        let (from, until) = (case.instant(0), case.instant(DAYS * 24));
        let seldom = World { run: SignedDuration::from_mins(case.run), down: case.spans(&case.down), ..World::default() };
        let often = World { tick: Some(SignedDuration::from_secs(tick)), ..seldom.clone() };
        let (seldom, often) = (drive(&rule, &seldom, from, until), drive(&rule, &often, from, until));
        prop_assert!(often.asked >= seldom.asked);
        prop_assert_eq!(seldom.fired, often.fired);
        prop_assert_eq!(seldom.skipped, often.skipped);
        prop_assert_eq!(seldom.missed, often.missed);
    }

    #[test]
    fn open_spans_are_the_instants_that_are_open(case in case()) {
        let rule = case.rule();
        let (from, until) = (case.instant(0), case.instant(DAYS * 24));
        let spans = rule.times.open_between(from, until);
        prop_assert!(spans.windows(2).all(|pair| pair[0].1 < pair[1].0));
        let mut at = from;
        while at < until {
            let open = spans.iter().any(|span| (span.0..span.1).contains(&at));
            prop_assert_eq!(open, rule.times.closed_at(at).is_none(), "{}", at);
            at = at.checked_add(SignedDuration::from_secs(617)).unwrap();
        }
    }
}

#[test]
fn each_minute_of_a_year_gives_what_waiting_gives() {
    let rule = rule(
        "cron: \"*/20 8-18 * * mon-fri\"\ntimeZone: America/New_York\njitter: 10m\nwindows: [ { days: mon-fri, hours: 09:00-17:00 } ]",
    );
    let (from, until) = (super::at("2026-01-01T00:00:00Z"), super::at("2027-01-01T00:00:00Z"));
    let waiting = drive(&rule, &World::default(), from, until);
    let ticking = World { tick: Some(SignedDuration::from_mins(1)), ..World::default() };
    let ticking = drive(&rule, &ticking, from, until);
    assert!(ticking.asked > 525_000, "{}", ticking.asked);
    assert_eq!((waiting.fired.len(), waiting.missed.len()), (ticking.fired.len(), ticking.missed.len()));
    assert_eq!(waiting.fired, ticking.fired);
    assert_eq!(waiting.skipped, ticking.skipped);
    assert!(waiting.fired.len() > 5_000, "{}", waiting.fired.len());
}

#[test]
fn ten_years_are_accounted_for() {
    let rule = rule(
        "cron: \"17,43 */3 * * *\"\ntimeZone: Europe/Berlin\njitter: 5m\nwindows: [ { days: fri-sun, hours: 20:00-04:00 } ]\n\
         blackouts: [ { from: 2029-12-20, to: 2030-01-06 } ]",
    );
    let history = drive(&rule, &World::default(), super::at("2026-01-01T00:00:00Z"), super::at("2036-01-01T00:00:00Z"));
    // Sixteen times a day, less one hour of every second pass (none of these) and with those of the gap moved.
    assert_eq!(history.missed, []);
    assert_eq!(history.fired.len() + history.skipped.len(), 16 * 3652);
    assert!(history.fired.len() > 7_000, "{}", history.fired.len());
}

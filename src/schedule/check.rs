//! What is wrong with a schedule that can be told from its document, its calendar files and today's date.

use faultline_agent::units::TimeSpan;
use jiff::{SignedDuration, Timestamp};

use super::calendar::Calendar;
use super::document::{Blackout, ExperimentSource, MissedPolicy, Moment, Probabilistic, Schedule, ScheduleSpec};
use super::rule::{LastRun, Rule, Trigger};
use crate::document::Kind;
use crate::document::findings::Findings;
use crate::document::suggest;
use crate::document::yaml::{Path, at};

/// How far ahead a schedule is tried.
const YEARS_TRIED: i64 = 10;
/// How many slots are tried at most.
const SLOTS_TRIED: usize = 100_000;
/// How many slots are looked at for their distance and for jitter.
const SLOTS_MEASURED: usize = 2_000;

/// Finds everything wrong with a schedule, as of `now`.
pub(crate) fn check(schedule: &Schedule, now: Timestamp, findings: &mut Findings<'_>) {
    let spec = &schedule.spec;
    findings.name(&at!["metadata", "name"], &schedule.metadata.name, "a schedule's");
    experiment_source(at!["spec", "experiment"], &spec.experiment, findings);
    let usable = trigger(spec, findings) & times(spec, findings);
    let usable = blackouts(schedule, findings) & usable;
    if spec.history.keep == 0 {
        findings.error(&at!["spec", "history", "keep"], "nothing would be kept", "keep 1 run or more");
    }
    if usable && findings.is_whole(&at!["spec"]) {
        fires(schedule, now, findings);
    }
}

/// Checks the experiment that a schedule or a game day runs, which stands at this path.
pub(crate) fn experiment_source(path: Path, source: &ExperimentSource, findings: &mut Findings<'_>) {
    match source {
        ExperimentSource::Inline(inline) => {
            findings.within(path, |findings| crate::experiment::check::check_spec(inline, findings));
        }
        ExperimentSource::Named(name) => {
            let names: Vec<&str> = findings.document.file.names(Kind::Experiment).collect();
            if names.contains(&name.as_str()) {
                return;
            }
            // Any other name may be one that the controller knows.
            if let Some(near) = suggest::nearest(name, names) {
                let hint = format!("did you mean `{near}`?");
                findings.warn(&path, format!("there is no experiment `{name}` in this file"), hint);
            }
            findings.name(&path, name, "an experiment's");
        }
    }
}

/// Whether there is one trigger that can be used.
fn trigger(spec: &ScheduleSpec, findings: &mut Findings<'_>) -> bool {
    match (&spec.cron, &spec.probabilistic) {
        (Some(_), Some(_)) => {
            let hint = "leave one of them out";
            findings.error_at_key(
                &at!["spec", "probabilistic"],
                "only one of `cron`, `probabilistic` can be given",
                hint,
            );
            false
        }
        (None, None) => {
            if findings.is_whole(&at!["spec", "cron"]) && findings.is_whole(&at!["spec", "probabilistic"]) {
                findings.error(
                    &at!["spec"],
                    "it is not said when the experiment runs",
                    "give `cron: \"0 10 * * mon-fri\"`, or `probabilistic`",
                );
            }
            false
        }
        (Some(pattern), None) => {
            if pattern.is_either_day() {
                findings.warn(
                    &at!["spec", "cron"],
                    "days that fit the day of the month or the day of the week match: either is enough",
                    "write `*` for one of them, or `+` before the day of the week to ask for both",
                );
            }
            true
        }
        (None, Some(probabilistic)) => by_chance(spec, probabilistic, findings),
    }
}

fn by_chance(spec: &ScheduleSpec, probabilistic: &Probabilistic, findings: &mut Findings<'_>) -> bool {
    let path = at!["spec", "probabilistic"];
    let mut usable = true;
    if probabilistic.groups.is_empty() {
        let hint = "name those that take part: `groups: { checkout: {} }`";
        findings.error_at_key(&path.join("groups"), "nobody takes part", hint);
        usable = false;
    }
    for name in probabilistic.groups.keys() {
        findings.name(&path.join("groups").join(name), name, "a");
    }
    let mean = probabilistic.mean_time_between_runs;
    if let Some(gap) = probabilistic.minimum_gap {
        let path = path.join("minimumGap");
        if gap.length != mean.length {
            findings.error(&path, format!("`{gap}` and the mean, `{mean}`, are not in the same unit"), "");
            usable = false;
        } else if gap.count > mean.count {
            findings.error(&path, format!("`{gap}` is above the mean, {mean}"), format!("at most {mean}"));
            usable = false;
        }
    }
    if spec.windows.is_empty() && findings.is_whole(&at!["spec", "windows"]) {
        findings.error(
            &path,
            "runs by chance need windows: say when somebody is there to see them",
            "`windows: [ { days: mon-fri, hours: 09:00-15:00 } ]`",
        );
        usable = false;
    }
    if !spec.jitter.is_zero() {
        let hint = "leave it out: the time is drawn from the whole slot already";
        findings.error(&at!["spec", "jitter"], "a probabilistic schedule has no jitter", hint);
        usable = false;
    }
    usable
}

fn times(spec: &ScheduleSpec, findings: &mut Findings<'_>) -> bool {
    let mut usable = true;
    let second = TimeSpan::from_secs(1);
    if !spec.jitter.is_zero() && spec.jitter < second {
        findings.error(&at!["spec", "jitter"], "jitter is drawn in whole seconds", "at least 1s");
        usable = false;
    }
    if spec.starting_deadline < second {
        findings.error(
            &at!["spec", "startingDeadline"],
            "nothing starts in no time at all",
            "at least 1s; 1m is usual",
        );
    }
    let path = at!["spec", "missed", "deadline"];
    match (spec.missed.policy, spec.missed.deadline) {
        (MissedPolicy::RunOnce, None) if findings.is_whole(&path) => {
            let hint = "say how late it may be: `missed: { policy: run-once, deadline: 2h }`";
            findings.error_at_key(&at!["spec", "missed"], "`run-once` needs a deadline", hint);
        }
        (MissedPolicy::RunOnce, Some(deadline)) if deadline <= spec.starting_deadline => {
            let hint = format!("give more than `startingDeadline`, {}", spec.starting_deadline);
            findings.error(&path, "what is not late is not missed", hint);
        }
        (MissedPolicy::Skip, Some(_)) => {
            let hint = "leave it out, or write `policy: run-once`";
            findings.error(&path, "with `policy: skip` no missed run is made up for", hint);
        }
        _ => {}
    }
    usable
}

/// Whether all blackouts are understood.
fn blackouts(schedule: &Schedule, findings: &mut Findings<'_>) -> bool {
    let spec = &schedule.spec;
    let mut usable = true;
    for (index, blackout) in spec.blackouts.iter().enumerate() {
        let path = at!["spec", "blackouts", index];
        if let Some((key, message, hint)) = blackout_error(blackout) {
            if findings.is_whole(&path) {
                let path = if key.is_empty() { path } else { path.join(key) };
                findings.error_at_key(&path, message, hint);
            }
            usable = false;
        }
    }
    if !usable {
        return false;
    }
    let folder = findings.document.file.folder.clone();
    let schedule = match schedule.with_calendars(folder.as_deref()) {
        Ok(schedule) => schedule,
        Err(error) => {
            let hint = "without it nobody knows when not to run, so the schedule would never run";
            findings.error(&at!["spec", "blackouts", error.blackout, "calendar"], error.to_string(), hint);
            return false;
        }
    };
    for (index, (read, written)) in schedule.spec.blackouts.iter().zip(&spec.blackouts).enumerate() {
        let Some(text) = &read.calendar_text else { continue };
        let key = if written.calendar.is_some() { "calendar" } else { "calendarText" };
        let path = at!["spec", "blackouts", index, key];
        match Calendar::parse(text, spec.time_zone.rules()) {
            Err(error) => {
                let hint = "a blackout that is not understood is never ignored: the schedule would not run at all";
                findings.error(&path, format!("the calendar is not understood: {error}"), hint);
                usable = false;
            }
            Ok(calendar) if calendar.is_empty() => findings.warn(&path, "the calendar has no events", ""),
            Ok(_) => {}
        }
    }
    usable
}

fn blackout_error(blackout: &Blackout) -> Option<(&'static str, &'static str, &'static str)> {
    let given = [
        blackout.date.is_some(),
        blackout.from.is_some() || blackout.to.is_some(),
        blackout.calendar.is_some(),
        blackout.calendar_text.is_some(),
    ];
    let hint = "`date: 2026-12-25`, or `from: 2026-12-24` and `to: 2027-01-02`, or `calendar: holidays.ics`";
    match (given.iter().filter(|given| **given).count(), blackout.from, blackout.to) {
        (0, ..) => Some(("", "it is not said when this blackout is", hint)),
        (2.., ..) => Some(("", "a blackout is one of a date, a range and a calendar", hint)),
        (_, Some(_), None) => Some(("from", "there is no `to` for it", hint)),
        (_, None, Some(_)) => Some(("to", "there is no `from` for it", hint)),
        (_, Some(from), Some(to)) if to.ends().is_none_or(|ends| ends <= from.begins()) => {
            Some(("to", "it ends before it begins", "a day is included, a time is not"))
        }
        _ if matches!(blackout.date, Some(Moment::Time(_))) => {
            Some(("date", "this is a time, not a day", "give `from` and `to` for a part of a day"))
        }
        _ => None,
    }
}

/// Whether the schedule ever fires, and whether jitter leaves its runs in their windows and in their order.
fn fires(schedule: &Schedule, now: Timestamp, findings: &mut Findings<'_>) {
    let folder = findings.document.file.folder.clone();
    let Ok(read) = schedule.with_calendars(folder.as_deref()) else { return };
    let Some(rule) = Rule::compile(&read).ok().and_then(|rules| rules.into_iter().next()) else { return };
    let limit = now.checked_add(SignedDuration::from_hours(24 * 366 * YEARS_TRIED)).unwrap_or(Timestamp::MAX);
    match &rule.trigger {
        Trigger::Chance(chance) => {
            if chance.eligible(&rule, now, limit).next().is_none() {
                let message = format!("no window is open in the next {YEARS_TRIED} years");
                findings.error(&at!["spec", "probabilistic"], message, "look at `windows` and `blackouts`");
            }
        }
        Trigger::Cron { .. } => {
            let path = at!["spec", "cron"];
            let mut after = now;
            let mut tried = 0;
            let mut closed = None;
            let open = std::iter::from_fn(|| {
                let (slot, at) = rule.next(after, LastRun::Never, limit)?;
                after = slot.start;
                Some((slot, at))
            })
            .take(SLOTS_TRIED)
            .any(|(slot, at)| {
                tried += 1;
                let why = rule.closed(&slot, at);
                let open = why.is_none();
                closed = closed.take().or(why);
                open
            });
            match (open, tried) {
                (true, _) => jitter(schedule, &rule, now, limit, findings),
                (false, 0) => {
                    let message = format!("this matches no day in the next {YEARS_TRIED} years");
                    findings.error(&path, message, "is there such a day in that month?");
                }
                (false, _) => {
                    let why = closed.map(|why| why.to_string()).unwrap_or_default();
                    let local = rule.zone.to_datetime(after).strftime("%Y-%m-%d %H:%M").to_string();
                    let message = format!("none of its times is open until {local} (the first: {why})");
                    findings.error(&path, message, "look at `windows`, `blackouts` and `timeZone`");
                }
            }
        }
    }
}

fn jitter(schedule: &Schedule, rule: &Rule, now: Timestamp, limit: Timestamp, findings: &mut Findings<'_>) {
    let span = schedule.spec.jitter;
    let Some(jitter) = i64::try_from(span.duration().as_secs()).ok().filter(|seconds| *seconds > 0) else { return };
    let path = at!["spec", "jitter"];
    let (mut after, mut before) = (now, None);
    for _ in 0..SLOTS_MEASURED {
        let Some((slot, _)) = rule.next(after, LastRun::Never, limit) else { return };
        let start = slot.start.as_second();
        if let Some(interval) = before.map(|before| start - before).filter(|interval| jitter > *interval) {
            let interval = TimeSpan::from_secs(interval.unsigned_abs());
            let message = format!("`{span}` is longer than the {interval} from one run to the next");
            findings.error(&path, message, format!("at most {interval}"));
            return;
        }
        if rule.times.window_open_at(slot.start)
            && let Ok(last) = Timestamp::from_second(start + jitter)
            && rule.times.windows_between(slot.start, last) != [(slot.start, last)]
        {
            let local = rule.zone.to_datetime(slot.start).strftime("%Y-%m-%d %H:%M");
            let message = format!("`{span}` after {local} may be outside the windows");
            findings.error(&path, message, "give less jitter, an earlier time, or a longer window");
            return;
        }
        before = Some(start);
        after = slot.start;
    }
}

#[cfg(test)]
mod tests;

//! Error budgets: how much is left, whether a run may spend its allowance, and whether it burns already. Pure.

use faultline_agent::units::TimeSpan;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counter, SloDefinition};
use crate::experiment::document::{Budget, SloCalendar};

/// Alerts that wake people, by Sloth and the SRE workbook (chapter 5): the share of the budget that is spent in the long
/// window, the long window and the short one as parts of a window of 30 days.
const PAGES: [(f64, f64, f64); 2] = [(0.02, 1.0 / 720.0, 1.0 / 8_640.0), (0.05, 1.0 / 120.0, 1.0 / 1_440.0)];
/// No window of an alert is shorter: scrapes come every 15 to 60 seconds.
const SHORTEST: f64 = 60.0;

/// What is asked of Prometheus before a run: `(name, query)`.
pub type Questions = Vec<(String, String)>;

/// What was found of a budget before a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetState {
    /// The SLO by its name in the document.
    pub slo: String,
    /// The service whose budget it is.
    pub service: String,
    /// The window of the budget.
    pub window: TimeSpan,
    /// Where the window is one of the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<SloCalendar>,
    /// All events in the last window.
    pub events: f64,
    /// How many bad events the budget is.
    pub budget: f64,
    /// How many of them have happened.
    pub spent: f64,
    /// How many the run may add.
    pub allowance: f64,
}

impl BudgetState {
    /// The share of the budget that is left; below 0 when it is overspent.
    pub fn remaining(&self) -> f64 {
        1.0 - self.spent / self.budget
    }

    /// The budget in words: `the 30d budget of checkout`, `this month's budget of checkout`.
    pub fn name(&self) -> String {
        let whose = match self.calendar.as_ref().map(|calendar| calendar.every.as_str()) {
            None => format!("the {}", self.window),
            Some("1w") => "this week's".to_owned(),
            Some("1M") => "this month's".to_owned(),
            Some("1Q") => "this quarter's".to_owned(),
            Some("1Y") => "this year's".to_owned(),
            Some(every) => format!("the present {every}'s"),
        };
        format!("{whose} budget of {}", self.service)
    }
}

/// When the window of a calendar began in which a moment lies.
///
/// # Errors
/// In words, what of the calendar is not understood.
pub fn began(calendar: &SloCalendar, now: Timestamp) -> Result<Timestamp, String> {
    let SloCalendar { every, start, time_zone } = calendar;
    let zone = TimeZone::get(time_zone).map_err(|_| format!("`{time_zone}` is no time zone"))?;
    let first: DateTime = start.parse().map_err(|_| format!("`{start}` is no time of the calendar"))?;
    let step = step(every).ok_or_else(|| format!("`{every}` is no window of a calendar"))?;
    let nth = |number: i64| -> Option<Timestamp> {
        let moved = first.checked_add(step.checked_mul(number).ok()?).ok()?;
        Some(moved.to_zoned(zone.clone()).ok()?.timestamp())
    };
    let far = || format!("no window of `{every}` from `{start}` holds the present");
    let mut latest = nth(0).filter(|first| *first <= now).ok_or_else(far)?;
    for number in 1..40_000 {
        match nth(number) {
            Some(next) if next <= now => latest = next,
            Some(_) => return Ok(latest),
            None => break,
        }
    }
    Err(far())
}

fn step(every: &str) -> Option<Span> {
    let (count, unit) = every.split_at(every.find(|letter: char| !letter.is_ascii_digit())?);
    let count: i32 = count.parse().ok().filter(|count| (1..=400).contains(count))?;
    Some(match unit {
        "d" => count.days(),
        "w" => count.weeks(),
        "M" => count.months(),
        "Q" => (3 * count).months(),
        "Y" => count.years(),
        _ => return None,
    })
}

/// A page-level alert for a window: the burn rate above which it fires, its long window and its short one.
fn pages(window: TimeSpan) -> impl Iterator<Item = (f64, TimeSpan, TimeSpan)> {
    let whole = window.duration().as_secs_f64();
    PAGES.into_iter().map(move |(share, long, short)| {
        let short = (whole * short).max(SHORTEST).round();
        let long = (whole * long).max(5.0 * short).round();
        (share * whole / long, seconds(long), seconds(short))
    })
}

fn seconds(seconds: f64) -> TimeSpan {
    TimeSpan::from(std::time::Duration::from_secs_f64(seconds.clamp(1.0, 3e7)))
}

/// What must be known of an SLO before a run, as queries of Prometheus.
///
/// # Errors
/// In words, what of the definition is not understood.
pub fn questions(definition: &SloDefinition, now: Timestamp) -> Result<Questions, String> {
    let counter =
        |query: &str| Counter::read(query).map_err(|error| format!("`{query}`: {error} (hint: {})", error.hint));
    let (bad, total) = (counter(&definition.bad)?, counter(&definition.total)?);
    let since = match &definition.calendar {
        None => definition.window,
        Some(calendar) => seconds(now.duration_since(began(calendar, now)?).as_secs_f64().round().max(SHORTEST)),
    };
    let mut questions =
        vec![("events".to_owned(), total.growth(definition.window)), ("spent".to_owned(), bad.growth(since))];
    for (number, (_, long, short)) in pages(definition.window).enumerate() {
        for (name, window) in [("long", long), ("short", short)] {
            questions.push((format!("bad-{name}-{number}"), bad.growth(window)));
            questions.push((format!("total-{name}-{number}"), total.growth(window)));
        }
    }
    Ok(questions)
}

/// Whether a run may begin: what is left of the budget, or why not. `answer` gives what a question was answered by.
///
/// # Errors
/// In one sentence, why the run must not begin: too little is left, it burns already, or nothing is known of it.
pub fn assess(
    definition: &SloDefinition,
    budget: &Budget,
    answer: impl Fn(&str) -> Result<f64, String>,
) -> Result<BudgetState, String> {
    let name = &budget.slo;
    let unknown = |why: String| format!("nothing is known of the error budget of {name}: {why}");
    let (events, spent) = (answer("events").map_err(unknown)?, answer("spent").map_err(unknown)?);
    let allowed = definition.allowed().fraction();
    if events.is_nan() || spent.is_nan() || events <= 0.0 || spent < 0.0 {
        let window = definition.window;
        return Err(unknown(format!("Prometheus counted {events} events in {window}, and {spent} bad ones")));
    }
    let whole = allowed * events;
    let state = BudgetState {
        slo: name.clone(),
        service: definition.service.clone(),
        window: definition.window,
        calendar: definition.calendar.clone(),
        events,
        budget: whole,
        spent,
        allowance: budget.allowance.fraction() * whole,
    };
    let reserve = budget.reserve.map_or(0.0, |reserve| reserve.fraction());
    let needed = budget.allowance.fraction() + reserve;
    if state.remaining() < needed {
        let beside = budget.reserve.map_or_else(String::new, |reserve| format!(" and the reserve of {reserve}"));
        return Err(format!(
            "the error budget of {name} does not cover this run: {} of {} is left ({} of {} bad events spent), and the \
             allowance of {}{beside} is needed (hint: wait until there is more, or lower the allowance)",
            percent(state.remaining()),
            state.name(),
            spent.round(),
            whole.round(),
            budget.allowance
        ));
    }
    for (number, (rate, long, short)) in pages(definition.window).enumerate() {
        let burn = |window: &str| -> Result<f64, String> {
            let bad = answer(&format!("bad-{window}-{number}")).map_err(unknown)?;
            let total = answer(&format!("total-{window}-{number}")).map_err(unknown)?;
            Ok(if total > 0.0 { bad / total / allowed } else { 0.0 })
        };
        let (slow, quick) = (burn("long")?, burn("short")?);
        if slow > rate && quick > rate {
            return Err(format!(
                "the error budget of {name} burns already, {slow:.1} times as fast as it may over {long} and {quick:.1} times \
                 over {short}, which pages at {rate:.1}: chaos would add to an incident (hint: run it when the incident is over)"
            ));
        }
    }
    Ok(state)
}

/// A share in words: `0.31%`.
pub fn percent(share: f64) -> String {
    let number = share * 100.0;
    let digits = if number.abs() >= 10.0 { 1 } else { 2 };
    let text = format!("{number:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}%")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn definition() -> SloDefinition {
        serde_json::from_str(
            r#"{"service": "shop", "target": "99.9%", "window": "30d", "bad": "sum(bad)", "total": "sum(all)"}"#,
        )
        .unwrap()
    }

    fn budget() -> Budget {
        serde_json::from_str(r#"{"slo": "checkout", "allowance": "1%", "reserve": "10%"}"#).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-22T01:00:00Z".parse().unwrap()
    }

    /// A million events in 30 days, so a budget of a thousand bad ones, of which so many are spent; and how many of 100 in
    /// each window of an alert are bad.
    fn assessed(spent: f64, burning: f64) -> Result<BudgetState, String> {
        assess(&definition(), &budget(), |question| {
            Ok(match question {
                "events" => 1_000_000.0,
                "spent" => spent,
                bad if bad.starts_with("bad-") => burning,
                _ => 100.0,
            })
        })
    }

    #[test]
    fn a_run_begins_only_if_allowance_and_reserve_are_left_and_nothing_burns() {
        let state = assessed(500.0, 0.0).unwrap();
        assert_eq!(
            (state.budget.round(), state.allowance.round(), percent(state.remaining())),
            (1000.0, 10.0, "50%".into())
        );
        assert!(assessed(889.0, 0.0).is_ok(), "11.1% left, 11% needed");
        insta::assert_snapshot!(assessed(891.0, 0.0).unwrap_err(), @"the error budget of checkout does not cover this run: 10.9% of the 30d budget of shop is left (891 of 1000 bad events spent), and the allowance of 1% and the reserve of 10% is needed (hint: wait until there is more, or lower the allowance)");
        assert!(assessed(2000.0, 0.0).unwrap_err().contains("-100% of the 30d budget"));
        assert!(assessed(0.0, 0.5).is_ok(), "5 times as fast as allowed pages nobody");
        insta::assert_snapshot!(assessed(0.0, 1.5).unwrap_err(), @"the error budget of checkout burns already, 15.0 times as fast as it may over 1h and 15.0 times over 5m, which pages at 14.4: chaos would add to an incident (hint: run it when the incident is over)");
    }

    #[test]
    fn what_is_not_known_is_never_enough() {
        for broken in ["events", "spent", "bad-long-0", "total-short-1"] {
            let error = assess(&definition(), &budget(), |question| {
                if question == broken {
                    Err("connection refused".into())
                } else {
                    Ok(1_000.0 * f64::from(u8::from(question == "events")))
                }
            })
            .unwrap_err();
            assert!(error.contains("nothing is known") && error.contains("connection refused"), "{broken}: {error}");
        }
        for events in [0.0, f64::NAN, -1.0] {
            assert!(assess(&definition(), &budget(), |_| Ok(events)).is_err(), "{events}");
        }
    }

    #[test]
    fn the_questions_are_growths_over_the_windows() {
        let asked: BTreeMap<String, String> = questions(&definition(), now()).unwrap().into_iter().collect();
        assert_eq!(asked["events"], "sum(increase(all[30d]))");
        assert_eq!(asked["bad-long-0"], "sum(increase(bad[1h]))");
        assert_eq!(asked["bad-short-0"], "sum(increase(bad[5m]))");
        assert_eq!(asked["total-long-1"], "sum(increase(all[6h]))");
        let calendar = SloCalendar { every: "1M".into(), start: "2022-01-01 00:00:00".into(), time_zone: "UTC".into() };
        let monthly = SloDefinition { calendar: Some(calendar), ..definition() };
        let asked: BTreeMap<String, String> = questions(&monthly, now()).unwrap().into_iter().collect();
        assert_eq!(asked["spent"], "sum(increase(bad[21d1h]))");
    }

    #[test]
    fn windows_of_a_calendar_begin_by_its_clock() {
        let of = |every: &str, start: &str, zone: &str| {
            let calendar = SloCalendar { every: every.into(), start: start.into(), time_zone: zone.into() };
            began(&calendar, now()).map(|began| began.to_string())
        };
        assert_eq!(of("1M", "2022-01-31 12:00:00", "America/New_York").as_deref(), Ok("2026-10-31T16:00:00Z"));
        assert_eq!(of("1Q", "2026-01-01 00:00:00", "Europe/Berlin").as_deref(), Ok("2026-09-30T22:00:00Z"));
        assert_eq!(of("1w", "2026-01-05 00:00:00", "UTC").as_deref(), Ok("2026-11-16T00:00:00Z"));
        for (every, start, zone) in [
            ("1m", "2022-01-01 12:00:00", "UTC"),
            ("1M", "yesterday", "UTC"),
            ("1M", "2022-01-01 12:00:00", "Mars/Olympus"),
            ("1M", "2030-01-01 00:00:00", "UTC"),
        ] {
            assert!(of(every, start, zone).is_err(), "{every} {start} {zone}");
        }
    }
}

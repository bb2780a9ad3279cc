use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::game_day::alerts::{Alert, Reading};
use crate::game_day::fixture;
use crate::game_day::machine::{Event, FindingSeverity, Milestone, Note};

fn at(second: i64) -> Timestamp {
    "2026-12-01T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn alert(name: &str, since: i64) -> Alert {
    let labels = [("alertname".to_owned(), name.to_owned()), ("severity".to_owned(), "page".to_owned())].into();
    Alert { labels, starts_at: at(since), suppressed: false }
}

fn firing(alerts: &[(&str, i64)]) -> Event {
    Event::Alerts(Reading::Firing(alerts.iter().map(|(name, since)| alert(name, *since)).collect()))
}

fn note(author: &str, text: &str, tags: &[&str]) -> Event {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    Event::Noted(Note { author: author.into(), text: text.into(), tags })
}

/// A day on which one alert fires, one was firing before, one is missed, and one nobody expected; the second experiment
/// is aborted by a guardrail.
fn journal() -> Vec<Entry> {
    let opened = fixture::opened();
    let hash = opened.hash.clone();
    let approved = |by: &str| Event::Approved { by: by.into(), hash: hash.clone() };
    let answered = |item, answer, remark: Option<&str>| Event::Answered {
        item,
        by: "ada".into(),
        answer,
        remark: remark.map(str::to_owned),
    };
    let decided = |by: &str| Event::Decided { by: by.into(), answer: Answer::Go, remark: None };
    let progress = |experiment, what| Event::Progress { experiment, what };
    let ended = |experiment, verdict, because: &str| Event::Ended { experiment, verdict, because: because.into() };
    let mut events = vec![
        (-7200, Event::Opened(Box::new(opened))),
        (-7199, Event::Requested { by: "dennis".into() }),
        (-3600, approved("grace")),
        (-3000, approved("linus")),
        (-120, answered(0, Answer::Go, Some("deploys are frozen"))),
        (-110, answered(1, Answer::NoGo, Some("nobody picks up"))),
        (0, Event::Tick),
        (0, Event::Started { experiment: 0, run: "20261201T100000-bbbbbb".into() }),
        (1, firing(&[("BackendDown", -400)])),
        (10, progress(0, Milestone::Incited { fault: "network-latency on shop".into() })),
        (25, firing(&[("BackendDown", -400), ("CheckoutSlow", 24)])),
        (30, note("margaret", "the dashboard is red", &["detected"])),
        (40, firing(&[("Backlog", 38), ("BackendDown", -400), ("CheckoutSlow", 24)])),
        (70, progress(0, Milestone::Undone { verified: true })),
        (75, firing(&[("BackendDown", -400)])),
        (82, progress(0, Milestone::Recovered { after: 12.0 })),
        (83, ended(0, RunVerdict::Held, "every objective was shown to hold")),
    ];
    events.extend([
        (100, decided("ada")),
        (101, Event::Started { experiment: 1, run: "20261201T100140-cccccc".into() }),
        (102, firing(&[])),
        (110, progress(1, Milestone::Incited { fault: "process-pause on backend".into() })),
        (120, progress(1, Milestone::Breached { guardrail: "checkout: errors below 50%: 71% of 800".into() })),
        (121, progress(1, Milestone::Undone { verified: true })),
        (122, note("ada", "restarted <b>the</b> | pool\nHELD", &["mitigated"])),
        (125, Event::Alerts(Reading::Unknown("connection refused".into()))),
        (130, firing(&[])),
        (140, ended(1, RunVerdict::Aborted, "a guardrail was breached")),
        (
            200,
            Event::Found(Finding {
                author: "grace".into(),
                text: "the timeout is longer than the client's".into(),
                severity: FindingSeverity::High,
                owner: Some("linus".into()),
                due: Some("2026-12-15".parse().unwrap()),
            }),
        ),
        (
            201,
            Event::Found(Finding {
                author: "ada".into(),
                text: "support has no runbook".into(),
                severity: FindingSeverity::Low,
                owner: None,
                due: None,
            }),
        ),
    ]);
    // Between what is told here, nothing changed.
    let mut readings: Vec<(i64, Event)> =
        (5..140).step_by(5).map(|second| (second, Event::Alerts(Reading::Unchanged))).collect();
    readings.retain(|(second, _)| {
        !events.iter().any(|(other, event)| other == second && matches!(event, Event::Alerts(_)))
    });
    readings.retain(|(second, _)| !(85..=101).contains(second));
    events.extend(readings);
    events.sort_by_key(|(second, _)| *second);
    events.into_iter().map(|(second, event)| Entry { at: at(second), event }).collect()
}

fn sheet() -> Sheet {
    Sheet::from_entries(&journal()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_form_of_a_whole_day() {
    let sheet = sheet();
    for (name, format) in [
        ("markdown", Format::Markdown),
        ("html", Format::Html),
        ("json", Format::Json),
        ("postmortem-markdown", Format::PostmortemMarkdown),
        ("postmortem-html", Format::PostmortemHtml),
    ] {
        let text = sheet.render(format).unwrap();
        // `FAULTLINE_PAGES=DIR` keeps the pages there, to be looked at in a browser.
        if let Some(folder) = std::env::var_os("FAULTLINE_PAGES") {
            std::fs::write(std::path::Path::new(&folder).join(format!("game-day-{name}.html")), &text).unwrap();
        }
        // The style is that of the reports, whose snapshots have it.
        let text = match (text.split_once("<style>"), text.split_once("</style>")) {
            (Some((before, _)), Some((_, after))) => format!("{before}<style></style>{after}"),
            _ => text,
        };
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn pages_load_and_run_nothing_and_hostile_notes_stay_text() {
    for format in [Format::Html, Format::PostmortemHtml] {
        let page = sheet().render(format).unwrap();
        for forbidden in ["<script", "<link", "<img", "<iframe", " src=", "@import", "url(http", "<b>the"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
    for format in [Format::Markdown, Format::PostmortemMarkdown] {
        let text = sheet().render(format).unwrap();
        assert!(!text.contains("<b>the") && !text.contains(" | pool") && !text.contains("\nHELD"));
    }
}

#[test]
fn a_journal_that_ends_too_early_is_unfinished_and_never_green() {
    let journal = journal();
    for length in 1..=journal.len() {
        let sheet = Sheet::from_entries(&journal[..length]).unwrap();
        assert_ne!(sheet.exit_code, 0, "{length} entries");
        let is_over = sheet.ended.is_some();
        assert_eq!(sheet.outcome == Outcome::Unfinished, !is_over);
        for row in &sheet.experiments {
            assert!(row.run.is_none() || row.verdict.is_some() || (!is_over && sheet.exit_code == 7));
        }
        sheet.render(Format::Markdown).unwrap();
    }
    assert!(matches!(Sheet::from_entries(&[]), Err(SheetError::Empty)));
    assert!(matches!(Sheet::from_entries(&journal[1..]), Err(SheetError::Illegal { number: 0, .. })));
}

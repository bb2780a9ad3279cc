//! The run sheet as a page.

use super::page::{Badge, Block, Cell, Page, Section, Tone, date_and_clock};
use super::timeline::answer_word;
use super::{ExperimentRow, Mark, Outcome, Sheet};
use crate::game_day::alerts::{AlertVerdict, Fired, Resolved};
use crate::game_day::machine::{Answer, Identity};
use crate::hypothesis::verdict::RunVerdict;
use crate::report::notation;

pub(super) fn page(sheet: &Sheet) -> Page {
    let (badge, because) = outcome(sheet);
    let mut sections = vec![Section::new("experiments", "Experiments", vec![experiments(sheet)])];
    sections.extend(sheet.experiments.iter().enumerate().filter_map(|(number, row)| details(sheet, number, row)));
    if !sheet.deviations.is_empty() {
        let blocks = vec![Block::Bullets(sheet.deviations.clone())];
        sections.push(Section::new("deviations", "Deviations from the plan", blocks));
    }
    if !sheet.findings.is_empty() {
        sections.push(Section::new("findings", "Findings", vec![findings(sheet)]));
    }
    sections.push(Section::new("timeline", "Timeline", vec![sheet.timeline_block()]));
    if !sheet.checklist.is_empty() {
        sections.push(Section::new("checklist", "Checklist", vec![checklist(sheet)]));
    }
    sections.push(Section::new("approvals", "Approvals", approvals(sheet)));
    sections.push(Section::new("people", "People", people(sheet)));
    Page {
        what: "run sheet",
        badge,
        title: sheet.title.clone(),
        because,
        quote: sheet.purpose.clone(),
        facts: facts(sheet),
        sections,
        footer: sheet.footer(),
        version: sheet.version.clone(),
    }
}

pub(super) fn outcome(sheet: &Sheet) -> (Badge, String) {
    match &sheet.outcome {
        Outcome::Finished => {
            let tone = if sheet.exit_code == 0 { Tone::Good } else { Tone::Open };
            let held = sheet.experiments.iter().filter(|row| row.verdict == Some(RunVerdict::Held)).count();
            let alerts: Vec<&AlertVerdict> = sheet.experiments.iter().flat_map(|row| &row.alerts).collect();
            let fired = alerts.iter().filter(|alert| alert.is_as_expected()).count();
            let mut because = format!("{held} of {} experiments held", sheet.experiments.len());
            if !alerts.is_empty() {
                because += &format!("; {fired} of {} expected alerts did what was expected", alerts.len());
            }
            (Badge::new(tone, "finished"), because + ".")
        }
        Outcome::Aborted(ending) => (Badge::new(Tone::Bad, "ended early"), ending.because.clone()),
        Outcome::Unfinished => {
            (Badge::new(Tone::Open, "unfinished"), "the journal ends before the game day did".into())
        }
    }
}

fn facts(sheet: &Sheet) -> Vec<(&'static str, String)> {
    let zone = &sheet.time_zone;
    let mut facts = vec![("Began", date_and_clock(sheet.begun, zone))];
    if let Some(ended) = sheet.ended {
        facts.push(("Ended", date_and_clock(ended, zone)));
    }
    if let Some((from, until)) = sheet.window {
        facts.push(("Window", format!("{} to {}", date_and_clock(from, zone), date_and_clock(until, zone))));
    }
    facts.push(("Time zone", zone.to_string()));
    facts.push(("Where", sheet.place.clone()));
    facts.push(("Document", format!("{} ({})", sheet.name, sheet.file)));
    facts.push(("Plan", sheet.hash.short().to_owned()));
    facts.push(("Game day", sheet.id.clone()));
    facts.push(("Exit code", sheet.exit_code.to_string()));
    facts
}

pub(super) fn verdict_badge(row: &ExperimentRow) -> Badge {
    match row.verdict {
        Some(RunVerdict::Held) => Badge::new(Tone::Good, "held"),
        Some(verdict @ (RunVerdict::Violated | RunVerdict::CleanupUnverified | RunVerdict::Aborted)) => {
            Badge::new(Tone::Bad, notation::run_verdict(verdict))
        }
        Some(verdict) => Badge::new(Tone::Open, notation::run_verdict(verdict)),
        None if row.run.is_some() => Badge::new(Tone::Bad, "not ended"),
        None => Badge::new(Tone::None, "not run"),
    }
}

fn experiments(sheet: &Sheet) -> Block {
    let row = |(number, row): (usize, &ExperimentRow)| {
        let mark = |mark: &Option<Mark>| match mark {
            None => Cell::text("–"),
            Some(Mark { at, after: Some(after), .. }) if *after > 0.0 => {
                Cell::text(format!("{} (+{})", sheet.clock(*at), notation::seconds(*after)))
            }
            Some(Mark { at, .. }) => Cell::text(sheet.clock(*at)),
        };
        vec![
            Cell::text(format!("{}. {}", number + 1, row.name)),
            Cell::BadgeAnd(verdict_badge(row), row.because.clone()),
            mark(&row.incited),
            mark(&row.detected),
            mark(&row.mitigated),
            mark(&row.recovered),
        ]
    };
    Block::Table {
        head: vec!["Experiment", "Verdict", "Incited", "Detected", "Mitigated", "Recovered"],
        rows: sheet.experiments.iter().enumerate().map(row).collect(),
    }
}

/// What is to be said of an experiment beyond its line in the table.
fn details(sheet: &Sheet, number: usize, row: &ExperimentRow) -> Option<Section> {
    row.started?;
    let mut blocks = vec![Block::Paragraph(row.hypothesis.clone())];
    let marks = [&row.incited, &row.detected, &row.mitigated, &row.recovered];
    let words = ["Incited", "Detected", "Mitigated", "Recovered"];
    let lines: Vec<String> = words
        .into_iter()
        .zip(marks)
        .map(|(word, mark)| match mark {
            Some(mark) => format!("{word} at {} by {}", sheet.clock(mark.at), mark.by),
            None => format!("{word}: not seen"),
        })
        .collect();
    blocks.push(Block::Bullets(lines));
    if let Some(notes) = &row.expected_notes {
        blocks.push(Block::Paragraph(format!("Expected besides alerts: {notes}")));
    }
    if !row.alerts.is_empty() {
        blocks.push(Block::Heading("Expected alerts".into()));
        blocks.push(alerts(sheet, &row.alerts));
    }
    if !row.unexpected.is_empty() {
        blocks.push(Block::Heading("Alerts that nobody expected".into()));
        let line = |alert: &crate::game_day::alerts::UnexpectedAlert| {
            let until = alert
                .resolved_at
                .map_or_else(|| "still firing at the end".into(), |at| format!("until {}", sheet.clock(at)));
            let told = if alert.suppressed { ", silenced or inhibited" } else { "" };
            format!("{} fired at {}, {until}{told}", alert.alert, sheet.clock(alert.fired_at))
        };
        blocks.push(Block::Bullets(row.unexpected.iter().map(line).collect()));
    }
    Some(Section::new(&format!("experiment-{}", number + 1), format!("{}. {}", number + 1, row.name), blocks))
}

pub(super) fn alert_badge(alert: &AlertVerdict) -> Badge {
    let (tone, word) = match (alert.fired, alert.resolved) {
        (Fired::InTime, _) if alert.suppressed => (Tone::Bad, "nobody was told"),
        (Fired::InTime, Some(Resolved::Late)) => (Tone::Bad, "resolved late"),
        (Fired::InTime, Some(Resolved::Unknown | Resolved::Pending)) => (Tone::Open, "fired; resolved: unknown"),
        (Fired::InTime, _) => (Tone::Good, "fired in time"),
        (Fired::Late, _) => (Tone::Bad, "late"),
        (Fired::Missed, _) => (Tone::Bad, "missed"),
        (Fired::FiringBefore, _) => (Tone::Open, "was firing before"),
        (Fired::Unknown | Fired::Pending, _) => (Tone::Open, "unknown"),
        (Fired::NotTested, _) => (Tone::None, "not tested"),
    };
    Badge::new(tone, word)
}

fn alerts(sheet: &Sheet, alerts: &[AlertVerdict]) -> Block {
    let row = |alert: &AlertVerdict| {
        vec![
            Cell::Code(alert.alert.clone()),
            Cell::text(alert.within.to_string()),
            Cell::BadgeAnd(alert_badge(alert), alert.because.clone()),
            Cell::text(alert.fired_at.map_or_else(|| "–".into(), |at| sheet.clock(at))),
            Cell::text(alert.resolved_at.map_or_else(|| "–".into(), |at| sheet.clock(at))),
        ]
    };
    Block::Table {
        head: vec!["Alert", "Within", "What it did", "Fired", "Gone"],
        rows: alerts.iter().map(row).collect(),
    }
}

pub(super) fn findings(sheet: &Sheet) -> Block {
    let row = |finding: &crate::game_day::machine::Finding| {
        vec![
            Cell::text(finding.severity.name()),
            Cell::text(finding.text.clone()),
            Cell::text(finding.owner.clone().unwrap_or_else(|| "nobody yet".into())),
            Cell::text(finding.due.map_or_else(|| "–".into(), |due| due.to_string())),
            Cell::text(finding.author.clone()),
        ]
    };
    Block::Table {
        head: vec!["Severity", "Finding", "Owner", "Due", "Found by"],
        rows: sheet.findings.iter().map(row).collect(),
    }
}

fn checklist(sheet: &Sheet) -> Block {
    let row = |row: &super::ChecklistRow| {
        let badge = match (row.answer, row.required) {
            (Some(Answer::Go), _) => Cell::badge(Tone::Good, "go"),
            (Some(Answer::NoGo), true) => Cell::badge(Tone::Bad, "no-go"),
            (Some(answer), _) => Cell::badge(Tone::Open, answer_word(answer)),
            (None, _) => Cell::badge(Tone::None, "not answered"),
        };
        let who = match (&row.by, row.at) {
            (Some(by), Some(at)) => format!("{by} at {}", sheet.clock(at)),
            _ => row.of.clone().unwrap_or_default(),
        };
        let required = if row.required { "required" } else { "optional" };
        vec![
            Cell::text(row.ask.clone()),
            Cell::text(required),
            badge,
            Cell::text(who),
            Cell::text(row.remark.clone().unwrap_or_default()),
        ]
    };
    Block::Table {
        head: vec!["Question", "", "Answer", "By", "Remark"],
        rows: sheet.checklist.iter().map(row).collect(),
    }
}

fn approvals(sheet: &Sheet) -> Vec<Block> {
    let asked = sheet.requested_by.as_deref().unwrap_or("nobody");
    let mut blocks = vec![Block::Paragraph(format!(
        "Required: {} for plan {}, asked for by {asked}.",
        sheet.required_approvals,
        sheet.hash.as_str()
    ))];
    if !sheet.approvals.is_empty() {
        let row = |approval: &crate::game_day::machine::Approval| {
            let badge = match &approval.void {
                None => Cell::badge(Tone::Good, "counts"),
                Some(why) => Cell::BadgeAnd(Badge::new(Tone::Open, "void"), why.clone()),
            };
            vec![
                Cell::text(approval.by.clone()),
                Cell::text(date_and_clock(approval.at, &sheet.time_zone)),
                Cell::text(date_and_clock(approval.expires, &sheet.time_zone)),
                Cell::Code(approval.hash.short().to_owned()),
                badge,
            ]
        };
        blocks.push(Block::Table {
            head: vec!["By", "At", "Good until", "Plan", ""],
            rows: sheet.approvals.iter().map(row).collect(),
        });
    }
    blocks
}

fn people(sheet: &Sheet) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !sheet.roles.is_empty() {
        let rows =
            sheet.roles.iter().map(|(role, people)| vec![Cell::text(role.clone()), Cell::text(people.join(", "))]);
        blocks.push(Block::Table { head: vec!["Role", "People"], rows: rows.collect() });
    }
    blocks.push(Block::Paragraph(
        match sheet.identity {
            Identity::Typed => "Names are as they were typed at the terminal; nobody checked them.",
            Identity::Token => "Each name is that of the API token with which it was said.",
        }
        .into(),
    ));
    if !sheet.abort_conditions.is_empty() {
        blocks.push(Block::Heading("What ends it early".into()));
        blocks.push(Block::Bullets(sheet.abort_conditions.clone()));
    }
    blocks
}

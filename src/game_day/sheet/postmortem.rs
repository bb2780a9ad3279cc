//! The skeleton of a postmortem: what is known is filled in, what only people know is asked for.

use super::page::{Block, Cell, Page, Section, date_and_clock};
use super::run_sheet::{alert_badge, findings, outcome, verdict_badge};
use super::{ExperimentRow, Mark, Sheet};
use crate::hypothesis::verdict::RunVerdict;
use crate::report::notation;

pub(super) fn page(sheet: &Sheet) -> Page {
    let (badge, because) = outcome(sheet);
    let sections = vec![
        Section::new("summary", "Summary", summary(sheet)),
        Section::new("impact", "Impact", impact(sheet)),
        Section::new("timeline", "Timeline", vec![sheet.timeline_block()]),
        Section::new("went-well", "What went well", went(sheet, true)),
        Section::new("went-badly", "What went badly", went(sheet, false)),
        Section::new(
            "luck",
            "Where we were lucky",
            vec![Block::Prompt("What would have been worse on another day, or with other people here?")],
        ),
        Section::new("findings", "Findings", known_findings(sheet)),
        Section::new("actions", "Action items", actions(sheet)),
        Section::new("appendix", "Appendix", appendix(sheet)),
    ];
    Page {
        what: "postmortem",
        badge,
        title: sheet.title.clone(),
        because,
        quote: sheet.purpose.clone(),
        facts: vec![
            ("Held", date_and_clock(sheet.begun, &sheet.time_zone)),
            ("Where", sheet.place.clone()),
            ("Game day", sheet.id.clone()),
            ("Status", "draft".into()),
        ],
        sections,
        footer: sheet.footer(),
        version: sheet.version.clone(),
    }
}

fn summary(sheet: &Sheet) -> Vec<Block> {
    let line = |row: &ExperimentRow| {
        let after = |mark: &Option<Mark>| mark.as_ref().and_then(|mark| mark.after).map(notation::seconds);
        let mut line = format!("{}: {} ({})", row.name, verdict_badge(row).word, row.because);
        for (word, mark) in [("detected", &row.detected), ("mitigated", &row.mitigated), ("recovered", &row.recovered)]
        {
            match after(mark) {
                Some(after) => line += &format!(", {word} after {after}"),
                None if row.incited.is_some() => line += &format!(", never {word}"),
                None => {}
            }
        }
        line
    };
    vec![
        Block::Bullets(sheet.experiments.iter().map(line).collect()),
        Block::Prompt("In two sentences for those who were not there: what was tried, and what did we learn?"),
    ]
}

fn impact(sheet: &Sheet) -> Vec<Block> {
    let harmed = |row: &&ExperimentRow| matches!(row.verdict, Some(RunVerdict::Violated | RunVerdict::Aborted));
    let lines: Vec<String> =
        sheet.experiments.iter().filter(harmed).map(|row| format!("{}: {}", row.name, row.because)).collect();
    let mut blocks = Vec::new();
    if lines.is_empty() {
        blocks.push(Block::Paragraph("No objective was shown to be violated by an experiment.".into()));
    } else {
        blocks.push(Block::Bullets(lines));
    }
    blocks.push(Block::Prompt(
        "Who noticed anything, inside and outside? How many, for how long, and what did they see?",
    ));
    blocks
}

/// What the records show to have gone well, or badly.
fn went(sheet: &Sheet, well: bool) -> Vec<Block> {
    let mut lines = Vec::new();
    for row in &sheet.experiments {
        if (row.verdict == Some(RunVerdict::Held)) == well && row.run.is_some() {
            lines.push(format!("{} was {}.", row.name, verdict_badge(row).word));
        }
        for alert in &row.alerts {
            if row.run.is_some() && alert.is_as_expected() == well {
                lines.push(format!("{}: alert {} {}.", row.name, alert.alert, alert.because));
            }
        }
        if !well {
            lines.extend(row.unexpected.iter().map(|alert| format!("{}: nobody expected {}.", row.name, alert.alert)));
        }
    }
    if !well {
        lines.extend(sheet.deviations.iter().cloned());
    }
    let prompt = if well {
        "What else worked as intended? Who noticed first, and how?"
    } else {
        "What surprised us? Which dashboard, alert, runbook or person was missing?"
    };
    let mut blocks = Vec::new();
    if !lines.is_empty() {
        blocks.push(Block::Bullets(lines));
    }
    blocks.push(Block::Prompt(prompt));
    blocks
}

fn known_findings(sheet: &Sheet) -> Vec<Block> {
    if sheet.findings.is_empty() {
        return vec![
            Block::Paragraph("None was written down on the day.".into()),
            Block::Prompt("Add what came up since."),
        ];
    }
    vec![findings(sheet)]
}

/// One for each finding, and one for each alert that did not do what was expected.
fn actions(sheet: &Sheet) -> Vec<Block> {
    let mut lines: Vec<String> = sheet
        .findings
        .iter()
        .map(|finding| {
            let owner = finding.owner.as_deref().unwrap_or("OWNER");
            let due = finding.due.map_or_else(|| "DATE".into(), |due| due.to_string());
            format!("{} ({}; {owner}, by {due})", finding.text, finding.severity.name())
        })
        .collect();
    for row in sheet.experiments.iter().filter(|row| row.run.is_some()) {
        for alert in row.alerts.iter().filter(|alert| !alert.is_as_expected()) {
            lines.push(format!(
                "Look at alert {}: {} in {} (OWNER, by DATE)",
                alert.alert,
                alert_badge(alert).word,
                row.name
            ));
        }
    }
    let mut blocks = Vec::new();
    if !lines.is_empty() {
        blocks.push(Block::Actions(lines));
    }
    blocks.push(Block::Prompt("Each action has one owner and one date."));
    blocks
}

fn appendix(sheet: &Sheet) -> Vec<Block> {
    let mut rows = vec![vec![
        Cell::text("the game day"),
        Cell::text(sheet.id.clone()),
        Cell::Code(sheet.hash.as_str().to_owned()),
    ]];
    rows.extend(sheet.experiments.iter().map(|row| {
        let run = row.run.clone().unwrap_or_else(|| "not run".into());
        vec![
            Cell::text(format!("{}, seed {}", row.name, row.seed)),
            Cell::text(run),
            Cell::Code(row.hash.as_str().to_owned()),
        ]
    }));
    vec![Block::Table { head: vec!["What", "Id", "Hash of its plan"], rows }]
}

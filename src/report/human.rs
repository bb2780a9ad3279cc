//! For people at a terminal: the verdict first, then the evidence for it.

mod table;

use table::{Cell, table, wrap};

use super::ink::{self, Ink};
use super::{DoseRow, FaultProgress, FaultReport, HostMoment, LinkState, RunReport, notation};
use crate::hypothesis::verdict::Phase;

/// The report as text of at most `width` columns (never fewer than 40), in colour if told.
pub(super) fn render(report: &RunReport, colour: bool, width: usize) -> String {
    let page = Page { colour, width: width.max(40) };
    let mut out = page.headline(report);
    if let Some(again) = &report.judged_again {
        out.push('\n');
        out.extend(again.sentences().iter().map(|line| page.paragraph(2, line, Ink::Bold)));
    }
    out.push_str(&page.chain(report));
    out.push_str(&page.objectives(report));
    out.push_str(&page.guardrails(report));
    if let Some(budget) = &report.budget {
        out.push_str(&page.heading("Error budget"));
        out.push_str(&page.paragraph(2, &budget.sentence, Ink::Plain));
    }
    if let Some(score) = &report.service_score {
        out.push_str(&page.heading(&format!("Resilience of {}", notation::one_line(&score.service))));
        out.push_str(&page.paragraph(2, &score.sentence(), Ink::Plain));
    }
    out.push_str(&page.hosts(report));
    for fault in &report.faults {
        out.push_str(&page.fault(fault));
    }
    out.push_str(&page.signals(report));
    out.push_str(&page.unknown(report));
    out.push_str(&page.run(report));
    out
}

/// What was measured beside what was asked: `delay 100.1 ms (asked 100 ms)`.
pub(super) fn dose(row: &DoseRow) -> String {
    let asked = row.asked.map(|asked| notation::measure(asked, &row.unit));
    let measured = row.measured.map(|measured| notation::named(&row.name, measured, &row.unit));
    match (asked, measured) {
        (Some(asked), Some(measured)) => {
            let misses = row.asked.zip(row.measured).and_then(|(asked, measured)| notation::deviation(asked, measured));
            let misses = misses.map(|misses| format!(" ({misses})")).unwrap_or_default();
            format!("{measured}, asked {asked}{misses}")
        }
        (Some(asked), None) => format!("{} asked {asked}, not measured", row.name),
        (None, Some(measured)) => measured,
        (None, None) => row.name.clone(),
    }
}

struct Page {
    colour: bool,
    width: usize,
}

impl Page {
    fn paint(&self, ink: Ink, text: &str) -> String {
        ink.paint(text, self.colour)
    }

    fn paragraph(&self, indent: usize, text: &str, ink: Ink) -> String {
        let lines = wrap(&notation::one_line(text), self.width - indent);
        lines.iter().map(|line| format!("{}{}\n", " ".repeat(indent), self.paint(ink, line))).collect()
    }

    fn heading(&self, text: &str) -> String {
        format!("\n{}\n", self.paint(Ink::Bold, text))
    }

    fn table(&self, rows: &[Vec<Cell>]) -> String {
        let rows: Vec<Vec<Cell>> =
            rows.iter().map(|row| row.iter().map(|(text, ink)| (notation::one_line(text), *ink)).collect()).collect();
        table(&rows, 2, self.width, self.colour)
    }

    fn headline(&self, report: &RunReport) -> String {
        let (sign, ink) = ink::of_run(report.verdict);
        let verdict = format!("{sign} {}", notation::run_verdict(report.verdict).to_uppercase());
        let name = self.paint(Ink::Bold, &notation::one_line(&report.run.experiment));
        let mut out = format!("{}  {name}\n", self.paint(ink, &verdict));
        out.push_str(&self.paragraph(2, &report.because, Ink::Plain));
        out.push('\n');
        out.push_str(&self.paragraph(2, &report.run.hypothesis, Ink::Faint));
        out
    }

    fn chain(&self, report: &RunReport) -> String {
        let rows: Vec<Vec<Cell>> = report
            .chain
            .iter()
            .map(|link| {
                let (sign, ink, word) = ink::of_link(link.state);
                let name = if link.state == LinkState::NotReached { Ink::Faint } else { Ink::Plain };
                vec![(format!("{sign} {}", link.name), name), (word.into(), ink), (link.detail.clone(), Ink::Plain)]
            })
            .collect();
        format!("\n{}", self.table(&rows))
    }

    fn objectives(&self, report: &RunReport) -> String {
        let phases = [Phase::Before, Phase::During, Phase::After];
        let mut rows: Vec<Vec<Cell>> = vec![vec![(String::new(), Ink::Faint)]];
        rows[0].extend(phases.map(|phase| (notation::phase(phase).into(), Ink::Faint)));
        for row in &report.objectives {
            let mut cells = vec![(row.description.clone(), Ink::Plain)];
            cells.extend(phases.map(|phase| match row.phases.iter().find(|verdict| verdict.phase == phase) {
                Some(verdict) => {
                    let (sign, ink) = ink::of_verdict(verdict.verdict);
                    let word = notation::verdict(verdict.verdict);
                    (format!("{sign} {word} {}", verdict.measured_text), ink)
                }
                None => ("– not judged".into(), Ink::Faint),
            }));
            rows.push(cells);
        }
        let mut out = self.heading("Objectives") + &self.table(&rows);
        for row in &report.objectives {
            for verdict in
                row.phases.iter().filter(|verdict| verdict.verdict != crate::hypothesis::verdict::Verdict::Held)
            {
                let phase = notation::phase(verdict.phase);
                let word = notation::verdict(verdict.verdict);
                let effect = verdict.effect.as_ref().map(|effect| format!("; {}", effect.text)).unwrap_or_default();
                let line = format!("{}, {phase}: {word}: {}{effect}", row.description, verdict.because);
                out.push_str(&self.paragraph(4, &line, Ink::Faint));
            }
        }
        out
    }

    fn guardrails(&self, report: &RunReport) -> String {
        if report.guardrails.is_empty() {
            return String::new();
        }
        let rows: Vec<Vec<Cell>> = report
            .guardrails
            .iter()
            .map(|row| {
                let state = match (row.breached_at, &row.because) {
                    (Some(at), because) => {
                        let because = because.as_deref().unwrap_or_default();
                        (format!("✘ breached at {}: {because}", notation::clock(at)), Ink::Bad)
                    }
                    (None, _) => ("✔ not breached".into(), Ink::Good),
                };
                vec![(row.description.clone(), Ink::Plain), state]
            })
            .collect();
        self.heading("Guardrails") + &self.table(&rows)
    }

    fn hosts(&self, report: &RunReport) -> String {
        let mut out = String::new();
        if !report.drift.is_empty() {
            out += &self.heading("Since the plan was made");
            out.extend(report.drift.iter().map(|line| self.paragraph(2, line, Ink::Plain)));
        }
        for host in &report.hosts {
            out += &self.heading(&format!("Host {}: {}", notation::one_line(&host.host), host.outcome()));
            let happened =
                |moment: &HostMoment| vec![(notation::clock(moment.at), Ink::Faint), (moment.note.clone(), Ink::Plain)];
            let ink = if host.clean { Ink::Plain } else { Ink::Bad };
            let said = |line: &String| vec![("said".into(), Ink::Faint), (line.clone(), ink)];
            let rows: Vec<Vec<Cell>> = host.events.iter().map(happened).chain(host.said.iter().map(said)).collect();
            out += &self.table(&rows);
        }
        out
    }

    fn fault(&self, fault: &FaultReport) -> String {
        let mut out = self.heading(&format!(
            "Fault {} on {}",
            notation::one_line(&fault.fault),
            notation::one_line(&fault.target)
        ));
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        let mut row = |name: &str, text: String, ink: Ink| rows.push(vec![(name.into(), Ink::Faint), (text, ink)]);
        for target in &fault.plan.targets {
            row("target", target.clone(), Ink::Plain);
        }
        match (fault.injected_at, fault.injection_took, &fault.failure) {
            (_, _, Some(reason)) => row("injected", format!("✘ no: {reason}"), Ink::Bad),
            (Some(at), Some(took), None) => {
                row("injected", format!("at {}, in {}", notation::clock(at), notation::seconds(took)), Ink::Plain);
            }
            _ if fault.progress == FaultProgress::InPlace => {
                row("injected", "? perhaps: the journal ends here".into(), Ink::Open);
            }
            _ => row("injected", "– no".into(), Ink::Faint),
        }
        if let Some(at) = fault.lost_at {
            row(
                "lost",
                format!("at {}, with its host: what is measured counts for nothing", notation::clock(at)),
                Ink::Open,
            );
        }
        for change in &fault.changes {
            row("changed", change.clone(), Ink::Plain);
        }
        for measured in &fault.dose {
            let by = measured.by.as_ref().map(|by| format!(": {by}")).unwrap_or_default();
            row("dose", dose(measured) + &by, Ink::Plain);
        }
        for step in &fault.steps {
            let (sign, ink) = if step.clean { ("✔", Ink::Good) } else { ("✘", Ink::Bad) };
            match (&step.outcome, fault.progress) {
                (Some(outcome), _) => row("undo", format!("{sign} {outcome}: {}", step.undo), ink),
                (None, FaultProgress::Planned | FaultProgress::Failed) => {}
                (None, _) => row("undo", format!("? not recorded: {}", step.undo), Ink::Open),
            }
            if let Some(manual) = &step.manual {
                row("by hand", manual.clone(), Ink::Bold);
            }
        }
        if let (Some(at), Some(took)) = (fault.undone_at, fault.undo_took) {
            let verified = fault.progress != FaultProgress::UndoUnverified;
            let text = if verified { "verified" } else { "NOT verified" };
            let ink = if verified { Ink::Plain } else { Ink::Bad };
            row("undone", format!("at {}, in {}, {text}", notation::clock(at), notation::seconds(took)), ink);
        }
        out.push_str(&self.table(&rows));
        out
    }

    fn signals(&self, report: &RunReport) -> String {
        let rows: Vec<Vec<Cell>> = report
            .signals
            .iter()
            .flat_map(|signal| {
                signal.failures.iter().chain(&signal.missing).map(move |failure| (&signal.name, failure))
            })
            .take(12)
            .map(|(signal, failure)| {
                let count =
                    format!("{} ×", notation::number(f64::from(u32::try_from(failure.count).unwrap_or(u32::MAX))));
                vec![(signal.clone(), Ink::Faint), (count, Ink::Plain), (failure.reason.clone(), Ink::Plain)]
            })
            .collect();
        if rows.is_empty() { String::new() } else { self.heading("Failures seen") + &self.table(&rows) }
    }

    fn unknown(&self, report: &RunReport) -> String {
        if report.unknown.is_empty() {
            return String::new();
        }
        let lines = report.unknown.iter().map(|line| self.paragraph(2, &format!("? {line}"), Ink::Open));
        self.heading("Not known") + &lines.collect::<String>()
    }

    fn run(&self, report: &RunReport) -> String {
        let run = &report.run;
        let text = format!(
            "Run {} of {} on {}, {}, {} long, seed {}. Exit code {}.",
            run.id,
            run.file,
            run.host,
            notation::wall_clock(&run.started),
            notation::seconds(run.duration),
            run.seed,
            report.exit_code
        );
        format!("\n{}", self.paragraph(0, &text, Ink::Faint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};

    #[test]
    fn every_ending_on_eighty_columns() {
        for ending in Ending::ALL {
            let text = render(&fixture::report(ending), false, 80);
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            insta::assert_snapshot!(format!("human-{}", ending.name()), text);
        }
    }

    #[test]
    fn hosts_that_vanish_come_back_and_join() {
        insta::assert_snapshot!("human-fleet", render(&fixture::fleet_report(), false, 80));
    }

    #[test]
    fn colour_adds_nothing_but_escape_sequences_and_a_narrow_terminal_is_kept_to() {
        let report = fixture::report(Ending::Aborted);
        let coloured = render(&report, true, 80);
        let bare = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap().replace_all(&coloured, "").into_owned();
        assert!(coloured.len() > bare.len());
        let lines = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(lines(&bare), lines(&render(&report, false, 80)));
        assert!(render(&report, false, 44).lines().all(|line| line.chars().count() <= 44));
    }
}

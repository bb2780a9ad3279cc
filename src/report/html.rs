//! HTML: one file that holds everything it needs. It loads nothing, runs no script, and may be kept, mailed and printed.

mod axis;
mod plot;
mod resilience;
mod sections;
mod signals;

pub(crate) use sections::{kind as moment_class, pill};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{LinkState, RunReport, notation};
use crate::hypothesis::verdict::RunVerdict;

/// The page's whole style. It must not hold the end of a style element; a test sees to that.
const STYLE: &str = include_str!("html/style.css");

/// Forbids the page to load or run anything, whatever a name in it may try.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// The report as one HTML file.
pub(super) fn render(report: &RunReport) -> String {
    let verdict = notation::run_verdict(report.verdict);
    let title = format!("{}: {}", capital(verdict), report.run.experiment);
    page(
        &title,
        &report.run.version,
        &html! {
            (pattern())
            (banner(report))
            main {
                (judged_again(report))
                (chain(report))
                (unknown(report))
                (sections::objectives(report))
                (signals::section(report))
                (resilience::section(report))
                (sections::hosts(report))
                (sections::faults(report))
                (sections::timeline(report))
                (sections::services(report))
                (sections::document(report))
            }
            footer {
                p {
                    "Made by faultline " (notation::one_line(&report.run.version)) " from the journal of run "
                    code { (notation::one_line(&report.run.id)) } ", and from nothing else. "
                    "Times count from " (notation::one_line(&report.run.started)) "."
                }
            }
        },
    )
}

/// A whole page: it loads nothing, runs nothing, and looks like every page of ours.
pub(crate) fn page(title: &str, version: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(format!("faultline {}", notation::one_line(version)));
                title { (notation::one_line(title)) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string() + "\n"
}

/// With a capital at its beginning.
pub(crate) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// The hatching of missing readings, used by every plot.
fn pattern() -> Markup {
    html! {
        svg.definitions width="0" height="0" aria-hidden="true" {
            defs {
                pattern #hatch width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect width="2" height="6" {}
                }
            }
        }
    }
}

/// The class of a verdict, and its sign.
fn look(verdict: RunVerdict) -> (&'static str, &'static str) {
    match verdict {
        RunVerdict::Held => ("good", "✓"),
        RunVerdict::Violated | RunVerdict::CleanupUnverified | RunVerdict::Aborted => ("bad", "✕"),
        _ => ("open", "?"),
    }
}

/// What a verdict means, in one sentence for readers who do not know the word.
fn meaning(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::Held => {
            "Every objective was shown to hold before, during and after a fault that was proven to act."
        }
        RunVerdict::Violated => "An objective was shown not to hold while the fault acted.",
        RunVerdict::Invalid => "The fault was not applied or had no effect, so nothing was tested.",
        RunVerdict::Aborted => "The run was stopped early, and everything was undone.",
        RunVerdict::NoData => "An objective had nothing to be judged by. That is never a pass.",
        RunVerdict::Inconclusive => "The evidence does not suffice to decide. That is never a pass.",
        RunVerdict::Refused => "Nothing was injected, since a condition for it was not met.",
        RunVerdict::Interrupted => "Somebody interrupted the run, and everything was undone.",
        RunVerdict::CleanupUnverified => "Something of the fault may be left behind. See to that first.",
    }
}

fn banner(report: &RunReport) -> Markup {
    let run = &report.run;
    let (class, sign) = look(report.verdict);
    let facts = [
        ("Started", notation::one_line(&notation::wall_clock(&run.started))),
        ("Took", notation::seconds(run.duration)),
        ("Host", notation::one_line(&run.host)),
        ("Document", notation::one_line(&run.file)),
        ("Seed", run.seed.to_string()),
        ("Exit code", report.exit_code.to_string()),
    ];
    html! {
        header.banner.(class) {
            div.wide {
                p.eyebrow { span.brand { "Faultline" } " run " code { (notation::one_line(&run.id)) } }
                div.verdict-line {
                    span.badge { span.sign aria-hidden="true" { (sign) } (capital(notation::run_verdict(report.verdict))) }
                    h1 { (notation::one_line(&run.experiment)) }
                }
                p.because { (notation::one_line(&report.because)) }
                p.meaning { (meaning(report.verdict)) }
                blockquote { (notation::one_line(&run.hypothesis)) }
                dl.facts {
                    @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
                }
                @if !run.labels.is_empty() {
                    ul.labels { @for (label, value) in &run.labels { li { (notation::one_line(label)) "=" (notation::one_line(value)) } } }
                }
            }
        }
    }
}

/// The class, sign and word of a link.
fn link(state: LinkState) -> (&'static str, &'static str, &'static str) {
    match state {
        LinkState::Proven => ("good", "✓", "proven"),
        LinkState::Broken => ("bad", "✕", "broken"),
        LinkState::Unproven => ("open", "?", "unproven"),
        LinkState::NotReached => ("none", "–", "not reached"),
    }
}

fn chain(report: &RunReport) -> Markup {
    html! {
        section #chain {
            h2 { "Chain of evidence" }
            ol.chain {
                @for item in &report.chain {
                    @let (class, sign, word) = link(item.state);
                    li.(class) {
                        span.node aria-hidden="true" { (sign) }
                        div {
                            strong { (capital(&notation::one_line(&item.name))) }
                            span.word { (word) }
                            p { (notation::one_line(&item.detail)) }
                        }
                    }
                }
            }
        }
    }
}

fn judged_again(report: &RunReport) -> Markup {
    html! {
        @if let Some(again) = &report.judged_again {
            section #judged-again {
                div.card {
                    h2 { "Judged again" }
                    ul { @for line in again.sentences() { li { (notation::one_line(&line)) } } }
                }
            }
        }
    }
}

fn unknown(report: &RunReport) -> Markup {
    html! {
        @if !report.unknown.is_empty() {
            section #unknown {
                div.card.warning {
                    h2 { "Not known" }
                    ul { @for line in &report.unknown { li { (notation::one_line(line)) } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};

    /// `FAULTLINE_PAGES=DIR` keeps the pages there, to be looked at in a browser.
    #[test]
    fn every_ending_is_one_page_that_loads_and_runs_nothing() {
        for ending in Ending::ALL {
            let page = render(&fixture::report(ending));
            if let Some(folder) = std::env::var_os("FAULTLINE_PAGES") {
                std::fs::write(std::path::Path::new(&folder).join(format!("{}.html", ending.name())), &page).unwrap();
            }
            for forbidden in
                ["<script", "<link", "<img", "<iframe", " src=", "@import", "url(http", "onload", "javascript:"]
            {
                assert!(!page.contains(forbidden), "{ending:?}: {forbidden}");
            }
            assert_eq!(page.matches("</style>").count(), 1);
            assert_well_formed(&page);
        }
    }

    #[test]
    fn every_ending() {
        for ending in Ending::ALL {
            insta::assert_snapshot!(format!("html-{}", ending.name()), render(&fixture::thin_report(ending)));
        }
    }

    #[test]
    fn hosts_that_vanish_come_back_and_join() {
        insta::assert_snapshot!("html-fleet", render(&fixture::thin_fleet_report()));
    }

    #[test]
    fn the_score_of_the_service_before_and_after() {
        let mut report = fixture::report(Ending::Held);
        assert!(!render(&report).contains("Resilience of"), "a first run of a service has nothing to be compared with");
        let score = crate::score::AroundRun { service: fixture::HOSTILE.into(), ..fixture::service_score() };
        report.service_score = Some(score);
        let page = render(&report);
        assert_well_formed(&page);
        assert!(!page.contains("<script") && page.contains("this one raised it to 62.5"));
    }

    #[test]
    fn hostile_names_stay_text() {
        let page = render(&RunReport::from_entries(&fixture::hostile()).unwrap());
        assert!(!page.contains("<script"), "a name became an element");
        assert!(!page.contains("alert(1)</script>") && page.contains("&lt;script&gt;alert(1)"));
        assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
        assert_well_formed(&page);
    }

    /// Every element that is opened is closed in order: an unescaped name would break that.
    fn assert_well_formed(page: &str) {
        let body = page.split_once("</style>").unwrap().1;
        let mut open = vec!["html", "head"];
        let tag =
            regex::Regex::new(r#"<(/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z0-9:-]+(?:="[^"<]*")?)*)\s*(/?)>|<"#).unwrap();
        for found in tag.captures_iter(body) {
            let name = found.get(2).unwrap_or_else(|| panic!("a bare < at {}", found.get(0).unwrap().start())).as_str();
            match found.get(1).map(|slash| slash.as_str()) {
                Some("/") => assert_eq!(open.pop(), Some(name), "closed at {}", found.get(0).unwrap().start()),
                _ if ["br", "meta", "hr"].contains(&name) => {}
                _ => open.push(name),
            }
        }
        assert!(open.is_empty(), "left open: {open:?}");
    }
}

//! The score of the run's service, before and after the run.

use maud::{Markup, html};

use crate::report::{RunReport, notation};
use crate::score::{AroundRun, WeekScore};

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 72.0;

/// The section; nothing for a run whose service has no earlier ones.
pub(super) fn section(report: &RunReport) -> Markup {
    html! {
        @if let Some(score) = &report.service_score {
            section #resilience {
                h2 { "Resilience of " (notation::one_line(&score.service)) }
                div.card {
                    p { (notation::one_line(&score.sentence())) }
                    @if score.trend.len() > 1 { (bars(score)) }
                    @if !score.advice.is_empty() {
                        p { "What would raise it most:" }
                        ul {
                            @for advice in &score.advice {
                                li { strong { (format!("+{:.1} ", advice.gain)) } (notation::one_line(&advice.sentence)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A bar a week, each with its number for who cannot see it.
fn bars(score: &AroundRun) -> Markup {
    let weeks = u32::try_from(score.trend.len()).unwrap_or(u32::MAX);
    let step = WIDTH / f64::from(weeks);
    let shape = |(number, week): (u32, &WeekScore)| {
        let height = (HEIGHT * week.score / 100.0).max(1.0);
        let x = f64::from(number) * step;
        (x, HEIGHT - height, height, format!("{:.1} on {}", week.score, notation::one_line(&week.until)))
    };
    let told: Vec<String> = score.trend.iter().map(|week| format!("{:.1}", week.score)).collect();
    html! {
        svg viewBox=(format!("0 0 {WIDTH:.0} {HEIGHT:.0}")) width=(format!("{WIDTH:.0}")) height=(format!("{HEIGHT:.0}")) role="img"
            aria-label=(format!("The score of each week: {}", told.join(", "))) {
            @for (x, y, height, title) in (0..).zip(&score.trend).map(shape) {
                rect x=(format!("{x:.1}")) y=(format!("{y:.1}")) width=(format!("{:.1}", step * 0.8)) height=(format!("{height:.1}"))
                    fill="currentColor" opacity="0.6" { title { (title) } }
            }
        }
    }
}

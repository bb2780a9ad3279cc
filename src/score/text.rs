//! Scores for people at a terminal.

use super::{Advice, DependencyScore, ExperimentScore, ServiceScore, WeekScore};
use crate::report::notation::one_line;

/// How many pieces of advice are shown of each service.
const ADVICE: usize = 3;

/// All services, each with what its score is made of and what would raise it.
pub fn render(scores: &[ServiceScore]) -> String {
    scores.iter().map(service).collect::<Vec<_>>().join("\n")
}

fn service(score: &ServiceScore) -> String {
    let runs = if score.runs == 1 { "1 run".into() } else { format!("{} runs", score.runs) };
    let mut out = format!("{}  {} of 100, by {runs}\n", one_line(&score.service), number(score.score));
    let mut rows: Vec<[String; 3]> = Vec::new();
    match &score.dependencies {
        Some(dependencies) => rows.extend(dependencies.iter().map(dependency)),
        None => rows.push(["dependencies".into(), number(0.0), "not declared: counted as not tested".into()]),
    }
    if let Some(itself) = score.itself {
        rows.push(["itself".into(), number(itself), "experiments that test no dependency".into()]);
    }
    out += &columns(&rows);
    out += "\n";
    out += &columns(&score.experiments.iter().map(experiment).collect::<Vec<_>>());
    if let Some(line) = trend(&score.trend) {
        out += &format!("\n  {line}\n");
    }
    if !score.advice.is_empty() {
        out += "\n  What would raise it most, by one held run each:\n";
        out.extend(score.advice.iter().take(ADVICE).map(advice));
    }
    out
}

fn dependency(dependency: &DependencyScore) -> [String; 3] {
    let by = match dependency.experiments.as_slice() {
        [] => "not tested to a verdict".into(),
        experiments => experiments.iter().map(|name| one_line(name)).collect::<Vec<_>>().join(", "),
    };
    [format!("dependency {}", one_line(&dependency.name)), number(dependency.score), by]
}

fn experiment(experiment: &ExperimentScore) -> [String; 3] {
    let verdicts = match (experiment.of, experiment.age_days) {
        (0, _) | (_, None) => "no verdict".into(),
        (of, Some(age)) => format!("held {} of {of}, the last verdict {}", experiment.held, ago(age)),
    };
    let last = match experiment.last.as_str() {
        "held" | "violated" => String::new(),
        other => format!("; its last run came to {other}, which counts for nothing"),
    };
    [format!("experiment {}", one_line(&experiment.name)), number(experiment.score), verdicts + &last]
}

fn ago(days: f64) -> String {
    match days.floor() {
        0.0 => "today".into(),
        1.0 => "1 day ago".into(),
        days => format!("{days} days ago"),
    }
}

/// One line a piece of advice: the points that it adds, and what to do.
fn advice(advice: &Advice) -> String {
    format!("  {:>6}  {}\n", format!("+{}", number(advice.gain)), one_line(&advice.sentence))
}

/// The weeks in one line, if there is more than one: a bar each, with the first and the last in numbers.
pub(crate) fn trend(weeks: &[WeekScore]) -> Option<String> {
    let (first, last) = (weeks.first()?, weeks.last()?);
    if weeks.len() < 2 {
        return None;
    }
    let bars: String = weeks.iter().map(|week| bar(week.score)).collect();
    let (from, to) = (number(first.score), number(last.score));
    Some(format!("{} weeks  {bars}  {from} on {}, {to} on {}", weeks.len(), first.until, last.until))
}

/// A bar in eight steps; a line at the bottom for nothing at all.
fn bar(score: f64) -> char {
    const BARS: [char; 9] = ['_', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let full = BARS.iter().zip(0_u8..).filter(|(_, step)| f64::from(*step) * 12.5 <= score);
    let first = full.last().map_or('_', |(bar, _)| *bar);
    if first == '_' && score > 0.0 { '▁' } else { first }
}

pub(crate) fn number(points: f64) -> String {
    format!("{points:.1}")
}

fn columns(rows: &[[String; 3]]) -> String {
    let widest = rows.iter().map(|row| row[0].chars().count()).max().unwrap_or(0);
    rows.iter().map(|[name, score, text]| format!("  {name:<widest$}  {score:>5}  {text}\n")).collect()
}

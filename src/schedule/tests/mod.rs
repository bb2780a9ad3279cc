//! Schedules on a simulated clock.

mod chance;
mod cron;
mod laws;
mod world;

use jiff::Timestamp;

use super::Rule;
use super::document::Schedule;

/// The rules of a schedule whose `spec` is given as YAML.
fn rules(spec: &str) -> Vec<Rule> {
    Rule::compile(&schedule(spec)).unwrap()
}

fn rule(spec: &str) -> Rule {
    rules(spec).remove(0)
}

fn schedule(spec: &str) -> Schedule {
    let text = format!(
        "apiVersion: faultline.dev/v1\nkind: Schedule\nmetadata: {{ name: it }}\nspec:\n  experiment: other\n  {}\n",
        spec.trim().replace('\n', "\n  ")
    );
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

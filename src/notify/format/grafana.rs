//! Annotations of Grafana (`POST /api/annotations`): the time in which a fault acted, everything was halted, a game day went
//! on or stood still at a hold, shaded in every graph that shows annotations with the tag `faultline`.
//!
//! A region is written once, when it is over. One that is opened first and closed later would need the id that Grafana
//! gave it: state, and a region without an end where that is lost. Grafana knows no idempotency key, so a message that is
//! delivered twice is shown twice, one region over the other.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::shortened;
use crate::notify::occurrence::{Occurrence, What};
use crate::notify::words::{details, headline};

pub(super) fn render(occurrence: &Occurrence) -> Option<Value> {
    let mut tags = vec!["faultline".to_owned()];
    let since = match &occurrence.what {
        What::FaultUndone { run, fault, since } => {
            tags.extend([
                format!("experiment:{}", run.experiment),
                format!("run:{}", run.id),
                format!("fault:{}", fault.name),
                format!("host:{}", fault.host),
            ]);
            *since
        }
        What::HaltReleased { since, .. } => {
            tags.push("halt".into());
            *since
        }
        What::GameDayDecided { game_day, asked, since: Some(since), .. } => {
            tags.extend([format!("game-day:{}", game_day.name), format!("hold:{asked}")]);
            *since
        }
        What::GameDayFinished { game_day, since: Some(since), .. }
        | What::GameDayAborted { game_day, since: Some(since), .. } => {
            tags.push(format!("game-day:{}", game_day.name));
            *since
        }
        _ => return None,
    };
    tags.extend(occurrence.labels.iter().map(|(name, value)| format!("{name}:{value}")));
    // Grafana keeps at most 100 characters of a tag and refuses longer ones.
    let tags: Vec<String> = tags.iter().map(|tag| shortened(tag, 100)).collect();
    let mut lines = vec![escaped(&title(occurrence))];
    lines
        .extend(details(occurrence).iter().map(|(name, value)| escaped(&format!("{name}: {}", shortened(value, 500)))));
    Some(json!({
        "time": milliseconds(since),
        "timeEnd": milliseconds(occurrence.at.max(since)),
        "tags": tags,
        "text": lines.join("<br>"),
    }))
}

fn title(occurrence: &Occurrence) -> String {
    match &occurrence.what {
        What::FaultUndone { run, fault, .. } => format!("{}: {} on {}", run.experiment, fault.name, fault.host),
        _ => headline(occurrence),
    }
}

fn milliseconds(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// Grafana shows the text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

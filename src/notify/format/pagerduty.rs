//! PagerDuty's Events API v2 (developer.pagerduty.com, "Send an Alert Event"): an alert for what people must see to, and
//! its end.
//!
//! | what happened | alert | severity |
//! |---|---|---|
//! | cleanup not verified; a fault is stuck | trigger | critical |
//! | a run aborted by a guardrail or a lost lease | trigger | error |
//! | a run aborted by a halt, a request or its time box | trigger | warning |
//! | a run that was stuck or not verified is undone after all; a run ended any other way | resolve | |
//! | a game day stands still until a person says go | trigger | info |
//! | somebody said so, or the game day is over | resolve | |
//!
//! All of them about one run bear the run's `dedup_key`, so a run is one alert whatever happens to it, and a message that
//! comes twice changes nothing. A resolve of an alert that was never opened is accepted and does nothing, so nothing has
//! to be remembered. An alert of an aborted run stays until a person resolves it: the run will not change any more.

use serde_json::{Map, Value, json};

use super::shortened;
use crate::hypothesis::verdict::RunVerdict;
use crate::notify::occurrence::{Occurrence, StoppedBy, What};
use crate::notify::words::{details, fault, headline};

/// The bounds of the interface.
const LONGEST_SUMMARY: usize = 1024;
const LONGEST_KEY: usize = 255;

enum Action {
    Trigger(&'static str),
    Resolve,
}

pub(super) fn render(occurrence: &Occurrence, source: &str, routing_key: &str) -> Option<Value> {
    let dedup_key = dedup_key(occurrence, source);
    let severity = match action(occurrence)? {
        Action::Trigger(severity) => severity,
        Action::Resolve => {
            return Some(json!({ "routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key }));
        }
    };
    let more: Map<String, Value> =
        details(occurrence).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let run = occurrence.what.run();
    let mut payload = json!({
        "summary": shortened(&format!("Faultline: {}", headline(occurrence)), LONGEST_SUMMARY),
        "source": match fault(&occurrence.what) {
            Some(fault) => fault.host.clone(),
            None => run.and_then(|run| run.hosts.first().cloned()).unwrap_or_else(|| source.to_owned()),
        },
        "severity": severity,
        "timestamp": occurrence.at.to_string(),
        "class": occurrence.what.name(),
        "custom_details": more,
    });
    let component = run.map(|run| &run.experiment).or(occurrence.what.game_day().map(|game_day| &game_day.name));
    if let Some(component) = component {
        payload["component"] = component.clone().into();
    }
    if let Some(team) = occurrence.labels.get("team") {
        payload["group"] = team.clone().into();
    }
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "Faultline",
        "payload": payload,
    });
    if source.starts_with("https://") || source.starts_with("http://") {
        event["client_url"] = source.into();
    }
    Some(event)
}

fn action(occurrence: &Occurrence) -> Option<Action> {
    Some(match &occurrence.what {
        What::FaultStuck { .. } | What::CleanupNotVerified { .. } => Action::Trigger("critical"),
        What::RunFinished { verdict: RunVerdict::CleanupUnverified, .. } => Action::Trigger("critical"),
        What::RunFinished { verdict: RunVerdict::Aborted, stopped_by, .. } => Action::Trigger(match stopped_by {
            Some(StoppedBy::Halt | StoppedBy::Request | StoppedBy::TimeBox) => "warning",
            Some(StoppedBy::Guardrail | StoppedBy::LostLease) | None => "error",
        }),
        What::RunFinished { .. } | What::CleanedUp { .. } => Action::Resolve,
        // Nothing is wrong, and nothing goes on either.
        What::GameDayHold { .. } => Action::Trigger("info"),
        What::GameDayDecided { .. } | What::GameDayFinished { .. } | What::GameDayAborted { .. } => Action::Resolve,
        _ => return None,
    })
}

/// The same for all that happens to a run; of a fault without a run, the fault's own. Two installations that page by
/// one key differ by `source`.
fn dedup_key(occurrence: &Occurrence, source: &str) -> String {
    let about = match (occurrence.what.run(), fault(&occurrence.what)) {
        (None, Some(fault)) => format!("agents/{}/faults/{}", fault.host, fault.id),
        _ => occurrence.subject().to_string(),
    };
    let key = format!("{source}/{about}");
    if key.len() <= LONGEST_KEY {
        return key;
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

//! The body of a signed webhook, in the shape that Standard Webhooks proposes: `type`, `timestamp` and `data`. Its
//! headers are in [`crate::notify::signature`].

use serde_json::{Value, json};

use super::cloud_events::{data, event_type};
use crate::notify::occurrence::Occurrence;

pub(super) fn render(occurrence: &Occurrence, source: &str) -> Value {
    json!({
        "type": event_type(occurrence),
        "timestamp": occurrence.at.to_string(),
        "source": source,
        "subject": occurrence.subject().to_string(),
        "data": data(occurrence),
    })
}

//! CloudEvents 1.0.2 in JSON (github.com/cloudevents/spec, `spec.md` and `formats/json-format.md`), structured mode: the
//! whole event is the body.
//!
//! `source` and `id` together are the event: a consumer may take two with the same for duplicates. The version at the
//! end of `type` grows when something in `data` changes that a consumer may rely on; what is added does not count.

use serde_json::{Value, json};

use crate::notify::occurrence::Occurrence;

pub(super) fn render(occurrence: &Occurrence, source: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": occurrence.id,
        "source": source,
        "type": event_type(occurrence),
        "subject": occurrence.subject().to_string(),
        "time": occurrence.at.to_string(),
        "datacontenttype": "application/json",
        "data": data(occurrence),
    })
}

/// `dev.faultline.run.finished.v1`.
pub(super) fn event_type(occurrence: &Occurrence) -> String {
    format!("dev.faultline.{}.v1", occurrence.what.name())
}

/// What happened, without its name (that is the type) and with the labels and how much it matters.
pub(super) fn data(occurrence: &Occurrence) -> Value {
    let mut data = json!(occurrence.what);
    if let Value::Object(members) = &mut data {
        members.remove("event");
        members.insert("labels".into(), json!(occurrence.labels));
        members.insert("importance".into(), json!(occurrence.importance()));
        members.insert("summary".into(), crate::notify::words::headline(occurrence).into());
    }
    data
}

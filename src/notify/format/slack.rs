//! A message of Slack: `blocks` for people, and `text` for notifications and for what knows no blocks.
//!
//! Names, labels and reasons come from documents and hosts, so nothing in them may become a mention or a link: `&`, `<`
//! and `>` are escaped (docs.slack.dev, "Formatting message text"), and texts are `verbatim`, which leaves `@channel` and
//! URLs the text that they are. Slack refuses a whole message for one text that is too long (header 150 characters,
//! field 2,000, ten fields a section), so each is cut.

use serde_json::{Value, json};

use super::shortened;
use crate::notify::occurrence::{Importance, Occurrence};
use crate::notify::words::{details, headline};

/// Cut before it is escaped, which can make one character five.
const LONGEST_HEADER: usize = 150;
const LONGEST_FIELD: usize = 380;
const MOST_FIELDS: usize = 10;

pub(super) fn render(occurrence: &Occurrence, source: &str) -> Value {
    let (headline, details) = (headline(occurrence), details(occurrence));
    let mark = match occurrence.importance() {
        Importance::Vital => ":rotating_light: ",
        Importance::Important => ":warning: ",
        Importance::Ordinary | Importance::Detail => "",
    };
    let title = shortened(&format!("{mark}{headline}"), LONGEST_HEADER);
    let mut blocks = vec![json!({ "type": "header", "text": { "type": "plain_text", "text": title, "emoji": true } })];
    let fields: Vec<Value> = details
        .iter()
        .take(MOST_FIELDS)
        .map(|(name, value)| mrkdwn(&format!("*{name}*\n{}", escaped(&shortened(value, LONGEST_FIELD)))))
        .collect();
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let second = occurrence.at.as_second();
    let mut context = format!(
        "<!date^{second}^{{date_short_pretty}} {{time_secs}}|{}> · {}",
        occurrence.at,
        escaped(&shortened(source, LONGEST_FIELD))
    );
    for (name, value) in occurrence.labels.iter().take(MOST_FIELDS) {
        context += &format!(" · {}", escaped(&shortened(&format!("{name}={value}"), 80)));
    }
    blocks.push(json!({ "type": "context", "elements": [mrkdwn(&context)] }));
    let said: Vec<String> = details.iter().map(|(name, value)| format!("{name}: {value}")).take(2).collect();
    let fallback = shortened(&[vec![headline], said].concat().join(" · "), 1000);
    json!({ "text": escaped(&fallback), "blocks": blocks })
}

fn mrkdwn(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

//! An occurrence as each kind of receiver wants it, one file a format. Pure: what comes out depends on nothing but what
//! goes in, so that a message that is sent again is the same again.

mod cloud_events;
mod grafana;
mod pagerduty;
mod slack;
#[cfg(test)]
pub(super) mod tests;
mod webhook;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::occurrence::Occurrence;

/// What a receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// CloudEvents 1.0, structured mode, JSON; signed if there is a secret.
    CloudEvents,
    /// A signed JSON webhook, as [Standard Webhooks](https://www.standardwebhooks.com) has it.
    Webhook,
    /// An incoming webhook of Slack, or of what understands its messages (Mattermost, Rocket.Chat).
    Slack,
    /// PagerDuty's Events API, version 2.
    Pagerduty,
    /// Annotations of Grafana: one region for each fault, each halt, each game day and each of its holds.
    Grafana,
}

/// What the secret of an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    /// There is none; often the URL itself is the secret.
    None,
    /// Secrets to sign with, one a line.
    Signing {
        /// Whether there must be one.
        required: bool,
    },
    /// One word, sent in the body or in `Authorization`.
    Key(&'static str),
}

/// A request's body and what must be said of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rendered {
    pub(super) content_type: &'static str,
    pub(super) body: Value,
}

impl Format {
    /// As written in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::CloudEvents => "cloud-events",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Pagerduty => "pagerduty",
            Self::Grafana => "grafana",
        }
    }

    /// Whether it has anything to say about this. PagerDuty is told of what people must see to and of its end, Grafana
    /// of faults, halts, holds and game days that are over; the others of everything.
    pub fn tells(self, occurrence: &Occurrence) -> bool {
        self.render(occurrence, "", "").is_some()
    }

    pub(super) fn credential(self) -> Credential {
        match self {
            Self::CloudEvents => Credential::Signing { required: false },
            Self::Webhook => Credential::Signing { required: true },
            Self::Slack => Credential::None,
            Self::Pagerduty => Credential::Key("the integration's key (`routing_key`)"),
            Self::Grafana => Credential::Key("the token of a service account that may write annotations"),
        }
    }

    /// The body; `None` where the format has nothing to say. `source` is who speaks, `key` what must be in the body.
    pub(super) fn render(self, occurrence: &Occurrence, source: &str, key: &str) -> Option<Rendered> {
        let json = |body| Rendered { content_type: "application/json", body };
        match self {
            Self::CloudEvents => {
                let body = cloud_events::render(occurrence, source);
                Some(Rendered { content_type: "application/cloudevents+json; charset=utf-8", body })
            }
            Self::Webhook => Some(json(webhook::render(occurrence, source))),
            Self::Slack => Some(json(slack::render(occurrence, source))),
            Self::Pagerduty => pagerduty::render(occurrence, source, key).map(json),
            Self::Grafana => grafana::render(occurrence).map(json),
        }
    }
}

/// At most so many characters, with `…` where something is missing.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

//! What Alertmanager answers. Format: <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::Alert;

#[derive(Deserialize)]
struct GettableAlert {
    labels: BTreeMap<String, String>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    state: String,
}

/// The alerts of an answer, in the order of their labels, or why it is none.
pub(super) fn parse(status: u16, body: &[u8]) -> Result<Vec<Alert>, String> {
    if status != 200 {
        let said = String::from_utf8_lossy(body);
        let said = said.trim().chars().take(200).collect::<String>();
        let said = if said.is_empty() { said } else { format!(": {said}") };
        return Err(format!("Alertmanager answered with status {status}{said}"));
    }
    let alerts: Vec<GettableAlert> =
        serde_json::from_slice(body).map_err(|error| format!("not an answer of Alertmanager: {error}"))?;
    let mut alerts: Vec<Alert> = alerts
        .into_iter()
        .map(|alert| {
            let starts_at: Timestamp = alert
                .starts_at
                .parse()
                .map_err(|_| format!("not an answer of Alertmanager: startsAt is `{}`", alert.starts_at))?;
            // `unprocessed` is an alert that was received and not yet routed: it fires all the same.
            Ok(Alert { labels: alert.labels, starts_at, suppressed: alert.status.state == "suppressed" })
        })
        .collect::<Result<_, String>>()?;
    alerts.sort_by(|one, other| (&one.labels, one.starts_at).cmp(&(&other.labels, other.starts_at)));
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Alertmanager 0.25 answers.
    const ANSWER: &str = r#"[{"annotations":{},"endsAt":"2026-11-21T10:04:00.123Z","fingerprint":"1d2a3b",
        "receivers":[{"name":"all"}],"startsAt":"2026-11-21T10:00:00.123Z",
        "status":{"inhibitedBy":[],"silencedBy":["a"],"state":"suppressed"},"updatedAt":"2026-11-21T10:00:00.130Z",
        "generatorURL":"http://x/","labels":{"alertname":"ShopDown","severity":"page"}},
        {"annotations":{},"endsAt":"2026-11-21T10:04:00.123Z","fingerprint":"0", "receivers":[{"name":"all"}],
        "startsAt":"2026-11-21T11:00:00+01:00","status":{"inhibitedBy":[],"silencedBy":[],"state":"active"},
        "updatedAt":"2026-11-21T10:00:00.130Z","labels":{"alertname":"Backlog"}}]"#;

    #[test]
    fn alerts_come_in_the_order_of_their_labels() {
        let alerts = parse(200, ANSWER.as_bytes()).unwrap();
        let words: Vec<String> = alerts
            .iter()
            .map(|alert| format!("{} {} {}", super::super::in_words(&alert.labels), alert.starts_at, alert.suppressed))
            .collect();
        assert_eq!(
            words,
            ["Backlog 2026-11-21T10:00:00Z false", "ShopDown{severity=\"page\"} 2026-11-21T10:00:00.123Z true"]
        );
        assert_eq!(parse(200, b"[]"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_answer_is_an_error_and_never_an_empty_list() {
        for (status, body) in [
            (503, "[]"),
            (200, ""),
            (200, "{}"),
            (200, "<html>"),
            (200, r#"[{"labels":{}}]"#),
            (200, r#"[{"labels":{},"startsAt":"yesterday","status":{"state":"active"}}]"#),
        ] {
            assert!(parse(status, body.as_bytes()).is_err(), "{status} {body}");
        }
    }
}

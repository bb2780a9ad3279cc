//! The file as written, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use faultline_agent::units::TimeSpan;

use super::secret::{SecretFile, read_line};
use super::{Deserialize, Endpoint, Findings, Format, Rule, Settings, exchange, matches};
use crate::document::suggest;
use crate::document::yaml::{Path, at};
use crate::notify::format::Credential;
use crate::notify::occurrence::EVENTS;

const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// The file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FileText {
    source: String,
    #[serde(default)]
    endpoints: Vec<EndpointText>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EndpointText {
    name: String,
    format: Format,
    url: Option<String>,
    url_file: Option<PathBuf>,
    secret_file: Option<PathBuf>,
    events: Option<Vec<String>>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    timeout: Option<TimeSpan>,
    give_up_after: Option<TimeSpan>,
    queue: Option<usize>,
    #[serde(default)]
    plain_http: bool,
}

/// What the file means, or `None` if too much is wrong to say; every error is among the findings.
pub(super) fn check(file: FileText, findings: &mut Findings<'_>) -> Option<Settings> {
    if file.source.is_empty() || file.source.parse::<http::Uri>().is_err() {
        let hint = "the address of this controller: `https://faultline.example.com`";
        findings.error(&at!["source"], format!("`{}` is no URI", file.source), hint);
    }
    let mut names = BTreeSet::new();
    let mut endpoints = Vec::new();
    for (index, endpoint) in file.endpoints.into_iter().enumerate() {
        let at = at!["endpoints", index];
        findings.name(&at.join("name"), &endpoint.name, "an endpoint's");
        if !names.insert(endpoint.name.clone()) {
            let hint = "what still has to be sent is kept under the name";
            findings.error(&at.join("name"), format!("there is an endpoint `{}` already", endpoint.name), hint);
        }
        endpoints.extend(check_endpoint(endpoint, &at, findings));
    }
    Some(Settings { source: file.source, endpoints })
}

fn check_endpoint(given: EndpointText, at: &Path, findings: &mut Findings<'_>) -> Option<Endpoint> {
    check_events(given.events.as_deref().unwrap_or_default(), at, findings);
    let timeout = given.timeout.unwrap_or(TimeSpan::from_secs(10));
    between(timeout, (TimeSpan::from_millis(100), TimeSpan::from_secs(60)), &at.join("timeout"), findings);
    let mut rule = Rule::default();
    if let Some(after) = given.give_up_after {
        let bounds = (TimeSpan::from_secs(60), TimeSpan::from_secs(7 * 24 * 3600));
        between(after, bounds, &at.join("giveUpAfter"), findings);
        rule.give_up_after = after.duration();
    }
    let queue = given.queue.unwrap_or(1000);
    if !(10..=100_000).contains(&queue) {
        findings.error(&at.join("queue"), format!("`{queue}` is no length for a queue"), "from 10 to 100000");
    }
    let secret = check_secret(&given, at, findings);
    let (path, url, shown) = url(&given, at, findings)?;
    let full =
        if given.format == Format::Grafana { format!("{}/api/annotations", url.trim_end_matches('/')) } else { url };
    let target = match exchange::Endpoint::parse(&full) {
        Ok(target) => target,
        Err(reason) if shown => {
            findings.error(&path, reason, "");
            return None;
        }
        // What is wrong with a secret is not said by showing it.
        Err(_) => {
            findings.error(&path, "the file holds no URL", "one line that begins with https://");
            return None;
        }
    };
    let origin = origin(&full);
    if origin.starts_with("http://") && sends_secret(&given) && !is_loopback(&origin) && !given.plain_http {
        let hint = "use https, or say `plainHttp: true` if the way there can be trusted";
        findings.error(&path, "whoever listens on the way would get the secret: this is not https", hint);
    }
    Some(Endpoint {
        name: given.name,
        format: given.format,
        timeout,
        rule,
        queue,
        origin,
        target,
        secret,
        events: given.events,
        labels: given.labels,
    })
}

fn check_events(events: &[String], at: &Path, findings: &mut Findings<'_>) {
    for (index, pattern) in events.iter().enumerate() {
        if !EVENTS.iter().any(|name| matches(pattern, name)) {
            let hint = suggest::hint(pattern, EVENTS.iter().copied());
            findings.error(&at.join("events").join(index), format!("no event is called `{pattern}`"), hint);
        }
    }
}

fn check_secret(given: &EndpointText, at: &Path, findings: &mut Findings<'_>) -> Option<SecretFile> {
    let at_secret = at.join("secretFile");
    let Some(file) = &given.secret_file else {
        match given.format.credential() {
            Credential::Signing { required: true } => {
                let hint = "`echo whsec_$(openssl rand -base64 32) > FILE`, readable by the controller alone";
                findings.error(at, "a webhook is signed, so it needs `secretFile`", hint);
            }
            Credential::Key(what) => {
                findings.error(at, format!("`{}` needs `secretFile`", given.format.name()), format!("with {what}"));
            }
            Credential::None | Credential::Signing { required: false } => {}
        }
        return None;
    };
    if given.format.credential() == Credential::None {
        findings.error(&at_secret, format!("`{}` has no secret but its URL", given.format.name()), "use `urlFile`");
        return None;
    }
    let secret = SecretFile::new(in_folder(file, findings));
    let read = match given.format.credential() {
        Credential::Signing { .. } => secret.signing().map(drop),
        _ => secret.key().map(drop),
    };
    if let Err(error) = read {
        findings.error(&at_secret, error.to_string(), error.hint());
    }
    Some(secret)
}

/// Where the URL is written, the URL, and whether it may be shown.
fn url(given: &EndpointText, at: &Path, findings: &mut Findings<'_>) -> Option<(Path, String, bool)> {
    match (&given.url, &given.url_file) {
        (Some(url), None) => {
            if given.format == Format::Slack {
                let hint = "put it into a file that only the controller can read, and name that as `urlFile`";
                findings.warn(&at.join("url"), "whoever has this URL can write to the channel", hint);
            }
            Some((at.join("url"), url.clone(), true))
        }
        (None, Some(file)) => match read_line(&in_folder(file, findings)) {
            Ok(url) => Some((at.join("urlFile"), url, false)),
            Err(error) => {
                findings.error(&at.join("urlFile"), error.to_string(), error.hint());
                None
            }
        },
        (None, None) if given.format == Format::Pagerduty => Some((at.clone(), PAGERDUTY.to_owned(), true)),
        (None, None) => {
            findings.error(at, "it says not where to send", "give `url`, or `urlFile` for a URL that is secret");
            None
        }
        (Some(_), Some(_)) => {
            findings.error(&at.join("urlFile"), "there is `url` already", "give one of the two");
            None
        }
    }
}

fn in_folder(file: &std::path::Path, findings: &Findings<'_>) -> PathBuf {
    findings.document.file.folder.as_ref().map_or_else(|| file.to_owned(), |folder| folder.join(file))
}

fn between(time: TimeSpan, (least, most): (TimeSpan, TimeSpan), at: &Path, findings: &mut Findings<'_>) {
    if time < least || time > most {
        findings.error(at, format!("`{time}` is out of bounds"), format!("from {least} to {most}"));
    }
}

/// Whether a secret goes over the wire: a signature shows none.
fn sends_secret(given: &EndpointText) -> bool {
    given.url_file.is_some() || matches!(given.format, Format::Slack | Format::Pagerduty | Format::Grafana)
}

fn origin(url: &str) -> String {
    let uri: http::Uri = url.parse().unwrap_or_default();
    format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |authority| authority.as_str()))
}

fn is_loopback(origin: &str) -> bool {
    let host = origin.trim_start_matches("http://").parse::<http::uri::Authority>();
    host.is_ok_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

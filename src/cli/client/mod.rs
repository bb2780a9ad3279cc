//! The command line as a client of a controller: where it is, by what it is known, and one request at a time.
//!
//! Where a fleet has several controllers, each of them answers; the one that answered last is asked first. A request is
//! made again elsewhere if it did not leave, or if it changes nothing, or changes it once.

mod attention;
mod exchange;
mod flags;
pub(super) mod follow;
pub(super) mod game_day;
mod pages;
pub(super) mod run;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::{Failure, PRECONDITION, USAGE};
use crate::console::{PREFIX, Problem};
use exchange::{Address, Answer, Asked};
pub use flags::ControllerFlags;

/// How long something is asked for again whose answer was lost: longer than a controller takes to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before that.
const AGAIN: Duration = Duration::from_secs(1);

/// A connection to a controller, opened anew for each request.
#[derive(Debug)]
pub(super) struct Client {
    runtime: tokio::runtime::Runtime,
    /// The controllers of the fleet that are known; the one to be asked is the first. Never empty.
    addresses: Mutex<Vec<Address>>,
    tls: Arc<rustls::ClientConfig>,
    token: String,
}

impl Client {
    /// Where the controller is that is asked now.
    pub(super) fn url(&self) -> String {
        self.addresses().first().map(Address::to_string).unwrap_or_default()
    }

    fn addresses(&self) -> MutexGuard<'_, Vec<Address>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this controller is asked first.
    fn prefer(&self, address: Address) {
        let mut addresses = self.addresses();
        addresses.retain(|known| *known != address);
        addresses.insert(0, address);
    }

    /// There are these controllers too, if those that are known do not answer. What cannot be read is left out.
    fn also(&self, urls: &[String]) {
        let mut addresses = self.addresses();
        for address in urls.iter().filter_map(|url| Address::parse(url).ok()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }

    /// Reads something.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.runtime.block_on(self.ask(Method::GET, path, None::<&()>))
    }

    /// Reads a text.
    pub(super) fn text(&self, path: &str) -> Result<String, Failure> {
        let asked = Asked { method: &Method::GET, path, body: &[], key: None, repeatable: true };
        let Answer { body, .. } = self.runtime.block_on(self.exchange(asked)).map_err(Failure::from)?;
        String::from_utf8(body).map_err(|error| self.not_understood(&error))
    }

    /// Asks for something to be done.
    pub(super) fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        self.runtime.block_on(self.ask(method, path, body))
    }

    /// Asks for something to be done that is done once however often it is asked for with this key, or by itself; so it is
    /// asked for again when the answer is lost, as it is when the controller is restarted.
    pub(super) fn send_once<T: DeserializeOwned>(
        &self,
        path: &str,
        key: Option<&str>,
        body: &impl Serialize,
        mut told: impl FnMut(&str),
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| self.not_understood(&error))?;
        let asked = Asked { method: &Method::POST, path, body: &body, key, repeatable: true };
        self.runtime.block_on(async {
            let mut lost: Option<Instant> = None;
            loop {
                let failure = match self.exchange(asked).await {
                    Ok(answer) => return self.understood(&answer),
                    Err(NoAnswer::Refused(failure)) => return Err(failure),
                    Err(NoAnswer::Unreachable { sent, failure }) => {
                        // What never left needs no second attempt: the address may be wrong.
                        if sent && lost.is_none() {
                            told(&format!("{failure}; asked again\n"));
                            lost = Some(Instant::now());
                        }
                        failure
                    }
                };
                if lost.is_none_or(|lost| lost.elapsed() > PATIENCE) {
                    return Err(failure);
                }
                tokio::time::sleep(AGAIN).await;
            }
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| self.not_understood(&error))?,
            None => Vec::new(),
        };
        let repeatable = method == Method::GET;
        let asked = Asked { method: &method, path, body: &body, key: None, repeatable };
        self.understood(&self.exchange(asked).await?)
    }

    fn understood<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Failure> {
        serde_json::from_slice(&answer.body).map_err(|error| self.not_understood(&error))
    }

    /// Asks the controllers in turn, until one answers.
    async fn exchange(&self, asked: Asked<'_>) -> Result<Answer, NoAnswer> {
        let known = self.addresses().clone();
        let mut trouble: Option<(bool, Failure)> = None;
        for address in known {
            match self.exchange_with(&address, asked).await {
                Ok(answer) => {
                    self.prefer(address);
                    return Ok(answer);
                }
                Err(Refused::Elsewhere(other, failure)) if *asked.method == Method::GET => {
                    let answer = self.exchange_with(&other, asked).await;
                    return match answer {
                        Ok(answer) => {
                            self.prefer(other);
                            Ok(answer)
                        }
                        Err(Refused::Unreachable { .. } | Refused::Elsewhere(..)) => Err(NoAnswer::Refused(failure)),
                        Err(Refused::Answered(failure)) => Err(NoAnswer::Refused(failure)),
                    };
                }
                Err(Refused::Elsewhere(_, failure)) => return Err(NoAnswer::Refused(failure)),
                Err(Refused::Answered(failure)) => {
                    self.prefer(address);
                    return Err(NoAnswer::Refused(failure));
                }
                Err(Refused::Unreachable { sent: true, failure }) if !asked.repeatable => {
                    return Err(NoAnswer::Unreachable { sent: true, failure });
                }
                Err(Refused::Unreachable { sent, failure }) => {
                    trouble = match trouble {
                        Some((before, first)) => Some((before || sent, first)),
                        None => Some((sent, failure)),
                    };
                }
            }
        }
        Err(match trouble {
            Some((sent, failure)) => NoAnswer::Unreachable { sent, failure },
            None => NoAnswer::Refused(Failure::usage("no controller is named")),
        })
    }

    async fn exchange_with(&self, address: &Address, asked: Asked<'_>) -> Result<Answer, Refused> {
        let path = asked.path;
        let answer = exchange::exchange(address, &self.tls, &self.token, asked).await;
        let answer = answer.map_err(|trouble| Refused::Unreachable {
            sent: trouble.sent,
            failure: Failure::precondition(format!("the controller {address} cannot be asked: {}", trouble.what))
                .hint(trouble.hint),
        })?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(match serde_json::from_slice::<Problem>(&answer.body) {
            Ok(problem) => match problem.controller.as_deref().map(Address::parse) {
                Some(Ok(other)) if other != *address => Refused::Elsewhere(other, refused(problem)),
                _ => Refused::Answered(refused(problem)),
            },
            Err(_) => Refused::Answered(
                Failure::precondition(format!("{address} answers {} to {path}", answer.status))
                    .hint("is this the API port of a Faultline controller?"),
            ),
        })
    }

    fn not_understood(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::precondition(format!("the answer of {} is not understood: {error}", self.url()))
            .hint("install the same version of Faultline here and there")
    }
}

/// Why there is no answer of any controller.
#[derive(Debug)]
enum NoAnswer {
    /// None could be asked, or none answered.
    Unreachable {
        /// Whether the request may have come to one.
        sent: bool,
        failure: Failure,
    },
    /// It was refused.
    Refused(Failure),
}

impl From<NoAnswer> for Failure {
    fn from(none: NoAnswer) -> Self {
        let (NoAnswer::Unreachable { failure, .. } | NoAnswer::Refused(failure)) = none;
        failure
    }
}

/// Why a controller did not do what it was asked.
#[derive(Debug)]
enum Refused {
    /// It did not answer.
    Unreachable {
        /// Whether the request may have come to it.
        sent: bool,
        failure: Failure,
    },
    /// Another one does it.
    Elsewhere(Address, Failure),
    /// It does not.
    Answered(Failure),
}

/// What the controller said, with the exit code that the same would have here.
fn refused(problem: Problem) -> Failure {
    let code = match problem.kind.strip_prefix(PREFIX) {
        Some("request" | "document" | "unsuitable" | "too-large") => USAGE,
        _ => PRECONDITION,
    };
    let failure = Failure::new(code, problem.detail);
    match problem.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// A name as a part of a path: everything but letters, digits, `-`, `_` and `.` encoded (RFC 3986, 2.1).
pub(in crate::cli) fn part(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(byte)),
            b'.' if name.bytes().any(|byte| byte != b'.') => text.push('.'),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// A query of those pairs that have a value.
pub(super) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if let Some(value) = value {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.push_str(&format!("{name}={}", part(&value)));
        }
    }
    text
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod texts {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        assert_eq!(part("db-1.example"), "db-1.example");
        assert_eq!(part("../halt?x=1#y z"), "..%2Fhalt%3Fx%3D1%23y%20z");
        assert_eq!(part(".."), "%2E%2E");
        assert_eq!(
            query([("a", None), ("state", Some("queued,running".into())), ("b", Some("x&y".into()))]),
            "?state=queued%2Crunning&b=x%26y"
        );
    }

    #[test]
    fn a_refusal_keeps_its_words_and_gets_an_exit_code() {
        let problem = |kind: &str| Problem {
            kind: format!("{PREFIX}{kind}"),
            title: "It is so".into(),
            status: 409,
            detail: "the fleet is halted".into(),
            hint: Some("release it".into()),
            controller: None,
        };
        let error: anyhow::Error = refused(problem("halted")).into();
        assert_eq!(crate::cli::failure::render(&error, false), "error: the fleet is halted\n\nhint: release it\n");
        assert_eq!(crate::cli::failure::exit_code(&error), PRECONDITION);
        assert_eq!(crate::cli::failure::exit_code(&refused(problem("document")).into()), USAGE);
    }
}

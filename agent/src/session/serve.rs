use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::desk::Desk;
use super::greeting::{json, told};
use super::wire::answer::Outcome;
use super::wire::{Answer, Halted, Request, request::Kind};
use super::{Clock, limits};
use crate::crash_point;
use crate::identity::FaultId;
use crate::lease::BootTime;

/// The requests of one session: how many are under way, and which ids were used.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: u64,
    pub(super) open: usize,
}

impl Requests {
    /// Whether a request may be carried out; else why not. What makes the host safer is never too late and never too
    /// much.
    pub(super) fn admit(&mut self, request: &Request, now: BootTime) -> Result<(), String> {
        if request.id <= self.last {
            return Err(format!("request {} was made already", request.id));
        }
        self.last = request.id;
        if matches!(request.kind, Some(Kind::Undo(_) | Kind::Halt(_))) {
            return Ok(());
        }
        if BootTime::from_nanoseconds(request.expires_ns) <= now {
            return Err("it came too late: the controller does not wait for it any more".into());
        }
        if self.open >= limits::REQUESTS {
            return Err(format!("{} requests are under way already, which is as many as an agent takes", self.open));
        }
        Ok(())
    }
}

/// How long after it was carried out a request is to be answered.
pub(super) fn answered_later(request: &Request) -> Duration {
    match &request.kind {
        Some(Kind::Halt(order)) => Duration::from_millis(order.answer_after_ms.into()).min(limits::ANSWERED_LATER),
        _ => Duration::ZERO,
    }
}

/// Carries a request of a controller out.
pub(super) async fn serve<C: Clock>(desk: Arc<Desk<C>>, controller: Arc<str>, request: Request) -> Answer {
    let word = request.kind.as_ref().map_or("unknown", word);
    crash_point!("session/{word}/asked");
    let outcome = match request.kind {
        None => Err("this agent does not know this request; is it older than the controller?".into()),
        Some(kind) => carry_out(&desk, &controller, kind).await,
    };
    crash_point!("session/{word}/unanswered");
    Answer { id: request.id, outcome: Some(outcome.unwrap_or_else(Outcome::Refused)), news: None }
}

fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Plan(_) => "plan",
        Kind::Inject(_) => "inject",
        Kind::Evidence(_) => "evidence",
        Kind::Undo(_) => "undo",
        Kind::Read(_) => "read",
        Kind::Halt(_) => "halt",
        Kind::Release(_) => "release",
    }
}

async fn carry_out<C: Clock>(desk: &Arc<Desk<C>>, controller: &str, kind: Kind) -> Result<Outcome, String> {
    Ok(match kind {
        Kind::Plan(ask) => match desk.host.plan(read(&ask.fault)?).await {
            Ok(planned) => Outcome::Planned(json(&planned)),
            Err(why) => Outcome::NotPlanned(json(&why)),
        },
        Kind::Inject(ask) => match desk.inject(controller, read(&ask.fault)?).await {
            Ok(injected) => Outcome::Injected(json(&injected)),
            Err(why) => Outcome::NotInjected(json(&why)),
        },
        Kind::Evidence(fault) => Outcome::Evidence(json(&desk.host.evidence(name(fault.fault)?).await?)),
        Kind::Undo(fault) => Outcome::Undone(json(&desk.undo(&name(fault.fault)?).await)),
        Kind::Read(subject) => Outcome::Reading(json(&desk.host.read(read(&subject)?).await?)),
        Kind::Halt(order) => {
            // The file first: what is being put in place at this moment sees it, or is undone here.
            let set = desk.host.halt(order.reason.clone()).await;
            let faults = desk.undo_all(&format!("the controller halted this host: {}", order.reason)).await;
            if let Err(error) = set {
                return Err(format!("everything was undone, but new faults are not refused by the host: {error}"));
            }
            Outcome::Halted(Halted { faults: faults.iter().map(told).collect() })
        }
        Kind::Release(_) => Outcome::Released(json(&desk.host.release().await?)),
    })
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("the request cannot be understood: {error}"))
}

fn name(text: String) -> Result<FaultId, String> {
    FaultId::try_from(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::wire::FaultName;
    use super::*;

    fn request(id: u64, expires_ns: u64, kind: Kind) -> Request {
        Request { id, expires_ns, kind: Some(kind) }
    }

    #[test]
    fn used_ids_late_requests_and_floods_are_refused_and_an_undo_never_is() {
        let mut requests = Requests::default();
        let now = BootTime::from_nanoseconds(1_000);
        let evidence = || Kind::Evidence(FaultName::default());
        assert_eq!(requests.admit(&request(1, 2_000, evidence()), now), Ok(()));
        assert!(requests.admit(&request(1, 2_000, evidence()), now).unwrap_err().contains("made already"));
        assert!(requests.admit(&request(2, 1_000, evidence()), now).unwrap_err().contains("too late"));
        requests.open = limits::REQUESTS;
        assert!(requests.admit(&request(3, 2_000, evidence()), now).unwrap_err().contains("64 requests"));
        assert_eq!(requests.admit(&request(4, 0, Kind::Undo(FaultName::default())), now), Ok(()));
        assert!(requests.admit(&request(4, 0, Kind::Undo(FaultName::default())), now).is_err());
    }
}

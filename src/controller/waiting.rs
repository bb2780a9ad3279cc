//! What a run waits for, in words: every run that is not under way says why.

use std::collections::BTreeSet;

use super::{Controller, ControllerError};
use crate::store::runs::{Run, RunFilter, RunState};

/// So many runs that wait are looked at.
const MOST_RUNS: u32 = 1_000;

impl Controller {
    /// Why a run has not begun, one reason each; none if it has, or is over. That of a queued run without any other reason
    /// is that no controller has claimed it yet, which each does five times a second.
    pub(super) async fn waiting_for(
        &self,
        run: &Run,
        hosts: &[String],
        approvals: usize,
    ) -> Result<Vec<String>, ControllerError> {
        let mut reasons = Vec::new();
        match run.state {
            RunState::WaitingForApproval => {
                let needed = run.approvals_needed;
                return Ok(vec![format!("approvals of its plan: {approvals} of {needed} are given")]);
            }
            RunState::Queued => {}
            _ => return Ok(reasons),
        }
        let now = self.now().await?;
        if let Some(begin) = run.not_before.filter(|begin| *begin > now) {
            reasons.push(format!("its time, {begin}"));
        }
        let wanted: BTreeSet<&str> = hosts.iter().map(String::as_str).collect();
        for held in self.held_hosts().await? {
            let met = named(held.hosts.iter().map(String::as_str).filter(|host| wanted.contains(host)));
            let both_share = held.shares && run.shared_hosts;
            if !both_share && !met.is_empty() {
                reasons.push(format!("run {}, which has {met}", held.run));
            }
        }
        let filter = RunFilter { states: vec![RunState::Queued], ..RunFilter::default() };
        let queued = self.store.runs(&filter, None, MOST_RUNS).await?.0;
        let before = |other: &&Run| (other.submitted_at, &other.id) < (run.submitted_at, &run.id);
        for other in queued.iter().filter(before).filter(|other| !(other.shared_hosts && run.shared_hosts)) {
            let theirs = self.store.run_document(&other.id).await?.hosts;
            let met = named(theirs.iter().map(String::as_str).filter(|host| wanted.contains(host)));
            if !met.is_empty() {
                reasons.push(format!("run {}, which is older and waits for {met} too", other.id));
            }
        }
        let connected: BTreeSet<String> =
            self.fleet_facts().await?.into_iter().filter(|host| host.connected).map(|host| host.name).collect();
        let gone = named(wanted.iter().copied().filter(|host| !connected.contains(*host)));
        if !gone.is_empty() {
            reasons.push(format!("{gone} to connect; for ten seconds, then it is refused or done without"));
        }
        if reasons.is_empty() {
            reasons.push("a controller to claim it, which each does five times a second".into());
        }
        Ok(reasons)
    }
}

fn named<'a>(hosts: impl Iterator<Item = &'a str>) -> String {
    hosts.collect::<Vec<_>>().join(", ")
}

//! Runs that wait, told to others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::telling::{Telling, subject};
use crate::controller::Controller;
use crate::notify::What;
use crate::store::runs::{Run, RunFilter, RunState};

/// How often they are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// So many are told of at once.
const MOST: u32 = 1_000;

/// Tells of runs that wait, above all for people, until the stop. The outbox knows each occurrence by its id, so that
/// several controllers tell of it once.
pub(super) async fn watch(controller: Arc<Controller>, telling: Telling, stop: CancellationToken) {
    let mut told: BTreeSet<String> = BTreeSet::new();
    loop {
        let states = vec![RunState::Queued, RunState::WaitingForApproval];
        let filter = RunFilter { states, ..RunFilter::default() };
        if let Ok((waiting, _)) = controller.store().runs(&filter, None, MOST).await {
            told.retain(|id| waiting.iter().any(|run| run.id == *id));
            for run in waiting.iter().filter(|run| !told.contains(&run.id)) {
                telling.tell(run.submitted_at, &run.labels, waits(run));
            }
            told.extend(waiting.into_iter().map(|run| run.id));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn waits(run: &Run) -> What {
    let requested_by = run.requested_by.clone();
    match run.state {
        RunState::WaitingForApproval => What::RunWaitingForApproval {
            run: subject(run),
            requested_by,
            plan_hash: run.plan_hash.clone(),
            approvals_needed: run.approvals_needed,
            deadline: run.deadline,
        },
        _ => What::RunQueued { run: subject(run), requested_by },
    }
}

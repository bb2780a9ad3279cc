use super::{at, both, run};
use crate::store::runs::{NewRun, RunState};
use crate::store::{Approval, Refusal};

fn approval(approver: &str, plan_hash: &str, from: i64) -> Approval {
    Approval {
        object: "run/one".into(),
        plan_hash: plan_hash.into(),
        approver: approver.into(),
        approved_at: at(from),
        expires_at: at(from + 100),
    }
}

#[test]
fn a_run_is_queued_by_enough_others_who_approve_its_very_plan() {
    both(|place| async move {
        let store = place.open().await;
        let waiting = store.submit(&NewRun { approvals_needed: 2, ..run("one", &["a"]) }, at(0)).await.unwrap();
        assert_eq!(waiting.state, RunState::WaitingForApproval);
        assert_eq!(store.claim_next("c", super::LEASE, at(0)).await.unwrap(), None);
        let given = async |approver: &str, plan_hash: &str, from, now| {
            store.approve_run("one", &approval(approver, plan_hash, from), at(now)).await.unwrap().state
        };
        // Whoever asked for it himself, the same again, another plan, and what has expired do not count.
        assert_eq!(given("token/ann", "5eed", 0, 1).await, RunState::WaitingForApproval);
        assert_eq!(given("token/bob", "5eed", 0, 1).await, RunState::WaitingForApproval);
        assert_eq!(given("token/bob", "5eed", 5, 6).await, RunState::WaitingForApproval);
        assert_eq!(given("token/eve", "another plan", 0, 6).await, RunState::WaitingForApproval);
        assert_eq!(given("token/eve", "5eed", 50, 105).await, RunState::WaitingForApproval);
        let counting: Vec<_> = store.approvals("run/one", "5eed", at(104)).await.unwrap();
        assert_eq!(counting.iter().map(|one| one.approver.as_str()).collect::<Vec<_>>(), ["token/bob", "token/eve"]);
        assert!(store.withdraw_approval("run/one", "5eed", "token/eve").await.unwrap());
        assert!(!store.withdraw_approval("run/one", "5eed", "token/eve").await.unwrap());
        assert_eq!(given("token/eve", "5eed", 60, 104).await, RunState::Queued);
        let again = store.approve_run("one", &approval("token/fay", "5eed", 60), at(104)).await.unwrap_err();
        assert!(matches!(again.refusal(), Some(Refusal::State { is: RunState::Queued, .. })), "{again}");
        assert!(store.approve_run("two", &approval("token/fay", "5eed", 60), at(104)).await.is_err());
        assert!(store.claim_next("c", super::LEASE, at(104)).await.unwrap().is_some());
        assert_eq!(store.prune_approvals(at(150)).await.unwrap(), 3);
    });
}

/// Two who approve at the same moment: whoever is second sees the first, so the run is queued.
#[test]
fn of_approvals_at_the_same_moment_the_last_one_queues() {
    both(|place| async move {
        let (one, other) = (place.open().await, place.open().await);
        for round in 0..20 {
            let id = format!("run-{round}");
            one.submit(&NewRun { approvals_needed: 2, ..run(&id, &["a"]) }, at(0)).await.unwrap();
            let by = |approver| Approval { object: format!("run/{id}"), ..approval(approver, "5eed", 0) };
            let (bob, eve) = (by("token/bob"), by("token/eve"));
            let (bob, eve) = tokio::join!(one.approve_run(&id, &bob, at(1)), other.approve_run(&id, &eve, at(1)));
            let mut states = [bob.unwrap().state, eve.unwrap().state];
            states.sort_by_key(|state| state.as_str());
            assert_eq!(states, [RunState::Queued, RunState::WaitingForApproval]);
        }
    });
}

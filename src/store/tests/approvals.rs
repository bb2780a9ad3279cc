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
        let lacking = async |now, given| {
            let refusal = store.queue_approved("one", at(now)).await.unwrap_err().refusal().cloned();
            let (run, requester) = ("one".to_owned(), "token/ann".to_owned());
            assert_eq!(refusal, Some(Refusal::NotApproved { run, needed: 2, given, requester }));
        };
        lacking(1, 0).await;
        store.approve(&approval("token/ann", "5eed", 0)).await.unwrap();
        lacking(1, 0).await;
        store.approve(&approval("token/bob", "5eed", 0)).await.unwrap();
        store.approve(&approval("token/bob", "5eed", 5)).await.unwrap();
        lacking(6, 1).await;
        store.approve(&approval("token/eve", "another plan", 0)).await.unwrap();
        lacking(6, 1).await;
        store.approve(&approval("token/eve", "5eed", 50)).await.unwrap();
        lacking(105, 1).await;
        let counting: Vec<_> = store.approvals("run/one", "5eed", at(104)).await.unwrap();
        assert_eq!(counting.iter().map(|one| one.approver.as_str()).collect::<Vec<_>>(), ["token/bob", "token/eve"]);
        assert!(store.withdraw_approval("run/one", "5eed", "token/eve").await.unwrap());
        assert!(!store.withdraw_approval("run/one", "5eed", "token/eve").await.unwrap());
        lacking(60, 1).await;
        store.approve(&approval("token/eve", "5eed", 60)).await.unwrap();
        assert_eq!(store.queue_approved("one", at(104)).await.unwrap().state, RunState::Queued);
        let again = store.queue_approved("one", at(104)).await.unwrap_err();
        assert!(matches!(again.refusal(), Some(Refusal::State { is: RunState::Queued, .. })), "{again}");
        assert!(store.queue_approved("two", at(104)).await.is_err());
        assert!(store.claim_next("c", super::LEASE, at(104)).await.unwrap().is_some());
        assert_eq!(store.prune_approvals(at(150)).await.unwrap(), 3);
    });
}

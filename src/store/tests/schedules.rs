use super::{LEASE, at, both, by, count, nightly, run};
use crate::store::runs::{NewRun, Origin};
use crate::store::{DefinitionKind, Refusal, SlotClaim, SlotOutcome};

fn fire(slot: i64) -> NewRun {
    NewRun { origin: Origin::Schedule { name: "nightly".into(), slot: at(slot) }, ..run(&format!("s{slot}"), &["a"]) }
}

#[test]
fn definitions_are_changed_only_by_who_has_read_them() {
    both(|place| async move {
        let store = place.open().await;
        let (kind, other) = (DefinitionKind::Schedule, DefinitionKind::GameDay);
        let made = store.create_definition(kind, "nightly", "one", by("ann"), at(0)).await.unwrap();
        assert_eq!((made.version, made.suspended, made.last_fire), (1, false, None));
        store.create_definition(other, "nightly", "a game day", by("ann"), at(0)).await.unwrap();
        let again = store.create_definition(kind, "nightly", "two", by("bob"), at(0)).await.unwrap_err();
        assert_eq!(again.refusal(), Some(&Refusal::Exists { kind: "schedule", name: "nightly".into() }));

        let changed = store.change_definition(kind, "nightly", 1, "two", by("bob"), at(1)).await.unwrap();
        assert_eq!((changed.version, changed.document.as_str(), changed.changed_by.as_str()), (2, "two", "bob"));
        assert_eq!((changed.created_by.as_str(), changed.created_at), ("ann", at(0)));
        let late = store.change_definition(kind, "nightly", 1, "three", by("eve"), at(2)).await.unwrap_err();
        let expected = Refusal::Changed { kind: "schedule", name: "nightly".into(), given: 1, current: 2 };
        assert_eq!(late.refusal(), Some(&expected));
        assert_eq!(store.remove_definition(kind, "nightly", 1).await.unwrap_err().refusal(), Some(&expected));

        let suspended = store.suspend_definition(kind, "nightly", true, "ann", at(3)).await.unwrap();
        assert_eq!((suspended.version, suspended.suspended), (3, true));
        assert_eq!(store.definitions(kind).await.unwrap(), std::slice::from_ref(&suspended));
        assert_eq!(store.definition(kind, "nightly").await.unwrap(), suspended);
        store.remove_definition(kind, "nightly", 3).await.unwrap();
        let gone = store.remove_definition(kind, "nightly", 3).await.unwrap_err();
        assert_eq!(gone.refusal(), Some(&Refusal::Unknown { kind: "schedule", name: "nightly".into() }));
        let gone = store.suspend_definition(kind, "nightly", true, "ann", at(3)).await.unwrap_err();
        assert!(matches!(gone.refusal(), Some(Refusal::Unknown { .. })));
        assert_eq!(store.definition(other, "nightly").await.unwrap().document, "a game day");
    });
}

#[test]
fn a_slot_is_decided_once_and_for_ever() {
    both(|place| async move {
        let store = place.open().await;
        let kind = DefinitionKind::Schedule;
        store.create_definition(kind, "nightly", "one", by("ann"), at(0)).await.unwrap();
        let claim = store.claim_slot(&nightly(1, at(10)), true, &fire(10), at(10)).await.unwrap();
        assert!(matches!(claim, SlotClaim::Fired(run) if run.id == "s10"));
        let again = NewRun { id: "another".into(), ..fire(10) };
        assert_eq!(store.claim_slot(&nightly(1, at(10)), true, &again, at(11)).await.unwrap(), SlotClaim::Taken);

        let claim = store.claim_slot(&nightly(1, at(20)), true, &fire(20), at(20)).await.unwrap();
        assert_eq!(claim, SlotClaim::Overlaps("s10".into()));
        assert_eq!(store.definition(kind, "nightly").await.unwrap().last_fire, Some(at(10)), "nothing of it was kept");
        assert!(store.record_missed("nightly", at(20), "s10 was under way", at(21)).await.unwrap());
        assert!(!store.record_missed("nightly", at(20), "again", at(22)).await.unwrap());
        assert!(!store.record_missed("nightly", at(10), "it fired", at(22)).await.unwrap());
        store.claim_next("c", LEASE, at(22)).await.unwrap().unwrap();
        store.finish("s10", 1, "held", "", at(23)).await.unwrap();
        assert_eq!(store.claim_slot(&nightly(1, at(20)), true, &fire(20), at(24)).await.unwrap(), SlotClaim::Taken);

        let claim = store.claim_slot(&nightly(1, at(40)), true, &fire(40), at(40)).await.unwrap();
        assert!(matches!(claim, SlotClaim::Fired(_)));
        let claim = store.claim_slot(&nightly(1, at(30)), false, &fire(30), at(41)).await.unwrap();
        assert!(matches!(claim, SlotClaim::Fired(_)), "catching up");
        assert_eq!(store.definition(kind, "nightly").await.unwrap().last_fire, Some(at(40)), "it never goes back");

        let slots = store.slots("nightly", None, 10).await.unwrap();
        let seen: Vec<_> =
            slots.iter().map(|slot| (slot.slot, slot.outcome, slot.run.as_deref(), slot.because.as_deref())).collect();
        let fired = SlotOutcome::Fired;
        let expected = [
            (at(40), fired, Some("s40"), None),
            (at(30), fired, Some("s30"), None),
            (at(20), SlotOutcome::Missed, None, Some("s10 was under way")),
            (at(10), fired, Some("s10"), None),
        ];
        assert_eq!(seen, expected);
        assert_eq!(store.slots("nightly", Some(at(30)), 1).await.unwrap()[0].slot, at(20));
        assert_eq!(store.prune_slots(at(30)).await.unwrap(), 2);
    });
}

#[test]
fn a_schedule_that_was_suspended_changed_or_removed_does_not_fire_what_was_computed_before() {
    both(|place| async move {
        let store = place.open().await;
        let kind = DefinitionKind::Schedule;
        let fires = async |version| store.claim_slot(&nightly(version, at(1)), false, &fire(1), at(1)).await.unwrap();
        assert_eq!(fires(1).await, SlotClaim::Stale);
        store.create_definition(kind, "nightly", "one", by("ann"), at(0)).await.unwrap();
        store.suspend_definition(kind, "nightly", true, "ann", at(0)).await.unwrap();
        assert_eq!(fires(1).await, SlotClaim::Stale);
        assert_eq!(fires(2).await, SlotClaim::Stale);
        store.suspend_definition(kind, "nightly", false, "ann", at(0)).await.unwrap();
        store.change_definition(kind, "nightly", 3, "two", by("ann"), at(0)).await.unwrap();
        assert_eq!(fires(3).await, SlotClaim::Stale);
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM slots").await, 0);

        store.halt("it hurts", "ann", at(0)).await.unwrap();
        let halted = store.claim_slot(&nightly(4, at(1)), false, &fire(1), at(1)).await.unwrap_err();
        assert!(matches!(halted.refusal(), Some(Refusal::Halted(_))));
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM slots").await, 0);
        store.release_halt().await.unwrap();
        assert!(matches!(fires(4).await, SlotClaim::Fired(_)));

        let taken = NewRun { id: "s1".into(), ..fire(2) };
        let exists = store.claim_slot(&nightly(4, at(2)), false, &taken, at(2)).await.unwrap_err();
        assert!(matches!(exists.refusal(), Some(Refusal::Exists { .. })));
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM slots").await, 1, "no slot without its run");
    });
}

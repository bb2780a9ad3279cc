//! What keeps a step of a rotation waiting, and who may take it.

use jiff::Timestamp;

use super::ControllerError;
use super::fixture::{Fixture, somebody};
use super::rotation::{Force, RotationRequest};
use crate::access::{Principal, Role};
use crate::store::{Controller, NewCertificate};

fn ada() -> Principal {
    somebody("ada", Role::Admin)
}

fn once() -> RotationRequest {
    RotationRequest::default()
}

fn forced(reason: &str) -> RotationRequest {
    RotationRequest { force: Some(Force { reason: reason.into() }) }
}

/// A host lives by a certificate that this authority signed, and trusts these.
async fn renews(fixture: &Fixture, host: &str, authority: &str, trusts: &[String]) {
    let store = fixture.controller.store();
    let held = store.certificates(Some(host)).await.unwrap().remove(0);
    let renewed = NewCertificate {
        serial: format!("{}{}", held.serial, trusts.len()),
        subject: held.subject,
        role: held.role,
        not_after: held.not_after,
        authority: authority.into(),
        trusts: trusts.to_vec(),
    };
    store.record_renewal(&held.serial, &renewed, Timestamp::now()).await.unwrap();
}

#[tokio::test]
async fn no_step_is_taken_that_would_cut_an_agent_off_unless_it_is_wanted() {
    let fixture = Fixture::new().await;
    let controller = &fixture.controller;
    for host in ["db-1", "db-2"] {
        fixture.host(host, &[]).await;
    }
    let before = controller.rotation(&ada()).await.unwrap();
    assert_eq!((before.step, before.next_step.as_str(), before.fingerprints.len()), (None, "begin", 1));
    assert!(controller.switch_rotation(&ada(), once()).await.is_err());
    let old = before.fingerprints[0].clone();

    let begun = controller.begin_rotation(&ada(), once()).await.unwrap();
    assert_eq!(
        (begun.step.as_deref(), begun.next_step.as_str(), begun.agents_waited_for),
        (Some("begun"), "switch", 2)
    );
    assert_eq!((&begun.fingerprints[0], begun.fingerprints.len()), (&old, 2));
    let next = begun.fingerprints[1].clone();
    let error = controller.switch_rotation(&ada(), once()).await.unwrap_err();
    assert_eq!(error.to_string(), "2 agents do not trust the next authority yet: db-1, db-2");
    assert_eq!((error.class().1, error.hint().contains("--force --reason")), ("not-now", true));
    let both = [old.clone(), next.clone()];
    renews(&fixture, "db-1", &old, &both).await;
    renews(&fixture, "db-2", &old, &both).await;
    let switched = controller.switch_rotation(&ada(), once()).await.unwrap();
    assert_eq!((&switched.fingerprints[0], switched.next_step.as_str()), (&next, "finish"));

    renews(&fixture, "db-1", &next, &[next.clone(), old.clone(), old.clone()]).await;
    let error = controller.finish_rotation(&ada(), once()).await.unwrap_err();
    assert_eq!(error.to_string(), "1 agents live by a certificate of the former authority: db-2");
    assert!(matches!(controller.finish_rotation(&ada(), forced(" ")).await, Err(ControllerError::Request { .. })));
    let finished = controller.finish_rotation(&ada(), forced("db-2 is gone")).await.unwrap();
    assert_eq!((finished.fingerprints, finished.next_step.as_str()), (vec![next.clone()], "begin"));
    let names = async |host: &str| {
        let all = controller.store().certificates(Some(host)).await.unwrap();
        all.iter().filter(|one| one.revoked_at.is_none()).count()
    };
    assert_eq!((names("db-1").await, names("db-2").await), (1, 0), "what the former one signed is revoked");
    let audited = fixture.audited().await.join("\n");
    assert!(audited.contains("token/ada rotate-authority authority: refused: 1 agents live by"), "{audited}");
    assert!(audited.ends_with("token/ada rotate-authority authority: done"), "{audited}");
}

#[tokio::test]
async fn controllers_that_have_not_the_key_are_waited_for_while_they_live() {
    let fixture = Fixture::new().await;
    let controller = &fixture.controller;
    let seen = |seen_at| Controller {
        id: "controller-b".into(),
        address: "https://b.example:7443".into(),
        agents: String::new(),
        version: "0.1.0".into(),
        started_at: seen_at,
        seen_at,
    };
    let store = controller.store();
    store.controller_seen(&seen(Timestamp::now())).await.unwrap();
    let begun = controller.begin_rotation(&ada(), once()).await.unwrap();
    let lacks = "controller controller-b (https://b.example:7443) has not the key of the next authority";
    assert_eq!(begun.waits, [lacks]);
    for request in [once(), forced("hurry")] {
        let error = controller.switch_rotation(&ada(), request).await.unwrap_err();
        assert_eq!(error.to_string(), lacks);
        assert!(error.hint().contains("faultline rotate join"), "{}", error.hint());
    }
    let (old, next) = (begun.fingerprints[0].clone(), begun.fingerprints[1].clone());
    store.controller_has("controller-b", &old, &[old.clone(), next.clone()]).await.unwrap();
    controller.switch_rotation(&ada(), once()).await.unwrap();
    let error = controller.finish_rotation(&ada(), once()).await.unwrap_err();
    assert!(error.to_string().contains("does not sign with the next authority yet"), "{error}");
    store.controller_seen(&seen(Timestamp::now() - std::time::Duration::from_secs(60))).await.unwrap();
    controller.finish_rotation(&ada(), once()).await.unwrap();
    // Of a rotation whose key is lost, another is begun in its place.
    controller.begin_rotation(&ada(), once()).await.unwrap();
    assert!(controller.begin_rotation(&ada(), once()).await.is_err());
    let anew = controller.begin_rotation(&ada(), forced("its disk died")).await.unwrap();
    assert_eq!((anew.fingerprints.len(), &anew.fingerprints[0]), (2, &next));
}

#[tokio::test]
async fn only_an_admin_of_the_whole_fleet_takes_a_step() {
    let fixture = Fixture::new().await;
    let controller = &fixture.controller;
    for role in [Role::Viewer, Role::Operator, Role::Approver] {
        let who = somebody("eve", role);
        assert!(matches!(controller.begin_rotation(&who, once()).await, Err(ControllerError::Denied(_))));
        assert!(controller.rotation(&who).await.is_ok());
    }
    let limited = Principal { scope: "team=payments".parse().unwrap(), ..ada() };
    assert!(matches!(controller.begin_rotation(&limited, once()).await, Err(ControllerError::Denied(_))));
    assert_eq!(controller.store().rotation().await.unwrap(), None);
}

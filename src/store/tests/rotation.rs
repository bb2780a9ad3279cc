use super::tokens::of;
use super::{at, both};
use crate::store::{AgentConnection, Controller, NewCertificate, Refusal, RotationStep, Store};

fn by(authority: &str, trusts: &[&str], agent: &str, serial: &str) -> NewCertificate {
    let trusts = trusts.iter().map(|one| (*one).to_owned()).collect();
    NewCertificate { authority: authority.into(), trusts, ..of(agent, serial) }
}

async fn connect(store: &Store, agent: &str, serial: &str) {
    let connection = AgentConnection {
        name: agent.into(),
        labels: Default::default(),
        bound: Default::default(),
        capabilities: serde_json::Value::Null,
        certificate: serial.into(),
        version: "0.1.0".into(),
        controller: "c1".into(),
    };
    store.agent_connected(&connection, at(0)).await.unwrap();
}

/// Agents with the authority of the certificate by which each lives, and how many it trusts.
async fn in_use(store: &Store, now: i64) -> Vec<(String, String, usize)> {
    let in_use = store.certificates_in_use(at(now)).await.unwrap();
    in_use.into_iter().map(|one| (one.agent, one.authority, one.trusts.len())).collect()
}

#[test]
fn the_steps_of_a_rotation_have_an_order_whoever_takes_them() {
    both(|place| async move {
        let (one, two) = (place.open().await, place.open().await);
        assert_eq!(one.rotation().await.unwrap(), None);
        let not_now = |error: crate::store::StoreError| matches!(error.refusal(), Some(Refusal::NotNow(_)));
        assert!(not_now(one.switch_rotation("b", at(0)).await.unwrap_err()));
        assert!(not_now(one.finish_rotation("b", "", at(0)).await.unwrap_err()));
        let (first, second) = tokio::join!(
            one.begin_rotation("a", ("b", "PEM"), false, at(1)),
            two.begin_rotation("a", ("c", "PEM of c"), false, at(1)),
        );
        assert_eq!((first.is_ok(), second.is_ok()), (second.is_err(), first.is_err()), "one of them");
        let begun = two.begin_rotation("a", ("b", "PEM"), true, at(2)).await.unwrap();
        assert_eq!(one.rotation().await.unwrap(), Some(begun.clone()));
        assert_eq!((begun.step, &*begun.former, &*begun.certificate), (RotationStep::Begun, "a", "PEM"));
        assert!(not_now(two.switch_rotation("c", at(3)).await.unwrap_err()), "another one was begun");
        two.switch_rotation("b", at(3)).await.unwrap();
        assert!(not_now(one.switch_rotation("b", at(3)).await.unwrap_err()));
        assert!(not_now(one.begin_rotation("b", ("d", "PEM"), true, at(3)).await.unwrap_err()), "not finished");
        one.finish_rotation("b", "", at(4)).await.unwrap();
        let finished = two.rotation().await.unwrap().unwrap();
        assert_eq!((finished.step, finished.since), (RotationStep::Finished, at(4)));
        two.begin_rotation("b", ("c", "PEM of c"), false, at(5)).await.unwrap();
    });
}

#[test]
fn who_lives_by_which_authority_is_known_and_a_finished_one_is_revoked() {
    both(|place| async move {
        let store = place.open().await;
        let all = [
            by("a", &["a"], "away", "01"),
            by("a", &["a"], "back", "02"),
            by("a", &["a"], "slow", "03"),
            NewCertificate { not_after: at(5), ..by("a", &["a"], "expired", "04") },
            by("a", &["a"], "revoked", "05"),
        ];
        for certificate in &all {
            store.record_certificate(certificate, at(0)).await.unwrap();
        }
        for (agent, serial) in [("back", "02"), ("slow", "03")] {
            connect(&store, agent, serial).await;
        }
        store.revoke_agent("revoked", "stolen", at(1)).await.unwrap();
        // Both are renewed; only one has come back with what it got.
        store.record_renewal("02", &by("b", &["a", "b"], "back", "12"), at(2)).await.unwrap();
        store.record_renewal("03", &by("b", &["a", "b"], "slow", "13"), at(2)).await.unwrap();
        connect(&store, "back", "12").await;
        let lives = |agent: &str, authority: &str, trusts| (agent.to_owned(), authority.to_owned(), trusts);
        assert_eq!(
            in_use(&store, 10).await,
            [lives("away", "a", 1), lives("back", "b", 2), lives("slow", "a", 1)],
            "no certificate that is over keeps anybody waiting"
        );
        store.begin_rotation("a", ("b", "PEM"), false, at(10)).await.unwrap();
        store.switch_rotation("b", at(10)).await.unwrap();
        assert_eq!(store.finish_rotation("b", "the authority was replaced", at(10)).await.unwrap(), 3);
        assert_eq!(in_use(&store, 10).await, [lives("back", "b", 2), lives("slow", "b", 2)]);
        let revoked = store.revoked_serials(at(10)).await.unwrap();
        assert!(["01", "02", "03", "05"].iter().all(|serial| revoked.contains(&(*serial).to_owned())), "{revoked:?}");
        assert_eq!(revoked.len(), 4);
        let because = store.certificate("01").await.unwrap().revoked_because;
        assert_eq!(because.as_deref(), Some("the authority was replaced"));
    });
}

#[test]
fn controllers_say_what_they_have_and_only_those_that_live_count() {
    both(|place| async move {
        let store = place.open().await;
        let seen = |id: &str, now| Controller {
            id: id.into(),
            address: format!("https://{id}:7443"),
            agents: String::new(),
            version: "0.1.0".into(),
            started_at: at(0),
            seen_at: at(now),
        };
        store.controller_has("c1", "a", &["a".into()]).await.unwrap();
        assert_eq!(store.authorities_of_controllers(at(0)).await.unwrap(), [], "it was never seen");
        for (id, now) in [("c1", 20), ("c2", 20), ("c3", 0)] {
            store.controller_seen(&seen(id, now)).await.unwrap();
        }
        store.controller_has("c1", "a", &["a".into(), "b".into()]).await.unwrap();
        store.controller_seen(&seen("c1", 21)).await.unwrap();
        let known = store.authorities_of_controllers(at(21)).await.unwrap();
        let told: Vec<_> = known.iter().map(|one| (&*one.controller, &*one.signs, one.holds.len())).collect();
        assert_eq!(told, [("c1", "a", 2), ("c2", "", 0)]);
    });
}

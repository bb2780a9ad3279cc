use std::collections::BTreeMap;

use serde_json::json;

use super::{LEASE, at, both};
use crate::store::{AgentConnection, AgentHealth, Connected, Controller, Refusal, Report};

fn connection(name: &str, controller: &str) -> AgentConnection {
    AgentConnection {
        name: name.into(),
        labels: BTreeMap::from([("role".into(), "db".into())]),
        capabilities: json!({ "netem": true }),
        certificate: "01".into(),
        version: "0.1.0".into(),
        controller: controller.into(),
    }
}

#[test]
fn the_newest_connection_of_an_agent_counts() {
    both(|place| async move {
        let store = place.open().await;
        assert_eq!(store.agent_connected(&connection("db-1", "c1"), at(0)).await.unwrap(), 1);
        let report = Report { health: AgentHealth::Degraded, active: json!([{ "fault": 1 }]), stuck: json!(["x"]) };
        store.agent_reported("db-1", 1, &report, at(1)).await.unwrap();
        let moved = AgentConnection { certificate: "02".into(), ..connection("db-1", "c2") };
        assert_eq!(store.agent_connected(&moved, at(2)).await.unwrap(), 2);
        let late = store.agent_reported("db-1", 1, &report, at(3)).await.unwrap_err();
        assert_eq!(late.refusal(), Some(&Refusal::Reconnected { agent: "db-1".into(), given: 1, current: 2 }));
        assert!(!store.agent_disconnected("db-1", 1, at(3)).await.unwrap(), "the end of the old one");

        let agent = store.agent("db-1").await.unwrap();
        assert_eq!(agent.connected, Some(Connected { controller: "c2".into(), epoch: 2 }));
        assert_eq!((agent.first_seen, agent.last_seen, agent.certificate.as_str()), (at(0), at(2), "02"));
        assert_eq!(
            (agent.health, &agent.active, &agent.stuck),
            (report.health, &report.active, &report.stuck),
            "kept until it says more"
        );
        assert_eq!(agent.capabilities, json!({ "netem": true }));
        assert!(!store.forget_agent("db-1").await.unwrap(), "it is connected");
        assert!(store.agent_disconnected("db-1", 2, at(4)).await.unwrap());
        assert_eq!(store.agent("db-1").await.unwrap().connected, None);
        assert!(store.forget_agent("db-1").await.unwrap());
        assert!(store.agent("db-1").await.is_err());
        assert!(store.agent_reported("db-1", 2, &report, at(3)).await.is_err());
    });
}

#[test]
fn a_controller_that_lives_keeps_its_agents_seen_and_one_that_restarts_has_none() {
    both(|place| async move {
        let store = place.open().await;
        for (name, controller) in [("web-1", "c1"), ("db-1", "c1"), ("db-2", "c2")] {
            store.agent_connected(&connection(name, controller), at(0)).await.unwrap();
        }
        let mut controller = Controller {
            id: "c1".into(),
            address: "https://c1:8443".into(),
            version: "0.1.0".into(),
            started_at: at(0),
            seen_at: at(30),
        };
        store.controller_seen(&controller).await.unwrap();
        controller.seen_at = at(60);
        store.controller_seen(&controller).await.unwrap();
        assert_eq!(store.controllers().await.unwrap(), [controller]);
        let seen: Vec<_> =
            store.agents().await.unwrap().into_iter().map(|agent| (agent.name, agent.last_seen)).collect();
        assert_eq!(seen, [("db-1".into(), at(60)), ("db-2".into(), at(0)), ("web-1".into(), at(60))]);
        assert_eq!(store.agents_lost("c1").await.unwrap(), ["db-1", "web-1"]);
        assert_eq!(store.agents_lost("c1").await.unwrap(), [""; 0]);
        assert_eq!(store.agents().await.unwrap().iter().filter(|agent| agent.connected.is_some()).count(), 1);
    });
}

#[test]
fn a_lead_is_taken_kept_lost_and_given_up() {
    both(|place| async move {
        let (one, two) = (place.open().await, place.open().await);
        assert_eq!(one.leader().await.unwrap().controller, "");
        assert_eq!(one.try_lead("c1", LEASE, at(0)).await.unwrap(), Some(1));
        assert_eq!(two.try_lead("c2", LEASE, at(9)).await.unwrap(), None);
        one.renew_lead("c1", 1, LEASE, at(5)).await.unwrap();
        assert_eq!(two.try_lead("c2", LEASE, at(10)).await.unwrap(), None);
        assert_eq!(two.try_lead("c2", LEASE, at(15)).await.unwrap(), Some(2), "at its end the lease is over");
        let lost = one.renew_lead("c1", 1, LEASE, at(16)).await.unwrap_err();
        assert!(
            matches!(lost.refusal(), Some(Refusal::NotLeading { given: 1, current: 2, by, .. }) if by == "c2"),
            "{lost}"
        );
        assert!(one.resign("c1", 1).await.is_err(), "c2's lead is not c1's to give up");
        assert_eq!(two.try_lead("c2", LEASE, at(16)).await.unwrap(), Some(3), "a restart begins a new lead");
        assert!(two.renew_lead("c2", 2, LEASE, at(17)).await.is_err(), "and ends the one from before it");
        two.resign("c2", 3).await.unwrap();
        assert_eq!(one.try_lead("c1", LEASE, at(17)).await.unwrap(), Some(4));
        let lead = two.leader().await.unwrap();
        assert_eq!((lead.controller.as_str(), lead.epoch, lead.until), ("c1", 4, at(27)));
    });
}

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{LEASE, at, both, run};
use crate::store::runs::Reach;
use crate::store::{AgentConnection, AgentHealth, Connected, Controller, Refusal, Report};

fn connection(name: &str, controller: &str) -> AgentConnection {
    AgentConnection {
        name: name.into(),
        labels: BTreeMap::from([("role".into(), "db".into())]),
        bound: BTreeMap::from([("team".into(), "payments".into())]),
        capabilities: json!({ "netem": true }),
        certificate: "01".into(),
        version: "0.1.0".into(),
        controller: controller.into(),
    }
}

fn controller(id: &str, seen: i64) -> Controller {
    Controller {
        id: id.into(),
        address: format!("https://{id}:7443"),
        agents: format!("{id}:7444"),
        version: "0.1.0".into(),
        started_at: at(0),
        seen_at: at(seen),
    }
}

fn to(controller: &str, epoch: i64) -> Connected {
    Connected { controller: controller.into(), epoch }
}

#[test]
fn an_agent_is_connected_while_it_is_to_any_controller_and_with_each_the_newest_connection_counts() {
    both(|place| async move {
        let store = place.open().await;
        for id in ["c1", "c2"] {
            store.controller_seen(&controller(id, 0)).await.unwrap();
        }
        assert_eq!(store.agent_connected(&connection("db-1", "c1"), at(0)).await.unwrap(), 1);
        let report = Report { health: AgentHealth::Degraded, active: json!([{ "fault": 1 }]), stuck: json!(["x"]) };
        store.agent_reported("db-1", 1, &report, at(1)).await.unwrap();
        let also = AgentConnection { certificate: "02".into(), ..connection("db-1", "c2") };
        assert_eq!(store.agent_connected(&also, at(2)).await.unwrap(), 2);
        store.agent_reported("db-1", 1, &report, at(3)).await.unwrap();
        store.agent_reported("db-1", 2, &report, at(3)).await.unwrap();
        assert_eq!(store.agent("db-1", at(3)).await.unwrap().connected, [to("c1", 1), to("c2", 2)]);
        assert_eq!(store.agent_connected(&connection("db-1", "c1"), at(4)).await.unwrap(), 3);
        let late = store.agent_reported("db-1", 1, &report, at(5)).await.unwrap_err();
        assert_eq!(late.refusal(), Some(&Refusal::Reconnected { agent: "db-1".into(), given: 1, current: 3 }));
        assert!(!store.agent_disconnected("db-1", 1, at(5)).await.unwrap(), "the end of the old one");

        let agent = store.agent("db-1", at(5)).await.unwrap();
        assert_eq!(agent.connected, [to("c1", 3), to("c2", 2)]);
        assert_eq!((agent.first_seen, agent.last_seen), (at(0), at(4)));
        assert_eq!(
            (agent.health, &agent.active, &agent.stuck),
            (report.health, &report.active, &report.stuck),
            "kept until it says more"
        );
        assert_eq!(agent.capabilities, json!({ "netem": true }));
        assert!(!store.forget_agent("db-1", at(5)).await.unwrap(), "it is connected");
        assert!(store.agent_disconnected("db-1", 3, at(6)).await.unwrap());
        assert_eq!(store.agent("db-1", at(6)).await.unwrap().connected, [to("c2", 2)], "the other one has it still");
        // c2 was killed: nobody says that its connections are gone.
        assert_eq!(store.agent("db-1", at(14)).await.unwrap().connected.len(), 1);
        assert_eq!(store.agent("db-1", at(15)).await.unwrap().connected, []);
        assert!(store.forget_agent("db-1", at(15)).await.unwrap());
        assert!(store.agent("db-1", at(15)).await.is_err());
        assert!(store.agent_reported("db-1", 2, &report, at(15)).await.is_err());
    });
}

#[test]
fn a_controller_that_lives_keeps_its_agents_seen_and_one_that_restarts_has_none() {
    both(|place| async move {
        let store = place.open().await;
        for (name, controller) in [("web-1", "c1"), ("db-1", "c1"), ("db-2", "c2")] {
            store.agent_connected(&connection(name, controller), at(0)).await.unwrap();
        }
        store.controller_seen(&controller("c1", 30)).await.unwrap();
        store.controller_seen(&controller("c1", 60)).await.unwrap();
        assert_eq!(store.controllers().await.unwrap(), [controller("c1", 60)]);
        let agents = store.agents(at(60)).await.unwrap();
        let seen: Vec<_> = agents.iter().map(|agent| (agent.name.as_str(), agent.last_seen)).collect();
        assert_eq!(seen, [("db-1", at(60)), ("db-2", at(0)), ("web-1", at(60))]);
        assert_eq!(agents[1].connected, [], "nobody ever saw c2");
        assert_eq!(store.agents_lost("c1").await.unwrap(), ["db-1", "web-1"]);
        assert_eq!(store.agents_lost("c1").await.unwrap(), [""; 0]);
        store.controller_seen(&controller("c2", 60)).await.unwrap();
        let connected =
            async || store.agents(at(60)).await.unwrap().iter().filter(|one| !one.connected.is_empty()).count();
        assert_eq!(connected().await, 1);
        assert_eq!(store.forget_controllers(at(61)).await.unwrap(), 2);
        store.controller_seen(&controller("c2", 62)).await.unwrap();
        assert_eq!((connected().await, store.controllers().await.unwrap().len()), (0, 1));
    });
}

#[test]
fn a_run_is_claimed_by_who_reaches_its_hosts_and_keeps_them_while_it_waits() {
    both(|place| async move {
        let store = place.open().await;
        for (id, hosts) in [("r-1", &["db-1", "db-2"][..]), ("r-2", &["db-2"]), ("r-3", &["web-1"])] {
            store.submit(&run(id, hosts), at(0)).await.unwrap();
        }
        for (controller, hosts) in [("c1", &["web-1", "db-2"][..]), ("c2", &["db-1", "db-2"])] {
            store.controller_seen(&self::controller(controller, 0)).await.unwrap();
            for host in hosts {
                store.agent_connected(&connection(host, controller), at(0)).await.unwrap();
            }
        }
        let reach = store.reach_of_run("r-1", at(1)).await.unwrap();
        assert_eq!(reach, BTreeMap::from([("c1".to_owned(), 1), ("c2".to_owned(), 2)]));
        assert_eq!(store.reach_of_run("r-1", at(20)).await.unwrap(), BTreeMap::new(), "they do not live any more");
        let none = BTreeSet::new();
        let of_one = |host: &str| ["web-1", "db-2"].contains(&host);
        let one = Reach { host: &of_one, all_the_same: &none };
        let claim = store.claim_within("c1", one, LEASE, at(1)).await.unwrap();
        assert_eq!(claim.run.unwrap().id, "r-3", "r-2 is within reach, and stands behind r-1");
        assert_eq!(claim.out_of_reach, [("r-1".to_owned(), vec!["db-1".to_owned(), "db-2".to_owned()])]);
        assert!(store.claim_within("c1", one, LEASE, at(1)).await.unwrap().run.is_none());
        let of_two = |host: &str| host.starts_with("db");
        let two = Reach { host: &of_two, all_the_same: &none };
        assert_eq!(store.claim_within("c2", two, LEASE, at(1)).await.unwrap().run.unwrap().id, "r-1");
        let claim = store.claim_within("c1", one, LEASE, at(1)).await.unwrap();
        assert_eq!((claim.run, claim.out_of_reach), (None, Vec::new()), "its host is another run's now");
        store.finish("r-1", 1, "held", "it held", at(2)).await.unwrap();
        let nothing = |_: &str| false;
        let despite = BTreeSet::from(["r-2".to_owned()]);
        let claim = store.claim_within("c3", Reach { host: &nothing, all_the_same: &despite }, LEASE, at(3)).await;
        assert_eq!(claim.unwrap().run.unwrap().id, "r-2");
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

use std::collections::HashMap;

use faultline_agent::node::NodeStatus;

use super::*;

fn peer(name: &str) -> Peer {
    Peer { name: name.into(), serial: "01".into(), valid_until: jiff::Timestamp::MAX, labels: Default::default() }
}

fn hello(name: &str) -> Hello {
    Hello {
        protocol: PROTOCOL,
        program: "0".into(),
        name: name.into(),
        boot_id: "boot".into(),
        process_began_ns: 5,
        clock_ns: 10,
        status: serde_json::to_string(&NodeStatus::default()).unwrap(),
        ..Hello::default()
    }
}

fn greet(registry: &Registry, hello: Hello) -> Result<Greeted, String> {
    registry.greet(&peer("db-1"), "10.0.0.1:5", hello)
}

#[tokio::test]
async fn who_lies_about_its_name_its_version_or_its_labels_is_refused_with_the_reason() {
    let registry = Registry::default();
    let refusal = |hello| greet(&registry, hello).unwrap_err();
    assert_eq!(refusal(hello("db-2")), "the certificate is that of `db-1`, and the agent calls itself `db-2`");
    let old = refusal(Hello { protocol: 7, program: "9.9".into(), ..hello("db-1") });
    assert!(old.contains("speaks protocol 1") && old.contains("faultline-agent 9.9) speaks protocol 7"), "{old}");
    let labels = |name: &str| HashMap::from([(name.to_owned(), "x".to_owned())]);
    let given = refusal(Hello { labels: labels("faultline.dev/kernel"), ..hello("db-1") });
    assert!(given.contains("cannot be given"), "{given}");
    let found = refusal(Hello { discovered: labels("role"), ..hello("db-1") });
    assert!(found.contains("cannot be found out"), "{found}");
    let many = (0..200).map(|number| (number.to_string(), String::new())).collect();
    assert!(refusal(Hello { labels: many, ..hello("db-1") }).contains("at most 128 labels"));
    assert!(refusal(Hello { status: "{".into(), ..hello("db-1") }).contains("status"));
    assert!(registry.views().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_newer_session_takes_the_place_of_the_older_and_never_the_other_way() {
    let registry = Registry::default();
    let mut events = registry.subscribe();
    let session = |session, process_began_ns| Hello { session, process_began_ns, ..hello("db-1") };
    let mut first = greet(&registry, session(3, 5)).unwrap();
    assert!(greet(&registry, session(3, 5)).is_err(), "the same again");
    assert!(greet(&registry, session(9, 4)).is_err(), "an earlier process");
    let second = greet(&registry, session(4, 5)).unwrap();
    assert!(first.line.has_ended() && !second.line.has_ended());
    let ending = first.outgoing.recv().await.unwrap();
    assert!(format!("{ending:?}").contains("a newer session"), "{ending:?}");
    let _third = greet(&registry, session(0, 6)).unwrap();
    let host = || "db-1".to_owned();
    assert_eq!(events.recv().await.unwrap(), FleetEvent::Joined { host: host() });
    assert_eq!(events.recv().await.unwrap(), FleetEvent::Rejoined { host: host() });
    assert_eq!(events.recv().await.unwrap(), FleetEvent::Restarted { host: host() });
    // The first one's end, which comes late, does not end the third.
    registry.lost("db-1", &first.line, "late");
    assert_eq!(registry.connected(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_hosts_with_one_certificate_the_one_that_is_heard_stays() {
    let registry = Registry::default();
    let other = || Hello { boot_id: "another".into(), ..hello("db-1") };
    let first = greet(&registry, hello("db-1")).unwrap();
    tokio::time::advance(SILENCE).await;
    assert!(greet(&registry, other()).unwrap_err().contains("two hosts have the same certificate"));
    registry.hear("db-1", &first.line, None);
    tokio::time::advance(SILENCE).await;
    assert!(greet(&registry, other()).is_err());
    tokio::time::advance(std::time::Duration::from_millis(1)).await;
    assert!(greet(&registry, other()).is_ok(), "a host that was started anew");
}

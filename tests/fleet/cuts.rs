//! The cable is pulled and plugged in again, in simulated time.

use std::sync::Arc;
use std::time::Duration;

use faultline::fleet::Agent;
use faultline::fleet::registry::FleetEvent;
use faultline::fleet::remote::RemoteAgent;
use tokio::time::{Instant, sleep};

use crate::network::{Cable, greeting, no_gate, registry, run_agent, run_agent_of, until};
use crate::played_host::{PlayedHost, request};

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn a_short_cut_changes_nothing_and_a_long_one_is_undone_at_the_end_of_the_lease() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("db-1");
    cable.plug(&registry, no_gate());
    let running = run_agent("db-1", cable.clone());
    let agent = RemoteAgent::new(Arc::clone(&registry), "db-1");
    let wanted = request(7, LONG);
    agent.inject(wanted.clone()).await.unwrap();
    sleep(Duration::from_secs(100)).await;
    assert!(running.host.holds(&wanted.id), "heartbeats keep it");
    cable.pull();
    sleep(Duration::from_secs(8)).await;
    cable.plug(&registry, no_gate());
    until("it is back", || registry.connected() == 1).await;
    sleep(Duration::from_secs(30)).await;
    assert!(running.host.holds(&wanted.id), "a cut shorter than the lease changes nothing");
    let mut events = registry.subscribe();
    cable.pull();
    let pulled = Instant::now();
    until("it is undone", || !running.host.holds(&wanted.id)).await;
    let after = pulled.elapsed().as_secs_f64();
    assert!((10.0..=15.1).contains(&after), "undone after {after} s");
    sleep(Duration::from_secs(20)).await;
    let before = agent.presence();
    assert!(before.silent.is_some_and(|silent| silent > faultline_agent::lease::LEASE), "{before:?}");
    cable.plug(&registry, no_gate());
    let undone = agent.undo(wanted.id.clone()).await;
    assert!(undone.verified && undone.steps.len() == 1, "what it did alone is answered: {undone:?}");
    assert_eq!((agent.presence().life, agent.presence().silent), (before.life, None));
    assert_eq!(agent.undone_alone(&wanted.id).map(|alone| alone.verified), Some(true));
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push(event);
    }
    assert!(
        matches!(&told[..], [FleetEvent::Vanished { .. }, FleetEvent::Rejoined { .. }, FleetEvent::UndoneAlone { because, .. }]
            if because.contains("length of the lease")),
        "{told:?}"
    );
    assert_eq!(running.host.injections(&wanted.id), 1);
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_restarts_within_the_lease_finds_the_fault_in_place() {
    let (first, sweep) = registry();
    let cable = Cable::of("db-1");
    cable.plug(&first, no_gate());
    let running = run_agent("db-1", cable.clone());
    let wanted = request(7, LONG);
    RemoteAgent::new(Arc::clone(&first), "db-1").inject(wanted.clone()).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    cable.pull();
    sweep.abort();
    drop(first);
    sleep(Duration::from_secs(5)).await;
    let (second, _sweep) = registry();
    cable.plug(&second, no_gate());
    until("it is there", || second.connected() == 1).await;
    let status = second.view("db-1").unwrap().status;
    assert_eq!(status.active.iter().map(|fault| &fault.id).collect::<Vec<_>>(), [&wanted.id]);
    let agent = RemoteAgent::new(Arc::clone(&second), "db-1");
    sleep(Duration::from_secs(60)).await;
    assert!(running.host.holds(&wanted.id), "the new controller's heartbeats keep it");
    agent.inject(wanted.clone()).await.unwrap();
    assert_eq!(running.host.injections(&wanted.id), 1);
    assert!(agent.undo(wanted.id).await.verified);
}

#[tokio::test(start_paused = true)]
async fn a_fault_ends_at_its_time_without_anybody_asking_connected_or_not() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("db-1");
    cable.plug(&registry, no_gate());
    let running = run_agent("db-1", cable.clone());
    let agent = RemoteAgent::new(Arc::clone(&registry), "db-1");
    let (long, short) = (request(1, Duration::from_secs(40)), request(2, Duration::from_secs(3)));
    agent.inject(long.clone()).await.unwrap();
    agent.inject(short.clone()).await.unwrap();
    cable.pull();
    sleep(Duration::from_millis(3_100)).await;
    assert!(!running.host.holds(&short.id) && running.host.holds(&long.id));
    cable.plug(&registry, no_gate());
    sleep(Duration::from_secs(36)).await;
    assert!(running.host.holds(&long.id));
    sleep(Duration::from_millis(1_100)).await;
    assert!(!running.host.holds(&long.id));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_noticed_by_both_ends() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("db-1");
    cable.plug(&registry, no_gate());
    let running = run_agent("db-1", cable.clone());
    let agent = RemoteAgent::new(Arc::clone(&registry), "db-1");
    let wanted = request(7, LONG);
    agent.inject(wanted.clone()).await.unwrap();
    cable.hold(true);
    let held = Instant::now();
    until("it is undone", || !running.host.holds(&wanted.id)).await;
    assert!(held.elapsed() <= Duration::from_millis(15_100), "{:?}", held.elapsed());
    until("the controller noticed", || registry.connected() == 0).await;
    assert!(held.elapsed() < Duration::from_secs(22), "{:?}", held.elapsed());
    // Words that were held for long do not revive a lease.
    cable.hold(false);
    until("it is back", || registry.connected() == 1).await;
    assert!(agent.undo(wanted.id.clone()).await.verified);
    assert_eq!(running.host.injections(&wanted.id), 1);
}

#[tokio::test(start_paused = true)]
async fn an_injection_of_which_nothing_is_heard_is_undone_before_that_is_said() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("db-1");
    cable.plug(&registry, no_gate());
    let running = run_agent("db-1", cable.clone());
    until("it is there", || registry.connected() == 1).await;
    running.host.state().injection_takes = Duration::from_secs(20);
    let agent = RemoteAgent::new(Arc::clone(&registry), "db-1");
    let wanted = request(7, LONG);
    let (asked, pulls) = (agent.clone(), cable.clone());
    let injection = tokio::spawn(async move { asked.inject(wanted).await });
    sleep(Duration::from_secs(12)).await;
    pulls.pull();
    sleep(Duration::from_secs(70)).await;
    cable.plug(&registry, no_gate());
    let error = injection.await.unwrap().unwrap_err();
    assert!(error.verified && error.reason.contains("out of reach"), "{error:?}");
    assert!(running.host.state().in_place.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_undo_waits_for_the_injection_that_it_cuts_short() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("db-1");
    cable.plug(&registry, no_gate());
    let running = run_agent("db-1", cable);
    until("it is there", || registry.connected() == 1).await;
    running.host.state().injection_takes = Duration::from_secs(4);
    let agent = RemoteAgent::new(Arc::clone(&registry), "db-1");
    let wanted = request(7, LONG);
    let (asked, request) = (agent.clone(), wanted.clone());
    let injection = tokio::spawn(async move { asked.inject(request).await });
    sleep(Duration::from_secs(1)).await;
    // At this moment nothing is in place yet: what is answered must be true later as well.
    assert!(agent.undo(wanted.id.clone()).await.verified);
    assert!(!running.host.holds(&wanted.id));
    let _ = injection.await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert!(!running.host.holds(&wanted.id));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_undone_is_never_called_undone_and_is_tried_again() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("db-1");
    cable.plug(&registry, no_gate());
    let running = run_agent("db-1", cable);
    let agent = RemoteAgent::new(Arc::clone(&registry), "db-1");
    let wanted = request(7, LONG);
    agent.inject(wanted.clone()).await.unwrap();
    running.host.state().stubborn.insert(wanted.id.clone());
    assert!(!agent.undo(wanted.id.clone()).await.verified);
    running.host.state().stubborn.clear();
    assert!(agent.undo(wanted.id).await.verified);
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_reaches_nobody_is_not_verified() {
    let (registry, _sweep) = registry();
    let agent = RemoteAgent::new(registry, "db-1");
    let undone = agent.undo(request(7, LONG).id).await;
    assert!(!undone.verified);
    assert!(undone.steps[0].outcome.contains("has not connected"), "{undone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_process_of_the_same_host_takes_the_place_of_the_first() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("db-1");
    cable.plug(&registry, no_gate());
    let mut events = registry.subscribe();
    let _first = run_agent("db-1", cable.clone());
    until("it is there", || registry.connected() == 1).await;
    let later = faultline_agent::session::Greeting { process_began: 6, ..greeting("db-1") };
    let _second = run_agent_of(later, PlayedHost::default(), cable);
    sleep(Duration::from_secs(120)).await;
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push(event);
    }
    // The first one dials again and again, and is refused.
    let host = || "db-1".to_owned();
    assert_eq!(told, [FleetEvent::Joined { host: host() }, FleetEvent::Restarted { host: host() }]);
}

/// Seed 833 of the simulation found what was called gone here while it was being put in place.
#[tokio::test(start_paused = true)]
async fn an_injection_that_is_asked_for_again_while_it_is_under_way_is_answered_when_it_is_over() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("db-1");
    cable.plug(&registry, no_gate());
    let running = run_agent("db-1", cable.clone());
    until("it is there", || registry.connected() == 1).await;
    running.host.state().injection_takes = Duration::from_secs(10);
    let agent = RemoteAgent::new(Arc::clone(&registry), "db-1");
    let wanted = request(7, LONG);
    let (asked, request) = (agent.clone(), wanted.clone());
    let injection = tokio::spawn(async move { asked.inject(request).await });
    sleep(Duration::from_secs(1)).await;
    // The answer is lost, and the question comes again over the next line.
    cable.pull();
    cable.plug(&registry, no_gate());
    assert!(injection.await.unwrap().is_ok());
    assert!(running.host.holds(&wanted.id));
    assert_eq!(running.host.injections(&wanted.id), 1);
    assert!(agent.undo(wanted.id).await.verified);
}

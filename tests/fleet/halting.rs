use std::sync::Arc;
use std::time::Duration;

use faultline::fleet::remote::RemoteAgent;
use faultline::fleet::{Agent, halt};
use tokio::time::sleep;

use crate::network::{Cable, no_gate, registry, run_agent, until};
use crate::played_host::request;

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn a_halt_undoes_everywhere_reaches_who_comes_back_and_is_released() {
    let (registry, _sweep) = registry();
    let cables = ["a", "b", "c"].map(Cable::of);
    let hosts = ["a", "b", "c"];
    let running: Vec<_> = hosts
        .iter()
        .zip(&cables)
        .map(|(name, cable)| {
            cable.plug(&registry, no_gate());
            run_agent(name, cable.clone())
        })
        .collect();
    let agent = |name: &str| RemoteAgent::new(Arc::clone(&registry), name);
    for (number, name) in (1..).zip(hosts) {
        agent(name).inject(request(number, LONG)).await.unwrap();
    }
    running[1].host.state().stubborn.insert(request(2, LONG).id);
    cables[2].pull();
    let halted = halt::halt(&registry, "the pager rings", Duration::from_secs(5)).await;
    assert_eq!(halted.hosts.iter().map(|host| host.host.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(halted.hosts[0].undone[0].undone.verified);
    assert!(!halted.hosts[1].undone[0].undone.verified && !halted.is_clean());
    assert_eq!(halted.not_reached[0].host, "c");
    assert!(halted.not_reached[0].undoes_within <= Duration::from_secs(15));
    assert!(running[0].host.state().in_place.is_empty());
    let refused = agent("a").inject(request(9, LONG)).await.unwrap_err();
    assert!(refused.reason.contains("the fleet is halted: the pager rings"), "{refused:?}");
    // The one that was not reached undoes alone, and is halted as soon as it is back.
    sleep(Duration::from_secs(20)).await;
    assert!(running[2].host.state().in_place.is_empty());
    cables[2].plug(&registry, no_gate());
    until("it is halted", || running[2].host.state().halted.is_some()).await;
    // One host is halted by a person too.
    running[0].host.state().halted = Some("a person".into());
    let released = halt::release(&registry, Duration::from_secs(5)).await;
    assert_eq!(released.still_halted.len(), 1);
    assert_eq!(released.still_halted[0].1.reason, "a person");
    until("it is released", || running[2].host.state().halted.is_none()).await;
    agent("c").inject(request(10, LONG)).await.unwrap();
    assert!(agent("a").inject(request(11, LONG)).await.unwrap_err().reason.contains("a person"));
}

#[tokio::test(start_paused = true)]
async fn many_hosts_undo_at_once_and_answer_when_the_orders_of_all_have_gone_out() {
    let (registry, _sweep) = registry();
    let running: Vec<_> = (0..250)
        .map(|number| {
            let (name, cable) = (format!("host-{number}"), Cable::of(&format!("host-{number}")));
            cable.plug(&registry, no_gate());
            run_agent(&name, cable)
        })
        .collect();
    until("all are there", || registry.connected() == 250).await;
    let asked = (1..).zip(0..250).map(|(id, number)| {
        let agent = RemoteAgent::new(Arc::clone(&registry), format!("host-{number}"));
        tokio::spawn(agent.inject(request(id, LONG)))
    });
    for asked in asked.collect::<Vec<_>>() {
        asked.await.unwrap().unwrap();
    }
    let ordered = tokio::time::Instant::now();
    let halted = halt::halt(&registry, "enough", Duration::from_secs(5)).await;
    let answered = ordered.elapsed();
    assert!(halted.is_clean() && halted.hosts.iter().all(|host| host.undone.len() == 1));
    let undone = running.iter().map(|host| host.host.state().log.last().unwrap().0 - ordered).max().unwrap();
    assert!(undone + Duration::from_millis(10) <= answered, "undone after {undone:?}, answered after {answered:?}");
    assert!(running.iter().all(|host| host.host.state().in_place.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_missed_the_release_is_released_when_it_comes_back() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("a");
    cable.plug(&registry, no_gate());
    let running = run_agent("a", cable.clone());
    until("it is there", || registry.connected() == 1).await;
    assert!(halt::halt(&registry, "stop", Duration::from_secs(5)).await.is_clean());
    cable.pull();
    until("it is gone", || registry.connected() == 0).await;
    let released = halt::release(&registry, Duration::from_secs(5)).await;
    assert_eq!(released.not_reached[0].0, "a");
    assert!(running.host.state().halted.is_some());
    cable.plug(&registry, no_gate());
    until("it is released", || running.host.state().halted.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_halt_on_the_host_itself_undoes_within_a_second_and_is_told() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("a");
    cable.plug(&registry, no_gate());
    let running = run_agent("a", cable);
    let agent = RemoteAgent::new(Arc::clone(&registry), "a");
    let wanted = request(1, LONG);
    agent.inject(wanted.clone()).await.unwrap();
    running.host.state().halted = Some("by hand".into());
    sleep(Duration::from_millis(1_100)).await;
    assert!(!running.host.holds(&wanted.id));
    until("the controller knows", || agent.must_stop().is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_lost_its_guard_undoes_everything_and_ends() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("a");
    cable.plug(&registry, no_gate());
    let running = run_agent("a", cable);
    let wanted = request(1, LONG);
    RemoteAgent::new(Arc::clone(&registry), "a").inject(wanted.clone()).await.unwrap();
    running.host.state().guard_lost = true;
    let host = running.host.clone();
    let ended = tokio::time::timeout(Duration::from_secs(5), running.task).await.unwrap().unwrap();
    assert!(ended.guard_lost && !host.holds(&wanted.id));
}

/// Until it is started again with another guard, nothing can be put in place there.
#[tokio::test(start_paused = true)]
async fn an_agent_that_lost_its_guard_ends_though_nothing_is_in_place() {
    let (registry, _sweep) = registry();
    let cable = Cable::of("a");
    cable.plug(&registry, no_gate());
    let running = run_agent("a", cable);
    until("it is connected", || registry.connected() == 1).await;
    running.host.state().guard_lost = true;
    let ended = tokio::time::timeout(Duration::from_secs(5), running.task).await.unwrap().unwrap();
    assert!(ended.guard_lost);
}

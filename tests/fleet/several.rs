//! One agent, several controllers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use faultline::fleet::registry::{FleetEvent, Registry};
use faultline::fleet::remote::RemoteAgent;
use faultline::fleet::{Agent, halt};
use faultline_agent::session::{AgentOptions, Dial, Directory, Notifier, Renewal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::network::{Cable, Running, greeting, no_gate, registry_of, run_agent_with, until};
use crate::played_host::{PlayedClock, PlayedHost, request};

const LONG: Duration = Duration::from_secs(600);

/// A host that has a cable to each of two controllers.
struct Two {
    registries: [Arc<Registry>; 2],
    cables: [Cable; 2],
    running: Running,
}

impl Two {
    async fn start() -> Self {
        let registries = ["c1", "c2"].map(|id| registry_of(id).0);
        let cables = ["one:1", "two:1"].map(|address| Cable::to("db-1", address));
        for (cable, registry) in cables.iter().zip(&registries) {
            cable.plug(registry, no_gate());
        }
        let dials = cables.iter().map(|cable| Arc::new(cable.clone()) as Arc<dyn Dial>).collect();
        let running = run_agent_with(greeting("db-1"), PlayedHost::default(), dials, None);
        let two = Self { registries, cables, running };
        until("both have it", || two.registries.iter().all(|registry| registry.connected() == 1)).await;
        two
    }

    fn agent(&self, controller: usize) -> RemoteAgent {
        RemoteAgent::new(Arc::clone(&self.registries[controller]), "db-1")
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_lives_and_dies_with_the_controller_that_asked_for_it() {
    let two = Two::start().await;
    let (mine, theirs) = (request(1, LONG), request(2, LONG));
    two.agent(0).inject(mine.clone()).await.unwrap();
    two.agent(1).inject(theirs.clone()).await.unwrap();
    let mut events = two.registries[0].subscribe();
    two.cables[1].pull();
    let pulled = Instant::now();
    until("the fault of the lost one is gone", || !two.running.host.holds(&theirs.id)).await;
    let after = pulled.elapsed().as_secs_f64();
    assert!((9.9..=15.1).contains(&after), "undone after {after} s");
    sleep(Duration::from_secs(120)).await;
    assert!(two.running.host.holds(&mine.id), "losing another controller changes nothing");
    assert_eq!(two.agent(0).must_stop(), None);
    let undone =
        |event: &FleetEvent| matches!(event, FleetEvent::UndoneAlone { fault, .. } if *fault == theirs.id.to_string());
    assert!(std::iter::from_fn(|| events.try_recv().ok()).any(|event| undone(&event)), "the other hears of it too");
    let mut events = two.registries[1].subscribe();
    two.cables[1].plug(&two.registries[1], no_gate());
    until("it is back", || two.registries[1].connected() == 1).await;
    sleep(Duration::from_secs(1)).await;
    assert!(std::iter::from_fn(|| events.try_recv().ok()).any(|event| undone(&event)), "and the one that was away");
    assert_eq!(two.running.host.injections(&mine.id), 1);
}

#[tokio::test(start_paused = true)]
async fn any_controller_may_undo_and_a_fault_that_is_undone_does_not_come_back() {
    let two = Two::start().await;
    let wanted = request(1, LONG);
    two.agent(0).inject(wanted.clone()).await.unwrap();
    assert!(two.agent(1).evidence(wanted.id.clone()).await.is_ok());
    let seen = || two.registries[1].view("db-1").unwrap().status.active.len();
    until("the other sees it in place", || seen() == 1).await;
    // The first is killed; the other takes its run over.
    two.cables[0].pull();
    let undone = two.agent(1).undo(wanted.id.clone()).await;
    assert!(undone.verified && undone.steps.len() == 1, "{undone:?}");
    assert!(!two.running.host.holds(&wanted.id));
    two.cables[0].plug(&two.registries[0], no_gate());
    let refused = two.agent(0).inject(wanted.clone()).await.unwrap_err();
    assert!(refused.reason.contains("its undo was asked for already"), "{refused}");
    assert_eq!(two.agent(0).undo(wanted.id).await, undone, "it is answered what was done");
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_another_has_is_not_lengthened_by_asking_for_it_again() {
    let two = Two::start().await;
    let wanted = request(1, LONG);
    two.agent(0).inject(wanted.clone()).await.unwrap();
    two.agent(1).inject(wanted.clone()).await.unwrap();
    two.cables[0].pull();
    sleep(Duration::from_secs(16)).await;
    assert!(!two.running.host.holds(&wanted.id));
    assert_eq!(two.running.host.injections(&wanted.id), 1);
}

#[tokio::test(start_paused = true)]
async fn a_halt_by_one_undoes_what_all_have_and_the_end_is_said_to_all() {
    let two = Two::start().await;
    two.agent(0).inject(request(1, LONG)).await.unwrap();
    two.agent(1).inject(request(2, LONG)).await.unwrap();
    let halted = halt::halt(&two.registries[1], "enough", Duration::from_secs(5)).await;
    assert!(halted.is_clean() && halted.hosts[0].undone.len() == 2, "{halted:?}");
    assert!(two.running.host.state().in_place.is_empty());
    until("the other sees that it is halted", || two.agent(0).must_stop().is_some()).await;
    let refused = two.agent(0).inject(request(3, LONG)).await.unwrap_err();
    assert!(refused.reason.contains("halted"), "{refused}");
    halt::release(&two.registries[1], Duration::from_secs(5)).await;
    two.agent(0).inject(request(4, LONG)).await.unwrap();
    let mut events = two.registries.each_ref().map(|registry| registry.subscribe());
    let ended = two.running.end("SIGTERM").await;
    assert!(ended.status.is_clean(), "{ended:?}");
    for events in &mut events {
        sleep(Duration::from_millis(10)).await;
        let told: Vec<FleetEvent> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        let left = told.iter().position(|event| matches!(event, FleetEvent::Left { .. }));
        let undone = told.iter().position(|event| matches!(event, FleetEvent::UndoneAlone { .. }));
        assert!(undone.is_some() && undone < left, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_is_known_by_two_addresses_has_one_session() {
    let (registry, _sweep) = registry_of("c1");
    let cables = ["name:1", "10.0.0.1:1"].map(|address| Cable::to("db-1", address));
    let dials = cables.iter().map(|cable| Arc::new(cable.clone()) as Arc<dyn Dial>).collect();
    cables.iter().for_each(|cable| cable.plug(&registry, no_gate()));
    let running = run_agent_with(greeting("db-1"), PlayedHost::default(), dials, None);
    until("it is there", || registry.connected() == 1).await;
    RemoteAgent::new(Arc::clone(&registry), "db-1").inject(request(1, LONG)).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    let mut events = registry.subscribe();
    sleep(Duration::from_secs(300)).await;
    let told: Vec<FleetEvent> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    assert_eq!(told, [], "neither takes the other's place again and again");
    assert!(running.host.holds(&request(1, LONG).id));
    // Whichever is used now is lost; the other takes over within the lease.
    cables[0].pull();
    sleep(Duration::from_secs(5)).await;
    cables[0].plug(&registry, no_gate());
    cables[1].pull();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(registry.connected(), 1);
    assert!(running.host.holds(&request(1, LONG).id), "it is the same controller");
}

#[tokio::test(start_paused = true)]
async fn a_halt_of_which_a_controller_does_not_know_yet_is_not_taken_back_by_it() {
    let two = Two::start().await;
    halt::halt(&two.registries[0], "enough", Duration::from_secs(5)).await;
    // The other one has not looked into the store yet when the host comes back to it.
    let rejoin = async || {
        two.cables[1].pull();
        sleep(Duration::from_secs(1)).await;
        two.cables[1].plug(&two.registries[1], no_gate());
        until("it is back", || two.registries[1].connected() == 1).await;
    };
    rejoin().await;
    sleep(Duration::from_secs(2)).await;
    two.registries[1].set_halted(Some("enough".into()));
    sleep(Duration::from_secs(30)).await;
    assert!(two.running.host.state().halted.is_some());
    // One that was away when the halt was taken back is rid of it.
    two.registries.iter().for_each(|registry| registry.set_halted(None));
    rejoin().await;
    until("it is released", || two.running.host.state().halted.is_none()).await;
}

/// A certificate that is due until it was renewed once.
struct Due(Mutex<(bool, usize)>);

impl Renewal for Due {
    fn due(&self, at_once: bool) -> Option<String> {
        (at_once || self.0.lock().unwrap().0).then(|| "request".to_owned())
    }

    fn accept(&self, certificate_chain: &str, _: &str) -> Result<(), String> {
        assert_eq!(certificate_chain, "for db-1");
        let mut state = self.0.lock().unwrap();
        *state = (false, state.1 + 1);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_certificate_is_renewed_once_for_all_sessions_and_each_is_dialled_anew() {
    let registries = ["c1", "c2"].map(|id| registry_of(id).0);
    let cables = ["one:1", "two:1"].map(|address| Cable::to("db-1", address));
    cables.iter().zip(&registries).for_each(|(cable, registry)| cable.plug(registry, no_gate()));
    let due = Arc::new(Due(Mutex::new((false, 0))));
    let options = AgentOptions {
        host: Arc::new(PlayedHost::default()),
        dials: cables.iter().map(|cable| Arc::new(cable.clone()) as Arc<dyn Dial>).collect(),
        directory: None,
        clock: PlayedClock::start(),
        greeting: greeting("db-1"),
        seed: 1,
        notifier: Notifier::default(),
        renewal: Some(due.clone()),
    };
    let (_stop, stopped) = watch::channel(None);
    let _running = tokio::spawn(faultline_agent::session::run(options, stopped));
    until("both have it", || registries.iter().all(|registry| registry.connected() == 1)).await;
    let mut events = registries.each_ref().map(|registry| registry.subscribe());
    due.0.lock().unwrap().0 = true;
    sleep(Duration::from_secs(200)).await;
    assert_eq!(*due.0.lock().unwrap(), (false, 1));
    for (events, registry) in events.iter_mut().zip(&registries) {
        let told: Vec<FleetEvent> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        let back = told.iter().filter(|event| matches!(event, FleetEvent::Rejoined { .. })).count();
        assert_eq!((back, registry.connected()), (1, 1), "{told:?}");
    }
    // Ordered by one of them, before it is due: once, however often it is ordered over one connection.
    assert_eq!(registries[0].order_renewal(&["db-1".into(), "db-9".into()]), 1);
    assert_eq!(registries[0].order_renewal(&["db-1".into()]), 0);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(*due.0.lock().unwrap(), (false, 2));
    assert_eq!(registries[0].order_renewal(&["db-1".into()]), 1, "over the new connection");
    sleep(Duration::from_secs(100)).await;
    assert_eq!((due.0.lock().unwrap().1, registries.each_ref().map(|registry| registry.connected())), (3, [1, 1]));
}

/// A directory in which only these can be dialled, and what was to be remembered.
#[derive(Clone, Default)]
struct Listed {
    cables: Vec<Cable>,
    remembered: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Directory for Listed {
    fn known(&self) -> Vec<Arc<dyn Dial>> {
        Vec::new()
    }

    fn dial(&self, address: &str) -> Option<Arc<dyn Dial>> {
        let cable = self.cables.iter().find(|cable| cable.peer() == address)?;
        Some(Arc::new(cable.clone()))
    }

    fn remember(&self, addresses: &[String]) {
        self.remembered.lock().unwrap().push(addresses.to_vec());
    }
}

#[tokio::test(start_paused = true)]
async fn one_controller_is_enough_to_find_the_others_and_those_that_are_no_more_are_given_up() {
    let registries = ["c1", "c2", "c3"].map(|id| registry_of(id).0);
    let cables = ["one:1", "two:1", "three:1"].map(|address| Cable::to("db-1", address));
    for (cable, registry) in cables.iter().zip(&registries) {
        cable.plug(registry, no_gate());
    }
    registries[0].set_others(vec!["two:1".into(), "no address".into()]);
    let directory = Listed { cables: cables.to_vec(), ..Listed::default() };
    let listed = Arc::new(directory.clone());
    let first: Arc<dyn Dial> = Arc::new(cables[0].clone());
    let running = run_agent_with(greeting("db-1"), PlayedHost::default(), vec![first], Some(listed));
    until("the second has it", || registries[1].connected() == 1).await;
    assert_eq!(registries[2].connected(), 0);
    // One that comes later is told of with the answer to a heartbeat.
    registries[0].set_others(vec!["two:1".into(), "three:1".into()]);
    until("the third has it", || registries[2].connected() == 1).await;
    // It is no more, and is not dialled for ever.
    cables[2].pull();
    registries[0].set_others(vec!["two:1".into()]);
    sleep(Duration::from_secs(60)).await;
    cables[2].plug(&registries[2], no_gate());
    sleep(Duration::from_secs(120)).await;
    assert_eq!(registries.each_ref().map(|registry| registry.connected()), [1, 1, 0]);
    assert_eq!(directory.remembered.lock().unwrap().last().unwrap(), &["two:1"]);
    running.end("over").await;
}

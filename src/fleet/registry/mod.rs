//! Who is connected: every host that has dialled, with its labels and status, and the line to it.
//!
//! Invariants:
//! - one live line a name, at this controller; a second takes its place only if it is newer, and the first is told why it ends;
//! - who a host is comes from its certificate; a host that claims another name is refused;
//! - so do the labels by which it is decided who may act on it: what a host says of itself adds to them, and never
//!   changes one;
//! - this room keeps nothing on disk and knows no store: who wants to, subscribes to its events.

mod beats;
mod greet;
mod halts;
mod heard;
mod labels;
mod line;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faultline_agent::identity::FaultId;
use faultline_agent::lease::LEASE;
use faultline_agent::node::NodeStatus;
use faultline_agent::session::limits::SILENCE;
use faultline_agent::session::wire::Others;
use jiff::Timestamp;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::Presence;
use crate::fleet;
use crate::targets::hosts::HostLife;
pub use beats::{Beats, Tally};
pub(crate) use greet::Greeted;
use labels::Labelled;
pub(crate) use line::{Line, NoAnswer, Outgoing};
pub use view::{FleetEvent, HostView, Mark, Peer};

/// So many events may be unread by a subscriber before it misses some.
const EVENTS: usize = 16 * 1024;

/// How often it is looked who is silent.
const SWEEP: Duration = Duration::from_secs(1);

/// All hosts of a controller.
#[derive(Debug)]
pub struct Registry {
    hosts: Mutex<BTreeMap<String, Host>>,
    events: broadcast::Sender<FleetEvent>,
    /// Raised whenever a host joins, so that who waits for one looks again.
    joined: watch::Sender<u64>,
    halted: watch::Sender<Option<String>>,
    /// How many orders to halt are being carried out.
    ordering: AtomicUsize,
    lines: AtomicU64,
    beats: Beats,
    /// This controller's id, by which agents tell it from others.
    controller: String,
    /// The other controllers, as its agents are told, and how many lists there were before this one.
    others: Mutex<(u64, Option<Vec<String>>)>,
}

#[derive(Debug)]
struct Host {
    labels: Labelled,
    program: String,
    address: String,
    serial: String,
    valid_until: Timestamp,
    boot_id: String,
    process_began: u64,
    session: u64,
    heard: Instant,
    status: NodeStatus,
    /// How many statuses it has said over its line.
    statuses: u64,
    /// What it undid without being asked, the newest last.
    alone: VecDeque<(FaultId, fleet::UndoneAlone)>,
    line: Option<Arc<Line>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            hosts: Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
            joined: watch::Sender::new(0),
            halted: watch::Sender::new(None),
            ordering: AtomicUsize::new(0),
            lines: AtomicU64::new(1),
            beats: Beats::default(),
            controller: String::new(),
            others: Mutex::default(),
        }
    }
}

impl Registry {
    /// That of a controller with an id, which is the same after a restart: the leases of faults on its hosts are its.
    pub fn of(controller: impl Into<String>) -> Self {
        Self { controller: controller.into(), ..Self::default() }
    }

    /// The ports for agents of the other controllers are these from now on; all agents are told within a heartbeat.
    pub fn set_others(&self, agents: Vec<String>) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.1.as_ref() != Some(&agents) {
            *others = (others.0 + 1, Some(agents));
        }
    }

    /// The other controllers, if the agent at the end of this line was told another list last; from now on it knows.
    pub(crate) fn others_for(&self, line: &Line) -> Option<Others> {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let told = line.others_told.swap(others.0, Ordering::Relaxed);
        if told == others.0 { None } else { others.1.clone().map(|agents| Others { agents }) }
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every host that was seen in the life of this controller, by name.
    pub fn views(&self) -> Vec<HostView> {
        self.hosts().iter().map(|(name, host)| host.view(name)).collect()
    }

    /// The hosts of which something is to be known: those that have another connection, or have said another status, than
    /// when they had the mark that is known of them, and those that are not connected any more. Each with its mark now.
    pub fn changed_since(&self, known: impl Fn(&str) -> Option<Mark>) -> Vec<(HostView, Option<Mark>)> {
        let hosts = self.hosts();
        let marks = hosts.iter().map(|(name, host)| (name, host, host.mark()));
        let changed = marks.filter(|(name, _, mark)| known(name) != *mark);
        changed.map(|(name, host, mark)| (host.view(name), mark)).collect()
    }

    /// One host.
    pub fn view(&self, name: &str) -> Option<HostView> {
        self.hosts().get(name).map(|host| host.view(name))
    }

    /// How many are connected.
    pub fn connected(&self) -> usize {
        self.hosts().values().filter(|host| host.line.is_some()).count()
    }

    /// What happens from now on. Whoever reads too slowly is told that it missed some, and looks at [`views`](Self::views).
    pub fn subscribe(&self) -> broadcast::Receiver<FleetEvent> {
        self.events.subscribe()
    }

    /// Ends the session of a host, which dials again only if it may.
    pub fn end(&self, name: &str, reason: &str, come_back: bool) {
        let line = self.hosts().get_mut(name).and_then(|host| host.line.take());
        if let Some(line) = line {
            line.end(reason, come_back);
            self.tell(FleetEvent::Vanished { host: name.to_owned(), because: reason.to_owned() });
        }
    }

    /// Ends every session whose peer is not admitted any more, for the reason that is answered: revoked, or expired.
    pub fn end_refused(&self, admits: impl Fn(&Peer) -> Result<(), String>) {
        let hosts = self.hosts();
        let connected = hosts.iter().filter(|(_, host)| host.line.is_some());
        let peers: Vec<Peer> = connected.map(|(name, host)| host.peer(name)).collect();
        drop(hosts);
        for peer in peers {
            if let Err(reason) = admits(&peer) {
                self.end(&peer.name, &reason, false);
            }
        }
    }

    /// Tells those of these hosts that are connected to renew their certificates now; how many had not been told yet.
    pub fn order_renewal(&self, hosts: &[String]) -> usize {
        hosts.iter().filter(|host| self.line(host).is_some_and(|line| line.order_renewal())).count()
    }

    /// Ends all sessions: the controller stops, and asks the agents to come back.
    pub fn end_all(&self, reason: &str) {
        for host in self.hosts().values_mut() {
            if let Some(line) = host.line.take() {
                line.end(reason, true);
            }
        }
    }

    /// Looks for hosts that have fallen silent until it is dropped: one timer for all of them.
    pub async fn sweep(&self) {
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let hosts = self.hosts();
            let silent = hosts.iter().filter(|(_, host)| host.line.is_some() && now - host.heard > SILENCE);
            let silent: Vec<String> = silent.map(|(name, _)| name.clone()).collect();
            drop(hosts);
            for name in silent {
                self.end(&name, &format!("nothing was heard of it for {} s", SILENCE.as_secs()), true);
            }
        }
    }

    /// The line to a host, if it is connected.
    pub(crate) fn line(&self, name: &str) -> Option<Arc<Line>> {
        self.hosts().get(name).and_then(|host| host.line.clone())
    }

    /// The lines to all hosts that are connected, and the names of those that are not.
    pub(crate) fn lines(&self) -> (Vec<(String, Arc<Line>)>, Vec<String>) {
        let mut gone = Vec::new();
        let hosts = self.hosts();
        let lines = hosts.iter().filter_map(|(name, host)| match &host.line {
            Some(line) => Some((name.clone(), Arc::clone(line))),
            None => {
                gone.push(name.clone());
                None
            }
        });
        (lines.collect(), gone)
    }

    /// The line to a host as soon as it is connected.
    pub(crate) async fn line_soon(&self, name: &str) -> Arc<Line> {
        let mut joined = self.joined.subscribe();
        loop {
            joined.mark_unchanged();
            if let Some(line) = self.line(name) {
                return line;
            }
            if joined.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// How long ago a host was heard.
    pub(crate) fn silent_for(&self, name: &str) -> Option<Duration> {
        self.hosts().get(name).map(|host| host.heard.elapsed())
    }

    /// Whether a host is there, if it ever was.
    pub(crate) fn presence(&self, name: &str) -> Option<Presence> {
        let hosts = self.hosts();
        let host = hosts.get(name)?;
        let silent = Some(host.heard.elapsed()).filter(|silent| host.line.is_none() && *silent > LEASE);
        Some(Presence { life: HostLife { boot: host.boot_id.clone(), process: host.process_began }, silent })
    }

    /// What a host said of a fault that it undid without being asked.
    pub(crate) fn undone_alone(&self, name: &str, fault: &FaultId) -> Option<fleet::UndoneAlone> {
        let hosts = self.hosts();
        hosts.get(name)?.alone.iter().rev().find(|(known, _)| known == fault).map(|(_, alone)| alone.clone())
    }

    fn tell(&self, event: FleetEvent) {
        // Nobody may listen.
        let _ = self.events.send(event);
    }

    fn number(&self) -> u64 {
        self.lines.fetch_add(1, Ordering::Relaxed)
    }
}

impl Host {
    fn has(&self, line: &Arc<Line>) -> bool {
        self.line.as_ref().is_some_and(|own| own.number == line.number)
    }

    fn mark(&self) -> Option<Mark> {
        self.line.as_ref().map(|line| Mark { line: line.number, statuses: self.statuses })
    }

    fn peer(&self, name: &str) -> Peer {
        Peer {
            name: name.to_owned(),
            serial: self.serial.clone(),
            valid_until: self.valid_until,
            labels: self.labels.bound.clone(),
        }
    }

    fn view(&self, name: &str) -> HostView {
        let ago = jiff::SignedDuration::try_from(self.heard.elapsed()).unwrap_or_default();
        HostView {
            name: name.to_owned(),
            labels: self.labels.all.clone(),
            bound: self.labels.bound.clone(),
            contradicted: self.labels.contradicted.clone(),
            program: self.program.clone(),
            address: self.address.clone(),
            serial: self.serial.clone(),
            valid_until: self.valid_until,
            boot_id: self.boot_id.clone(),
            connected: self.line.is_some(),
            last_heard: Timestamp::now().saturating_sub(ago).unwrap_or_default(),
            status: self.status.clone(),
        }
    }
}

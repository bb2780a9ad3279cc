use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::distribution;
use super::options::Parameters;
use super::probe::Probe;
use super::tree::Tree;
use crate::kernel::raw_netlink::{RawNetlink, attribute};
use crate::kernel::{Hold, KernelError, namespace};
use crate::plan::step::Netem;
use crate::plan::{Bite, Evidence, Measurement};

/// What the probe saw so far.
#[derive(Debug, Default)]
struct Seen {
    held: Vec<Duration>,
    /// How many frames were sent, so that they are not taken for the traffic that is meant.
    sent: u64,
}

/// Times frames through a netem while its fault is active. Only measures: dropping it changes nothing.
#[derive(Debug)]
pub(crate) struct Measuring {
    step: Netem,
    seen: Arc<Mutex<Seen>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Measuring {
    /// Starts timing. An interface that carries no Ethernet frames is not timed, only counted.
    pub(crate) fn start(step: Netem) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (stop, stopped) = channel::<()>();
        let (inside, shared) = (step.clone(), Arc::clone(&seen));
        let thread = std::thread::Builder::new().name("netem-probe".into()).spawn(move || {
            let namespace = inside.namespace.clone();
            let timed = namespace::within(&namespace, move || time_frames(&inside, &shared, &stopped));
            if let Err(error) | Ok(Err(error)) = timed {
                tracing::debug!(%error, "the delay of netem is not measured");
            }
        });
        Self { step, seen, stop: Some(stop), thread: thread.ok() }
    }
}

impl Hold for Measuring {
    fn evidence(&self) -> Evidence {
        let seen = || match self.seen.lock() {
            Ok(seen) => (seen.held.clone(), seen.sent),
            Err(_) => (Vec::new(), 0),
        };
        namespace::within(&self.step.namespace, || evidence(&self.step, seen))
            .and_then(|result| result)
            .unwrap_or_else(|error| Evidence::new(Bite::No(error.to_string()), Vec::new()))
    }
}

impl Drop for Measuring {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked measured nothing more; there is nothing to do about it here.
            let _ = thread.join();
        }
    }
}

/// Sends a frame now and then until told to stop: often at first, so that a short fault has numbers too.
fn time_frames(step: &Netem, seen: &Mutex<Seen>, stopped: &Receiver<()>) -> Result<(), KernelError> {
    const OFTEN: Duration = Duration::from_millis(100);
    const SELDOM: Duration = Duration::from_secs(1);
    /// The newest frames, of which the median is told.
    const KEPT: usize = 1000;
    let interface = step.index()?;
    let Some(address) = ethernet_address(step, interface)? else { return Ok(()) };
    let class = step.chosen_only.then(|| step.class());
    let mut probe = Probe::open(interface, &address, class).map_err(|error| {
        KernelError::new(step.object(), "socket(AF_PACKET)", error).hint("timing needs CAP_NET_RAW")
    })?;
    let begun = Instant::now();
    loop {
        // With a second netem on its way the frame loses its times (`skb_orphan_partial` of the kernel), and what it
        // then took would not be ours alone. A full queue or an interface that is down loses it altogether.
        if is_alone(step, interface)? {
            // Counted before it is sent: whoever finds it among netem's packets finds it here too.
            count(seen, |sent| sent + 1);
            if probe.send().is_err() {
                count(seen, |sent| sent - 1);
            }
        }
        let pause = if begun.elapsed() < Duration::from_secs(5) { OFTEN } else { SELDOM };
        let told = stopped.recv_timeout(pause);
        let held = probe.collect();
        if let Ok(mut seen) = seen.lock() {
            seen.held.extend(held);
            let surplus = seen.held.len().saturating_sub(KEPT);
            seen.held.drain(..surplus);
        }
        if told != Err(RecvTimeoutError::Timeout) {
            return Ok(());
        }
    }
}

fn count(seen: &Mutex<Seen>, change: impl FnOnce(u64) -> u64) {
    if let Ok(mut seen) = seen.lock() {
        seen.sent = change(seen.sent);
    }
}

/// The hardware address of an interface that carries Ethernet frames.
fn ethernet_address(step: &Netem, interface: u32) -> Result<Option<Vec<u8>>, KernelError> {
    const GET_LINK: u16 = 18;
    const ADDRESS: u16 = 1;
    const HEADER: usize = 16;
    const ETHERNET: u16 = 1;
    const LOOPBACK: u16 = 772;
    let links = step.netlink()?.dump(GET_LINK, &[0; HEADER]).map_err(step.failed("RTM_GETLINK"))?;
    Ok(links.iter().find_map(|link| {
        let kind = u16::from_ne_bytes(*link.payload.get(2..)?.first_chunk()?);
        let index = u32::from_ne_bytes(*link.payload.get(4..)?.first_chunk()?);
        let carries_frames = kind == ETHERNET || kind == LOOPBACK;
        (index == interface && carries_frames)
            .then(|| attribute(&link.payload[HEADER..], ADDRESS).map(<[u8]>::to_vec))?
    }))
}

/// What a netem does, as the kernel lists it, with the times of frames that went through it and how many were sent.
pub(crate) fn evidence(step: &Netem, seen: impl FnOnce() -> (Vec<Duration>, u64)) -> Result<Evidence, KernelError> {
    let interface = step.index()?;
    let mut netlink: RawNetlink = step.netlink()?;
    let tree = Tree::read(&mut netlink, interface).map_err(step.failed("RTM_GETQDISC"))?;
    // Only now, so that no frame of ours is in the one and not in the other, and taken for the traffic that is meant.
    let (held, sent) = seen();
    let hold = &step.hold;
    let asked = milliseconds(hold.delay.duration())
        + distribution::median(hold.distribution) * milliseconds(hold.jitter.duration());
    let Some((netem, parameters)) = tree.netem(step.handle()) else { return Ok(not_there(step)) };
    let mut measurements = Vec::new();
    let delay = median(&held).map(milliseconds);
    measurements.push(match delay {
        Some(delay) => {
            let by = format!("median of {} frames, timed by the kernel before and behind the qdiscs", held.len());
            measurement("delay", Some(asked), delay, "ms", by)
        }
        None => {
            let by = "netem's parameters as the kernel lists them; frames were not timed".into();
            let listed = milliseconds(Duration::from_nanos(parameters.delay));
            measurement("delay", Some(milliseconds(hold.delay.duration())), listed, "ms", by)
        }
    });
    // The counter knows those that have left; those still in there are delayed no less.
    let packets = (netem.packets + u64::from(netem.held)).saturating_sub(sent);
    measurements.push(measurement("packets delayed", None, lossy(packets), "packets", "counter of netem".into()));
    if netem.dropped > 0 {
        let by = format!("counter of netem: more than {} packets at once", step.limit);
        measurements.push(measurement("packets dropped", Some(0.0), f64::from(netem.dropped), "packets", by));
    }
    let bite = if *parameters != step.wanted() {
        changed(step, parameters)
    } else if delay.is_some_and(|delay| delay < asked / 2.0) && step.hold.jitter.is_zero() {
        Bite::No(format!("frames pass {} after {:.3} ms", step.interface, delay.unwrap_or_default()))
    } else if packets == 0 {
        let chosen = if step.chosen_only { "chosen " } else { "" };
        Bite::NotYet(format!("no {chosen}packet has left by {} so far", step.interface))
    } else {
        Bite::Yes
    };
    Ok(Evidence::new(bite, measurements))
}

/// Whether a netem is there as it was made, for one of which somebody else tells what passes it.
pub(crate) fn in_place(step: &Netem) -> Result<Evidence, KernelError> {
    let tree = Tree::read(&mut step.netlink()?, step.index()?).map_err(step.failed("RTM_GETQDISC"))?;
    Ok(match tree.netem(step.handle()) {
        None => not_there(step),
        Some((_, parameters)) if *parameters != step.wanted() => Evidence::new(changed(step, parameters), Vec::new()),
        Some(_) => Evidence::new(Bite::Yes, Vec::new()),
    })
}

fn not_there(step: &Netem) -> Evidence {
    let bite = Bite::No(format!("netem {:x}: is not on {} any more", step.handle, step.interface));
    Evidence::new(bite, Vec::new())
}

fn changed(step: &Netem, parameters: &Parameters) -> Bite {
    Bite::No(format!("netem {:x}: was changed by somebody to {parameters}", step.handle))
}

/// Whether no other netem of the chain delays anything.
fn is_alone(step: &Netem, interface: u32) -> Result<bool, KernelError> {
    let tree = Tree::read(&mut step.netlink()?, interface).map_err(step.failed("RTM_GETQDISC"))?;
    Ok(tree.chain.iter().all(|(netem, parameters)| netem.handle == step.handle() || parameters.is_idle()))
}

fn median(held: &[Duration]) -> Option<Duration> {
    let mut sorted = held.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[allow(clippy::cast_precision_loss, reason = "counts of packets stay far below 2^53")]
fn lossy(count: u64) -> f64 {
    count as f64
}

fn measurement(name: &str, asked: Option<f64>, measured: f64, unit: &str, by: String) -> Measurement {
    Measurement { name: name.into(), asked, measured, unit: unit.into(), by }
}

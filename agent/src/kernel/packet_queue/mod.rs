//! The userspace queue: a table of ours hands packets to a thread of this process, which holds each for a while.
//!
//! Everything hangs on two sockets of this process. When they close, whatever closed them, the kernel removes the
//! table, and rules that point to a queue without a listener let packets pass (bypass).

mod sampler;
mod schedule;
pub(crate) mod socket;
mod turn;
mod worker;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::sampler::{Sampler, asked_median};
use self::socket::{Copy, QueueSocket};
use self::worker::{Control, Statistics};
use super::packet_table::{Decision, PacketTable, TableStep};
use super::{Hold, KernelError, namespace};
use crate::identity::NetworkNamespace;
use crate::plan::step::{HoldTime, PacketQueue, PacketSelection};
use crate::plan::{Bite, Evidence, Measurement};

impl TableStep for PacketQueue {
    const OWNER_ALONE: &'static str = "measures what it holds";

    fn table(&self) -> &str {
        &self.table
    }

    fn selection(&self) -> &PacketSelection {
        &self.selection
    }

    fn enforce(&self) -> Result<Box<dyn Hold>, KernelError> {
        let object = format!("queue {} in {}", self.queue, self.selection.namespace);
        let sampler = Sampler::new(&self.hold);
        let copy = if sampler.varies() { Copy::Headers } else { Copy::Nothing };
        let opened = namespace::within(&self.selection.namespace, || {
            QueueSocket::open(self.queue, copy).map(|socket| (socket, namespace::inode_of_this_thread()))
        })?;
        let (socket, inode) = opened.map_err(|refusal| {
            KernelError::new(&object, "NFQNL_CFG_CMD_BIND", refusal)
                .hint("/proc/net/netfilter/nfnetlink_queue lists who listens on which queue")
        })?;
        let failed = |error: std::io::Error| KernelError::new(&object, "thread", error);
        let control = Arc::new(Control::new().map_err(failed)?);
        let worker = Arc::clone(&control);
        let thread = std::thread::Builder::new()
            .name(format!("queue-{}", self.queue))
            .spawn(move || worker::run(socket, sampler, &worker))
            .map_err(failed)?;
        let listener = Listener { control, thread: Some(thread) };
        enrol(inode?, &listener.control);
        // The rules come last: from the first packet on somebody listens.
        let decision = Decision::Queue { number: self.queue, tcp: self.tcp };
        let table = PacketTable::create(&self.table, &self.selection, decision)?;
        Ok(Box::new(Queue { hold: self.hold, table, listener }))
    }
}

/// The thread that holds packets; dropping it lets all of them go.
#[derive(Debug)]
struct Listener {
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.control.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A latency in force.
#[derive(Debug)]
struct Queue {
    hold: HoldTime,
    table: PacketTable,
    listener: Listener,
}

impl Drop for Queue {
    fn drop(&mut self) {
        // First no new packets, then those that are held (they must not be there when the chains go), then the table.
        let _ = self.table.stop_selecting();
        self.listener.control.stop();
        if let Some(thread) = self.listener.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Hold for Queue {
    fn evidence(&self) -> Evidence {
        let matched = match self.table.counted() {
            Ok(counted) => counted.packets,
            Err(error) => {
                return Evidence::new(Bite::No(format!("the rules cannot be read: {error}")), Vec::new());
            }
        };
        let statistics = self.settled(matched);
        let bite = match (&statistics.failure, statistics.released, matched) {
            (Some(failure), ..) => Bite::No(format!("packets are not held any more: {failure}")),
            (None, 0, 0) => self.table.not_met(),
            (None, 0, _) => Bite::NotYet("the first packets are still being held".into()),
            _ => Bite::Yes,
        };
        Evidence::new(bite, self.measurements(matched, &statistics))
    }
}

impl Queue {
    /// The statistics, once the thread has taken what the rules had counted, or did not in time.
    fn settled(&self, matched: u64) -> Statistics {
        let patience = Instant::now() + Duration::from_millis(5);
        loop {
            let statistics = self.listener.control.statistics();
            if statistics.received >= matched || Instant::now() > patience {
                return statistics;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn measurements(&self, matched: u64, statistics: &Statistics) -> Vec<Measurement> {
        let mut times = statistics.times.clone();
        times.sort_unstable();
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let quantile = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
        let mut measurements = Vec::new();
        if let (Some(median), Some(late)) = (quantile(50), quantile(99)) {
            let by = |which: &str| format!("{which} hold of {} packets", times.len());
            let of = |name: &str, asked, measured: &Duration, which: &str| Measurement {
                name: name.into(),
                asked,
                measured: milliseconds(*measured),
                unit: "ms".into(),
                by: by(which),
            };
            measurements.push(of("delay", Some(asked_median(&self.hold) * 1000.0), median, "median"));
            measurements.push(of("delay p99", None, late, "99th percentile of the"));
        }
        #[expect(clippy::cast_precision_loss, reason = "nobody counts packets beyond 2^53")]
        let mut count = |name: &str, number: u64, by: &str| {
            measurements.push(Measurement {
                name: name.into(),
                asked: None,
                measured: number as f64,
                unit: "packets".into(),
                by: by.into(),
            });
        };
        count("packets held", statistics.released, "let go after their time");
        let unheld = matched.saturating_sub(statistics.received);
        if unheld > 0 {
            count("packets passed unheld", unheld, "the queue was full");
        }
        if statistics.early > 0 {
            count("packets let go early", statistics.early, "while other rules of the namespace were removed");
        }
        measurements
    }
}

/// Those who hold packets in this process, by the inode number of their network namespace.
static LISTENERS: Mutex<Vec<(u64, Weak<Control>)>> = Mutex::new(Vec::new());

fn enrol(inode: u64, control: &Arc<Control>) {
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.retain(|(_, listener)| listener.strong_count() > 0);
    listeners.push((inode, Arc::downgrade(control)));
}

/// Until this is dropped, the queues of one namespace hold nothing.
#[derive(Debug)]
pub(crate) struct Paused(Vec<Arc<Control>>);

/// Lets all queues of a namespace let go of what they hold: the kernel would drop it when a chain there is removed.
pub(crate) fn pause_others(network: &NetworkNamespace) -> Paused {
    let inode = match network {
        NetworkNamespace::Path { inode, .. } => Some(*inode),
        NetworkNamespace::Own => namespace::inode_of_this_thread().ok(),
    };
    let listeners: Vec<_> = {
        let listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().filter(|(of, _)| Some(*of) == inode).filter_map(|(_, listener)| listener.upgrade()).collect()
    };
    for listener in &listeners {
        listener.pause();
    }
    Paused(listeners)
}

impl Drop for Paused {
    fn drop(&mut self) {
        for listener in &self.0 {
            listener.resume();
        }
    }
}

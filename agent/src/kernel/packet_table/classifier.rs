//! The thread that keeps the sockets of processes current in a table.
//!
//! Looking ten times a second would miss short connections, so the packets that open one (TCP SYN, the first of a new
//! UDP socket) are handed to this thread: it looks at the sockets, and lets the packet meet the rules once more if it
//! turned out to be ours. Packets of others go on after that look, some hundred microseconds later.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;

use super::Shared;
use super::sockets::{SocketElements, SocketFollower};
use super::update::replace_sockets;
use crate::kernel::packet_queue::socket::{Copy, Packet, QueueSocket, Verdict};
use crate::kernel::raw_netlink::Refusal;

/// How often the sockets are looked at when nothing asks for it.
const INTERVAL: Duration = Duration::from_millis(100);

/// The queue to which packets that open a connection go.
#[derive(Debug)]
pub(super) struct Opening {
    socket: QueueSocket,
    number: u16,
}

impl Opening {
    /// Listens on a free queue in the namespace of this thread; `None` if the kernel has no queues.
    pub(super) fn listen(table: &str) -> Option<Self> {
        let start = table.bytes().fold(0u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        (0..64).find_map(|step| {
            let number = 1024 + start.wrapping_add(step) % 60_000;
            Some(Self { socket: QueueSocket::open(number, Copy::Headers).ok()?, number })
        })
    }

    /// The number of the queue.
    pub(super) fn number(&self) -> u16 {
        self.number
    }
}

/// The running thread; dropping it ends and awaits it.
#[derive(Debug)]
pub(super) struct Classifier {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Classifier {
    /// Starts to follow.
    pub(super) fn start(table: Shared, follower: SocketFollower, opening: Option<Opening>) -> io::Result<Self> {
        let stop = Arc::new(EventFd::new()?);
        let trouble = Arc::new(Mutex::new(None));
        let (stopped, said) = (Arc::clone(&stop), Arc::clone(&trouble));
        let mut work = Work { table, follower, opening };
        let thread = std::thread::Builder::new().name("sockets".into()).spawn(move || {
            let mut next = Instant::now();
            loop {
                let wait = next.saturating_duration_since(Instant::now());
                match work.wait(&stopped, wait) {
                    Wake::Stop => return work.let_all_pass(),
                    Wake::Packets => {}
                    Wake::Time => next = Instant::now() + INTERVAL,
                }
                let result = work.turn();
                *said.lock().unwrap_or_else(PoisonError::into_inner) = result.err().map(|refusal| refusal.to_string());
            }
        })?;
        Ok(Self { stop, thread: Some(thread), trouble })
    }

    /// Why the newest look failed, if it did.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Classifier {
    fn drop(&mut self) {
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Wake {
    Stop,
    Packets,
    Time,
}

struct Work {
    table: Shared,
    follower: SocketFollower,
    opening: Option<Opening>,
}

impl Work {
    fn wait(&self, stop: &EventFd, time: Duration) -> Wake {
        let mut watched = vec![PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        watched.extend(self.opening.as_ref().map(|opening| PollFd::new(opening.socket.as_fd(), PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(time.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut watched, timeout);
        if watched[0].any().unwrap_or(false) {
            return Wake::Stop;
        }
        if watched.get(1).and_then(PollFd::any).unwrap_or(false) { Wake::Packets } else { Wake::Time }
    }

    /// Lets go of what still waits: the kernel drops what a queue holds when it closes.
    fn let_all_pass(&mut self) {
        let Some(Opening { socket, .. }) = &mut self.opening else { return };
        let mut waiting = Vec::new();
        while socket.receive(|packet| waiting.push((packet.id, Verdict::Accept))).unwrap_or(false) {}
        let _ = socket.decide(waiting);
    }

    /// Looks at the sockets, and lets the packets that waited for it go on.
    fn turn(&mut self) -> Result<(), Refusal> {
        let mut waiting = Vec::new();
        if let Some(opening) = &mut self.opening {
            opening.socket.receive(|packet| waiting.push((packet.id, key_of(&packet))))?;
        }
        let looked = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            match table.as_mut() {
                Some(table) => replace_sockets(table, &mut self.follower),
                None => Ok(()),
            }
        };
        if let Some(opening) = &mut self.opening {
            let known = &self.follower.known;
            let verdicts = waiting.into_iter().map(|(id, key)| {
                let ours = key.is_some_and(|key| known.holds(&key));
                (id, if ours { Verdict::Repeat } else { Verdict::Accept })
            });
            opening.socket.decide(verdicts)?;
        }
        looked
    }
}

/// A packet's protocol, source and destination, in the notation of the sets.
fn key_of(packet: &Packet<'_>) -> Option<[Vec<u8>; 2]> {
    let bytes = packet.headers;
    let (protocol, own, peer, start) = match bytes.first()? >> 4 {
        4 => (*bytes.get(9)?, bytes.get(12..16)?, bytes.get(16..20)?, usize::from(bytes[0] & 15) * 4),
        6 => (*bytes.get(6)?, bytes.get(8..24)?, bytes.get(24..40)?, 40),
        _ => return None,
    };
    let ports: &[u8; 4] = bytes.get(start..)?.first_chunk()?;
    let protocol = [protocol, 0, 0, 0];
    let own_port = [ports[0], ports[1], 0, 0];
    let connection = [&protocol, own, &own_port, peer, &[ports[2], ports[3], 0, 0]].concat();
    Some([connection, [protocol, own_port].concat()])
}

impl SocketElements {
    /// Whether a connection, or its local port, is among them.
    fn holds(&self, [connection, local]: &[Vec<u8>; 2]) -> bool {
        use crate::kernel::nftables::object::Element;
        let connection = Element::of(connection.clone());
        self.connections_4.contains(&connection)
            || self.connections_6.contains(&connection)
            || self.listeners.contains(&Element::of(local.clone()))
    }
}

//! The listener's end of a packet queue: packets are told one message each, verdicts are sent back in batches
//! (`include/uapi/linux/netfilter/nfnetlink_queue.h`).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use crate::kernel::raw_netlink::{Attributes, NETFILTER, RawNetlink, Refusal, Request, attribute};

const SUBSYSTEM: u16 = 3;
const PACKET: u16 = 0;
const VERDICT: u16 = 1;
const CONFIG: u16 = 2;
const VERDICT_BATCH: u16 = 3;
/// Packets that a queue may hold before the kernel lets further ones pass (fail open).
pub(crate) const MOST_PACKETS: u32 = 1 << 17;
const RECEIVE_BUFFER: usize = 64 << 20;
/// Messages taken from the kernel with one system call.
const BATCH: usize = 128;
const LEAST: usize = 8;
/// Room for one message: 16 + 4 bytes of headers, some 100 of attributes, and the start of the packet.
const MESSAGE_ROOM: usize = 512;

/// How much of each packet the listener gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    /// Its number alone.
    Nothing,
    /// Its headers up to the ports, to tell connections apart.
    Headers,
}

/// A packet that waits in the kernel for its verdict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet<'a> {
    /// Its number, counted up by one with each packet of the queue.
    pub(crate) id: u32,
    /// Its first bytes, from the IP header on.
    pub(crate) headers: &'a [u8],
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on behind the rule that queued it.
    Accept = 1,
    /// It meets the chain that queued it once more.
    Repeat = 4,
}

/// A queue on which this process listens; closing it lets packets pass its rules, and drops what it still holds.
pub(crate) struct QueueSocket {
    netlink: RawNetlink,
    number: u16,
    buffers: Box<[[u8; MESSAGE_ROOM]; BATCH]>,
    outgoing: Vec<u8>,
    /// How many messages the next call makes room for: twice what the last one found.
    room: usize,
}

impl std::fmt::Debug for QueueSocket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("QueueSocket").field("number", &self.number).finish_non_exhaustive()
    }
}

impl QueueSocket {
    /// Begins to listen on a queue in the namespace of this thread.
    ///
    /// # Errors
    /// `EBUSY` if somebody listens on it already, `EPERM` without privilege.
    pub(crate) fn open(number: u16, copy: Copy) -> Result<Self, Refusal> {
        const BIND: u8 = 1;
        const COPY_META: u8 = 1;
        const COPY_PACKET: u8 = 2;
        const HEADER_BYTES: u32 = 96;
        const FAIL_OPEN: u32 = 1;
        const SEGMENTATION: u32 = 4;
        let mut netlink = RawNetlink::open(NETFILTER)?;
        let to_queue = |attributes: Attributes| Request {
            kind: SUBSYSTEM << 8 | CONFIG,
            flags: 0,
            payload: attributes.into_bytes(),
        };
        netlink.request(&to_queue(family(number).put(1, &[BIND, 0, 0, 0])))?;
        let (mode, range) = match copy {
            Copy::Nothing => (COPY_META, 0),
            Copy::Headers => (COPY_PACKET, HEADER_BYTES),
        };
        let parameters = [&range.to_be_bytes()[..], &[mode]].concat();
        // Large packets of segmentation offload stay whole: they are held, not looked at.
        let flags = (FAIL_OPEN | SEGMENTATION).to_be_bytes();
        let settings =
            family(number).put(2, &parameters).put(3, &MOST_PACKETS.to_be_bytes()).put(4, &flags).put(5, &flags);
        netlink.request(&to_queue(settings))?;
        let descriptor = netlink.descriptor();
        // Forced where allowed, else as much as the system grants (net.core.rmem_max).
        let _ = setsockopt(&descriptor, sockopt::RcvBuf, &RECEIVE_BUFFER);
        let _ = setsockopt(&descriptor, sockopt::RcvBufForce, &RECEIVE_BUFFER);
        Ok(Self { netlink, number, buffers: Box::new([[0; MESSAGE_ROOM]; BATCH]), outgoing: Vec::new(), room: LEAST })
    }

    /// The descriptor that becomes readable when packets wait.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.netlink.descriptor()
    }

    /// Takes the packets that wait, up to one batch, without blocking, and tells whether more may wait.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(Packet<'_>)) -> io::Result<bool> {
        let room = self.room;
        let mut parts: Vec<libc::iovec> = self
            .buffers
            .iter_mut()
            .take(room)
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: MESSAGE_ROOM })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = parts
            .iter_mut()
            .map(|part| {
                // SAFETY: msghdr is plain data for which all zero bytes mean "absent".
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = part;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        let descriptor = self.netlink.descriptor().as_raw_fd();
        let count = u32::try_from(headers.len()).unwrap_or(0);
        // SAFETY: each header points to one part, each part to one buffer of its length; all outlive the call, and
        // nothing else refers to them meanwhile.
        let received = unsafe {
            libc::recvmmsg(descriptor, headers.as_mut_ptr(), count, libc::MSG_DONTWAIT, std::ptr::null_mut())
        };
        let Ok(received) = usize::try_from(received) else {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(false),
                // The kernel could not tell us of packets; it let them pass, and the gap in their numbers tells.
                Some(libc::ENOBUFS) => Ok(true),
                _ => Err(error),
            };
        };
        for (buffer, header) in self.buffers.iter().zip(&headers).take(received) {
            let length = usize::try_from(header.msg_len).unwrap_or(0).min(MESSAGE_ROOM);
            if let Some(packet) = parse(&buffer[..length]) {
                each(packet);
            }
        }
        self.room = (received * 2).clamp(LEAST, BATCH);
        Ok(received == room)
    }

    /// Gives all packets up to a number their verdict, with one message.
    pub(crate) fn accept_through(&mut self, id: u32) -> io::Result<()> {
        self.outgoing.clear();
        self.put(VERDICT_BATCH, Verdict::Accept, id);
        self.send()
    }

    /// Gives single packets their verdict, in this order, with one system call.
    pub(crate) fn decide(&mut self, verdicts: impl IntoIterator<Item = (u32, Verdict)>) -> io::Result<()> {
        self.outgoing.clear();
        for (id, verdict) in verdicts {
            self.put(VERDICT, verdict, id);
        }
        if self.outgoing.is_empty() { Ok(()) } else { self.send() }
    }

    fn put(&mut self, kind: u16, verdict: Verdict, id: u32) {
        const LENGTH: u32 = 32;
        const REQUEST: u16 = 1;
        let number = self.number.to_be_bytes();
        self.outgoing.extend(LENGTH.to_ne_bytes());
        self.outgoing.extend((SUBSYSTEM << 8 | kind).to_ne_bytes());
        self.outgoing.extend(REQUEST.to_ne_bytes());
        self.outgoing.extend([0; 8]);
        self.outgoing.extend([0, 0, number[0], number[1]]);
        // NFQA_VERDICT_HDR { verdict, id }
        self.outgoing.extend(12u16.to_ne_bytes());
        self.outgoing.extend(2u16.to_ne_bytes());
        self.outgoing.extend((verdict as u32).to_be_bytes());
        self.outgoing.extend(id.to_be_bytes());
    }

    fn send(&self) -> io::Result<()> {
        let flags = nix::sys::socket::MsgFlags::empty();
        nix::sys::socket::send(self.netlink.descriptor().as_raw_fd(), &self.outgoing, flags)?;
        Ok(())
    }
}

impl AsFd for QueueSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor()
    }
}

fn family(queue: u16) -> Attributes {
    let number = queue.to_be_bytes();
    Attributes::behind(&[0, 0, number[0], number[1]])
}

/// Reads one message; `None` for anything that is not a packet, such as the answer to a verdict that came too late.
fn parse(message: &[u8]) -> Option<Packet<'_>> {
    const PACKET_HEADER: u16 = 1;
    const PAYLOAD: u16 = 10;
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    if kind != SUBSYSTEM << 8 | PACKET {
        return None;
    }
    let attributes = message.get(20..)?;
    let id = u32::from_be_bytes(*attribute(attributes, PACKET_HEADER)?.first_chunk()?);
    Some(Packet { id, headers: attribute(attributes, PAYLOAD).unwrap_or_default() })
}

//! Netlink with the payload left as bytes.
//!
//! Two callers need that: netem, whose options are a C struct followed by attributes, which the typed messages cannot
//! carry; and the fingerprint, which must not lose what a parser does not know. Framing and attributes are those of
//! `netlink-packet-core`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NLA_HEADER_SIZE, NetlinkBuffer, NlaBuffer, NlasIterator};
use netlink_sys::{Socket, SocketAddr};

/// `NETLINK_ROUTE`: links, addresses, queueing disciplines.
pub(crate) const ROUTE: isize = 0;
/// `NETLINK_NETFILTER`: nftables and its like.
pub(crate) const NETFILTER: isize = 12;

pub(crate) const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
pub(crate) const EXCLUSIVE: u16 = 0x200;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const APPEND: u16 = 0x800;
const DUMP_INTERRUPTED: u16 = 0x10;
const ACK_HAS_ATTRIBUTES: u16 = 0x200;
const ACK_IS_CAPPED: u16 = 0x100;

const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// The kernel's refusal of a request: its error number, and its words where it has any (extended acknowledgement).
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The error number, as in `errno.h`.
    pub(crate) code: i32,
    /// What the kernel said besides.
    pub(crate) said: Option<String>,
}

impl Refusal {
    fn of(error: &io::Error) -> Self {
        Self {
            code: error.raw_os_error().unwrap_or(5),
            said: error.raw_os_error().is_none().then(|| error.to_string()),
        }
    }

    /// Whether the kernel answered with this error.
    pub(crate) fn is(&self, errno: nix::errno::Errno) -> bool {
        self.code == errno as i32
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.said {
            Some(said) => write!(formatter, "{} ({said})", io::Error::from_raw_os_error(self.code)),
            None => io::Error::from_raw_os_error(self.code).fmt(formatter),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::of(&error)
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        let plain = Self::from_raw_os_error(refusal.code);
        if refusal.said.is_none() { plain } else { Self::new(plain.kind(), refusal) }
    }
}

/// A request: its type, its flags besides `REQUEST` and `ACK`, and everything behind the netlink header.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) payload: Vec<u8>,
}

/// One message of an answer, without its netlink header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) kind: u16,
    pub(crate) payload: Vec<u8>,
}

/// A netlink socket of the namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct RawNetlink {
    socket: Socket,
    sequence: u32,
}

impl RawNetlink {
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Older kernels lack these two; requests work without, only the kernel's words are missing then.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        Ok(Self { socket, sequence: 0 })
    }

    /// The socket itself, for protocols in which the kernel speaks first.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The port number under which the kernel knows this socket: the owner of its tables.
    pub(crate) fn port(&self) -> io::Result<u32> {
        let mut address = SocketAddr::new(0, 0);
        self.socket.get_address(&mut address)?;
        Ok(address.port_number())
    }

    /// Sends one request and waits for the kernel's acknowledgement.
    pub(crate) fn request(&mut self, request: &Request) -> Result<(), Refusal> {
        let bytes = self.frame(request, REQUEST | ACK | request.flags);
        let wanted = self.sequence;
        self.socket.send(&bytes, 0)?;
        self.receive(|message, sequence| match message {
            Message::Error(refusal) if sequence == wanted => Some(refusal.map_or(Ok(()), Err)),
            _ => None,
        })
    }

    /// Sends requests as one transaction of nfnetlink (all of them happen, or none) and waits for every answer.
    pub(crate) fn transaction(&mut self, subsystem: u16, requests: &[Request]) -> Result<(), Refusal> {
        const BEGIN: u16 = 0x10;
        const END: u16 = 0x11;
        let payload = [[0, 0], subsystem.to_be_bytes()].concat();
        let marker = |kind| Request { kind, flags: 0, payload: payload.clone() };
        let mut bytes = self.frame(&marker(BEGIN), REQUEST);
        let begin = self.sequence;
        for request in requests {
            bytes.extend(self.frame(request, REQUEST | ACK | request.flags));
        }
        let last = self.sequence;
        bytes.extend(self.frame(&marker(END), REQUEST));
        self.socket.send(&bytes, 0)?;
        // The kernel answers each request, and after a failure that ends the transaction (no privilege) only the first.
        self.receive(|message, sequence| match message {
            // A failed transaction may leave answers unread, which are none of the next one's.
            Message::Error(Some(refusal)) if sequence >= begin => Some(Err(refusal)),
            Message::Error(None) if sequence == last => Some(Ok(())),
            _ => None,
        })
    }

    /// Asks for everything of a kind. Asks again when the kernel says that its list changed while it was being read.
    pub(crate) fn dump(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<Answer>, Refusal> {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            let bytes = self.frame(&Request { kind, flags: 0, payload: payload.to_vec() }, REQUEST | DUMP);
            let wanted = self.sequence;
            self.socket.send(&bytes, 0)?;
            let mut answers = Vec::new();
            let mut torn = false;
            self.receive(|message, sequence| match message {
                _ if sequence != wanted => None,
                Message::Error(refusal) => Some(refusal.map_or(Ok(()), Err)),
                Message::Done => Some(Ok(())),
                Message::Data { flags, answer } => {
                    torn |= flags & DUMP_INTERRUPTED != 0;
                    answers.push(answer);
                    None
                }
            })?;
            if !torn {
                return Ok(answers);
            }
        }
        Err(Refusal {
            code: nix::errno::Errno::EINTR as i32,
            said: Some("the list changes too fast to be read".into()),
        })
    }

    fn frame(&mut self, request: &Request, flags: u16) -> Vec<u8> {
        self.sequence += 1;
        let length = HEADER + request.payload.len();
        let mut bytes = vec![0; length.next_multiple_of(4)];
        let mut buffer = NetlinkBuffer::new(&mut bytes);
        buffer.set_length(u32::try_from(length).unwrap_or(u32::MAX));
        buffer.set_message_type(request.kind);
        buffer.set_flags(flags);
        buffer.set_sequence_number(self.sequence);
        bytes[HEADER..length].copy_from_slice(&request.payload);
        bytes
    }

    fn receive(
        &mut self,
        mut finished: impl FnMut(Message, u32) -> Option<Result<(), Refusal>>,
    ) -> Result<(), Refusal> {
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let mut rest = datagram.as_slice();
            while let Ok(buffer) = NetlinkBuffer::new_checked(rest) {
                let length = buffer.length() as usize;
                let payload = rest[HEADER..length].to_vec();
                let message = match buffer.message_type() {
                    ERROR => Message::Error(refusal(buffer.flags(), &payload)),
                    DONE => Message::Done,
                    kind => Message::Data { flags: buffer.flags(), answer: Answer { kind, payload } },
                };
                if let Some(result) = finished(message, buffer.sequence_number()) {
                    return result;
                }
                rest = &rest[length.next_multiple_of(4).min(rest.len())..];
            }
        }
    }
}

enum Message {
    /// An acknowledgement (`None`) or a refusal.
    Error(Option<Refusal>),
    Done,
    Data {
        flags: u16,
        answer: Answer,
    },
}

fn refusal(flags: u16, payload: &[u8]) -> Option<Refusal> {
    const MESSAGE_ATTRIBUTE: u16 = 1;
    let code = -payload.first_chunk().map_or(-5, |bytes| i32::from_ne_bytes(*bytes));
    if code == 0 {
        return None;
    }
    let echoed = payload.get(4..8).and_then(|bytes| bytes.first_chunk()).map_or(0, |b| u32::from_ne_bytes(*b)) as usize;
    let header = if flags & ACK_IS_CAPPED != 0 { HEADER } else { echoed.next_multiple_of(4) };
    let said = (flags & ACK_HAS_ATTRIBUTES != 0)
        .then(|| payload.get(4 + header..).and_then(|bytes| attribute(bytes, MESSAGE_ATTRIBUTE)).map(text))
        .flatten();
    Some(Refusal { code, said })
}

/// The attributes in some bytes; a malformed rest is left out.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|attribute: NlaBuffer<&[u8]>| {
        let (kind, length) = (attribute.kind(), attribute.length() as usize);
        (kind, &attribute.into_inner()[NLA_HEADER_SIZE..length])
    })
}

/// The first attribute of one type.
pub(crate) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// A text attribute, without its closing zero.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// Attributes being written.
#[derive(Debug, Default, Clone)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// Begins behind a fixed header.
    pub(crate) fn behind(header: &[u8]) -> Self {
        Self(header.to_vec())
    }

    pub(crate) fn put(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn put_text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes)
    }

    /// Writes an attribute that holds attributes, with the flag that says so.
    pub(crate) fn put_nested(self, kind: u16, inner: &Self) -> Self {
        self.put(kind | 0x8000, &inner.0)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_read_back_as_written() {
        let inner = Attributes::default().put(2, &[1, 2, 3]);
        let bytes = Attributes::default().put_text(1, "netem").put_nested(2, &inner).into_bytes();
        assert_eq!(attribute(&bytes, 1).map(text).as_deref(), Some("netem"));
        let nested = attribute(&bytes, 2).unwrap();
        assert_eq!(attribute(nested, 2), Some([1, 2, 3].as_slice()));
        assert_eq!(attribute(&bytes, 3), None);
    }

    #[test]
    fn the_kernel_lists_the_loopback_interface_and_says_why_it_refuses() {
        const GET_LINK: u16 = 18;
        const NEW_QDISC: u16 = 36;
        let mut netlink = RawNetlink::open(ROUTE).unwrap();
        let links = netlink.dump(GET_LINK, &[0; 16]).unwrap();
        assert!(links.iter().any(|link| attribute(&link.payload[16..], 3).map(text).as_deref() == Some("lo")));
        let refusal =
            netlink.request(&Request { kind: NEW_QDISC, flags: 0, payload: vec![0; 20] }).expect_err("no interface 0");
        assert!(refusal.code > 0, "{refusal}");
    }
}

//! What either end lets the other cost it. Both ends use these, so that neither sends what the other refuses.

use std::time::Duration;

/// The version of the protocol. Raised when an older peer would misunderstand; new fields and requests do not raise it.
pub const PROTOCOL: u32 = 1;

/// The port on which a controller listens for agents unless told otherwise.
pub const AGENT_PORT: u16 = 7443;

/// The greatest message, in bytes: a plan for a host with thousands of target processes stays well below.
pub const MESSAGE: usize = 1 << 20;

/// All headers of one request, in bytes.
pub const HEADERS: u32 = 8 * 1024;

/// How many requests of one session may be without an answer.
pub const REQUESTS: usize = 64;

/// How much later than it obeys a host answers at most when a controller asks for that.
pub const ANSWERED_LATER: Duration = Duration::from_secs(2);

/// The flow-control window of a stream and of a connection, in bytes. A message that is larger takes several round
/// trips; a small window bounds what one idle peer can make us hold.
pub const WINDOW: u32 = 65_535;

/// From an accepted connection to the end of its TLS handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(5);

/// From an opened session to its first message.
pub const HELLO: Duration = Duration::from_secs(5);

/// How long a connection may be without any session.
pub const WITHOUT_SESSION: Duration = Duration::from_secs(30);

/// From the first try to connect to a connection that can be spoken over.
pub const CONNECT: Duration = Duration::from_secs(10);

/// How often an agent sends a heartbeat while a fault is in place.
pub const HEARTBEAT_ACTIVE: Duration = Duration::from_secs(5);

/// How often it does otherwise.
pub const HEARTBEAT_IDLE: Duration = Duration::from_secs(15);

/// How long without a word until a peer counts as gone: a heartbeat missed, and time for it to come late.
pub const SILENCE: Duration = Duration::from_secs(20);

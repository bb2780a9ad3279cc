//! Faultline's own control traffic: the sockets between agent and controller, which no network fault may touch.

use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};

/// The mark of packets and sockets of control traffic: "FLTL" in ASCII.
pub const MARK: u32 = 0x464c_544c;

/// Marks a socket as control traffic, so that every network fault spares it. To be called before it connects.
///
/// # Errors
/// If the kernel refuses; marks need CAP_NET_ADMIN (or CAP_NET_RAW, since Linux 5.17).
pub fn exempt(socket: &impl AsFd) -> io::Result<()> {
    setsockopt(socket, sockopt::Mark, &MARK).map_err(io::Error::from)
}

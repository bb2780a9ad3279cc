//! The delay of an interface's queueing disciplines, measured by the kernel itself.
//!
//! A small frame now and then goes out through the same qdiscs as everybody's packets. The kernel notes when it enters
//! them and when it is handed to the driver (`SOF_TIMESTAMPING_TX_SCHED` and `TX_SOFTWARE`, see
//! `Documentation/networking/timestamping.rst`); the difference is how long it was held. The frame is addressed to the
//! interface itself, with the EtherType that IEEE 802 leaves to local experiments, so no other machine takes it up.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, TimestampingFlag, recvmsg, setsockopt, sockopt};

/// `ETH_P_802_EX1`: local experiments.
const ETHER_TYPE: u16 = 0x88b5;

/// A socket whose frames are timed.
#[derive(Debug)]
pub(crate) struct Probe {
    socket: OwnedFd,
    address: libc::sockaddr_ll,
    entered: HashMap<u32, Duration>,
}

impl Probe {
    /// Opens a probe of an interface with this hardware address; its frames go to a class if one is named. Needs
    /// CAP_NET_RAW, and CAP_NET_ADMIN for a class.
    pub(crate) fn open(interface: u32, hardware_address: &[u8], class: Option<u32>) -> io::Result<Self> {
        // SAFETY: a plain system call with no pointer; its result is checked before it is used.
        let descriptor = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made by the call above and nobody else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // Asks for the identity of each frame beside its times, and for the times alone without the frame.
        const SCHEDULED: u32 = 1 << 8;
        let wanted = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
            | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY
            | TimestampingFlag::from_bits_retain(SCHEDULED);
        setsockopt(&socket.as_fd(), sockopt::Timestamping, &wanted)?;
        if let Some(class) = class {
            setsockopt(&socket.as_fd(), sockopt::Priority, &class.cast_signed())?;
        }
        let mut sll_addr = [0; 8];
        let length = hardware_address.len().min(sll_addr.len());
        sll_addr[..length].copy_from_slice(&hardware_address[..length]);
        let address = libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).unwrap_or(0),
            sll_protocol: ETHER_TYPE.to_be(),
            sll_ifindex: i32::try_from(interface).map_err(io::Error::other)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: u8::try_from(length).unwrap_or(0),
            sll_addr,
        };
        Ok(Self { socket, address, entered: HashMap::new() })
    }

    /// Sends one frame.
    pub(crate) fn send(&self) -> io::Result<()> {
        const FRAME: &[u8] = b"faultline measures how long this interface holds packets";
        let address: *const libc::sockaddr_ll = &raw const self.address;
        let length = u32::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
        // SAFETY: both pointers lead to initialised memory of the lengths given, which outlives the call.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                FRAME.as_ptr().cast(),
                FRAME.len(),
                libc::MSG_DONTWAIT,
                address.cast(),
                length,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// How long each frame was held that left since the last call.
    pub(crate) fn collect(&mut self) -> Vec<Duration> {
        const SENT: u32 = 0;
        const SCHEDULED: u32 = 1;
        /// Frames whose second time never came, because they were dropped, are forgotten.
        const REMEMBERED: usize = 1000;
        if self.entered.len() > REMEMBERED {
            self.entered.clear();
        }
        let mut held = Vec::new();
        while let Some((kind, frame, at)) = self.next_time() {
            match kind {
                SCHEDULED => {
                    self.entered.insert(frame, at);
                }
                SENT => held.extend(self.entered.remove(&frame).map(|entered| at.saturating_sub(entered))),
                _ => {}
            }
        }
        held
    }

    /// The next timestamp: its kind, the number of its frame, and the time.
    fn next_time(&self) -> Option<(u32, u32, Duration)> {
        let mut control = nix::cmsg_space!([libc::timespec; 3], [u8; 64]);
        let mut none = [0u8; 64];
        let mut buffers = [IoSliceMut::new(&mut none)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<()>(self.socket.as_raw_fd(), &mut buffers, Some(&mut control), flags).ok()?;
        let (mut at, mut which) = (None, None);
        for part in message.cmsgs().ok()? {
            match part {
                ControlMessageOwned::ScmTimestampsns(times) => at = Some(Duration::from(times.system)),
                // struct sock_extended_err { errno, origin, type, code, pad, info, data, ... }
                ControlMessageOwned::Unknown(unknown) => {
                    let field = |at: usize| Some(u32::from_ne_bytes(*unknown.data_bytes.get(at..)?.first_chunk()?));
                    which = field(8).zip(field(12));
                }
                _ => {}
            }
        }
        let ((kind, frame), at) = which.zip(at)?;
        Some((kind, frame, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::namespace;

    #[test]
    fn without_a_delay_loopback_holds_a_frame_for_less_than_the_smallest_fault() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        std::thread::spawn(|| {
            namespace::enter_private().unwrap();
            let mut probe = Probe::open(1, &[0; 6], None).unwrap();
            for _ in 0..5 {
                probe.send().unwrap();
            }
            let held = probe.collect();
            assert_eq!(held.len(), 5);
            assert!(held.iter().all(|held| *held < Duration::from_millis(1)), "{held:?}");
        })
        .join()
        .unwrap();
    }
}

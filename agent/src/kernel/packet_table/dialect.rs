//! What differs from kernel to kernel in the rules we write, found by trying.

use std::sync::OnceLock;
use std::sync::mpsc;

use nix::sched::{CloneFlags, unshare};

use crate::kernel::nftables::OwnedTable;
use crate::kernel::nftables::expression;
use crate::kernel::nftables::object::{self, Hook};
use crate::kernel::raw_netlink::Attributes;

/// How rules hand packets to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandOver {
    /// By nftables' own expression.
    Expression,
    /// By the xtables target.
    Target,
}

/// What this kernel's nftables can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// How packets are handed to a queue, if they can be.
    pub(super) hand_over: Option<HandOver>,
    /// Whether sockets can be asked for their mark.
    pub(super) socket_mark: bool,
}

impl Dialect {
    /// Tries once, in a network namespace made for the trial: a transaction that fails drops what the queues of its
    /// namespace hold, and those of others must not suffer.
    pub(super) fn of_this_kernel() -> Self {
        static FOUND: OnceLock<Dialect> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let (tell, told) = mpsc::channel();
            // The thread is not waited for: taking its namespace down needs longer than the trial.
            let trial = std::thread::Builder::new().name("trial".into()).spawn(move || {
                if unshare(CloneFlags::CLONE_NEWNET).is_ok() {
                    let hand_over = if works(expression::queue(1)) {
                        Some(HandOver::Expression)
                    } else {
                        works(expression::queue_target(1)).then_some(HandOver::Target)
                    };
                    let _ = tell.send(Self { hand_over, socket_mark: works(expression::socket_mark()) });
                }
            });
            // Where no namespace can be made, the commonest is tried; the kernel says if it cannot.
            let plainest = Self { hand_over: Some(HandOver::Target), socket_mark: false };
            trial.ok().and_then(|_| told.recv().ok()).unwrap_or(plainest)
        })
    }
}

fn works(tried: Attributes) -> bool {
    const NAME: &str = "faultline_trial";
    let Ok(mut table) = OwnedTable::open(NAME) else { return false };
    let rule = object::rule(NAME, Hook::Input, &[tried]);
    table.commit(&[object::table(NAME), object::chain(NAME, Hook::Input, 0), rule]).is_ok()
}

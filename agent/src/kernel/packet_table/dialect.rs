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
                    let hand_over = if works("faultline_trial_1", expression::queue(1)) {
                        Some(HandOver::Expression)
                    } else {
                        works("faultline_trial_2", expression::queue_target(1)).then_some(HandOver::Target)
                    };
                    let socket_mark = works("faultline_trial_3", expression::socket_mark());
                    let _ = tell.send(Self { hand_over, socket_mark });
                }
            });
            // Where no namespace can be made, the commonest is tried; the kernel says if it cannot.
            let plainest = Self { hand_over: Some(HandOver::Target), socket_mark: false };
            trial.ok().and_then(|_| told.recv().ok()).unwrap_or(plainest)
        })
    }
}

/// Each trial has a table of its own: one that is closed is still there for as long as a process that another thread is
/// just starting has its descriptor too, and what nobody else may own then would look like what the kernel cannot do.
fn works(name: &str, tried: Attributes) -> bool {
    let Ok(mut table) = OwnedTable::open(name) else { return false };
    let rule = object::rule(name, Hook::Input, &[tried]);
    table.commit(&[object::table(name), object::chain(name, Hook::Input, 0), rule]).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_whose_table_somebody_holds_still_decides_nothing_of_the_next() {
        let tried = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            // As a process that is just being started holds it.
            let mut held = OwnedTable::open("faultline_trial_1").expect("a socket");
            held.commit(&[object::table("faultline_trial_1")]).expect("a table");
            let works = |name| works(name, expression::counter());
            Ok::<_, nix::Error>((works("faultline_trial_1"), works("faultline_trial_2")))
        });
        match tried.join().expect("no panic") {
            Ok(worked) => assert_eq!(worked, (false, true), "the first is why each has a name of its own"),
            Err(error) => println!("skipped: no network namespace can be made here: {error}"),
        }
    }
}

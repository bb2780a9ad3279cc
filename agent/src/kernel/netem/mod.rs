//! Packets delayed by the kernel's network emulator.
//!
//! The qdiscs stay when the worker dies; the guard takes them away. Reading the tree of an interface and changing it is
//! one transaction under [`lock::TreeLock`]. A qdisc is taken for ours only if handle, kind and parameters are those of
//! the step.

mod distribution;
pub(crate) mod listing;
mod lock;
mod measure;
mod options;
mod probe;
mod tree;

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use listing::{MAJOR, Qdisc, ROOT};
use lock::TreeLock;
pub(crate) use measure::Measuring;
use options::Parameters;
use tree::Tree;

pub(crate) use tree::{FIRST_MAJOR, FRAME, FRAME_MAJOR, MAJORS};

use super::raw_netlink::{self, RawNetlink, Refusal};
use super::{Amend, Hold, KernelError, Reverted, Room, namespace};
use crate::identity::NetworkNamespace;
use crate::plan::{Evidence, step};

/// How long another process may hold the lock; none holds it longer than [`DRAIN`] and a few calls.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long an undo waits for packets that are still held. What is in there after that is dropped with the qdisc.
pub(crate) const DRAIN: Duration = Duration::from_millis(300);

impl Room for step::Netem {
    fn apply(&self, _: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
        namespace::within(&self.namespace, || self.add())??;
        // Who sends the chosen packets measures what becomes of them: see `packet_classification`.
        let measured_here = !self.chosen_only;
        Ok(measured_here.then(|| Box::new(Measuring::start(self.clone())) as Box<dyn Hold>))
    }

    fn revert(&self) -> Result<Reverted, KernelError> {
        match namespace::within(&self.namespace, || self.take_away()) {
            Err(error) if error.is_gone() => Ok(Reverted::Absent),
            result => result?,
        }
    }

    fn is_present(&self) -> Result<bool, KernelError> {
        match namespace::within(&self.namespace, || self.look()) {
            Err(error) if error.is_gone() => Ok(false),
            result => result?,
        }
    }

    fn measure(&self) -> Result<Evidence, KernelError> {
        namespace::within(&self.namespace, || {
            if self.chosen_only { measure::in_place(self) } else { measure::evidence(self, || (Vec::new(), 0)) }
        })?
    }
}

impl step::Netem {
    fn handle(&self) -> u32 {
        u32::from(self.handle) << 16
    }

    fn wanted(&self) -> Parameters {
        Parameters::of(&self.hold, self.limit)
    }

    fn object(&self) -> String {
        format!("interface {} in {}", self.interface, self.namespace)
    }

    fn failed(&self, call: &'static str) -> impl Fn(Refusal) -> KernelError {
        let object = self.object();
        move |refusal| {
            KernelError::new(object.clone(), call, refusal).hint("see `faultline doctor` for what is missing")
        }
    }

    fn refused(&self, why: String) -> KernelError {
        KernelError::new(self.object(), "RTM_NEWQDISC", Error::new(ErrorKind::AlreadyExists, why))
            .hint("name another interface, or use `engine: queue`, which leaves qdiscs alone")
    }

    /// The index of the interface by its name.
    fn index(&self) -> Result<u32, KernelError> {
        nix::net::if_::if_nametoindex(self.interface.as_str()).map_err(|errno| {
            KernelError::new(self.object(), "if_nametoindex", errno).hint("`ip link` lists the interfaces there")
        })
    }

    fn netlink(&self) -> Result<RawNetlink, KernelError> {
        RawNetlink::open(raw_netlink::ROUTE)
            .map_err(|error| KernelError::new(self.object(), "socket(NETLINK_ROUTE)", error))
    }

    fn lock(&self, interface: u32) -> Result<TreeLock, KernelError> {
        TreeLock::take(interface, PATIENCE).map_err(|error| {
            KernelError::new(self.object(), "bind(faultline-qdiscs)", error)
                .hint("another process of Faultline is at work on this interface, or somebody took its lock; try again")
        })
    }

    fn add(&self) -> Result<(), KernelError> {
        let interface = self.index()?;
        let _lock = self.lock(interface)?;
        let mut netlink = self.netlink()?;
        let mut tree = Tree::read(&mut netlink, interface).map_err(self.failed("RTM_GETQDISC"))?;
        if let Some(why) = tree.refusal() {
            return Err(self.refused(why));
        }
        if tree.fork.is_some() {
            // An idle one, left by a crash, bars the place.
            self.sweep(&mut netlink, interface, &tree)?;
            tree = Tree::read(&mut netlink, interface).map_err(self.failed("RTM_GETQDISC"))?;
        }
        if tree.netem(self.handle()).is_some() {
            return Err(self.refused(format!("handle {:x}: is taken by another fault; inject again", self.handle)));
        }
        if !tree.has_frame {
            for request in tree::frame(interface) {
                let call = if request.kind == tree::NEW_FILTER { "RTM_NEWTFILTER" } else { "RTM_NEWQDISC" };
                netlink.request(&request).map_err(self.failed(call))?;
            }
        }
        let options = options::encode(&self.hold, self.limit);
        let requests = if self.chosen_only {
            tree::add_fork(interface, self.class(), self.handle(), tree.place(), &options).to_vec()
        } else {
            vec![tree::add(interface, self.handle(), tree.place(), &options)]
        };
        for request in &requests {
            netlink.request(request).map_err(self.failed("RTM_NEWQDISC"))?;
        }
        let tree = Tree::read(&mut netlink, interface).map_err(self.failed("RTM_GETQDISC"))?;
        match tree.netem(self.handle()) {
            Some((_, parameters)) if *parameters == self.wanted() => Ok(()),
            found => {
                let found = found.map_or("nothing".into(), |(_, parameters)| parameters.to_string());
                let source = Error::other(format!("asked for {}, the kernel lists {found}", self.wanted()));
                Err(KernelError::new(self.object(), "RTM_NEWQDISC", source).hint("Linux 4.15 or later is needed"))
            }
        }
    }

    /// The interface on which the netem is: the one of the step's name, or another one that took its netem along when
    /// it was renamed.
    fn locate(&self, netlink: &mut RawNetlink) -> Result<Option<u32>, KernelError> {
        let named = nix::net::if_::if_nametoindex(self.interface.as_str()).ok();
        let qdiscs = listing::list(netlink).map_err(self.failed("RTM_GETQDISC"))?;
        let renamed = || qdiscs.iter().find(|qdisc| self.is_mine(qdisc)).map(|qdisc| qdisc.interface);
        Ok(named.or_else(renamed))
    }

    fn is_mine(&self, qdisc: &Qdisc) -> bool {
        qdisc.handle == self.handle()
            && qdisc.kind == "netem"
            && Parameters::read(&qdisc.options).is_some_and(|parameters| parameters == self.wanted())
    }

    fn take_away(&self) -> Result<Reverted, KernelError> {
        let mut netlink = self.netlink()?;
        let Some(interface) = self.locate(&mut netlink)? else { return Ok(Reverted::Absent) };
        let _lock = self.lock(interface)?;
        let mut read = || Tree::read(&mut netlink, interface).map_err(self.failed("RTM_GETQDISC"));
        let tree = read()?;
        let outcome = match tree.netem(self.handle()) {
            None => Reverted::Absent,
            Some((_, parameters)) if parameters.is_idle() => Reverted::Absent,
            Some((_, parameters)) if *parameters != self.wanted() => {
                Reverted::Superseded(format!("netem {:x}: on {} has {parameters} now", self.handle, self.interface))
            }
            Some((netem, _)) => {
                let request = tree::change(netem, &options::encode_idle(self.limit));
                self.netlink()?.request(&request).map_err(self.failed("RTM_NEWQDISC"))?;
                let begun = Instant::now();
                while begun.elapsed() < DRAIN && self.holds(&read()?) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Reverted::Undone
            }
        };
        let tree = read()?;
        let swept = self.sweep(&mut netlink, interface, &tree)?;
        // A crash between the two calls of an undo leaves an idle netem, which this undo found and took away.
        let outcome = if swept && outcome == Reverted::Absent { Reverted::Undone } else { outcome };
        match tree.foreign.first() {
            Some(other) if outcome == Reverted::Undone => Ok(Reverted::Superseded(format!(
                "netem {:x}: delays nothing any more, but stays since somebody's qdisc {} {:x}: hangs below",
                self.handle,
                other.kind,
                other.handle >> 16
            ))),
            _ => Ok(outcome),
        }
    }

    fn holds(&self, tree: &Tree) -> bool {
        tree.netem(self.handle()).is_some_and(|(netem, _)| netem.held > 0)
    }

    /// Removes what delays nothing any more: the whole frame, or the idle end of the chain with its fork. An idle netem
    /// above a fault that is still active stays until that one goes, since removing it would take the other along.
    fn sweep(&self, netlink: &mut RawNetlink, interface: u32, tree: &Tree) -> Result<bool, KernelError> {
        if tree.is_spent() {
            netlink.request(&tree::remove(interface, FRAME, ROOT)).map_err(self.failed("RTM_DELQDISC"))?;
            return Ok(true);
        }
        if !tree.foreign.is_empty() || tree.fork.as_ref().is_some_and(|fork| !fork.is_idle()) {
            return Ok(false);
        }
        let idle = tree.chain.iter().rev().take_while(|(_, parameters)| parameters.is_idle());
        // Removing the topmost of the idle end takes the rest of it along.
        let topmost = idle.last().map(|(netem, _)| netem).or(tree.fork.as_ref().map(|fork| &fork.prio));
        let Some(topmost) = topmost else { return Ok(false) };
        let request = tree::remove(interface, topmost.handle, topmost.parent);
        netlink.request(&request).map_err(self.failed("RTM_DELQDISC"))?;
        Ok(true)
    }

    fn look(&self) -> Result<bool, KernelError> {
        let mut netlink = self.netlink()?;
        let Some(interface) = self.locate(&mut netlink)? else { return Ok(false) };
        let tree = Tree::read(&mut netlink, interface).map_err(self.failed("RTM_GETQDISC"))?;
        // Of a crash within an injection or an undo, an idle fork may be left.
        let fork = tree.fork.as_ref().is_some_and(|fork| {
            self.chosen_only && fork.is_idle() && fork.prio.handle == self.class() & MAJOR && tree.foreign.is_empty()
        });
        Ok(tree.is_spent() || fork || tree.netem(self.handle()).is_some_and(|(netem, _)| self.is_mine(netem)))
    }
}

/// Why no netem may be put on an interface, in words; `None` if it may.
///
/// # Errors
/// If the namespace or the interface is not there, or its qdiscs cannot be listed.
pub fn obstacle(namespace: &NetworkNamespace, interface: &str) -> Result<Option<String>, KernelError> {
    let failed = |call, error: Error| KernelError::new(format!("interface {interface} in {namespace}"), call, error);
    namespace::within(namespace, || {
        let index = nix::net::if_::if_nametoindex(interface).map_err(|errno| failed("if_nametoindex", errno.into()))?;
        let mut netlink =
            RawNetlink::open(raw_netlink::ROUTE).map_err(|error| failed("socket(NETLINK_ROUTE)", error))?;
        let tree = Tree::read(&mut netlink, index).map_err(|refusal| failed("RTM_GETQDISC", refusal.into()))?;
        Ok(tree.refusal())
    })?
}

/// The parameters of a netem as `tc` would name them, from its options as the kernel lists them.
pub(crate) fn parameters_in_words(options: &[u8]) -> String {
    Parameters::read(options).map_or_else(|| "unreadable".into(), |parameters| parameters.to_string())
}

/// Tries everything that a fault by netem needs on the loopback interface of this thread's namespace.
///
/// # Errors
/// The refusal of the first kind of qdisc or filter that the kernel lacks.
pub(crate) fn try_here() -> Result<(), Refusal> {
    const LOOPBACK: u32 = 1;
    let mut netlink = RawNetlink::open(raw_netlink::ROUTE)?;
    for request in tree::frame(LOOPBACK) {
        netlink.request(&request)?;
    }
    let hold = step::HoldTime {
        delay: crate::units::TimeSpan::from_millis(1),
        jitter: crate::units::TimeSpan::ZERO,
        distribution: step::Distribution::Uniform,
        correlation: crate::units::Percent::ZERO,
        seed: 0,
    };
    let place = Tree::read(&mut netlink, LOOPBACK)?.place();
    let handle = u32::from(FIRST_MAJOR) << 16;
    netlink.request(&tree::add(LOOPBACK, handle, place, &options::encode(&hold, 1000)))
}

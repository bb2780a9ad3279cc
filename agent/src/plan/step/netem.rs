use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Describe, Distribution, HoldTime};
use crate::identity::{FaultId, NetworkNamespace};
use crate::kernel::netem::{FIRST_MAJOR, MAJORS};
use crate::plan::UndoClass;

/// A netem queueing discipline on one interface: it delays what leaves there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Netem {
    /// The namespace of the interface.
    pub namespace: NetworkNamespace,
    /// The interface.
    pub interface: String,
    /// The major number of the handle that is ours.
    pub handle: u16,
    /// How long packets are held.
    pub hold: HoldTime,
    /// How many packets are held at most; more are dropped.
    pub limit: u32,
    /// Whether it holds only what a [`PacketClassification`](super::PacketClassification) sends to it, and lets
    /// everything else pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chosen_only: bool,
}

/// The packets per second for which a limit is made: more than one core sends through a qdisc.
const PACKETS_PER_SECOND: u64 = 1_000_000;
/// The limit of netem itself, which is too small for any serious delay: at 100 ms it drops above 10,000 packets/s.
const SMALLEST_LIMIT: u64 = 1000;
/// What a limit may cost in memory ends here: about 2 GiB of full-sized packets.
const LARGEST_LIMIT: u64 = 1_000_000;

impl Netem {
    /// The longest jitter that netem can make (`tabledist` computes with 31 bits of nanoseconds and the kernel cuts
    /// longer ones off without a word).
    pub const LONGEST_JITTER: Duration = Duration::from_nanos(i32::MAX as u64);

    /// The step of a fault on one interface: the handle follows from the fault's id, the limit from the time for which
    /// packets are held.
    pub fn new(id: &FaultId, namespace: NetworkNamespace, interface: impl Into<String>, hold: HoldTime) -> Self {
        let offset = u16::try_from(id.number() % u64::from(MAJORS)).unwrap_or(0);
        let handle = FIRST_MAJOR + offset;
        Self { namespace, interface: interface.into(), handle, hold, limit: limit(&hold), chosen_only: false }
    }

    /// The same for chosen packets alone, as the n-th (from 0) of a fault that acts on several interfaces. Each has a
    /// handle of its own: a packet chosen for one interface means nothing to the others.
    #[must_use]
    pub fn for_chosen(self, nth: u16) -> Self {
        let handle = FIRST_MAJOR + (self.handle - FIRST_MAJOR + nth % MAJORS) % MAJORS;
        Self { handle, chosen_only: true, ..self }
    }

    /// The class by which chosen packets reach it: what `skb->priority` has to be (see `kernel/netem/tree.rs`).
    pub fn class(&self) -> u32 {
        u32::from(self.handle.wrapping_sub(MAJORS)) << 16 | 2
    }

    /// The packets per second that can pass before the limit drops some.
    pub fn carries(&self) -> f64 {
        f64::from(self.limit) / self.hold.longest().as_secs_f64()
    }
}

impl HoldTime {
    /// The longest time for which netem holds a packet: its tables of jitter end at four times the jitter.
    pub(crate) fn longest(&self) -> Duration {
        let times = if self.distribution == Distribution::Uniform { 1 } else { 4 };
        self.delay.duration() + self.jitter.duration() * times
    }
}

fn limit(hold: &HoldTime) -> u32 {
    let packets = hold.longest().as_nanos() * u128::from(PACKETS_PER_SECOND) / 1_000_000_000;
    let packets = u64::try_from(packets).unwrap_or(u64::MAX).clamp(SMALLEST_LIMIT, LARGEST_LIMIT);
    u32::try_from(packets).unwrap_or(u32::MAX)
}

impl Describe for Netem {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Guard
    }

    fn describe(&self) -> String {
        let HoldTime { delay, jitter, .. } = self.hold;
        let time = if jitter.is_zero() { format!("{delay}") } else { format!("{delay} (jitter {jitter})") };
        let what = if self.chosen_only { " what is sent to it" } else { "" };
        format!(
            "add qdisc netem {:x}: to {} in {}: hold{what} for {time}, up to {} packets",
            self.handle, self.interface, self.namespace, self.limit
        )
    }

    fn describe_undo(&self) -> String {
        format!("let go of what netem {:x}: holds and remove it from {}", self.handle, self.interface)
    }

    fn manual_undo(&self) -> String {
        let remove = format!("tc qdisc del dev {} root handle fa00:", self.interface);
        match &self.namespace {
            NetworkNamespace::Own => remove,
            NetworkNamespace::Path { path, .. } => format!("nsenter --net={} {remove}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::TimeSpan;

    fn hold(delay: u64, jitter: u64, distribution: Distribution) -> HoldTime {
        HoldTime {
            delay: TimeSpan::from_millis(delay),
            jitter: TimeSpan::from_millis(jitter),
            distribution,
            correlation: Default::default(),
            seed: 1,
        }
    }

    #[test]
    fn the_limit_fits_the_delay_and_never_the_default_trap() {
        assert_eq!(limit(&hold(100, 0, Distribution::Normal)), 100_000);
        assert_eq!(limit(&hold(100, 10, Distribution::Normal)), 140_000);
        assert_eq!(limit(&hold(100, 10, Distribution::Uniform)), 110_000);
        assert_eq!(limit(&hold(0, 0, Distribution::Normal)), 1000);
        assert_eq!(limit(&hold(60_000, 0, Distribution::Normal)), 1_000_000);
    }

    #[test]
    fn handles_lie_in_the_range_that_is_ours_and_tell_faults_apart() {
        let step = |number| {
            Netem::new(&FaultId::from_number(number), NetworkNamespace::Own, "eth0", hold(1, 0, Distribution::Normal))
        };
        for number in [0, 1, 0xffff_ffff_ffff] {
            assert!((FIRST_MAJOR..FIRST_MAJOR + MAJORS).contains(&step(number).handle));
        }
        assert_ne!(step(1).handle, step(2).handle);
        let chosen = |number, nth| step(number).for_chosen(nth);
        assert_eq!((chosen(1, 0).handle, chosen(1, 1).handle), (FIRST_MAJOR + 1, FIRST_MAJOR + 2));
        let last = u64::from(MAJORS) - 1;
        assert_eq!((chosen(last, 1).handle, chosen(last, 0).class()), (FIRST_MAJOR, 0xefff_0002));
        assert_eq!(step(1), step(1));
    }
}

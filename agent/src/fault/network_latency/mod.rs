mod engine;
mod netem;
mod queue;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::engine::Chosen;
pub use self::engine::LatencyEngine;
use super::{Fault, Peers, PlanContext, PlanError, packet_scope};
use crate::facts::Need;
use crate::plan::step::{Direction, Distribution};
use crate::plan::{Dose, Plan, UndoClass};
use crate::units::{Percent, TimeSpan};

/// Delays packets to and from the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkLatency {
    /// How long each packet is held, in each direction meant: up to 1 h.
    pub delay: TimeSpan,
    /// How much the delay varies from packet to packet.
    #[serde(default)]
    pub jitter: TimeSpan,
    /// How the variation is spread.
    #[serde(default)]
    pub distribution: Distribution,
    /// How much the variation of a packet depends on that of the one before it.
    #[serde(default)]
    pub correlation: Percent,
    /// Which way the packets go, seen from the target. One direction adds the delay to each round trip once, `both`
    /// twice. If absent, each round trip takes the delay once: held is what leaves, but by the queue, of TCP, what comes
    /// back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The other side; anybody if absent.
    #[serde(default, skip_serializing_if = "Peers::is_anybody")]
    pub peers: Peers,
    /// The interface through which the packets pass; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// What holds the packets.
    #[serde(default)]
    pub engine: LatencyEngine,
}

/// Nothing that a network does takes longer, and every timeout has struck by then.
const LONGEST: Duration = Duration::from_secs(3600);

impl Fault for NetworkLatency {
    const NAME: &'static str = "network-latency";
    const SUMMARY: &'static str = "Delays packets, with jitter if wanted";
    const DETAILS: &'static str = "\
Every packet is held for the delay, so a request and its answer take one delay more with one direction, two with \
`both`; opening a TCP connection costs a round trip more. Jitter varies the delay: `normal` (its standard deviation), \
`uniform` (plus or minus), `pareto` (long tail). Packets of one connection keep their order, as on a real path (with \
`engine: netem` they overtake each other, and correlation is refused); the delay never goes below 0.\n\n\
Two engines. `netem` is the kernel's own, for what leaves: all that leaves by one interface, or the packets that rules \
of the worker choose by peer, process or cgroup and send to it (those rules vanish with the worker, so that nothing is \
delayed from then on; the guard removes the rest). It is added in place of a qdisc that the kernel made by itself, never \
of somebody's. An interface takes any number of netem faults for all that leaves and, as the last one, one for chosen \
packets. `queue` holds packets in the worker: an nftables table of its own \
hands them over with bypass, so that the kernel takes everything down and lets traffic flow when the worker ends, \
however it ends. A TCP packet that it holds on its way out counts against what its connection may have on the way, so \
unless a direction is named it holds those that come back instead. `auto` takes netem where it does exactly what is \
asked, and the queue for what arrives, for jitter, and where netem cannot; the plan says which and why. Faults of both \
add up on one interface.\n\n\
Exempt: ARP, IPv6 neighbour discovery, Faultline's own control traffic, and loopback when the target is a whole host \
and no address or interface says otherwise. The queue holds a packet over loopback once even with `both`, unless it \
leaves and arrives within one cgroup that is the target.";
    const UNDO: UndoClass = UndoClass::Guard;
    const NEEDS: &'static [Need] = &[Need::PacketDelay];
    const EXAMPLE: &'static str = "network-latency: { delay: 100ms, jitter: 10ms, peers: { ports: [5432] } }\n";

    fn check(&self) -> Result<(), PlanError> {
        let refuse =
            |message: &str, hint: &str| Err(PlanError::Parameter { message: message.into(), hint: hint.into() });
        if self.delay.is_zero() && self.jitter.is_zero() {
            return refuse("delay and jitter are both 0: nothing would be held", "write a delay, such as 100ms");
        }
        if self.delay.duration() > LONGEST || self.jitter.duration() > LONGEST {
            return refuse(
                "a packet may be held for 1 h at most",
                "to cut a connection rather than slow it down, use network-partition",
            );
        }
        if self.correlation > Percent::ZERO && self.jitter.is_zero() {
            return refuse("correlation without jitter has no effect", "write a jitter, such as 10ms");
        }
        self.peers.check()
    }

    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
        self.check()?;
        let scope =
            packet_scope::select(&context, self.direction.unwrap_or_default(), self.interface.as_deref(), &self.peers)?;
        let chosen = engine::choose(self, &context, &scope)?;
        let (steps, mut notes) = match chosen {
            Chosen::Queue(why) => {
                let mut notes = vec![why];
                notes.extend(queue::notes(self, &context, &scope));
                (queue::steps(self, &context, &scope)?, notes)
            }
            Chosen::Netem(why) => {
                let (steps, mut notes) = netem::steps(self, &context, &scope)?;
                notes.insert(0, why);
                (steps, notes)
            }
        };
        if self.jitter > self.delay && self.distribution != Distribution::Pareto {
            notes.push("the jitter is larger than the delay: what would be below 0 is sent at once".into());
        }
        notes.extend(scope.notes);
        let milliseconds = self.delay.duration().as_secs_f64() * 1000.0;
        Ok(Plan {
            id: context.id.clone(),
            fault: Self::NAME.into(),
            targets: scope.targets,
            dose: vec![Dose { name: "delay".into(), asked: milliseconds, unit: "ms".into() }],
            steps,
            notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet_tests::plan;
    use crate::facts::Feature;
    use crate::facts::fake::FakeFacts;
    use crate::fault::{AnyFault, Scope};

    fn parse(text: &str) -> AnyFault {
        serde_json::from_str(&format!(r#"{{"network-latency": {text}}}"#)).unwrap()
    }

    #[test]
    fn the_queue_holds_where_netem_is_missing() {
        let mut facts = FakeFacts::default();
        facts.kernel_features.netem = Feature::Missing("no netem".into());
        let fault = parse(r#"{"delay": "100ms", "jitter": "10ms", "peers": {"cidrs": ["10.0.0.0/8"]}}"#);
        let plan = plan(&fault, &Scope::default(), &facts).unwrap();
        insta::assert_snapshot!(plan.steps[0].describe(), @"add table inet faultline_00000000002a and hold for 100ms (jitter 10ms) in queue 1066: packets to 10.0.0.0/8, in the agent's own network namespace; of TCP beyond loopback, what comes back");
        insta::assert_snapshot!(plan.notes.join("\n"), @r"
        engine queue, since netem cannot do this: no netem
        of TCP beyond loopback, what comes back is held instead of what leaves: a round trip takes as long, and a connection can have as much on the way as on a real path
        packets of one connection keep their order, so that a late one holds up those behind it
        ARP, IPv6 neighbour discovery and Faultline's own control traffic are exempt
        ");
        assert_eq!(plan.dose[0].asked, 100.0);
    }

    #[test]
    fn where_there_is_only_loopback_nothing_is_said_of_other_paths() {
        let mut facts = FakeFacts::default();
        facts.interfaces.values_mut().for_each(|names| names.retain(|name| name == "lo"));
        let plan = plan(&parse(r#"{"delay": "100ms", "engine": "queue"}"#), &Scope::default(), &facts).unwrap();
        assert!(!plan.steps[0].describe().contains("comes back"), "{}", plan.steps[0].describe());
        assert!(!plan.notes.iter().any(|note| note.contains("comes back")), "{:?}", plan.notes);
    }

    #[test]
    fn a_kernel_without_any_engine_is_told_apart() {
        let mut facts = FakeFacts::default();
        facts.kernel_features.netem = Feature::Missing("no netem".into());
        facts.kernel_features.packet_queue = Feature::Missing("no queue".into());
        let error = plan(&parse(r#"{"delay": "100ms"}"#), &Scope::default(), &facts).unwrap_err();
        insta::assert_snapshot!(error.to_string(), @"packets cannot be held in a queue: no queue; and netem cannot do this: no netem");
    }

    #[test]
    fn absurd_delays_are_refused() {
        let facts = FakeFacts::default();
        let refuse = |text: &str| plan(&parse(text), &Scope::default(), &facts).unwrap_err().to_string();
        insta::assert_snapshot!(refuse(r#"{"delay": "0"}"#), @"delay and jitter are both 0: nothing would be held");
        insta::assert_snapshot!(refuse(r#"{"delay": "2h"}"#), @"a packet may be held for 1 h at most");
        insta::assert_snapshot!(refuse(r#"{"delay": "1s", "correlation": "50%"}"#), @"correlation without jitter has no effect");
    }
}

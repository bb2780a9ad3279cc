use std::time::Duration;

use super::NetworkLatency;
use crate::facts::Feature;
use crate::fault::packet_scope::PacketScope;
use crate::fault::{PlanContext, PlanError};
use crate::plan::Step;
use crate::plan::step::{Direction, HoldTime, Netem, PacketOwner, PacketSelection};

/// Why netem cannot act on exactly the packets that are meant; `None` if it can.
///
/// netem delays whatever leaves by an interface, so it serves a fault that means just that. `Err` is an interface that
/// could not be looked at.
pub(super) fn obstacle(
    fault: &NetworkLatency,
    context: &PlanContext<'_>,
    scope: &PacketScope,
) -> Result<Option<String>, PlanError> {
    if fault.jitter.duration() > Netem::LONGEST_JITTER {
        return Ok(Some(format!("it cannot spread a delay by more than {:?}", Netem::LONGEST_JITTER)));
    }
    if fault.direction.is_some_and(|direction| direction != Direction::Egress) {
        return Ok(Some("it acts on what leaves only, so `direction` would have to be egress".into()));
    }
    for selection in &scope.selections {
        if let Feature::Missing(why) = context.facts.kernel_features(&selection.namespace).netem {
            return Ok(Some(why));
        }
        if selection.owner != PacketOwner::Everyone {
            return Ok(Some("it cannot tell whose packets it delays".into()));
        }
        if !fault.peers.is_anybody() {
            return Ok(Some("it delays whatever leaves by an interface, whoever the peer is".into()));
        }
        let interface = match interface(context, selection)? {
            Ok(interface) => interface,
            Err(why) => return Ok(Some(why)),
        };
        if let Some(why) = context.facts.netem_obstacle(&selection.namespace, &interface)? {
            return Ok(Some(format!("{interface}: {why}")));
        }
    }
    Ok(None)
}

/// Why the kernel's emulator is not the better choice although it could do it; `None` if it is.
pub(super) fn drawback(fault: &NetworkLatency) -> Option<String> {
    let jitter = !fault.jitter.is_zero();
    jitter.then(|| "with jitter, netem lets packets of one connection overtake each other".into())
}

/// One netem for each namespace in which there is a target, and what to say about them.
pub(super) fn steps(
    fault: &NetworkLatency,
    context: &PlanContext<'_>,
    scope: &PacketScope,
) -> Result<(Vec<Step>, Vec<String>), PlanError> {
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    for selection in &scope.selections {
        let interface = interface(context, selection)?.map_err(|message| PlanError::Unsupported {
            message: format!("netem cannot do this: {message}"),
            hint: "name one with `interface`, or use `engine: queue`".into(),
        })?;
        let hold = HoldTime {
            delay: fault.delay,
            jitter: fault.jitter,
            distribution: fault.distribution,
            correlation: fault.correlation,
            seed: context.seed ^ context.id.number(),
        };
        let step = Netem::new(context.id, selection.namespace.clone(), interface, hold);
        notes.push(format!(
            "{} holds up to {} packets: enough for {:.0} packets/s; more are dropped",
            step.interface,
            step.limit,
            step.carries()
        ));
        steps.push(Step::Netem(step));
    }
    if !fault.jitter.is_zero() {
        notes.push("packets overtake each other when their delays differ, as netem does it".into());
    }
    if fault.correlation > crate::units::Percent::ZERO {
        notes.push("netem's correlation averages neighbouring delays, so that they spread less than asked".into());
    }
    if fault.delay.duration() > Duration::from_secs(1) {
        notes.push("what is still held 300 ms after the fault is undone is dropped".into());
    }
    Ok((steps, notes))
}

/// The interface that is meant: the one named, else the only one there is. The inner error says why there is none.
fn interface(context: &PlanContext<'_>, selection: &PacketSelection) -> Result<Result<String, String>, PlanError> {
    if let Some(named) = &selection.interface {
        return Ok(Ok(named.clone()));
    }
    let mut all = context.facts.interfaces(&selection.namespace)?;
    all.retain(|name| selection.loopback || name != "lo");
    Ok(match all.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err("there is no interface besides loopback".into()),
        several => Err(format!(
            "there are several interfaces ({}), and a packet that passes two would be delayed twice",
            several.join(", ")
        )),
    })
}

#[cfg(test)]
mod tests {
    use crate::facts::Feature;
    use crate::facts::fake::FakeFacts;
    use crate::fault::packet_tests::plan;
    use crate::fault::{AnyFault, Scope};
    use crate::plan::Step;

    fn parse(text: &str) -> AnyFault {
        serde_json::from_str(&format!(r#"{{"network-latency": {text}}}"#)).unwrap()
    }

    fn chosen(text: &str, facts: &FakeFacts) -> (bool, String) {
        let plan = plan(&parse(text), &Scope::default(), facts).unwrap();
        (matches!(plan.steps[0], Step::Netem(_)), plan.notes[0].clone())
    }

    #[test]
    fn netem_is_taken_for_all_that_leaves_by_an_interface() {
        let facts = FakeFacts::default();
        let plan = plan(&parse(r#"{"delay": "100ms", "interface": "eth0"}"#), &Scope::default(), &facts).unwrap();
        insta::assert_snapshot!(plan.steps[0].describe(), @"add qdisc netem f02a: to eth0 in the agent's own network namespace: hold for 100ms, up to 100000 packets");
        insta::assert_snapshot!(plan.steps[0].describe_undo(), @"let go of what netem f02a: holds and remove it from eth0");
        insta::assert_snapshot!(plan.notes.join("\n"), @r"
        engine netem: it is meant for all that leaves by an interface
        eth0 holds up to 100000 packets: enough for 1000000 packets/s; more are dropped
        packets over loopback are left alone on a whole host; name loopback addresses under `peers.cidrs` or `interface: lo` to include them
        ARP, IPv6 neighbour discovery and Faultline's own control traffic are exempt
        ");
        // With one interface besides loopback there is no need to name it.
        assert!(chosen(r#"{"delay": "100ms"}"#, &facts).0);
    }

    #[test]
    fn whatever_netem_cannot_do_exactly_goes_to_the_queue_and_the_plan_says_why() {
        let facts = FakeFacts::default();
        let mut reasons = Vec::new();
        for parameters in [
            r#"{"delay": "1ms", "interface": "eth0", "direction": "both"}"#,
            r#"{"delay": "1ms", "interface": "eth0", "peers": {"ports": [80]}}"#,
            r#"{"delay": "1ms", "interface": "eth0", "jitter": "1ms"}"#,
            r#"{"delay": "1ms", "interface": "eth0", "jitter": "3s"}"#,
        ] {
            let (netem, note) = chosen(parameters, &facts);
            assert!(!netem, "{parameters}");
            reasons.push(note);
        }
        let mut foreign = FakeFacts::default();
        foreign.netem_obstacles.insert("eth0".into(), "its root is somebody's qdisc htb 1:".into());
        reasons.push(chosen(r#"{"delay": "1ms", "interface": "eth0"}"#, &foreign).1);
        let mut several = FakeFacts::default();
        several.interfaces.values_mut().for_each(|names| names.push("eth1".into()));
        reasons.push(chosen(r#"{"delay": "1ms"}"#, &several).1);
        insta::assert_snapshot!(reasons.join("\n"), @r"
        engine queue, since netem cannot do this: it acts on what leaves only, so `direction` would have to be egress
        engine queue, since netem cannot do this: it delays whatever leaves by an interface, whoever the peer is
        engine queue: with jitter, netem lets packets of one connection overtake each other
        engine queue, since netem cannot do this: it cannot spread a delay by more than 2.147483647s
        engine queue, since netem cannot do this: eth0: its root is somebody's qdisc htb 1:
        engine queue, since netem cannot do this: there are several interfaces (eth0, eth1), and a packet that passes two would be delayed twice
        ");
    }

    #[test]
    fn netem_asked_for_by_name_is_netem_or_an_error() {
        let mut facts = FakeFacts::default();
        let (netem, note) =
            chosen(r#"{"delay": "1ms", "interface": "eth0", "jitter": "1ms", "engine": "netem"}"#, &facts);
        assert!(netem, "{note}");
        facts.kernel_features.netem = Feature::Missing("no netem".into());
        let error = plan(&parse(r#"{"delay": "1ms", "engine": "netem"}"#), &Scope::default(), &facts).unwrap_err();
        insta::assert_snapshot!(error.to_string(), @"netem cannot do this: no netem");
    }

    #[test]
    fn without_a_queue_netem_takes_the_jitter_too() {
        let mut facts = FakeFacts::default();
        facts.kernel_features.packet_queue = Feature::Missing("no queue".into());
        let (netem, note) = chosen(r#"{"delay": "1ms", "jitter": "1ms"}"#, &facts);
        assert!(netem, "{note}");
        let error = plan(&parse(r#"{"delay": "1ms", "direction": "both"}"#), &Scope::default(), &facts).unwrap_err();
        insta::assert_snapshot!(error.to_string(), @"packets cannot be held in a queue: no queue; and netem cannot do this: it acts on what leaves only, so `direction` would have to be egress");
    }
}

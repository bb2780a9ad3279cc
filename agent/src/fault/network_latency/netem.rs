use super::NetworkLatency;
use crate::facts::Feature;
use crate::fault::packet_scope::PacketScope;
use crate::fault::{PlanContext, PlanError};
use crate::kernel::netem::DRAIN;
use crate::plan::Step;
use crate::plan::step::{Direction, HoldTime, Netem, PacketClassification, PacketOwner, PacketSelection};
use crate::units::Percent;

/// Why netem cannot act on exactly the packets that are meant; `None` if it can.
///
/// `Err` is an interface that could not be looked at.
pub(super) fn obstacle(
    fault: &NetworkLatency,
    context: &PlanContext<'_>,
    scope: &PacketScope,
) -> Result<Option<String>, PlanError> {
    if fault.jitter.duration() > Netem::LONGEST_JITTER {
        return Ok(Some(format!("it cannot spread a delay by more than {:?}", Netem::LONGEST_JITTER)));
    }
    if fault.correlation > Percent::ZERO {
        // `tabledist` of the kernel takes the remainder of the correlated number by the size of its table, or by twice
        // the jitter in nanoseconds: of what is left nothing shows the number before.
        return Ok(Some("its correlation has no effect on delays".into()));
    }
    if fault.direction.is_some_and(|direction| direction != Direction::Egress) {
        return Ok(Some("it acts on what leaves only, so `direction` would have to be egress".into()));
    }
    for selection in &scope.selections {
        let features = context.facts.kernel_features(&selection.namespace);
        if let Feature::Missing(why) = features.netem {
            return Ok(Some(why));
        }
        if let (true, Feature::Missing(why)) = (is_chosen(fault, selection), features.owner_tables) {
            return Ok(Some(format!("nothing can choose the packets for it: {why}")));
        }
        let interfaces = match interfaces(fault, context, selection)? {
            Ok(interfaces) => interfaces,
            Err(why) => return Ok(Some(why)),
        };
        for interface in interfaces {
            if let Some(why) = context.facts.netem_obstacle(&selection.namespace, &interface)? {
                return Ok(Some(format!("{interface}: {why}")));
            }
        }
    }
    Ok(None)
}

/// Why netem is the better choice where it can do it.
pub(super) fn merit(fault: &NetworkLatency, scope: &PacketScope) -> &'static str {
    if scope.selections.iter().any(|selection| is_chosen(fault, selection)) {
        "rules of the worker choose the packets, and the kernel holds them"
    } else {
        "it is meant for all that leaves by an interface"
    }
}

/// Whether only some of the packets that leave by an interface are meant.
fn is_chosen(fault: &NetworkLatency, selection: &PacketSelection) -> bool {
    selection.owner != PacketOwner::Everyone || !fault.peers.is_anybody()
}

/// Why the kernel's emulator is not the better choice although it could do it; `None` if it is.
pub(super) fn drawback(fault: &NetworkLatency) -> Option<String> {
    let jitter = !fault.jitter.is_zero();
    jitter.then(|| "with jitter, netem lets packets of one connection overtake each other".into())
}

/// A netem for each interface, where only some packets are meant with the rules that choose them, and what to say about
/// them.
pub(super) fn steps(
    fault: &NetworkLatency,
    context: &PlanContext<'_>,
    scope: &PacketScope,
) -> Result<(Vec<Step>, Vec<String>), PlanError> {
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    let hold = HoldTime {
        delay: fault.delay,
        jitter: fault.jitter,
        distribution: fault.distribution,
        correlation: Percent::ZERO,
        seed: context.seed ^ context.id.number(),
    };
    for selection in &scope.selections {
        let interfaces = interfaces(fault, context, selection)?.map_err(|message| PlanError::Unsupported {
            message: format!("netem cannot do this: {message}"),
            hint: "name one with `interface`, or use `engine: queue`".into(),
        })?;
        let chosen = is_chosen(fault, selection);
        let all = |interface: String| Netem::new(context.id, selection.namespace.clone(), interface, hold);
        let netems: Vec<Netem> = match chosen {
            false => interfaces.into_iter().map(all).collect(),
            true => (0..).zip(interfaces).map(|(nth, interface)| all(interface).for_chosen(nth)).collect(),
        };
        for netem in &netems {
            notes.push(format!(
                "{} holds up to {} packets: enough for {:.0} packets/s; more are dropped",
                netem.interface,
                netem.limit,
                netem.carries()
            ));
        }
        steps.extend(netems.iter().cloned().map(Step::Netem));
        if chosen {
            let names = netems.iter().map(|netem| netem.interface.as_str()).collect::<Vec<_>>().join(" and ");
            notes.push(format!("what is not meant passes {names} undelayed, through a plain queue meanwhile"));
            let table = context.id.table_name();
            let selection = selection.clone();
            steps.push(Step::PacketClassification(PacketClassification { table, selection, netems }));
        }
        notes.extend(unqueued(context, selection));
    }
    if !fault.jitter.is_zero() {
        notes.push("packets overtake each other when their delays differ, as netem does it".into());
    }
    if hold.longest() > DRAIN {
        notes.push(format!("what is still held {} ms after the fault is undone is dropped", DRAIN.as_millis()));
    }
    Ok((steps, notes))
}

/// What is lost where connections that just open cannot be handed to the worker.
fn unqueued(context: &PlanContext<'_>, selection: &PacketSelection) -> Option<String> {
    match (&selection.owner, context.facts.kernel_features(&selection.namespace).packet_queue) {
        (PacketOwner::Processes(_), Feature::Missing(why)) => {
            Some(format!("a connection that a process opens is met within 100 ms and not from its first packet: {why}"))
        }
        _ => None,
    }
}

/// The interfaces that are meant: the one named; else the only one there is, with loopback for chosen packets. The
/// inner error says why there is none.
fn interfaces(
    fault: &NetworkLatency,
    context: &PlanContext<'_>,
    selection: &PacketSelection,
) -> Result<Result<Vec<String>, String>, PlanError> {
    if let Some(named) = &selection.interface {
        return Ok(Ok(vec![named.clone()]));
    }
    let mut all = context.facts.interfaces(&selection.namespace)?;
    all.retain(|name| selection.loopback || name != "lo");
    let besides = all.iter().filter(|name| *name != "lo").count();
    // A packet leaves by loopback or by another interface, never by both.
    let one_way = all.len() == 1 || besides == 1 && is_chosen(fault, selection);
    Ok(match all.as_slice() {
        [] => Err("there is no interface besides loopback".into()),
        _ if one_way => Ok(all),
        several => Err(format!(
            "there are several interfaces ({}), and {}",
            several.join(", "),
            if is_chosen(fault, selection) {
                "each would get another queue for all that leaves by it"
            } else {
                "a packet that passes two would be delayed twice"
            }
        )),
    })
}

#[cfg(test)]
mod tests {
    use crate::facts::Feature;
    use crate::facts::fake::FakeFacts;
    use crate::fault::packet_tests::{plan, process_in, scope_of};
    use crate::fault::{AnyFault, Scope};
    use crate::plan::{Plan, Step, UndoClass};

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

    fn whole(plan: &Plan) -> String {
        let steps = plan.steps.iter().map(|step| format!("{}\n  undo: {}", step.describe(), step.describe_undo()));
        steps.chain(plan.notes.iter().map(|note| format!("- {note}"))).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn chosen_packets_are_sent_to_netem_by_rules_of_the_worker() {
        let fault = parse(
            r#"{"delay": "400ms", "peers": {"cidrs": ["10.0.0.0/8", "fd00::/8"], "hosts": ["db"], "ports": [5432]}}"#,
        );
        let plan = plan(&fault, &Scope::default(), &FakeFacts::default()).unwrap();
        assert_eq!(plan.undo_class(), UndoClass::Guard);
        insta::assert_snapshot!(whole(&plan), @r"
        add qdisc netem f02a: to lo in the agent's own network namespace: hold what is sent to it for 400ms, up to 400000 packets
          undo: let go of what netem f02a: holds and remove it from lo
        add qdisc netem f02b: to eth0 in the agent's own network namespace: hold what is sent to it for 400ms, up to 400000 packets
          undo: let go of what netem f02b: holds and remove it from eth0
        add table inet faultline_00000000002a and send to netem f02a: of lo or netem f02b: of eth0: packets to 10.0.0.0/8, fd00::/8, db at port 5432, in the agent's own network namespace
          undo: remove table inet faultline_00000000002a
        - engine netem: rules of the worker choose the packets, and the kernel holds them
        - lo holds up to 400000 packets: enough for 1000000 packets/s; more are dropped
        - eth0 holds up to 400000 packets: enough for 1000000 packets/s; more are dropped
        - what is not meant passes lo and eth0 undelayed, through a plain queue meanwhile
        - what is still held 300 ms after the fault is undone is dropped
        - ARP, IPv6 neighbour discovery and Faultline's own control traffic are exempt
        ");
    }

    #[test]
    fn one_process_is_met_on_each_interface_by_its_sockets() {
        let mut facts = FakeFacts::default();
        facts.processes.extend([process_in(200, "/shop"), process_in(201, "/shop")]);
        let fault = parse(r#"{"delay": "5ms"}"#);
        let by_sockets = plan(&fault, &scope_of(&facts, &[200]), &facts).unwrap();
        insta::assert_snapshot!(whole(&by_sockets), @r"
        add qdisc netem f02a: to lo in the agent's own network namespace: hold what is sent to it for 5ms, up to 5000 packets
          undo: let go of what netem f02a: holds and remove it from lo
        add qdisc netem f02b: to eth0 in the agent's own network namespace: hold what is sent to it for 5ms, up to 5000 packets
          undo: let go of what netem f02b: holds and remove it from eth0
        add table inet faultline_00000000002a and send to netem f02a: of lo or netem f02b: of eth0: packets to anybody, of process 200, in the agent's own network namespace
          undo: remove table inet faultline_00000000002a
        - engine netem: rules of the worker choose the packets, and the kernel holds them
        - lo holds up to 5000 packets: enough for 1000000 packets/s; more are dropped
        - eth0 holds up to 5000 packets: enough for 1000000 packets/s; more are dropped
        - what is not meant passes lo and eth0 undelayed, through a plain queue meanwhile
        - the processes are matched by their sockets, looked up as connections open and every 100 ms (they share their cgroup with others); a port on which other processes listen too is met for all of them
        - ARP, IPv6 neighbour discovery and Faultline's own control traffic are exempt
        ");
        let by_cgroup = plan(&fault, &scope_of(&facts, &[200, 201]), &facts).unwrap();
        insta::assert_snapshot!(by_cgroup.steps[2].describe(), @"add table inet faultline_00000000002a and send to netem f02a: of lo or netem f02b: of eth0: packets to anybody, of cgroup /shop, in the agent's own network namespace");
        facts.kernel_features.packet_queue = Feature::Missing("no queue".into());
        let polled = plan(&fault, &scope_of(&facts, &[200]), &facts).unwrap();
        let added: Vec<_> = polled.notes.iter().filter(|note| !by_sockets.notes.contains(note)).collect();
        insta::assert_debug_snapshot!(added, @r#"
        [
            "engine netem: packets cannot be held in a queue (no queue)",
            "a connection that a process opens is met within 100 ms and not from its first packet: no queue",
        ]
        "#);
        facts.kernel_features.owner_tables = Feature::Missing("no owner tables".into());
        let error = plan(&fault, &scope_of(&facts, &[200]), &facts).unwrap_err();
        insta::assert_snapshot!(error.to_string(), @"packets cannot be held in a queue: no owner tables; and netem cannot do this: nothing can choose the packets for it: no owner tables");
    }

    #[test]
    fn whatever_netem_cannot_do_exactly_goes_to_the_queue_and_the_plan_says_why() {
        let facts = FakeFacts::default();
        let mut reasons = Vec::new();
        for parameters in [
            r#"{"delay": "1ms", "interface": "eth0", "direction": "both"}"#,
            r#"{"delay": "1ms", "interface": "eth0", "jitter": "1ms"}"#,
            r#"{"delay": "1ms", "jitter": "1ms", "peers": {"ports": [80]}}"#,
            r#"{"delay": "1ms", "interface": "eth0", "jitter": "3s"}"#,
        ] {
            let (netem, note) = chosen(parameters, &facts);
            assert!(!netem, "{parameters}");
            reasons.push(note);
        }
        let mut foreign = FakeFacts::default();
        foreign.netem_obstacles.insert("eth0".into(), "its root is somebody's qdisc htb 1:".into());
        reasons.push(chosen(r#"{"delay": "1ms", "interface": "eth0"}"#, &foreign).1);
        let mut another = FakeFacts::default();
        another.netem_obstacles.insert("lo".into(), "netem f001: of another fault holds chosen packets there".into());
        reasons.push(chosen(r#"{"delay": "1ms", "peers": {"cidrs": ["127.0.0.1"]}}"#, &another).1);
        let mut several = FakeFacts::default();
        several.interfaces.values_mut().for_each(|names| names.push("eth1".into()));
        reasons.push(chosen(r#"{"delay": "1ms"}"#, &several).1);
        reasons.push(chosen(r#"{"delay": "1ms", "peers": {"ports": [80]}}"#, &several).1);
        insta::assert_snapshot!(reasons.join("\n"), @r"
        engine queue, since netem cannot do this: it acts on what leaves only, so `direction` would have to be egress
        engine queue: with jitter, netem lets packets of one connection overtake each other
        engine queue: with jitter, netem lets packets of one connection overtake each other
        engine queue, since netem cannot do this: it cannot spread a delay by more than 2.147483647s
        engine queue, since netem cannot do this: eth0: its root is somebody's qdisc htb 1:
        engine queue, since netem cannot do this: lo: netem f001: of another fault holds chosen packets there
        engine queue, since netem cannot do this: there are several interfaces (eth0, eth1), and a packet that passes two would be delayed twice
        engine queue, since netem cannot do this: there are several interfaces (eth0, eth1), and each would get another queue for all that leaves by it
        ");
    }

    #[test]
    fn netem_asked_for_by_name_is_netem_or_an_error() {
        let mut facts = FakeFacts::default();
        let (netem, note) =
            chosen(r#"{"delay": "1ms", "interface": "eth0", "jitter": "1ms", "engine": "netem"}"#, &facts);
        assert!(netem, "{note}");
        facts.kernel_features.netem = Feature::Missing("no netem".into());
        let refused =
            |text: &str, facts: &FakeFacts| plan(&parse(text), &Scope::default(), facts).unwrap_err().to_string();
        insta::assert_snapshot!(refused(r#"{"delay": "1ms", "engine": "netem"}"#, &facts), @"netem cannot do this: no netem");
        facts.kernel_features.netem = Feature::Present;
        let correlated = r#"{"delay": "1ms", "jitter": "1ms", "correlation": "25%", "engine": "netem"}"#;
        insta::assert_snapshot!(refused(correlated, &facts), @"netem cannot do this: its correlation has no effect on delays");
        let arriving = r#"{"delay": "1ms", "direction": "ingress", "engine": "netem"}"#;
        insta::assert_snapshot!(refused(arriving, &facts), @"netem cannot do this: it acts on what leaves only, so `direction` would have to be egress");
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

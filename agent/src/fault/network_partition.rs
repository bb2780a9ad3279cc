use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Peers, PlanContext, PlanError, packet_scope};
use crate::facts::{Feature, Need};
use crate::plan::step::{Direction, PacketRules, PartitionAction};
use crate::plan::{Plan, Step, UndoClass};

/// Cuts the target off from its peers: packets are dropped or rejected, on connections that exist and on new ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkPartition {
    /// What becomes of the packets.
    #[serde(default)]
    pub action: PartitionAction,
    /// Which way the packets go, seen from the target. A cut is complete in both directions; one direction alone makes
    /// a half-open network.
    #[serde(default = "both")]
    pub direction: Direction,
    /// The other side; anybody if absent.
    #[serde(default, skip_serializing_if = "Peers::is_anybody")]
    pub peers: Peers,
    /// The interface through which the packets pass; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

fn both() -> Direction {
    Direction::Both
}

impl Fault for NetworkPartition {
    const NAME: &'static str = "network-partition";
    const SUMMARY: &'static str = "Cuts a target off from its peers by dropping or rejecting packets";
    const DETAILS: &'static str = "\
An nftables table of its own, owned by the worker: the kernel removes it when the worker ends, however it ends. Rules \
of others stay as they are and keep their effect; packets meet ours first (priority before connection tracking), so \
connections that exist are cut as well as new ones. IPv4 and IPv6.\n\n\
`drop` looks like a cut cable, `reject` like a host without the service (TCP reset, ICMP port unreachable), \
`unreachable` like a router without a way (ICMP host unreachable). With `reject` and `unreachable`, resets and \
unreachable messages themselves pass.\n\n\
`peers.ports` are the ports that the target connects to, `peers.localPorts` those on which it listens.\n\n\
Exempt: ARP, IPv6 neighbour discovery, Faultline's own control traffic, and loopback when the target is a whole host \
and no address or interface says otherwise.";
    const UNDO: UndoClass = UndoClass::Kernel;
    const NEEDS: &'static [Need] = &[Need::OwnerTables];
    const EXAMPLE: &'static str = "network-partition: { action: reject, peers: { ports: [5432], protocol: tcp } }\n";

    fn check(&self) -> Result<(), PlanError> {
        self.peers.check()
    }

    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
        self.check()?;
        let scope = packet_scope::select(&context, self.direction, self.interface.as_deref(), &self.peers)?;
        let mut steps = Vec::new();
        for selection in scope.selections {
            if let Feature::Missing(reason) = context.facts.kernel_features(&selection.namespace).owner_tables {
                return Err(PlanError::Unsupported {
                    message: format!("packets cannot be dropped in {}: {reason}", selection.namespace),
                    hint: "`faultline doctor` lists what this host can do".into(),
                });
            }
            let table = context.id.table_name();
            steps.push(Step::PacketRules(PacketRules { table, selection, action: self.action }));
        }
        Ok(Plan {
            id: context.id.clone(),
            fault: Self::NAME.into(),
            targets: scope.targets,
            dose: Vec::new(),
            steps,
            notes: scope.notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet_tests::{plan, process_in, scope_of};
    use super::*;
    use crate::facts::fake::FakeFacts;
    use crate::fault::{AnyFault, Scope};
    use crate::plan::step::PacketOwner;

    fn parse(text: &str) -> AnyFault {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_whole_host_keeps_its_loopback() {
        let fault = parse(r#"{"network-partition": {"peers": {"ports": [5432, "8000-8010"], "protocol": "tcp"}}}"#);
        let plan = plan(&fault, &Scope::default(), &FakeFacts::default()).unwrap();
        insta::assert_snapshot!(plan.steps[0].describe(), @"add table inet faultline_00000000002a and drop: TCP packets to and from anybody at port 5432, 8000-8010, in the agent's own network namespace, loopback left alone");
        assert!(plan.notes[0].starts_with("packets over loopback are left alone"), "{:?}", plan.notes);
        assert_eq!(plan.undo_class(), UndoClass::Kernel);
    }

    #[test]
    fn named_addresses_and_interfaces_include_loopback() {
        for text in
            [r#"{"peers": {"hosts": ["localhost"]}}"#, r#"{"interface": "lo"}"#, r#"{"peers": {"cidrs": ["::1"]}}"#]
        {
            let fault = parse(&format!(r#"{{"network-partition": {text}}}"#));
            let plan = plan(&fault, &Scope::default(), &FakeFacts::default()).unwrap();
            let Step::PacketRules(rules) = &plan.steps[0] else { panic!() };
            assert!(rules.selection.loopback, "{text}");
        }
    }

    #[test]
    fn processes_alone_in_their_cgroup_are_matched_by_it_and_others_by_their_sockets() {
        let facts = FakeFacts {
            processes: vec![process_in(7, "/shop"), process_in(8, "/shop/worker"), process_in(9, "/shared")],
            ..FakeFacts::default()
        };
        let fault = parse(r#"{"network-partition": {}}"#);
        let owner = |pids: &[i32], facts: &FakeFacts| {
            let plan = plan(&fault, &scope_of(facts, pids), facts).unwrap();
            let Step::PacketRules(rules) = &plan.steps[0] else { panic!() };
            rules.selection.owner.clone()
        };
        assert_eq!(owner(&[7, 8], &facts), PacketOwner::Cgroups(vec!["/shop".into(), "/shop/worker".into()]));
        assert!(matches!(owner(&[7], &facts), PacketOwner::Processes(_)), "8 is below it");
        let mut without = facts.clone();
        without.kernel_features.cgroup_match = Feature::Missing("none".into());
        assert!(matches!(owner(&[9], &without), PacketOwner::Processes(_)));
        assert_eq!(owner(&[9], &facts), PacketOwner::Cgroups(vec!["/shared".into()]));
    }

    #[test]
    fn what_cannot_work_is_refused_before_anything_is_touched() {
        let facts = FakeFacts::default();
        let refuse = |text: &str, scope: &Scope| {
            plan(&parse(&format!(r#"{{"network-partition": {text}}}"#)), scope, &facts).unwrap_err().to_string()
        };
        let host = Scope::default();
        insta::assert_snapshot!(refuse(r#"{"interface": "eth9"}"#, &host), @"there is no interface `eth9` in the agent's own network namespace");
        insta::assert_snapshot!(refuse(r#"{"peers": {"ports": [1], "protocol": "icmp"}}"#, &host), @"peers: ICMP has no ports");
        insta::assert_snapshot!(refuse(r#"{"peers": {"hosts": ["http://db:5432"]}}"#, &host), @"peers: `http://db:5432` is not a host name");
        let shop = FakeFacts { processes: vec![process_in(7, "/")], ..FakeFacts::default() };
        let icmp =
            plan(&parse(r#"{"network-partition": {"peers": {"protocol": "icmp"}}}"#), &scope_of(&shop, &[7]), &shop);
        insta::assert_snapshot!(icmp.unwrap_err().to_string(), @"ICMP packets cannot be told apart by process: their sockets have no ports");
        insta::assert_snapshot!(refuse("{}", &scope_of(&facts, &[100])), @"process 100 (faultline) is protected");
        insta::assert_snapshot!(refuse("{}", &Scope { cgroup: Some("/none".into()), ..Scope::default() }), @"no process is in cgroup /none");
    }
}

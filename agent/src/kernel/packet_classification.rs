//! Chosen packets held by netem: a table of ours sends them there, and what becomes of them is measured here.

use super::netem::Measuring;
use super::packet_table::{Decision, Enforced, PacketTable, TableStep};
use super::{Hold, KernelError};
use crate::plan::step::{PacketClassification, PacketSelection};
use crate::plan::{Bite, Evidence};

impl TableStep for PacketClassification {
    const OWNER_ALONE: &'static str = "counts its packets";

    fn table(&self) -> &str {
        &self.table
    }

    fn selection(&self) -> &PacketSelection {
        &self.selection
    }

    fn enforce(&self) -> Result<Box<dyn Hold>, KernelError> {
        let table = PacketTable::create(&self.table, &self.selection, Decision::Netem(&self.netems))?;
        let netems = self.netems.iter().cloned().map(Measuring::start).collect();
        Ok(Box::new(Classification { rules: Enforced { table, what: "chosen" }, netems }))
    }
}

/// Rules in force, and the netems to which they send packets.
#[derive(Debug)]
struct Classification {
    rules: Enforced,
    netems: Vec<Measuring>,
}

impl Hold for Classification {
    fn evidence(&self) -> Evidence {
        together(self.rules.evidence(), self.netems.iter().map(Hold::evidence).collect())
    }
}

/// It bites when the rules chose packets and one of the netems held some: a fault with two interfaces acts although all
/// its packets leave by one. Where some were held, the other interfaces have nothing to tell.
fn together(rules: Evidence, netems: Vec<Evidence>) -> Evidence {
    let Evidence { mut bite, mut measurements, .. } = rules;
    let any_held = netems.iter().any(|netem| netem.bite == Bite::Yes);
    for netem in netems {
        if any_held && matches!(netem.bite, Bite::NotYet(_)) {
            continue;
        }
        measurements.extend(netem.measurements);
        match netem.bite {
            no @ Bite::No(_) => bite = no,
            waiting @ Bite::NotYet(_) if bite == Bite::Yes => bite = waiting,
            Bite::NotYet(_) | Bite::Yes => {}
        }
    }
    Evidence::new(bite, measurements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Measurement;

    fn part(bite: Bite, name: &str) -> Evidence {
        let unit = String::new();
        let measurement = Measurement { name: name.into(), asked: None, measured: 1.0, unit, by: String::new() };
        Evidence::new(bite, vec![measurement])
    }

    fn waiting(what: &str) -> Bite {
        Bite::NotYet(format!("no packet {what}"))
    }

    fn names(evidence: &Evidence) -> Vec<&str> {
        evidence.measurements.iter().map(|measurement| measurement.name.as_str()).collect()
    }

    #[test]
    fn one_interface_with_packets_is_enough_and_the_others_are_not_told_of() {
        let netems = vec![part(waiting("by lo"), "lo"), part(Bite::Yes, "eth0")];
        let evidence = together(part(Bite::Yes, "rules"), netems);
        assert_eq!((evidence.bite.clone(), names(&evidence)), (Bite::Yes, vec!["rules", "eth0"]));
    }

    #[test]
    fn it_does_not_bite_while_either_has_seen_nothing_or_one_is_broken() {
        let both = |rules, netem| together(part(rules, "rules"), vec![part(netem, "eth0")]).bite;
        assert_eq!(both(Bite::Yes, waiting("by eth0")), waiting("by eth0"));
        assert_eq!(both(waiting("chosen"), waiting("by eth0")), waiting("chosen"));
        assert_eq!(both(waiting("chosen"), Bite::Yes), waiting("chosen"));
        assert_eq!(both(Bite::Yes, Bite::No("changed".into())), Bite::No("changed".into()));
        assert_eq!(both(Bite::No("unreadable".into()), Bite::Yes), Bite::No("unreadable".into()));
    }
}

//! What an agent answers. An older controller ignores what a newer agent adds; what is asked, it must understand whole.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::halt::Halt;
use crate::plan::Plan;

/// What a fault would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// Its steps.
    pub plan: Plan,
    /// What its target is now: one line for each thing that is touched.
    pub targets: Vec<String>,
    /// Why the host's own policy forbids it, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Why a fault cannot be planned. Nothing was touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{reason}")]
pub struct NotPlanned {
    /// Why, with the way on.
    pub reason: String,
    /// Whether the host cannot do it, rather than must not or need not.
    pub unsupported: bool,
}

/// A fault in place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Injected {
    /// What was done.
    pub plan: Plan,
    /// From the command to the last step in place.
    pub took: Duration,
}

/// An injection that failed: why, and what was taken back of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{reason}")]
pub struct NotInjected {
    /// Why, with the way on.
    pub reason: String,
    /// Whether it is certain that nothing is left of it.
    pub verified: bool,
}

impl NotInjected {
    /// One that was refused before anything was touched.
    pub fn nothing(reason: String) -> Self {
        Self { reason, verified: true }
    }
}

/// What an undo found and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Undone {
    /// One line a step.
    pub steps: Vec<UndoneStep>,
    /// Whether the host was seen to be as before.
    pub verified: bool,
    /// How long it took.
    pub took: Duration,
}

/// One step, undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UndoneStep {
    /// What undo does.
    pub step: String,
    /// How it ended: `undone`, `was absent`, `left: somebody changed it`, or the error.
    pub outcome: String,
    /// Whether it is certain that nothing is left of it.
    pub clean: bool,
}

impl UndoneStep {
    /// The steps of which something may be left, each with how it ended, in one line; empty if there are none.
    pub fn unclean(steps: &[Self]) -> String {
        let unclean = steps.iter().filter(|step| !step.clean);
        unclean.map(|step| format!("{}: {}", step.step, step.outcome)).collect::<Vec<_>>().join("; ")
    }
}

/// Why an agent wants everything on its host to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MustStop {
    /// The host was halted, for this reason.
    Halted(Halt),
    /// The guard is gone: nobody would undo if this process died now.
    GuardLost,
    /// A reason of a newer agent, as it wrote it. It must end all the same.
    #[serde(untagged)]
    Newer(serde_json::Value),
}

/// An error with its causes and its hint in one text, as a run's journal keeps it.
pub(super) fn told(error: &dyn std::error::Error, hint: Option<String>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !text.contains(&error.to_string()) {
            text = format!("{text}: {error}");
        }
        cause = error.source();
    }
    match hint {
        Some(hint) => format!("{text} (hint: {hint})"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::super::{ActiveFault, FaultRequest, NodeStatus, ReadRequest, StuckFault};
    use super::*;
    use crate::identity::FaultId;
    use crate::plan::{Bite, Evidence, Measurement};
    use crate::signals::HostReading;

    /// A value with something new in every map of it but those of a plan, which are read strictly: they say what is undone.
    fn of_a_newer_agent(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (_, inner) in map.iter_mut().filter(|(key, _)| *key != "plan" && *key != "took") {
                    of_a_newer_agent(inner);
                }
                map.insert("addedByANewerAgent".into(), json!({ "anything": [1, "two"] }));
            }
            Value::Array(all) => all.iter_mut().for_each(of_a_newer_agent),
            _ => {}
        }
    }

    fn is_read_all_the_same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(answer: &T) {
        let mut value = serde_json::to_value(answer).unwrap();
        of_a_newer_agent(&mut value);
        assert!(value.to_string().contains("addedByANewerAgent"), "{value}");
        assert_eq!(serde_json::from_value::<T>(value).unwrap(), *answer);
    }

    #[test]
    fn what_a_newer_agent_adds_to_its_answers_is_ignored() {
        let id = FaultId::from_number(7);
        let plan = Plan {
            id: id.clone(),
            fault: "process-kill".into(),
            targets: Vec::new(),
            dose: Vec::new(),
            steps: Vec::new(),
            notes: Vec::new(),
        };
        is_read_all_the_same(&NodeStatus {
            active: vec![ActiveFault { id: id.clone(), fault: "x".into(), targets: Vec::new(), left_ms: 5 }],
            stuck: vec![StuckFault { id, fault: "y".into(), by_hand: vec!["z".into()] }],
            on_record: Some(2),
            must_stop: Some(MustStop::GuardLost),
        });
        is_read_all_the_same(&Planned { plan: plan.clone(), targets: Vec::new(), refused: None });
        is_read_all_the_same(&NotPlanned { reason: "x".into(), unsupported: true });
        is_read_all_the_same(&Injected { plan, took: Duration::from_millis(3) });
        is_read_all_the_same(&NotInjected::nothing("x".into()));
        let step = UndoneStep { step: "x".into(), outcome: "undone".into(), clean: true };
        is_read_all_the_same(&Undone { steps: vec![step], verified: true, took: Duration::ZERO });
        let (name, unit, by) = ("delay".into(), "ms".into(), "median".into());
        let measured = Measurement { name, asked: None, measured: 1.0, unit, by };
        is_read_all_the_same(&Evidence::new(Bite::Yes, vec![measured]));
        is_read_all_the_same(&HostReading { cpu: Some(0.5), ..HostReading::default() });
    }

    #[test]
    fn a_reason_to_stop_that_only_a_newer_agent_knows_is_a_reason() {
        for reason in [json!("draining"), json!({ "draining": { "until": 5 } })] {
            let status = json!({ "active": [], "stuck": [], "mustStop": reason });
            let read: NodeStatus = serde_json::from_value(status.clone()).unwrap();
            assert_eq!(read.must_stop, Some(MustStop::Newer(reason)));
            assert_eq!(serde_json::to_value(&read).unwrap(), status);
        }
        let lost = json!({ "active": [], "stuck": [], "mustStop": "guard-lost" });
        assert_eq!(serde_json::from_value::<NodeStatus>(lost).unwrap().must_stop, Some(MustStop::GuardLost));
    }

    #[test]
    fn what_is_asked_is_refused_unless_all_of_it_is_understood() {
        let fault = json!({
            "id": FaultId::from_number(7), "run": "r-1", "fault": { "network-latency": { "delay": "5ms" } },
            "targetName": "db", "target": { "process": { "pid": 5 } }, "lasts": "60s", "seed": 1,
        });
        let read = json!({
            "run": "r-1", "signal": "s", "targetName": "db", "target": { "process": { "pid": 5 } }, "path": "/", "seed": 1,
        });
        assert!(serde_json::from_value::<FaultRequest>(fault.clone()).is_ok());
        assert!(serde_json::from_value::<ReadRequest>(read.clone()).is_ok());
        let places = ["", "/fault/network-latency", "/target", "/target/process"];
        for place in places {
            let newer = |mut value: Value| {
                let map = value.pointer_mut(place).and_then(Value::as_object_mut)?;
                map.insert("onlyOnWeekdays".into(), json!(true));
                Some(value)
            };
            let refused = serde_json::from_value::<FaultRequest>(newer(fault.clone()).unwrap()).unwrap_err();
            assert!(refused.to_string().contains("onlyOnWeekdays"), "{place}: {refused}");
            if let Some(read) = newer(read.clone()) {
                let refused = serde_json::from_value::<ReadRequest>(read).unwrap_err();
                assert!(refused.to_string().contains("onlyOnWeekdays"), "{place}: {refused}");
            }
        }
        let fault = json!({ "network-weather": {} });
        let unknown = json!({ "id": FaultId::from_number(7), "run": "r", "fault": fault, "targetName": "db", "lasts": "1s", "seed": 1 });
        assert!(serde_json::from_value::<FaultRequest>(unknown).unwrap_err().to_string().contains("network-weather"));
    }
}

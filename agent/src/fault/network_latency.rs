use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, PlanContext, PlanError};
use crate::facts::Need;
use crate::plan::{Plan, UndoClass};

/// Delays packets
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkLatency {}

impl Fault for NetworkLatency {
    const NAME: &'static str = "network-latency";
    const SUMMARY: &'static str = "Delays packets";
    const DETAILS: &'static str = "";
    const UNDO: UndoClass = UndoClass::Guard;
    const NEEDS: &'static [Need] = &[Need::PacketDelay];
    const EXAMPLE: &'static str = "";

    fn check(&self) -> Result<(), PlanError> {
        Ok(())
    }

    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
        Err(PlanError::Unsupported { message: format!("{} not built", context.id), hint: String::new() })
    }
}

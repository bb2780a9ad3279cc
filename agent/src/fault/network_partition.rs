use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, PlanContext, PlanError};
use crate::facts::Need;
use crate::plan::{Plan, UndoClass};

/// Drops or rejects packets
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkPartition {}

impl Fault for NetworkPartition {
    const NAME: &'static str = "network-partition";
    const SUMMARY: &'static str = "Drops or rejects packets";
    const DETAILS: &'static str = "";
    const UNDO: UndoClass = UndoClass::Kernel;
    const NEEDS: &'static [Need] = &[Need::OwnerTables];
    const EXAMPLE: &'static str = "";

    fn check(&self) -> Result<(), PlanError> {
        Ok(())
    }

    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
        Err(PlanError::Unsupported { message: format!("{} not built", context.id), hint: String::new() })
    }
}

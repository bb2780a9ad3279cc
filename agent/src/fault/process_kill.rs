use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, PlanContext, PlanError};
use crate::facts::Need;
use crate::plan::{Plan, UndoClass};

/// Ends processes by a signal
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessKill {}

impl Fault for ProcessKill {
    const NAME: &'static str = "process-kill";
    const SUMMARY: &'static str = "Ends processes by a signal";
    const DETAILS: &'static str = "";
    const UNDO: UndoClass = UndoClass::Irreversible;
    const NEEDS: &'static [Need] = &[Need::ProcessDescriptors];
    const EXAMPLE: &'static str = "";

    fn check(&self) -> Result<(), PlanError> {
        Ok(())
    }

    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
        Err(PlanError::Unsupported { message: format!("{} not built", context.id), hint: String::new() })
    }
}

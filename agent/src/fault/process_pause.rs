use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, PlanContext, PlanError};
use crate::facts::Need;
use crate::plan::{Plan, UndoClass};

/// Stops processes and continues them later
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessPause {}

impl Fault for ProcessPause {
    const NAME: &'static str = "process-pause";
    const SUMMARY: &'static str = "Stops processes and continues them later";
    const DETAILS: &'static str = "";
    const UNDO: UndoClass = UndoClass::Guard;
    const NEEDS: &'static [Need] = &[Need::ProcessDescriptors];
    const EXAMPLE: &'static str = "";

    fn check(&self) -> Result<(), PlanError> {
        Ok(())
    }

    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
        Err(PlanError::Unsupported { message: format!("{} not built", context.id), hint: String::new() })
    }
}

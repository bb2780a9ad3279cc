use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, PlanContext, PlanError};
use crate::facts::Need;
use crate::plan::{Plan, UndoClass};

/// Fills a file system
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiskFill {}

impl Fault for DiskFill {
    const NAME: &'static str = "disk-fill";
    const SUMMARY: &'static str = "Fills a file system";
    const DETAILS: &'static str = "";
    const UNDO: UndoClass = UndoClass::Boot;
    const NEEDS: &'static [Need] = &[];
    const EXAMPLE: &'static str = "";

    fn check(&self) -> Result<(), PlanError> {
        Ok(())
    }

    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
        Err(PlanError::Unsupported { message: format!("{} not built", context.id), hint: String::new() })
    }
}

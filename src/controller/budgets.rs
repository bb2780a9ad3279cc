//! What the runs of the fleet spent of error budgets.

use jiff::ToSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::slo::ledger::{self, BudgetLine, Spending};

/// What was spent in the present window of each budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetsList {
    /// By service and SLO.
    pub budgets: Vec<BudgetLine>,
}

impl Controller {
    /// What the runs of the fleet spent of error budgets, each in its present window.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn budgets(&self, who: &Principal) -> Result<BudgetsList, ControllerError> {
        self.admit(who, Action::See).await?;
        let now = self.now().await?;
        // No window of a budget is longer.
        let since = now.checked_sub((2 * 366 * 24).hours()).unwrap_or(jiff::Timestamp::MIN);
        let texts = self.store.spendings(since).await?;
        let all: Vec<Spending> = texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        Ok(BudgetsList { budgets: ledger::present(&all, now) })
    }
}

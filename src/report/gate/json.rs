//! All data of a gate's result.

use super::ReportError;
use crate::gate::GateResult;

pub(super) fn render(result: &GateResult) -> Result<String, ReportError> {
    let failed = |error: serde_json::Error| ReportError::Write { format: "JSON", reason: error.to_string() };
    Ok(serde_json::to_string_pretty(result).map_err(failed)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn everything() {
        insta::assert_snapshot!("json", render(&fixture::mixed()).unwrap());
    }
}

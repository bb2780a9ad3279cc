//! JSON: the report's data as it is, with a JSON Schema.

use schemars::Schema;
use schemars::generate::SchemaSettings;

use super::{ReportError, RunReport};

/// The report as indented JSON with a line end.
pub(super) fn render(report: &RunReport) -> Result<String, ReportError> {
    serde_json::to_string_pretty(report)
        .map(|text| text + "\n")
        .map_err(|source| ReportError::Write { format: "JSON", reason: source.to_string() })
}

/// The schema of the JSON report (JSON Schema, draft 2020-12).
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<RunReport>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/report.json");

    /// `FAULTLINE_UPDATE_SCHEMAS=1` writes the file anew.
    #[test]
    fn the_committed_schema_is_current() {
        let current = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("FAULTLINE_UPDATE_SCHEMAS").is_some() {
            std::fs::write(COMMITTED, &current).unwrap();
        }
        let committed = std::fs::read_to_string(COMMITTED).unwrap();
        assert!(committed == current, "schemas/report.json is not current: FAULTLINE_UPDATE_SCHEMAS=1 writes it anew");
    }

    #[test]
    fn every_ending() {
        for ending in Ending::ALL {
            insta::assert_snapshot!(format!("json-{}", ending.name()), render(&fixture::thin_report(ending)).unwrap());
        }
    }

    #[test]
    fn every_report_fits_the_schema_and_reads_back() {
        let validator = jsonschema::validator_for(schema().as_value()).unwrap();
        for ending in Ending::ALL {
            let report = RunReport::from_entries(&fixture::journal(ending)).unwrap();
            let text = render(&report).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{ending:?}: {errors:?}");
            assert_eq!(serde_json::from_str::<RunReport>(&text).unwrap(), report, "{ending:?}");
        }
        let report = fixture::fleet_report();
        let value = serde_json::to_value(&report).unwrap();
        assert!(
            validator.is_valid(&value),
            "{:?}",
            validator.iter_errors(&value).map(|error| error.to_string()).next()
        );
        let hosts = serde_json::json!({ "hosts": value["hosts"], "drift": value["drift"] });
        insta::assert_snapshot!("json-fleet-hosts", serde_json::to_string_pretty(&hosts).unwrap());
        let mut broken =
            serde_json::to_value(RunReport::from_entries(&fixture::journal(Ending::Held)).unwrap()).unwrap();
        broken["verdict"] = "fine".into();
        assert!(!validator.is_valid(&broken));
    }
}

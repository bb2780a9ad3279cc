//! SARIF 2.1.0, by which code hosts show what is wrong with documents at their lines.
//!
//! Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", 2020.

use std::path::Path;

use serde_json::{Value, json};

use super::ReportError;
use crate::document::diagnostic::{Located, Severity};

const RULES: [(&str, &str, Severity); 2] = [
    ("document-unusable", "The document cannot be used", Severity::Error),
    (
        "document-doubtful",
        "The document can be used, but probably does not do what its author wants",
        Severity::Warning,
    ),
];

/// Findings as one run of one tool. What is wrong with a `--set` has no file, and so no place.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn render(findings: &[Located]) -> Result<String, ReportError> {
    let rules = RULES.map(|(id, text, severity)| {
        json!({
            "id": id,
            "shortDescription": { "text": text },
            "defaultConfiguration": { "level": level(severity) },
        })
    });
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "faultline",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    let failed = |error: serde_json::Error| ReportError::Write { format: "SARIF", reason: error.to_string() };
    Ok(serde_json::to_string_pretty(&log).map_err(failed)? + "\n")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn result(finding: &Located) -> Value {
    let index = RULES.iter().position(|rule| rule.2 == finding.severity).unwrap_or_default();
    let subject = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
    let hint = finding.hint.as_ref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
    let mut result = json!({
        "ruleId": RULES[index].0,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": format!("{subject}{}{hint}", finding.message) },
        "locations": [],
    });
    if finding.file == "--set" || finding.file == "standard input" {
        return result;
    }
    let mut place = json!({ "artifactLocation": { "uri": uri(&finding.file) } });
    // A file that could not be read has no lines; those of SARIF begin at 1.
    if finding.line > 0 {
        place["region"] = json!({ "startLine": finding.line, "startColumn": finding.column.max(1) });
    }
    result["locations"] = json!([{ "physicalLocation": place }]);
    result
}

/// A path as RFC 3986 has it: relative ones stay relative, so that the code host finds them in its checkout.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let escaped: String = path
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    if Path::new(path).is_absolute() { format!("file://{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: &str, line: usize, severity: Severity) -> Located {
        Located {
            severity,
            file: file.into(),
            line,
            column: 9,
            path: "spec.method[1]".into(),
            message: "no".into(),
            hint: Some("yes".into()),
        }
    }

    fn findings() -> Vec<Located> {
        vec![
            finding("./chaos/a b#1.yaml", 3, Severity::Error),
            finding("/abs/ü.yaml", 4, Severity::Warning),
            finding("gone.yaml", 0, Severity::Error),
            finding("--set", 1, Severity::Error),
        ]
    }

    #[test]
    fn everything() {
        insta::assert_snapshot!("sarif", render(&findings()).unwrap());
    }

    /// The parts of the published schema that a consumer trips over: what is required, what is closed, the ranges, and the
    /// forms of URIs; copied from sarif-schema-2.1.0.json, sections 3.13 to 3.30 of the standard.
    #[test]
    fn it_is_what_the_schema_asks_for() {
        let schema: Value = serde_json::from_str(r##"{
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object", "required": ["version", "runs"], "additionalProperties": false,
            "properties": {
                "$schema": { "type": "string", "format": "uri" },
                "version": { "enum": ["2.1.0"] },
                "runs": { "type": "array", "items": {
                    "type": "object", "required": ["tool"], "additionalProperties": false,
                    "properties": {
                        "tool": { "type": "object", "required": ["driver"], "additionalProperties": false, "properties": {
                            "driver": { "type": "object", "required": ["name"], "additionalProperties": false, "properties": {
                                "name": { "type": "string" }, "version": { "type": "string" },
                                "informationUri": { "type": "string", "format": "uri" },
                                "rules": { "type": "array", "uniqueItems": true, "items": {
                                    "type": "object", "required": ["id"], "additionalProperties": false, "properties": {
                                        "id": { "type": "string" },
                                        "shortDescription": { "$ref": "#/definitions/message" },
                                        "defaultConfiguration": { "type": "object", "properties": {
                                            "level": { "$ref": "#/definitions/level" } } } } } } } } } },
                        "columnKind": { "enum": ["utf16CodeUnits", "unicodeCodePoints"] },
                        "results": { "type": "array", "items": {
                            "type": "object", "required": ["message"], "additionalProperties": false, "properties": {
                                "ruleId": { "type": "string" },
                                "ruleIndex": { "type": "integer", "minimum": -1 },
                                "level": { "$ref": "#/definitions/level" },
                                "message": { "$ref": "#/definitions/message" },
                                "locations": { "type": "array", "items": {
                                    "type": "object", "additionalProperties": false, "properties": {
                                        "physicalLocation": { "type": "object", "additionalProperties": false, "properties": {
                                            "artifactLocation": { "type": "object", "additionalProperties": false,
                                                "properties": { "uri": { "type": "string", "format": "uri-reference",
                                                    "pattern": "^[A-Za-z0-9\\-._~/:%]+$" } } },
                                            "region": { "type": "object", "additionalProperties": false, "properties": {
                                                "startLine": { "type": "integer", "minimum": 1 },
                                                "startColumn": { "type": "integer", "minimum": 1 } } } } } } } } } } }
                    } } }
            },
            "definitions": {
                "level": { "enum": ["none", "note", "warning", "error"] },
                "message": { "type": "object", "required": ["text"], "properties": { "text": { "type": "string" } } }
            }
        }"##)
        .unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let log: Value = serde_json::from_str(&render(&findings()).unwrap()).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&log).map(|error| error.to_string()).collect();
        assert_eq!(wrong, Vec::<String>::new());
        let empty: Value = serde_json::from_str(&render(&[]).unwrap()).unwrap();
        assert!(validator.is_valid(&empty));
        // Each result's rule is the one at its index.
        for result in log["runs"][0]["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(result["ruleId"], log["runs"][0]["tool"]["driver"]["rules"][index]["id"]);
        }
    }
}

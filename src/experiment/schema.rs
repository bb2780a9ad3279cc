//! The JSON Schema of the document, for editors and other programs.

use schemars::Schema;
use schemars::generate::SchemaSettings;

use super::document::Experiment;

/// The schema of an experiment document (JSON Schema, draft 2020-12).
pub fn experiment() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Experiment>()
}

//! The JSON Schema of the document, for editors and other programs.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::document::Experiment;

/// Where a copy of the schema is published with each version; editors take it from there or from `faultline schema`.
const ID: &str = "https://faultline.dev/schema/v1/experiment.json";

/// The schema of an experiment document (JSON Schema, draft 2020-12).
pub fn experiment() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Experiment>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("$id".into(), ID.into());
        root.insert("title".into(), "Faultline experiment".into());
    }
    tidy(&mut schema);
    schema
}

/// Makes descriptions one paragraph each: line ends in them are those of the source code.
pub fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(description)) = object.get_mut("description") {
                let paragraphs: Vec<String> =
                    description.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
                *description = paragraphs.join("\n\n");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

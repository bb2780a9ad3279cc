//! The JSON Schema of documents, for editors and other programs.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::Kind;

/// Where a copy of the schema is published with each version; editors take it from there or from `faultline schema`.
const ID: &str = "https://faultline.dev/schema/v1";

/// The schema of a document of any kind, or of one kind alone (JSON Schema, draft 2020-12).
pub fn of(kind: Option<Kind>) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let kinds = kind.as_ref().map_or(Kind::ALL, std::slice::from_ref);
    let forms: Vec<Value> = kinds.iter().map(|kind| kind.schema(&mut generator).to_value()).collect();
    let (id, title) = match kind {
        Some(kind) => (format!("{ID}/{}.json", kind.noun().replace(' ', "-")), format!("Faultline {}", kind.noun())),
        None => (format!("{ID}/document.json"), "Faultline document".to_owned()),
    };
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": id,
        "title": title,
        "oneOf": forms,
        "$defs": generator.take_definitions(true),
    });
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

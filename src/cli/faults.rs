//! `faultline faults`: the catalogue, and each fault with its parameters, from the same data as the schema.

use std::process::ExitCode;

use clap::Args;
use faultline_agent::fault::{CATALOGUE, Entry};
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;
use super::flags::{DataFormat, Global};
use super::{output, table};
use crate::document::{schema, suggest};

/// List the faults, or describe one with its parameters
#[derive(Debug, Args)]
pub struct Arguments {
    /// A fault of the list
    pub name: Option<String>,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// A fault for other programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    /// Its name in documents.
    name: &'static str,
    /// What it does, in one line.
    summary: &'static str,
    /// Mechanism, limits and exemptions, in Markdown.
    details: &'static str,
    /// `kernel`, `guard`, `boot` or `irreversible`.
    undo: faultline_agent::plan::UndoClass,
    /// What the host must offer.
    needs: Vec<&'static str>,
    /// Its parameters.
    parameters: Vec<Parameter>,
    /// An example, as YAML below `fault:`.
    example: &'static str,
    /// The JSON Schema of its parameters.
    schema: Value,
}

/// A parameter of a fault.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameter {
    /// Its key; with a dot, that inside another one.
    name: String,
    /// What can be written: `duration`, `egress | ingress | both`.
    form: String,
    /// Whether it must be given.
    required: bool,
    /// What holds when it is not given, where that is a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
    /// What it is.
    description: String,
}

/// Prints the catalogue, or one fault.
///
/// # Errors
/// If there is no fault of that name.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    match arguments.name {
        None if arguments.format.json => {
            output::print_json(&CATALOGUE.iter().map(described).collect::<Vec<_>>())?;
        }
        None => output::print(&catalogue())?,
        Some(name) => {
            let entry = CATALOGUE.iter().find(|entry| entry.name == name).ok_or_else(|| {
                Failure::usage(format!("there is no fault `{name}`"))
                    .hint(suggest::hint(&name, CATALOGUE.iter().map(|entry| entry.name)))
            })?;
            let described = described(entry);
            if arguments.format.json {
                output::print_json(&described)?;
            } else {
                output::print(&page(&described))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn catalogue() -> String {
    let mut rows = table::table(&["FAULT", "WHAT IT DOES", "UNDONE AFTER A CRASH"]);
    for entry in CATALOGUE {
        rows.add_row([entry.name, entry.summary, after_a_crash(entry)]);
    }
    table::text(&mut rows)
        + "\n`faultline faults NAME` shows parameters and an example, `faultline doctor` what this host can do.\n"
}

fn after_a_crash(entry: &Entry) -> &'static str {
    use faultline_agent::plan::UndoClass;
    match entry.undo {
        UndoClass::Kernel => "by the kernel",
        UndoClass::Guard => "by the guard",
        UndoClass::Boot => "by the guard, or the next start",
        UndoClass::Irreversible => "cannot be undone",
    }
}

fn described(entry: &Entry) -> Described {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut whole = (entry.schema)(&mut generator).to_value();
    let definitions = Value::Object(generator.take_definitions(true));
    let mut parameters = Vec::new();
    read_parameters(&whole, &definitions, "", &mut parameters);
    if let Some(object) = whole.as_object_mut() {
        object.insert("$defs".into(), definitions);
    }
    schema::tidy(&mut whole);
    Described {
        name: entry.name,
        summary: entry.summary,
        details: entry.details,
        undo: entry.undo,
        needs: entry.needs.iter().map(|need| need.describe()).collect(),
        parameters,
        example: entry.example,
        schema: whole,
    }
}

/// The definition behind a `$ref`, with its name; else the schema itself.
fn resolved<'a>(schema: &'a Value, definitions: &'a Value) -> (Option<&'a str>, &'a Value) {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
    match reference.and_then(|name| Some((name, definitions.get(name)?))) {
        Some((name, definition)) => (Some(name), definition),
        None => (None, schema),
    }
}

/// Of `anyOf` with null, which is how an optional value comes, the other half.
fn without_null(schema: &Value) -> &Value {
    let halves = schema.get("anyOf").and_then(Value::as_array);
    let other = halves.and_then(|halves| halves.iter().find(|half| half.get("type") != Some(&Value::from("null"))));
    other.unwrap_or(schema)
}

fn read_parameters(schema: &Value, definitions: &Value, prefix: &str, parameters: &mut Vec<Parameter>) {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut properties: Vec<(&String, &Value)> = properties.into_iter().flatten().collect();
    properties.sort_by_key(|(key, _)| !required.contains(&key.as_str()));
    for (key, property) in properties {
        let (unit, definition) = resolved(without_null(property), definitions);
        let name = format!("{prefix}{key}");
        let of = |schema: &Value| schema.get("description").and_then(Value::as_str).map(str::to_owned);
        let description = of(property).or_else(|| of(definition)).unwrap_or_default();
        let nested = definition.get("properties").is_some();
        parameters.push(Parameter {
            form: if nested { "settings".into() } else { form(unit, definition, definitions) },
            required: required.contains(&key.as_str()),
            default: property.get("default").filter(|default| !default.is_null() && !nested).cloned(),
            description: description.replace('\n', " "),
            name: name.clone(),
        });
        if nested {
            read_parameters(definition, definitions, &format!("{name}."), parameters);
        }
    }
}

/// What can be written for a value.
fn form(unit: Option<&str>, schema: &Value, definitions: &Value) -> String {
    if unit == Some("Percent") {
        return "percentage".into();
    }
    let words = |schema: &Value| -> Vec<String> {
        let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        let one = schema.get("const").into_iter();
        listed.chain(one).filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let choices: Vec<String> = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .flat_map(words)
        .chain(words(schema))
        .collect();
    if !choices.is_empty() {
        return choices.join(" | ");
    }
    if let Some(items) = schema.get("items") {
        let (unit, definition) = resolved(items, definitions);
        return format!("list of {}", form(unit, definition, definitions));
    }
    let kinds = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect(),
        _ => Vec::new(),
    };
    match kinds.as_slice() {
        ["string"] => unit.map_or_else(|| "text".into(), spaced),
        ["integer"] => "whole number".into(),
        ["number"] => "number".into(),
        ["boolean"] => "true | false".into(),
        ["object"] => "settings".into(),
        _ => unit.map_or_else(|| kinds.join(" | "), spaced),
    }
}

/// `PortRange` as `port range`.
fn spaced(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

fn page(fault: &Described) -> String {
    let mut text = format!("{}: {}\n\n{}", fault.name, fault.summary, wrapped(fault.details));
    text += &format!("\nUndo: {}.\n", fault.undo.describe());
    if !fault.needs.is_empty() {
        text += &format!("Needs: {}.\n", fault.needs.join("; "));
    }
    let mut rows = table::table(&["PARAMETER", "FORM", "DEFAULT", "WHAT IT IS"]);
    for parameter in &fault.parameters {
        let default = match (&parameter.default, parameter.required) {
            (_, true) => "(required)".into(),
            (Some(Value::String(text)), _) => text.clone(),
            (Some(value), _) => value.to_string(),
            (None, _) => "-".into(),
        };
        rows.add_row([&parameter.name, &parameter.form, &default, &parameter.description]);
    }
    text += &format!("\n{}", table::wrapped(&mut rows));
    let example: String = fault.example.trim_end().lines().map(|line| format!("  {line}\n")).collect();
    text + &format!("\nExample, below `fault:`\n{example}")
}

/// Paragraphs broken into lines that fit a page.
fn wrapped(paragraphs: &str) -> String {
    const WIDTH: usize = 100;
    let mut text = String::new();
    for paragraph in paragraphs.trim().split("\n\n") {
        if !text.is_empty() {
            text += "\n";
        }
        let mut width = 0;
        for word in paragraph.split_whitespace() {
            let length = word.chars().count();
            if width > 0 && width + 1 + length > WIDTH {
                text += "\n";
                width = 0;
            } else if width > 0 {
                text += " ";
                width += 1;
            }
            text += word;
            width += length;
        }
        text += "\n";
    }
    text
}

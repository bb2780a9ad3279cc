//! The OpenAPI 3.1 description, made from the table.

use axum::http::StatusCode;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::endpoint::{Access, Described, Endpoint, LONGEST_KEY};
use super::problem::Problem;
use super::table;

/// Where the schemas are in the description.
const SCHEMAS: &str = "/components/schemas";

/// Statuses that an endpoint may answer besides its own.
fn troubles(endpoint: &Endpoint) -> Vec<(StatusCode, &'static str)> {
    let mut troubles = Vec::new();
    if let Access::Needs(_) = endpoint.access {
        troubles.push((StatusCode::BAD_REQUEST, "The request is wrong."));
        troubles.push((StatusCode::UNAUTHORIZED, "There is no token, or it is refused."));
        troubles
            .push((StatusCode::FORBIDDEN, "The token is not of a role, or not for labels, for which this is allowed."));
        if endpoint.path.contains('{') {
            troubles.push((StatusCode::NOT_FOUND, "There is no such thing."));
        }
        troubles.push((
            StatusCode::CONFLICT,
            "This contradicts what there is: its state, a halt, a lock, another version.",
        ));
        if endpoint.body.is_some() {
            troubles.push((StatusCode::PAYLOAD_TOO_LARGE, "The body is too long."));
            troubles
                .push((StatusCode::UNPROCESSABLE_ENTITY, "The document is wrong, or cannot be run by a controller."));
        }
        if endpoint.path.contains("{run}/") {
            troubles.push((StatusCode::MISDIRECTED_REQUEST, "Another controller has it; the hint says where."));
        }
        troubles.push((StatusCode::INTERNAL_SERVER_ERROR, "The controller or its store gave way."));
        troubles.push((StatusCode::SERVICE_UNAVAILABLE, "The store cannot be reached."));
        troubles.push((StatusCode::GATEWAY_TIMEOUT, "It took too long."));
    }
    troubles
}

/// The whole description.
pub fn description() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in table::endpoints() {
        let operation = operation(&endpoint, &problem, &mut generator);
        let path = paths.entry(endpoint.path).or_insert_with(|| Value::Object(Map::new()));
        path[endpoint.method.as_str().to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Faultline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Chaos experiments on a fleet. Every command is attributed to the token and kept in the audit \
                log. Signals of experiments (http, tcp, prometheus) are requested by the controller itself: whoever may \
                submit a run can have the controller reach whatever its network lets it reach.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "Made by `faultline token create`." },
            },
            "schemas": generator.take_definitions(true),
        },
    })
}

fn operation(endpoint: &Endpoint, problem: &Value, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.path.trim_start_matches("/v1/").split('/').next().unwrap_or_default()],
        "parameters": parameters(endpoint, generator),
        "responses": responses(endpoint, problem, generator),
    });
    match endpoint.access {
        Access::Open => operation["security"] = json!([]),
        Access::Needs(action) => operation["x-faultline-action"] = action.to_string().into(),
    }
    if let Some(body) = endpoint.body {
        let schema = body(generator).to_value();
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn parameters(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Vec<Value> {
    let in_path = endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    if endpoint.once {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "By what the request is known if it is sent again, because its answer was lost: it is done once, and \
                answered with what it made, as that is then. Kept for as long as that. The same key with another body is \
                refused (422, `urn:faultline:key-reused`). Each principal has keys of its own.",
            "schema": { "type": "string", "minLength": 1, "maxLength": LONGEST_KEY },
        }));
    }
    let Some(query) = endpoint.query else { return parameters };
    let schema = resolved(query, generator);
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        parameters.push(json!({
            "name": name,
            "in": "query",
            "required": required.contains(&name.as_str()),
            "description": description.unwrap_or_default(),
            "schema": schema,
        }));
    }
    parameters
}

/// The schema of a query itself, which is never described by its name.
fn resolved(query: Described, generator: &mut SchemaGenerator) -> Value {
    let schema = query(generator).to_value();
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).map(str::to_owned);
    let Some(name) = name else { return schema };
    generator.definitions_mut().remove(&name).unwrap_or_default()
}

fn responses(endpoint: &Endpoint, problem: &Value, generator: &mut SchemaGenerator) -> Value {
    let success = endpoint.success;
    let schema = success.schema.map(|schema| schema(generator).to_value());
    let content: Map<String, Value> = success
        .media
        .iter()
        .map(|media| ((*media).to_owned(), schema.as_ref().map_or(json!({}), |schema| json!({ "schema": schema }))))
        .collect();
    let mut responses = Map::new();
    responses.insert(success.status.as_str().into(), json!({ "description": success.description, "content": content }));
    if endpoint.path == table::READY {
        let content = responses[success.status.as_str()]["content"].clone();
        responses.insert("503".into(), json!({ "description": "Not ready; what is missing.", "content": content }));
    }
    for (status, description) in troubles(endpoint) {
        let content = json!({ "application/problem+json": { "schema": problem } });
        responses.insert(status.as_str().into(), json!({ "description": description, "content": content }));
    }
    Value::Object(responses)
}

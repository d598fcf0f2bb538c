//! This module validates values with the schemas of an OpenAPI document.

use serde_json::Value;

/// The schema with what it refers to.
fn with_components(document: &Value, schema: &Value) -> Value {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    whole
}

pub fn is_valid(document: &Value, schema: &Value, answer: &Value) -> bool {
    jsonschema::validator_for(&with_components(document, schema)).expect("a schema").is_valid(answer)
}

pub fn assert_valid(document: &Value, schema: &Value, answer: &Value, path: &str) {
    let validator = jsonschema::validator_for(&with_components(document, schema)).expect("a schema");
    let errors: Vec<_> =
        validator.iter_errors(answer).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{path}: {errors:?}\n{answer}");
}

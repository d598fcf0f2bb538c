//! This module alters one value of a recorded expectation. The proof uses it to show that the comparison then fails.

use serde_json::{Value, json};

/// The altered copies of a value, each with a description of its change.
pub fn alterations(value: &Value) -> Vec<(String, Value)> {
    let mut altered = Vec::new();
    walk(value, "", &mut |path, value_at_path| {
        for (change, new) in changes(value_at_path) {
            altered.push((format!("{path}: {change}"), replaced(value, path, new)));
        }
    });
    altered
}

fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, value);
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, v)| walk(v, &format!("{path}/{key}"), visit)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, v)| walk(v, &format!("{path}/{index}"), visit));
        }
        _ => {}
    }
}

fn replaced(value: &Value, path: &str, new: Value) -> Value {
    let mut copy = value.clone();
    *copy.pointer_mut(path).expect("a path of this value") = new;
    copy
}

fn changes(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Null => vec![("0 for null".into(), json!(0))],
        Value::Bool(value) => vec![("flipped".into(), json!(!value))],
        Value::String(value) => vec![("lengthened".into(), json!(format!("{value}x")))],
        Value::Number(number) if number.is_f64() => {
            let value = number.as_f64().unwrap_or_default();
            vec![("moved by 1e-8".into(), json!(value + 1e-8 * value.abs().max(1.0)))]
        }
        Value::Number(number) => vec![
            ("one more".into(), json!(number.as_i64().unwrap_or_default() + 1)),
            ("as a string".into(), json!(number.to_string())),
        ],
        Value::Array(items) => shortened(items),
        Value::Object(fields) => {
            let mut altered = vec![("with an unknown key".into(), with(value, "unknown_key", json!(0)))];
            for key in fields.keys() {
                let mut fields = fields.clone();
                // An entry that contains only zeros equals a missing one (FORMAT.md, 6).
                if !fields.remove(key).is_some_and(|entry| is_zero_entry(&entry)) {
                    altered.push((format!("without {key}"), Value::Object(fields)));
                }
            }
            altered
        }
    }
}

fn shortened(items: &[Value]) -> Vec<(String, Value)> {
    let mut altered = vec![("with a null".to_owned(), json!([items, &[Value::Null]].concat()))];
    if let Some((last, others)) = items.split_last() {
        altered.push(("without the last".into(), json!(others)));
        altered.push(("with the last twice".into(), json!([items, std::slice::from_ref(last)].concat())));
    }
    altered
}

fn with(object: &Value, key: &str, value: Value) -> Value {
    let mut copy = object.clone();
    copy[key] = value;
    copy
}

fn is_zero_entry(entry: &Value) -> bool {
    entry.get("delivered").is_some()
        && entry.as_object().is_some_and(|fields| {
            fields.values().all(|v| v.is_null() || v == false || v.as_f64() == Some(0.0))
        })
}

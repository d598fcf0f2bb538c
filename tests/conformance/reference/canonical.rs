//! This module compares an answer with its expectation. It first brings both to one form by the rule of their variant
//! (rules.rs), which refuses unknown keys; then every difference counts.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// How a value is compared.
pub enum Rule {
    /// Integers, strings, booleans, null, and arrays of these are compared for equality.
    Exact,
    /// A number with a tolerance of 1e-9, relative or absolute.
    Number,
    /// Null, or a value that is compared by the rule.
    Nullable(&'static Rule),
    /// An array without order. A duplicate is an error.
    Set,
    /// An array without order.
    Multiset(&'static Rule),
    List(&'static Rule),
    Tuple(&'static [Rule]),
    /// An object with any keys.
    Map(&'static Rule),
    /// An object with these keys.
    Object(&'static [Field]),
    /// An object whose tag, the first key, determines the other keys.
    Tagged(&'static str, &'static [(&'static str, &'static [Field])]),
    /// A map in which an entry that contains only zeros and nulls equals a missing one.
    NonZero(&'static Rule),
    /// The outputs to the p2p layer: items, and the order of types to each destination.
    P2p(&'static Rule),
    /// `trusted`, or an object that is compared by the rule.
    Origin(&'static Rule),
}

pub struct Field {
    pub key: &'static str,
    pub rule: Rule,
    pub presence: Presence,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Required,
    /// The key is present on both sides or on neither.
    Optional,
    /// An empty array equals a missing key.
    AbsentIfEmpty,
}

/// The places where `got` differs from `expected`, at most ten.
pub fn differences(rule: &Rule, expected: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match (rule.canonical(expected), rule.canonical(got)) {
        (Ok(expected), Ok(got)) => diff("", &expected, &got, &mut found),
        (expected, got) => {
            found.extend(expected.err().map(|error| format!("expectation: {error}")));
            found.extend(got.err().map(|error| format!("answer: {error}")));
        }
    }
    found.truncate(10);
    found
}

impl Rule {
    fn canonical(&self, value: &Value) -> Result<Value, String> {
        match self {
            Self::Exact => exact(value),
            Self::Number => Ok(json!(value.as_f64().ok_or_else(|| format!("{value} is not a number"))?)),
            Self::Nullable(_) if value.is_null() => Ok(Value::Null),
            Self::Nullable(rule) => rule.canonical(value),
            Self::Set => set(value),
            Self::Multiset(rule) => sorted(each(rule, value)?),
            Self::List(rule) => Ok(Value::Array(each(rule, value)?)),
            Self::Tuple(rules) => tuple(rules, value),
            Self::Map(rule) => map(rule, value),
            Self::Object(fields) => object(fields, None, value),
            Self::Tagged(tag, variants) => tagged(tag, variants, value),
            Self::NonZero(rule) => non_zero(rule.canonical(value)?),
            Self::P2p(item) => p2p(item, value),
            Self::Origin(_) if value == "trusted" => Ok(value.clone()),
            Self::Origin(rule) => rule.canonical(value),
        }
    }
}

fn exact(value: &Value) -> Result<Value, String> {
    match value {
        Value::Number(number) if number.is_f64() => Err(format!("{value} is not an integer")),
        Value::Array(items) => items.iter().map(exact).collect::<Result<_, _>>().map(Value::Array),
        Value::Object(_) => Err(format!("{value} is not a plain value")),
        _ => Ok(value.clone()),
    }
}

fn array(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| format!("{value} is not an array"))
}

fn each(rule: &Rule, value: &Value) -> Result<Vec<Value>, String> {
    array(value)?.iter().map(|item| rule.canonical(item)).collect()
}

fn sorted(mut items: Vec<Value>) -> Result<Value, String> {
    items.sort_by_cached_key(Value::to_string);
    Ok(Value::Array(items))
}

fn set(value: &Value) -> Result<Value, String> {
    let sorted = sorted(each(&Rule::Exact, value)?)?;
    match array(&sorted)?.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("{} twice in a set", pair[0])),
        None => Ok(sorted),
    }
}

fn tuple(rules: &[Rule], value: &Value) -> Result<Value, String> {
    let items = array(value)?;
    if items.len() != rules.len() {
        return Err(format!("{value} has not {} parts", rules.len()));
    }
    let parts = rules.iter().zip(items).map(|(rule, item)| rule.canonical(item));
    parts.collect::<Result<_, _>>().map(Value::Array)
}

fn entries(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{value} is not an object"))
}

fn map(rule: &Rule, value: &Value) -> Result<Value, String> {
    let entry = |(key, value): (&String, &Value)| {
        rule.canonical(value).map(|v| (key.clone(), v)).map_err(|error| format!("{key}: {error}"))
    };
    entries(value)?.iter().map(entry).collect::<Result<_, _>>().map(Value::Object)
}

fn object(fields: &[Field], tag: Option<&str>, value: &Value) -> Result<Value, String> {
    let given = entries(value)?;
    let known = |key: &String| Some(key.as_str()) == tag || fields.iter().any(|f| f.key == key);
    if let Some(key) = given.keys().find(|key| !known(key)) {
        return Err(format!("unknown key {key}"));
    }
    let mut canonical: Map<_, _> = tag.iter().map(|tag| ((*tag).to_owned(), given[*tag].clone())).collect();
    for field in fields {
        match given.get(field.key) {
            None if field.presence == Presence::Required => return Err(format!("no key {}", field.key)),
            None => {}
            Some(value) if field.presence == Presence::AbsentIfEmpty && *value == json!([]) => {}
            Some(value) => {
                let value = field.rule.canonical(value).map_err(|error| format!("{}: {error}", field.key))?;
                canonical.insert(field.key.to_owned(), value);
            }
        }
    }
    Ok(Value::Object(canonical))
}

fn tagged(tag: &str, variants: &[(&str, &[Field])], value: &Value) -> Result<Value, String> {
    let name = entries(value)?.get(tag).and_then(Value::as_str).ok_or_else(|| format!("no {tag}"))?;
    let (_, fields) =
        variants.iter().find(|(known, _)| *known == name).ok_or_else(|| format!("unknown {tag} {name}"))?;
    object(fields, Some(tag), value).map_err(|error| format!("{name}: {error}"))
}

fn non_zero(map: Value) -> Result<Value, String> {
    fn is_zero(value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::Object(fields) => fields.values().all(is_zero),
            _ => false,
        }
    }
    let mut entries = entries(&map)?.clone();
    entries.retain(|_, entry| !is_zero(entry));
    Ok(Value::Object(entries))
}

/// FORMAT.md, 5: as a multiset; and for each destination the sequence of types, `ihave` left out.
fn p2p(item: &Rule, value: &Value) -> Result<Value, String> {
    let items = each(item, value)?;
    let mut sequences: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for item in items.iter().filter(|item| item["type"] == "out_message") {
        let kind = &item["p2p_message"]["type"];
        if kind != "ihave" {
            sequences.entry(item["to_peer"].to_string()).or_default().push(kind.clone());
        }
    }
    Ok(json!({ "items": sorted(items)?, "sequences": sequences }))
}

fn diff(path: &str, expected: &Value, got: &Value, found: &mut Vec<String>) {
    match (expected, got) {
        (a, b) if a.is_f64() && b.is_f64() && close(a.as_f64(), b.as_f64()) => {}
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => diff(&format!("{path}.{key}"), a, b, found),
                    (Some(a), None) => found.push(format!("{path}.{key}: expected {a}, got none")),
                    (None, b) => found.push(format!("{path}.{key}: expected none, got {}", json!(b))),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                diff(&format!("{path}[{index}]"), a, b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            let (missing, surplus) = (without(a, b), without(b, a));
            found.push(format!("{path}: missing {}, surplus {}", json!(missing), json!(surplus)));
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: expected {a}, got {b}")),
    }
}

/// The items of `of` without those of `taken`; an item that occurs several times is removed as often as it is in `taken`.
fn without(of: &[Value], taken: &[Value]) -> Vec<Value> {
    let mut taken = taken.to_vec();
    let mut remaining = Vec::new();
    for item in of {
        match taken.iter().position(|other| other == item) {
            Some(index) => drop(taken.swap_remove(index)),
            None => remaining.push(item.clone()),
        }
    }
    remaining
}

fn close(expected: Option<f64>, got: Option<f64>) -> bool {
    let (Some(a), Some(b)) = (expected, got) else { return false };
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

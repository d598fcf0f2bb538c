//! Reading JSON objects field by field, so that a mistake is told with the place where it stands. Knows no op.

use std::{fmt, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What is wrong in a line of a trace, and at which field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Mistake {
    /// The field, as a path from the line's start: `op.input.peer`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Mistake {
    pub(crate) fn new(field: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { field: field.into(), problem: problem.to_string() }
    }
}

/// An object, of which fields are taken one by one until none is left.
pub(crate) struct Fields {
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    pub(crate) fn of(path: &str, value: Value) -> Result<Self, Mistake> {
        match value {
            Value::Object(map) => Ok(Self { path: path.to_owned(), map }),
            other => Err(Mistake::new(path, format!("an object is expected, not {}", kind(&other)))),
        }
    }

    fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn mistake(&self, key: &str, problem: impl fmt::Display) -> Mistake {
        Mistake::new(self.path(key), problem)
    }

    pub(crate) fn value(&mut self, key: &str) -> Result<Value, Mistake> {
        self.map.remove(key).ok_or_else(|| self.mistake(key, "is missing"))
    }

    pub(crate) fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, Mistake> {
        let value = self.value(key)?;
        serde_json::from_value(value).map_err(|error| self.mistake(key, error))
    }

    /// Absent and null are the same.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, Mistake> {
        match self.map.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value).map(Some).map_err(|error| self.mistake(key, error)),
        }
    }

    pub(crate) fn fields(&mut self, key: &str) -> Result<Self, Mistake> {
        Self::of(&self.path(key), self.value(key)?)
    }

    /// Each field of an object with names that are no fields' (topics).
    pub(crate) fn each(self) -> impl Iterator<Item = (String, Result<Self, Mistake>)> {
        let path = self.path;
        self.map.into_iter().map(move |(key, value)| {
            let fields = Self::of(&format!("{path}.{key}"), value);
            (key, fields)
        })
    }

    /// Each entry of a list of objects.
    pub(crate) fn list(&mut self, key: &str) -> Result<Vec<Self>, Mistake> {
        let path = self.path(key);
        let values: Vec<Value> = self.take(key)?;
        let entry = |(index, value)| Self::of(&format!("{path}[{index}]"), value);
        values.into_iter().enumerate().map(entry).collect()
    }

    /// Milliseconds, with a fraction if need be: exact to the nanosecond for a hundred days.
    pub(crate) fn span(&mut self, key: &str) -> Result<Duration, Mistake> {
        let value = self.value(key)?;
        to_span(&value).ok_or_else(|| self.mistake(key, format!("{value} is no time in milliseconds")))
    }

    /// Nothing else may stand in it.
    pub(crate) fn end(self) -> Result<(), Mistake> {
        match self.map.keys().next() {
            Some(key) => Err(self.mistake(key, "is not known here")),
            None => Ok(()),
        }
    }
}

/// Milliseconds.
pub(crate) fn to_span(value: &Value) -> Option<Duration> {
    if let Some(whole) = value.as_u64() {
        return Some(Duration::from_millis(whole));
    }
    let ms = value.as_f64().filter(|ms| (0.0..1e12).contains(ms))?;
    // Rounded to whole nanoseconds, which is what it was.
    Some(Duration::from_nanos((ms * 1e6).round() as u64))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

//! This module sends queries to the HTTP API of Prometheus.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use testkit::http::send_blocking;

/// The body of a successful response.
pub fn get(address: &str, path: &str) -> Result<String, String> {
    send_blocking("GET", &format!("http://{address}{path}"), &[], None)?.ok()
}

/// Calls the API of Prometheus. Returns the field `data` of the response.
pub fn query(address: &str, path: &str, arguments: &[(&str, &str)]) -> Result<Value, String> {
    let encoded = |value| utf8_percent_encode(value, NON_ALPHANUMERIC);
    let arguments: Vec<_> =
        arguments.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    let body = get(address, &format!("/api/v1/{path}?{}", arguments.join("&")))?;
    let mut answer: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    Ok(answer["data"].take())
}

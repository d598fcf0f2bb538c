//! As much of HTTP as it takes to ask Prometheus something: HTTP/1.0, which ends with the connection.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

/// The body of an answer that says all is well.
pub fn get(address: &str, path: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{address}{path}: {error}");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("{address}{path}: no answer"))?;
    let status = head.lines().next().unwrap_or_default();
    if status.contains(" 200 ") { Ok(body.to_owned()) } else { Err(format!("{path}: {status}: {body}")) }
}

/// Asks Prometheus' API; with what stands under `data`.
pub fn ask(address: &str, path: &str, arguments: &[(&str, &str)]) -> Result<Value, String> {
    let arguments: Vec<_> =
        arguments.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    let body = get(address, &format!("/api/v1/{path}?{}", arguments.join("&")))?;
    let mut answer: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    Ok(answer["data"].take())
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

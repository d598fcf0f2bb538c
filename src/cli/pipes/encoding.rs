//! How payloads are written on a line.

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Encoding {
    /// The bytes of the payload, and a line break
    Raw,
    /// A JSON object with the payload in `data`, or in `base64` if it is not UTF-8
    Json,
    /// Hexadecimal digits
    Hex,
}

/// A message for output.
pub struct Received<'a> {
    pub time: String,
    pub topic: &'a str,
    pub from: Option<String>,
    pub id: String,
    pub data: &'a [u8],
}

impl Encoding {
    /// The line of a message, without its line break.
    pub fn line(self, message: &Received<'_>) -> Vec<u8> {
        let Received { time, topic, from, id, data } = message;
        match self {
            Self::Raw => data.to_vec(),
            Self::Hex => hex::encode(data).into_bytes(),
            Self::Json => {
                let mut line = json!({ "time": time, "topic": topic, "from": from, "id": id });
                match std::str::from_utf8(data) {
                    Ok(text) => line["data"] = text.into(),
                    Err(_) => line["base64"] = STANDARD.encode(data).into(),
                }
                line.to_string().into_bytes()
            }
        }
    }

    /// The payload of a line.
    pub fn payload(self, line: Vec<u8>) -> Result<Vec<u8>, String> {
        match self {
            Self::Raw => Ok(line),
            Self::Hex => hex::decode(line.trim_ascii()).map_err(|error| error.to_string()),
            Self::Json => {
                let value: Value = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
                match (value["data"].as_str(), value["base64"].as_str()) {
                    (Some(text), None) => Ok(text.as_bytes().to_vec()),
                    (None, Some(text)) => STANDARD.decode(text).map_err(|error| error.to_string()),
                    _ => Err("expected is an object with a string `data` or a string `base64`".to_owned()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_subscribe_prints_is_what_publish_reads() {
        let payloads = [&b"text"[..], b"", b"\"quoted\" {}", &[0xff, 0x00, 0x80]];
        for encoding in [Encoding::Raw, Encoding::Json, Encoding::Hex] {
            for data in payloads {
                let message =
                    Received { time: String::new(), topic: "t", from: None, id: String::new(), data };
                assert_eq!(encoding.payload(encoding.line(&message)).as_deref(), Ok(data), "{encoding:?}");
            }
        }
        assert!(Encoding::Hex.payload(b"0g".to_vec()).is_err());
        assert!(Encoding::Json.payload(b"{}".to_vec()).is_err());
    }
}

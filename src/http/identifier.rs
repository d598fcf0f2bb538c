//! [`Identifier`] carries the network's peers, topics, message ids and points in JSON, in paths and in
//! queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{AnyOfBuilder, ObjectBuilder, Type},
    },
};

use super::{mistake, problem::Problem};

/// A peer, topic, message id or point, as its type serialises it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Identifier(Value);

impl Identifier {
    /// A value that serde cannot write as JSON is replaced by the error text, so that the rest of the
    /// response still reaches the operator.
    pub(super) fn new(value: &impl Serialize) -> Self {
        Self(serde_json::to_value(value).unwrap_or_else(|error| Value::String(format!("<{error}>"))))
    }

    /// The text that [`parse`] reads back.
    pub(super) fn text(&self) -> String {
        match &self.0 {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl PartialSchema for Identifier {
    fn schema() -> RefOr<Schema> {
        let of_type = |kind| ObjectBuilder::new().schema_type(kind).build();
        let types = [Type::String, Type::Integer, Type::Object, Type::Array].map(of_type).into_iter();
        types
            .fold(AnyOfBuilder::new(), AnyOfBuilder::item)
            .description(Some("A peer, topic, message id or point, in the JSON form of this network"))
            .into()
    }
}

impl ToSchema for Identifier {}

/// Reads an identifier from a path or a query: as a string if the type deserialises from one, else as JSON.
/// `kind` is the name of the parameter, for the error message.
pub(super) fn parse<T: DeserializeOwned>(kind: &str, text: &str) -> Result<T, Problem> {
    let as_string = serde_json::from_value(Value::String(text.to_owned()));
    as_string.or_else(|_| serde_json::from_str(text)).map_err(|_| malformed(kind, text))
}

/// Reads an identifier that is the name of a field. Each has one name, so that a field can be found.
pub(super) fn parse_key<T: Serialize + DeserializeOwned>(kind: &str, text: &str) -> Result<T, Problem> {
    let identifier = parse(kind, text)?;
    if Identifier::new(&identifier).text() == text { Ok(identifier) } else { Err(malformed(kind, text)) }
}

fn malformed(kind: &str, text: &str) -> Problem {
    let text = mistake::shown(&Value::String(text.to_owned()).to_string());
    Problem::bad_request(format!("{kind} = {text}: {RULE}"))
}

/// Reads an identifier from a body. An empty text is none: no path could name it, and a transport takes it for a default.
pub(super) fn parse_json<T: DeserializeOwned>(kind: &str, value: Value) -> Result<T, Problem> {
    if value == "" {
        return Err(Problem::bad_request(format!("{kind} = \"\": must not be empty")));
    }
    let text = mistake::shown(&value.to_string());
    let parsed = match serde_json::from_value(value.clone()) {
        // `7.0` is an integer for JSON Schema, and not for serde_json.
        Err(_) if value.is_f64() => mistake::from_json(value).ok(),
        parsed => parsed.ok(),
    };
    parsed.ok_or_else(|| Problem::bad_request(format!("{kind} = {text}: {RULE}")))
}

const RULE: &str = "must be in the form in which this API writes it";

/// All characters but the unreserved ones of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `text` as a value in a query.
pub(super) fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct DalTopic {
        slot_index: u8,
        pkh: String,
    }

    #[test]
    fn an_identifier_parses_from_its_text() {
        for text in ["7", "\"7\"", "a b/ü", "null", "{}"] {
            assert_eq!(parse::<String>("topic", text).unwrap(), text);
            assert_eq!(Identifier::new(&text).text(), text);
        }
        assert_eq!(parse::<u64>("peer", &Identifier::new(&7).text()).unwrap(), 7);
        let topic = DalTopic { slot_index: 1, pkh: "tz1".to_owned() };
        assert_eq!(parse::<DalTopic>("topic", &Identifier::new(&topic).text()).unwrap(), topic);
        assert!(parse::<u64>("peer", "x").is_err());
    }

    #[cfg(feature = "libp2p")]
    #[test]
    fn an_address_is_a_text() {
        let parse = |value| parse_json::<libp2p::Multiaddr>("point", value);
        assert!(parse(serde_json::json!("/ip4/127.0.0.1/tcp/1")).is_ok());
        // serde can read an address from its bytes too.
        for other in [serde_json::json!([]), serde_json::json!([4, 127, 0, 0, 1]), serde_json::json!({})] {
            assert!(parse(other).is_err());
        }
    }

    #[test]
    fn the_schema_accepts_each_form() {
        let schema = serde_json::to_value(Identifier::schema()).unwrap();
        let topic = DalTopic { slot_index: 1, pkh: "tz1".to_owned() };
        let forms = [
            Identifier::new(&"text"),
            Identifier::new(&7_u64),
            Identifier::new(&-7),
            Identifier::new(&topic),
            Identifier::new(&[7_u8; 32]),
            Identifier::new(&("a", 1)),
        ];
        for form in forms {
            let value = serde_json::to_value(&form).unwrap();
            assert!(jsonschema::is_valid(&schema, &value), "{value}: {schema}");
        }
    }

    #[test]
    fn reserved_characters_are_percent_encoded() {
        assert_eq!(percent_encode("a-Z_0.~"), "a-Z_0.~");
        assert_eq!(percent_encode("\"/ü&"), "%22%2F%C3%BC%26");
    }
}

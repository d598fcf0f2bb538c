//! Peers, topics and ids as text: into JSON, and back from paths and queries. Knows no network.

use actix_web::http::header;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{AnyOfBuilder, ObjectBuilder, Type},
    },
};

use super::problem::Problem;

/// A peer, a topic, an id or a point, as it serialises.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Name(Value);

impl Name {
    /// What is no JSON is shown by what is wrong with it: an operator sees the rest of the answer.
    pub(super) fn of(name: &impl Serialize) -> Self {
        Self(serde_json::to_value(name).unwrap_or_else(|error| Value::String(format!("<{error}>"))))
    }

    /// The text by which it can be asked for.
    pub(super) fn text(&self) -> String {
        match &self.0 {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl PartialSchema for Name {
    fn schema() -> RefOr<Schema> {
        let one = |kind| ObjectBuilder::new().schema_type(kind).build();
        let any = [Type::String, Type::Integer, Type::Object].map(one).into_iter();
        any.fold(AnyOfBuilder::new(), AnyOfBuilder::item)
            .description(Some("A peer, topic, id or point: whatever this network's serialise to"))
            .into()
    }
}

impl ToSchema for Name {}

/// Reads a name: as a string if the type takes one, or else as JSON.
pub(super) fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Problem> {
    let as_string = || serde_json::from_value(Value::String(text.to_owned()));
    let read: Result<T, _> =
        as_string().or_else(|not_string| serde_json::from_str(text).map_err(|_| not_string));
    read.map_err(|error| Problem::bad(format!("this is no {what}: {error}")))
}

/// `text` as a part of a query.
pub(super) fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// The header that names the next page: `query` is this one's, without `after`.
pub(super) fn next_page(query: &str, last: &str) -> (header::HeaderName, String) {
    let rest = if query.is_empty() { String::new() } else { format!("{query}&") };
    (header::LINK, format!("<?{rest}after={}>; rel=\"next\"", encoded(last)))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Slot {
        slot_index: u8,
        pkh: String,
    }

    #[test]
    fn a_name_is_read_as_it_is_shown() {
        for text in ["7", "\"7\"", "a b/ü", "null", "{}"] {
            assert_eq!(read::<String>("topic", text).unwrap(), text);
            assert_eq!(Name::of(&text).text(), text);
        }
        assert_eq!(read::<u64>("peer", &Name::of(&7).text()).unwrap(), 7);
        let slot = Slot { slot_index: 1, pkh: "tz1".to_owned() };
        assert_eq!(read::<Slot>("topic", &Name::of(&slot).text()).unwrap(), slot);
        assert!(read::<u64>("peer", "x").is_err());
    }

    #[test]
    fn what_is_not_plain_is_encoded() {
        assert_eq!(encoded("a-Z_0.~"), "a-Z_0.~");
        assert_eq!(encoded("\"/ü&"), "%22%2F%C3%BC%26");
    }
}

//! The JSON type of a network's identifiers, for the OpenAPI document: what their `Deserialize` asks for.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};
use serde_json::{Value, json};

/// The JSON type of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Any string.
    Text,
    /// Strings of a form that only the network knows, such as peer ids.
    FormattedText,
    Integer,
    /// An object, an array, or what can't be known without a value.
    Other,
}

impl Shape {
    pub(super) fn of<T: DeserializeOwned>() -> Self {
        match T::deserialize(Probe) {
            Err(Asked(Self::Text)) if serde_json::from_value::<T>(json!("any text")).is_ok() => Self::Text,
            Err(Asked(Self::Text)) => Self::FormattedText,
            Err(Asked(shape)) => shape,
            // A type without content.
            Ok(_) => Self::Other,
        }
    }

    /// The schema of the identifier in a body. `format` is the name of its form.
    pub(super) fn schema(self, format: &str) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::FormattedText => json!({ "type": "string", "format": format }),
            Self::Integer => json!({ "type": "integer", "minimum": 0 }),
            Self::Other => json!({}),
        }
    }

    /// The schema of its text in a path or a query.
    pub(super) fn text_schema(self, format: &str) -> Value {
        if self == Self::Other { json!({ "type": "string", "format": "json" }) } else { self.schema(format) }
    }
}

/// Ends with the type that is asked for.
struct Probe;

#[derive(Debug)]
struct Asked(Shape);

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Asked {}

impl de::Error for Asked {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(Shape::Other)
    }
}

/// Methods of [`Deserializer`] that ask for one type.
macro_rules! asks_for {
    ($shape:expr, $($name:ident)*) => {
        $(fn $name<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
            Err(Asked($shape))
        })*
    };
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Asked;

    asks_for!(Shape::Other, deserialize_any);
    asks_for!(Shape::Text, deserialize_str deserialize_string deserialize_char);
    asks_for!(
        Shape::Integer,
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_i8 deserialize_i16 deserialize_i32
        deserialize_i64
    );

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Asked> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i128 u128 bool f32 f64 bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn the_json_type_of_an_identifier_is_found() {
        #[derive(Deserialize)]
        struct Slot {
            #[expect(dead_code, reason = "only its type counts")]
            index: u8,
        }
        #[derive(Deserialize)]
        struct Number(#[expect(dead_code, reason = "only its type counts")] u64);
        assert_eq!(Shape::of::<String>(), Shape::Text);
        assert_eq!(Shape::of::<std::net::IpAddr>(), Shape::FormattedText);
        assert_eq!(Shape::of::<u64>(), Shape::Integer);
        assert_eq!(Shape::of::<Number>(), Shape::Integer);
        assert_eq!(Shape::of::<Slot>(), Shape::Other);
    }

    #[cfg(feature = "libp2p")]
    #[test]
    fn identifiers_of_libp2p_are_texts() {
        assert_eq!(Shape::of::<libp2p::PeerId>(), Shape::FormattedText);
        assert_eq!(Shape::of::<libp2p::Multiaddr>(), Shape::FormattedText);
        assert_eq!(Shape::of::<crate::libp2p::TopicName>(), Shape::Text);
    }
}

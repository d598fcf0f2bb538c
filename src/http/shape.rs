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
    /// Integers of this range.
    Integer { min: i64, max: u64 },
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
            Self::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
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
    ($($shape:expr => $($name:ident)*;)*) => {
        $($(fn $name<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
            Err(Asked($shape))
        })*)*
    };
}

/// The same for integers.
macro_rules! asks_for_integers {
    ($($type:ty => $name:ident;)*) => {
        asks_for! { $(Shape::Integer { min: <$type>::MIN as i64, max: <$type>::MAX as u64 } => $name;)* }
    };
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Asked;

    asks_for! {
        Shape::Other => deserialize_any;
        Shape::Text => deserialize_str deserialize_string deserialize_char;
    }
    asks_for_integers! {
        u8 => deserialize_u8;
        u16 => deserialize_u16;
        u32 => deserialize_u32;
        u64 => deserialize_u64;
        i8 => deserialize_i8;
        i16 => deserialize_i16;
        i32 => deserialize_i32;
        i64 => deserialize_i64;
    }

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
        let unsigned = Shape::Integer { min: 0, max: u64::MAX };
        assert_eq!(Shape::of::<u64>(), unsigned);
        assert_eq!(Shape::of::<Number>(), unsigned);
        assert_eq!(Shape::of::<Slot>(), Shape::Other);
    }

    /// The schema accepts the integers of the type and no others.
    fn check_integers<T: DeserializeOwned>() {
        let schema = Shape::of::<T>().schema("kind");
        for integer in [
            "-9223372036854775808",
            "-2147483648",
            "-32769",
            "-129",
            "-128",
            "-1",
            "0",
            "127",
            "128",
            "255",
            "256",
            "65536",
            "4294967296",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
        ] {
            let value: Value = serde_json::from_str(integer).unwrap();
            let is_accepted = serde_json::from_value::<T>(value.clone()).is_ok();
            assert_eq!(jsonschema::is_valid(&schema, &value), is_accepted, "{integer}: {schema}");
        }
    }

    #[test]
    fn the_range_of_an_integer_is_that_of_its_type() {
        check_integers::<u8>();
        check_integers::<u16>();
        check_integers::<u32>();
        check_integers::<u64>();
        check_integers::<i8>();
        check_integers::<i16>();
        check_integers::<i32>();
        check_integers::<i64>();
    }

    #[cfg(feature = "libp2p")]
    #[test]
    fn identifiers_of_libp2p_are_texts() {
        assert_eq!(Shape::of::<libp2p::PeerId>(), Shape::FormattedText);
        assert_eq!(Shape::of::<libp2p::Multiaddr>(), Shape::FormattedText);
        assert_eq!(Shape::of::<crate::libp2p::TopicName>(), Shape::Text);
    }
}

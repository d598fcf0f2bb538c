//! Reads queries and JSON bodies with serde, with errors for a person: field, value and rule.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _, IntoDeserializer, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

/// A value that breaks a rule, with its field.
#[derive(Debug)]
pub(super) struct Mistake {
    /// The names of the fields around the value, innermost first.
    path: Vec<String>,
    value: Option<String>,
    /// The rest of a sentence that begins with the field.
    rule: String,
}

/// Values are shortened to this number of characters in messages.
const MAX_SHOWN: usize = 64;

impl Mistake {
    pub(super) fn new(rule: impl Into<String>) -> Self {
        Self { path: Vec::new(), value: None, rule: rule.into() }
    }

    /// The field that the value is of.
    pub(super) fn of(mut self, field: &str) -> Self {
        self.path.push(field.to_owned());
        self
    }

    /// The value, unless one further inside is known.
    fn with_value(mut self, value: &Value) -> Self {
        if self.path.is_empty() && self.value.is_none() {
            self.value = Some(shown(&value.to_string()));
        }
        self
    }
}

/// The begin of a text from outside.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<_> = self.path.iter().rev().map(String::as_str).collect();
        let path = path.join(".");
        match &self.value {
            Some(value) if path.is_empty() => write!(f, "{value}: {}", self.rule),
            Some(value) => write!(f, "{path} = {value}: {}", self.rule),
            None if path.is_empty() => f.write_str(&self.rule),
            None => write!(f, "{path}: {}", self.rule),
        }
    }
}

impl std::error::Error for Mistake {}

fn names(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(rule: T) -> Self {
        Self::new(rule.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("must be {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("must be {expected}"))
    }

    fn invalid_length(_: usize, expected: &dyn de::Expected) -> Self {
        Self::new(format!("must be {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("must be one of {}", names(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let rule = match expected {
            [] => "is not known, and no field is expected here".to_owned(),
            _ => format!("is not known; known are {}", names(expected)),
        };
        Self::new(rule).of(&shown(field))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("is missing").of(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("is given more than once").of(field)
    }
}

/// Reads the fields of a query, of which each may occur once.
pub(super) fn from_query<T: for<'de> Deserialize<'de>>(query: &str) -> Result<T, Mistake> {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if fields.insert(name.clone().into_owned(), Value::String(value.into_owned())).is_some() {
            return Err(Mistake::new("is given more than once").of(&shown(&name)));
        }
    }
    T::deserialize(Fields { fields: Value::Object(fields), is_text: true })
}

/// Reads a JSON value.
pub(super) fn from_json<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, Mistake> {
    T::deserialize(Fields { fields: value, is_text: false })
}

/// A JSON value, or the fields of a query: all of them strings, from which numbers and truth values are read.
struct Fields {
    fields: Value,
    is_text: bool,
}

impl Fields {
    fn inner(&self, fields: Value) -> Self {
        Self { fields, is_text: self.is_text }
    }

    fn integer(&self) -> Option<i128> {
        match &self.fields {
            // `+7` is an integer for Rust.
            Value::String(text) if self.is_text && !text.starts_with('+') => text.parse().ok(),
            // `7.0` is an integer for JSON Schema. Above 2^53 floats have gaps.
            Value::Number(number) => number.as_i128().or_else(|| {
                let float =
                    number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= 2_f64.powi(53));
                float.map(|float| float as i128)
            }),
            _ => None,
        }
    }

    fn float(&self) -> Option<f64> {
        match &self.fields {
            Value::String(text) if self.is_text => text.parse().ok().filter(|float: &f64| float.is_finite()),
            Value::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    fn must_be(&self, what: &str) -> Mistake {
        Mistake::new(format!("must be {what}")).with_value(&self.fields)
    }
}

/// Integers of one type: `visit` takes those that fit.
macro_rules! deserialize_integers {
    ($($name:ident, $visit:ident, $type:ty;)*) => {
        $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            match self.integer().and_then(|integer| <$type>::try_from(integer).ok()) {
                Some(integer) => {
                    visitor.$visit(integer).map_err(|mistake: Mistake| mistake.with_value(&self.fields))
                }
                None => Err(self.must_be(&format!("a whole number from {} to {}", <$type>::MIN, <$type>::MAX))),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Fields {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.fields {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(ref number) => {
                let value = self.fields.clone();
                let visited = match (number.as_u64(), number.as_i64(), number.as_f64()) {
                    (Some(number), ..) => visitor.visit_u64(number),
                    (_, Some(number), _) => visitor.visit_i64(number),
                    (_, _, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
                };
                visited.map_err(|mistake: Mistake| mistake.with_value(&value))
            }
            Value::String(text) => {
                let visited = visitor.visit_str(&text);
                visited.map_err(|mistake: Mistake| mistake.with_value(&Value::String(text)))
            }
            Value::Array(items) => {
                let is_text = self.is_text;
                visitor.visit_seq(Items { items: items.into_iter().enumerate(), is_text })
            }
            Value::Object(fields) => {
                visitor.visit_map(Entries { fields: fields.into_iter(), value: None, is_text: self.is_text })
            }
        }
    }

    deserialize_integers! {
        deserialize_u8, visit_u8, u8;
        deserialize_u16, visit_u16, u16;
        deserialize_u32, visit_u32, u32;
        deserialize_u64, visit_u64, u64;
        deserialize_i8, visit_i8, i8;
        deserialize_i16, visit_i16, i16;
        deserialize_i32, visit_i32, i32;
        deserialize_i64, visit_i64, i64;
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.fields {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(text) if self.is_text && text == "true" => visitor.visit_bool(true),
            Value::String(text) if self.is_text && text == "false" => visitor.visit_bool(false),
            _ => Err(self.must_be("true or false")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let Some(float) = self.float() else { return Err(self.must_be("a number")) };
        visitor.visit_f64(float).map_err(|mistake: Mistake| mistake.with_value(&self.fields))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if self.fields.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let one_of = format!("one of {}", names(variants));
        match &self.fields {
            Value::String(text) => {
                let variant: StrDeserializer<'_, Mistake> = text.as_str().into_deserializer();
                visitor.visit_enum(variant).map_err(|mistake| mistake.with_value(&self.fields))
            }
            Value::Object(fields) => match fields.iter().next() {
                Some((variant, content)) if fields.len() == 1 => {
                    let content = self.inner(content.clone());
                    visitor.visit_enum(Variant { name: variant.clone(), content })
                }
                _ => Err(Mistake::new(format!("the object must have one field, {one_of}"))),
            },
            _ => Err(self.must_be(&one_of)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if self.fields.is_object() { self.deserialize_any(visitor) } else { Err(self.must_be("an object")) }
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct identifier ignored_any
    }
}

struct Items {
    items: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    is_text: bool,
}

impl<'de> de::SeqAccess<'de> for Items {
    type Error = Mistake;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mistake> {
        let Some((index, fields)) = self.items.next() else { return Ok(None) };
        let item = seed.deserialize(Fields { fields, is_text: self.is_text });
        item.map(Some).map_err(|mistake| mistake.of(&index.to_string()))
    }
}

struct Entries {
    fields: serde_json::map::IntoIter,
    value: Option<(String, Value)>,
    is_text: bool,
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = Mistake;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        let Some((name, value)) = self.fields.next() else { return Ok(None) };
        let key: StrDeserializer<'_, Mistake> = name.as_str().into_deserializer();
        let key = seed.deserialize(key)?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        // serde asks for a value after its key only.
        let (name, fields) = self.value.take().ok_or_else(|| Mistake::custom("a value without a key"))?;
        // The errors of a function that reads a value do not have it.
        let value = if fields.is_object() || fields.is_array() { Value::Null } else { fields.clone() };
        let read = seed.deserialize(Fields { fields, is_text: self.is_text });
        read.map_err(|mistake| if value.is_null() { mistake } else { mistake.with_value(&value) }.of(&name))
    }
}

/// A variant with content: an object with one field.
struct Variant {
    name: String,
    content: Fields,
}

impl<'de> de::EnumAccess<'de> for Variant {
    type Error = Mistake;
    type Variant = Self;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Mistake> {
        let name: StrDeserializer<'_, Mistake> = self.name.as_str().into_deserializer();
        let variant = seed.deserialize(name).map_err(|mistake| mistake.of(&self.name))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        Err(Mistake::new("has no content").of(&self.name))
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        seed.deserialize(self.content).map_err(|mistake| mistake.of(&self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.content.deserialize_any(visitor).map_err(|mistake| mistake.of(&self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.content.deserialize_map(visitor).map_err(|mistake| mistake.of(&self.name))
    }
}

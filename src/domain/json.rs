//! JSON from clients that the hub stores without interpreting it. A visitor of its own reads it, so that the depth has one bound
//! whatever features the parser is built with, and accepted JSON can always be read back.

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// Most levels of nested objects and lists. Programs need a handful; the bound of the parser is 128.
pub const MAX_DEPTH: usize = 32;

/// The prefix of names that the parser interprets itself, depending on its features: it would parse the text of such a field again,
/// with a depth that starts at zero.
const RESERVED: &str = "$serde_json::";

/// A JSON object of at most [`MAX_DEPTH`] levels and without names that the parser reserves. Written and read again it is the same.
/// Of a name that is given twice the last value counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct JsonObject(Map<String, Value>);

impl JsonObject {
    /// Whether `wrong` is true for any name or text value in it, at any depth.
    pub fn has_text(&self, wrong: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|(name, value)| wrong(name) || has_text(value, &wrong))
    }
}

fn has_text(value: &Value, wrong: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => wrong(text),
        Value::Array(values) => values.iter().any(|value| has_text(value, wrong)),
        Value::Object(fields) => fields.iter().any(|(name, value)| wrong(name) || has_text(value, wrong)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl fmt::Display for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for JsonObject {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text)
    }
}

/// Converts JSON that the hub itself made.
///
/// # Errors
/// When `value` is not an object, or is one that could not be read back.
impl TryFrom<Value> for JsonObject {
    type Error = serde_json::Error;

    fn try_from(value: Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(value)
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match (Level { depth: 0 }).deserialize(deserializer)? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

/// The reader of a value at one level of nesting.
#[derive(Clone, Copy)]
struct Level {
    depth: usize,
}

impl Level {
    fn below<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("expected at most {MAX_DEPTH} levels of objects and lists")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("expected a finite number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(below)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut fields = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            if name.starts_with(RESERVED) {
                return Err(A::Error::custom(format_args!("expected no name that begins with {RESERVED}")));
            }
            let value = object.next_value_seed(below)?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Result<JsonObject, serde_json::Error> {
        text.parse()
    }

    fn nested(levels: usize) -> String {
        format!("{{\"a\":{}0{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
    }

    /// A text that is parsed anew inside the parse, `levels` times, by a build with the feature for it.
    fn nest_of_raw_values(levels: usize) -> String {
        let mut text = "0".to_owned();
        for _ in 0..levels {
            let inner = text.replace('\\', "\\u005c").replace('"', "\\u0022");
            let (open, close) = ("[".repeat(120), "]".repeat(120));
            text = format!("{open}{{\"$serde_json::private::RawValue\": \"{inner}\"}}{close}");
        }
        format!("{{\"a\":{text}}}")
    }

    #[test]
    fn the_depth_has_one_bound() {
        assert!(parsed(&nested(MAX_DEPTH)).is_ok());
        let refused = parsed(&nested(MAX_DEPTH + 1)).unwrap_err().to_string();
        assert!(refused.contains("at most 32 levels"), "{refused}");
    }

    #[test]
    fn names_the_parser_reserves_are_refused_wherever_they_stand() {
        for text in [
            r#"{"$serde_json::private::RawValue":"1"}"#,
            r#"{"a":1,"$serde_json::private::RawValue":"x"}"#,
            r#"{"a":[{"$serde_json::private::Number":"1"}]}"#,
            r#"{"\u0024serde_json::x":1}"#,
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_nest_of_texts_that_hold_json_is_refused_on_a_small_stack() {
        let read = || [1, 3, 30, 70].map(|levels| parsed(&nest_of_raw_values(levels)).is_err());
        let small = std::thread::Builder::new().stack_size(256 * 1024).spawn(read).unwrap();
        assert_eq!(small.join().unwrap(), [true; 4]);
    }

    #[test]
    fn only_an_object_is_one() {
        for text in ["[]", "1", "null", "\"a\"", "true", "", "{", "{\"a\":1e999}"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|n| json!(n)),
            any::<f64>().prop_map(|n| json!(n)),
            ".*".prop_map(Value::String),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                prop::collection::btree_map(".*", inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_accepted_reads_back_as_the_same(fields in prop::collection::btree_map(".*", value(), 0..5)) {
            let object = JsonObject::try_from(Value::Object(fields.into_iter().collect())).unwrap();
            prop_assert_eq!(parsed(&object.to_string()).unwrap(), object);
        }
    }
}

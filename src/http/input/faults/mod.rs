//! All faults in the names and types of a value that was refused, so that one answer names all of them.

mod node;

use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::Error;
use serde_path_to_error::Segment;

use crate::protocol::problem::FieldError;

use super::validate::faults_of;

pub(super) use node::Node;

/// Faults that are looked for by reading the value again.
const MOST: usize = 32;

/// Bytes that are read again in all: a large body is not worth more work than many small ones.
const BYTES: usize = 256 * 1024;

/// One fault: the field it is about and what can be done to find the next.
struct Fault {
    error: FieldError,
    kind: Kind,
}

enum Kind {
    /// The object has to have this field.
    Missing(String),
    /// The object has a field of this name, which nobody knows.
    Unknown(String),
    /// The value is of another kind.
    Wrong,
    /// The object has this field more than once.
    Twice(String),
}

/// The message about a name that no field has.
pub(super) const UNKNOWN_FIELD: &str = "is not a known field";

/// The field an error is about. The words of serde name values; they are cut down to what was expected.
fn fault(error: &serde_path_to_error::Error<Error>) -> Fault {
    let path = error.path().to_string();
    let parent = if path == "." { "" } else { path.as_str() };
    let text = error.inner().to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let named = |prefix: &str| text.strip_prefix(prefix)?.split('`').next().map(str::to_owned);
    let of = |name: &str, message: &str, kind| Fault {
        error: FieldError { field: join(parent, name), message: message.to_owned() },
        kind,
    };
    if let Some(name) = named("unknown field `") {
        of(&name, UNKNOWN_FIELD, Kind::Unknown(name.clone()))
    } else if let Some(name) = named("missing field `") {
        of(&name, "is required", Kind::Missing(name.clone()))
    } else if let Some(name) = named("duplicate field `") {
        of(&name, "is given twice", Kind::Twice(name.clone()))
    } else {
        let field = if parent.is_empty() { "body" } else { parent };
        let expected = text.split_once("expected ").map_or("another kind of value", |(_, what)| plain(what));
        let pointed = text.contains("floating point") && expected == "a whole number";
        let message =
            format!("expected {expected}{}", if pointed { ", without a decimal point" } else { "" });
        Fault { error: FieldError { field: field.to_owned(), message }, kind: Kind::Wrong }
    }
}

/// The first error, as a field and its message.
pub(super) fn first(error: &serde_path_to_error::Error<Error>) -> FieldError {
    fault(error).error
}

/// The name of a type as people know it who do not write Rust.
fn plain(expected: &str) -> &str {
    match expected {
        "i64" | "u64" | "u32" | "u16" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a string" => "a text",
        _ if expected.starts_with("struct ") => "an object",
        other => other,
    }
}

/// `name` inside `parent`, unless the path ends there already.
fn join(parent: &str, name: &str) -> String {
    match parent {
        "" => name.to_owned(),
        _ if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        _ => format!("{parent}.{name}"),
    }
}

/// Every fault of a value that is no `T`; `bytes` is how long it was.
pub(super) fn collect<T>(mut node: Node, bytes: usize) -> Vec<FieldError>
where
    T: DeserializeOwned + Validate,
    T::Context: Default,
{
    let mut errors: Vec<FieldError> = Vec::new();
    for _ in 0..(BYTES / bytes.max(1)).clamp(1, MOST) {
        match serde_path_to_error::deserialize::<_, T>(&node) {
            Ok(value) => {
                // What stands for something else has faults of its own, which are nobody's.
                let own = faults_of(&value).into_iter().filter(|one| !errors.iter().any(|e| covers(e, one)));
                let own: Vec<FieldError> = own.collect();
                errors.extend(own);
                break;
            }
            Err(error) => {
                let Fault { error: found, kind } = fault(&error);
                if errors.iter().any(|known| known.field == found.field) {
                    break;
                }
                errors.push(found);
                let path: Vec<&Segment> = error.path().iter().collect();
                if !node.repair(&path, &kind) {
                    break;
                }
            }
        }
    }
    errors
}

/// Whether what is said of one field makes what is said of another worthless: it is the same, or lies within.
fn covers(one: &FieldError, other: &FieldError) -> bool {
    let rest = other.field.strip_prefix(&one.field);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl Node {
    /// Takes the fault away that was found at `path`; whether there is another to look for.
    fn repair(&mut self, path: &[&Segment], kind: &Kind) -> bool {
        match kind {
            Kind::Wrong => match (path.is_empty(), self.at(path)) {
                (false, Some(wrong)) => {
                    *wrong = Self::Placeholder;
                    true
                }
                _ => false,
            },
            Kind::Missing(name) | Kind::Unknown(name) | Kind::Twice(name) => {
                // The path of some errors ends with the name itself.
                let path = match path {
                    [above @ .., Segment::Map { key }] if key == name => above,
                    path => path,
                };
                let Some(Self::Object(fields)) = self.at(path) else { return false };
                let found = fields.iter().rposition(|(known, _)| known == name);
                let last = found.map(|index| fields.remove(index));
                fields.retain(|(known, _)| known != name);
                match kind {
                    Kind::Missing(_) => fields.push((name.clone(), Self::Placeholder)),
                    Kind::Twice(_) => fields.extend(last),
                    Kind::Unknown(_) | Kind::Wrong => {}
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::super::{List, rules};
    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[garde(custom(rules::line::<5>))]
        business: String,
        #[garde(dive)]
        items: List<Line, 1, 3>,
        #[garde(dive)]
        address: Option<Address>,
        #[garde(range(min = 1, max = 9))]
        table: Option<i64>,
        #[garde(skip)]
        #[expect(dead_code, reason = "only its type is looked at")]
        gift: Option<bool>,
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[garde(range(min = 1, max = 999))]
        qty: i64,
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Address {
        #[garde(custom(rules::latitude))]
        lat: f64,
        #[garde(custom(rules::line::<5>))]
        text: String,
    }

    fn found(value: Value) -> Vec<String> {
        let text = value.to_string();
        let node = serde_json::from_str(&text).expect("it is JSON");
        let mut found: Vec<String> = collect::<Order>(node, text.len())
            .into_iter()
            .map(|error| format!("{}: {}", error.field, error.message))
            .collect();
        found.sort();
        found
    }

    #[test]
    fn every_missing_wrong_and_unknown_field_is_named_at_once() {
        assert_eq!(found(json!({})), ["business: is required", "items: is required"]);
        let all = json!({"business": 1, "items": [{"qty": "2"}, {}, {"qty": 0, "x": 1}], "address": {"lat": "a"},
            "table": 2.0, "gift": "yes", "more": {}});
        assert_eq!(
            found(all),
            [
                "address.lat: expected a number",
                "address.text: is required",
                "business: expected a text",
                "gift: expected true or false",
                "items[0].qty: expected a whole number",
                "items[1].qty: is required",
                "items[2].qty: must be at least 1",
                "items[2].x: is not a known field",
                "more: is not a known field",
                "table: expected a whole number, without a decimal point",
            ]
        );
    }

    #[test]
    fn bad_values_are_named_beside_bad_types_and_what_stands_for_others_is_not() {
        let both = json!({"business": "too long", "items": {}, "table": 99});
        assert_eq!(
            found(both),
            [
                "business: must be at most 5 characters long",
                "items: expected a list",
                "table: must be at most 9"
            ]
        );
        assert_eq!(
            found(json!({"business": "x", "items": [{"qty": 1}], "address": 7})),
            ["address: expected an object"]
        );
    }

    #[test]
    fn a_large_body_is_read_again_a_few_times_only() {
        let wrong: Vec<Value> = (0..5000).map(|_| json!({"x": 1})).collect();
        assert!(found(json!({"business": "x", "items": wrong})).len() <= 8);
    }

    #[test]
    fn a_field_given_twice_is_one_fault_among_others() {
        let twice =
            serde_json::from_str(r#"{"table":1,"table":2,"business":7,"items":[{"qty":1}]}"#).unwrap();
        let fields: Vec<String> = collect::<Order>(twice, 60).into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["table", "business"]);
    }

    #[test]
    fn a_body_that_is_no_object_at_all_is_one_fault() {
        assert_eq!(found(json!("text")), ["body: expected an object"]);
    }
}

//! Explanations of bad frames, for developers of clients.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

/// The values of `type` that a client may send.
const TYPES: [&str; 10] =
    ["ack", "shown", "acted", "subscribe", "unsubscribe", "refresh", "device", "status", "location", "ping"];

/// The explanation of JSON that is not a frame at all.
const NO_OBJECT: &str = "A frame is a JSON object with a type.";

/// Most characters of a client's own names that are repeated to it.
const MAX_REPEATED: usize = 40;

/// One sentence about a text that could not be read as a [`super::frames::ClientFrame`] because of `error`. It names the frame and
/// the field, never a value.
pub fn explain(text: &str, error: &serde_json::Error) -> String {
    if matches!(error.classify(), Category::Syntax | Category::Eof) {
        return not_json(error);
    }
    if !text.trim_start().starts_with('{') {
        return NO_OBJECT.to_owned();
    }
    let fields = match serde_json::from_str::<Fields>(text) {
        Ok(fields) => fields,
        Err(error) if error.is_data() => {
            let twice = quoted(&error.to_string(), "duplicate field `");
            return twice.map_or(NO_OBJECT.to_owned(), |field| format!("{field} is given twice."));
        }
        Err(error) => return not_json(&error),
    };
    let kind = match &fields.kind {
        None => return format!("type is missing; known are {}.", TYPES.join(", ")),
        Some(Field::Text(kind)) => kind.as_str(),
        Some(_) => return "type: expected a text.".to_owned(),
    };
    if !TYPES.contains(&kind) {
        return format!("unknown type {}; known are {}.", shown(kind), TYPES.join(", "));
    }
    format!("{kind}: {}.", wrong_field(&fields, &error.to_string()))
}

/// The explanation of a text that is not JSON.
fn not_json(error: &serde_json::Error) -> String {
    format!("The text is not JSON: see line {}, column {}.", error.line(), error.column())
}

/// The explanation of a frame of a known type, from its fields and the parser's `message`.
fn wrong_field(fields: &Fields, message: &str) -> String {
    if let Some(field) = quoted(message, "unknown field `") {
        format!("{field} is not a known field")
    } else if let Some(field) = quoted(message, "missing field `") {
        format!("{field} is missing")
    } else if let Some(field) = quoted(message, "duplicate field `") {
        format!("{field} is given twice")
    } else if let Some((field, expected)) = fields.wrong_type() {
        format!("{field}: expected {expected}")
    } else {
        let expected = message.split(" at line ").next().filter(|said| said.starts_with("expected "));
        expected.unwrap_or("a field has a value that is not valid").to_owned()
    }
}

/// The name after `prefix` in a message of the parser.
fn quoted(message: &str, prefix: &str) -> Option<String> {
    message.strip_prefix(prefix).and_then(|rest| rest.split('`').next()).map(shown)
}

/// The known fields of all frames, with values of any type.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "type")]
    kind: Option<Field>,
    room: Option<Field>,
    cursor: Option<Field>,
    token: Option<Field>,
    id: Option<Field>,
    can_ring: Option<Field>,
    online: Option<Field>,
    lat: Option<Field>,
    lng: Option<Field>,
    at: Option<Field>,
}

/// The JSON type of a value, as far as frames need it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Text(String),
    Bool(#[expect(dead_code, reason = "only the type of the value matters")] bool),
    Number(#[expect(dead_code, reason = "only the type of the value matters")] f64),
    Other(IgnoredAny),
}

/// Whether a value has the type that a field has to have.
type Fits = fn(&Field) -> bool;

impl Fields {
    /// The first field whose value has the wrong type, with the type it has to have.
    fn wrong_type(&self) -> Option<(&'static str, &'static str)> {
        let text = |value: &Field| matches!(value, Field::Text(_));
        let truth = |value: &Field| matches!(value, Field::Bool(_));
        let number = |value: &Field| matches!(value, Field::Number(_));
        let checks: [(_, _, Fits, _); 9] = [
            ("room", &self.room, text, "a text"),
            ("cursor", &self.cursor, text, "a text"),
            ("token", &self.token, text, "a text"),
            ("id", &self.id, text, "a text"),
            ("at", &self.at, text, "a text"),
            ("can_ring", &self.can_ring, truth, "true or false"),
            ("online", &self.online, truth, "true or false"),
            ("lat", &self.lat, number, "a number"),
            ("lng", &self.lng, number, "a number"),
        ];
        let is_wrong = |value: &Option<Field>, fits: Fits| value.as_ref().is_some_and(|value| !fits(value));
        let wrong = checks.into_iter().find(|(_, value, fits, _)| is_wrong(value, *fits));
        wrong.map(|(field, _, _, expected)| (field, expected))
    }
}

/// The beginning of a name; every character that is not visible ASCII becomes `?`.
fn shown(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let mut shown: String = name.chars().take(MAX_REPEATED).map(plain).collect();
    if name.chars().nth(MAX_REPEATED).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frames::ClientFrame;

    fn said(text: &str) -> String {
        explain(text, &serde_json::from_str::<ClientFrame>(text).expect_err(text))
    }

    #[test]
    fn a_bad_frame_is_told_what_is_wrong_with_it() {
        let room = "business:biz_0190f3c1a2b37d4e8f00112233445566";
        let ack = |cursor: &str| format!(r#"{{"type":"ack","room":"{room}"{cursor}}}"#);
        for (text, message) in [
            (ack(""), "ack: cursor is missing."),
            (ack(r#","cursor":7"#), "ack: cursor: expected a text."),
            (ack(r#","cursor":"seven""#), "ack: expected a cursor as the server gave it."),
            (ack(r#","cursor":"0000beef.7","x":1"#), "ack: x is not a known field."),
            (r#"{"type":"ping","x":1}"#.to_owned(), "ping: x is not a known field."),
            (
                r#"{"type":"shown","room":"kitchen","cursor":"0000beef.7"}"#.to_owned(),
                "shown: expected a room like business:biz_…, order:ord_…, driver:usr_…, zone:<name> or ops.",
            ),
            (
                r#"{"type":"device","id":"a","can_ring":"yes"}"#.to_owned(),
                "device: can_ring: expected true or false.",
            ),
            (r#"{"type":"status","online":1}"#.to_owned(), "status: online: expected true or false."),
            (r#"{"type":"location","lat":"1","lng":1}"#.to_owned(), "location: lat: expected a number."),
            (r#"{"type":5}"#.to_owned(), "type: expected a text."),
            ("[1]".to_owned(), "A frame is a JSON object with a type."),
            ("hello".to_owned(), "The text is not JSON: see line 1, column 1."),
            (r#"{"type":"ping""#.to_owned(), "The text is not JSON: see line 1, column 14."),
        ] {
            assert_eq!(said(&text), message, "{text}");
        }
        let known =
            "known are ack, shown, acted, subscribe, unsubscribe, refresh, device, status, location, ping.";
        assert_eq!(said(r#"{"type":"foo"}"#), format!("unknown type foo; {known}"));
        assert_eq!(said("{}"), format!("type is missing; {known}"));
    }

    #[test]
    fn every_type_that_is_said_to_be_known_is_known() {
        for kind in TYPES {
            let text = format!(r#"{{"type":"{kind}","no_such_field":1}}"#);
            assert_eq!(said(&text), format!("{kind}: no_such_field is not a known field."));
        }
    }

    #[test]
    fn little_of_what_was_sent_is_said_back_and_no_value() {
        let long = "x".repeat(50_000);
        let secret = "eyJhbGciOi";
        for text in [
            format!(r#"{{"type":"{long}"}}"#),
            format!(r#"{{"type":"ping","{long}":1}}"#),
            format!(r#"{{"type":"refresh","token":["{secret}"]}}"#),
            format!(r#"{{"type":"ack","room":"{secret}","cursor":"{secret}"}}"#),
        ] {
            let said = said(&text);
            assert!(said.len() < 200 && !said.contains(secret), "{said}");
        }
        assert!(said(r#"{"type":"\u0007\u202e"}"#).starts_with("unknown type ??;"));
    }
}

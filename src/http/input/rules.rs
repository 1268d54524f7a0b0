//! Rules for single fields, in the form garde calls them.

use secrecy::{ExposeSecret, SecretString};

use crate::auth::password::NewPassword;
use crate::domain::json::JsonObject;
use crate::domain::{phone, text};
use crate::http::idempotency::key::is_key;
use crate::protocol::frames::is_device_id;

/// The longest password that is looked at when somebody signs in, bytes: as many characters as one may have, each written
/// in parts where it can be.
pub const MAX_PASSWORD: usize = 2400;

/// Bytes of the data of a notification, as JSON: an event with it stays far below the largest frame.
const MAX_DATA: usize = 4096;

/// One line of 1 to `MAX` characters.
pub fn line<const MAX: usize>(value: &str, (): &()) -> garde::Result {
    text::check_line(value, MAX).map_err(garde::Error::new)
}

/// A search: one line of 1 to `MAX` characters, which may be blank.
pub fn search<const MAX: usize>(value: &str, (): &()) -> garde::Result {
    text::check_search(value, MAX).map_err(garde::Error::new)
}

/// Several lines of 1 to `MAX` characters in all.
pub fn block<const MAX: usize>(value: &str, (): &()) -> garde::Result {
    text::check_block(value, MAX).map_err(garde::Error::new)
}

/// The code of a menu item: 1 to 64 characters without white space or control characters. It is a part of an address, where `.` and
/// `..` mean something else.
pub fn sku(value: &str, (): &()) -> garde::Result {
    text::check_line(value, 64).map_err(garde::Error::new)?;
    refuse_if(matches!(value, "." | ".."), "must not be . or .., which no address can end in")?;
    refuse_if(value.chars().any(char::is_whitespace), "must not contain white space")
}

/// A telephone number as people write it.
pub fn phone(value: &str, (): &()) -> garde::Result {
    phone::parse(value).map(drop).map_err(garde::Error::new)
}

/// A telephone number that [`phone()`] has let pass, as it is stored.
pub fn checked_phone(value: &str) -> String {
    phone::parse(value).expect("the number was checked with its field")
}

/// A word programs act on: 1 to 64 letters, digits, `_`, `-` and `.`.
pub fn word(value: &str, (): &()) -> garde::Result {
    let written = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    refuse_if(!written || !(1..=64).contains(&value.len()), "expected 1 to 64 letters, digits, _, - and .")
}

/// An idempotency key.
pub fn idempotency_key(value: &str, (): &()) -> garde::Result {
    refuse_if(!is_key(value), "expected 1 to 64 visible ASCII characters")
}

/// The id of a device.
pub fn device(value: &str, (): &()) -> garde::Result {
    refuse_if(!is_device_id(value), "expected 1 to 64 visible ASCII characters")
}

/// A password somebody chooses.
pub fn new_password(value: &SecretString, (): &()) -> garde::Result {
    NewPassword::parse(value.clone()).map(drop).map_err(garde::Error::new)
}

/// A password or token somebody shows: only its length is looked at, at most `MAX` bytes.
pub fn shown<const MAX: usize>(value: &SecretString, (): &()) -> garde::Result {
    if value.expose_secret().len() > MAX {
        return Err(garde::Error::new(format!("must have at most {MAX} bytes")));
    }
    Ok(())
}

/// Degrees north.
pub fn latitude(value: &f64, (): &()) -> garde::Result {
    refuse_if(!(-90.0..=90.0).contains(value), "expected -90 to 90")
}

/// Degrees east.
pub fn longitude(value: &f64, (): &()) -> garde::Result {
    refuse_if(!(-180.0..=180.0).contains(value), "expected -180 to 180")
}

/// Data for programs: a JSON object of at most 4096 bytes whose texts hold no control characters.
pub fn data(value: &JsonObject, (): &()) -> garde::Result {
    let control = |text: &str| text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    refuse_if(value.to_string().len() > MAX_DATA, "must be at most 4096 bytes long")?;
    refuse_if(value.has_text(control), "must not contain control characters")
}

fn refuse_if(wrong: bool, message: &str) -> garde::Result {
    if wrong { Err(garde::Error::new(message)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_numbers_and_words_are_held_to_their_letters() {
        for good in ["P-1", "p/1", "寿司", &"x".repeat(64)] {
            assert!(sku(good, &()).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\u{0}", "a\u{a0}b", ".", "..", "\u{200b}", &"x".repeat(65)] {
            assert!(sku(bad, &()).is_err(), "{bad:?}");
        }
        assert!(word("NEW_ORDER", &()).is_ok());
        assert!(word("new order", &()).is_err());
    }

    #[test]
    fn a_place_lies_on_the_earth() {
        assert!(latitude(&-90.0, &()).is_ok());
        assert!(longitude(&180.0, &()).is_ok());
        for bad in [90.1, f64::NAN, f64::INFINITY] {
            assert!(latitude(&bad, &()).is_err(), "{bad}");
        }
    }

    #[test]
    fn data_is_a_small_object_without_control_characters_at_any_depth() {
        let judged = |value| data(&JsonObject::try_from(value).unwrap(), &()).is_ok();
        assert!(judged(json!({"a": ["line\nline"]})));
        for bad in [json!({"a": [{"b": "\u{0}"}]}), json!({"\u{7}": 1}), json!({"a": "x".repeat(4096)})] {
            assert!(!judged(bad));
        }
    }
}

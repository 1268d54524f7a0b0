//! Telephone numbers as people write and paste them. A number needs enough digits to call; grouping, script and words around it are
//! not checked.

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

use super::text::is_ignorable;

/// The fewest digits of a number that can be called.
const MIN_DIGITS: usize = 3;

/// Most characters of a number, with an extension and a word beside it.
const MAX_CHARS: usize = 64;

/// A text that holds no telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a telephone number on one line, with at least {MIN_DIGITS} digits and at most {MAX_CHARS} characters"
)]
pub struct PhoneError;

/// The number as written, without white space around it and without invisible characters, such as the direction marks and zero-width
/// spaces of a copied number.
///
/// # Errors
/// [`PhoneError`] for too few digits of any script, too many characters, or several lines.
pub fn parse(text: &str) -> Result<String, PhoneError> {
    // A bound before the copy below: every visible character may have a mark on either side.
    if text.chars().nth(3 * MAX_CHARS).is_some() {
        return Err(PhoneError);
    }
    let seen: String = text.chars().filter(|c| !is_ignorable(*c)).collect();
    let seen = seen.trim();
    let category = |c| CodePointMapData::<GeneralCategory>::new().get(c);
    let breaks = |c: char| {
        c.is_control()
            || matches!(category(c), GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator)
    };
    let digits = seen.chars().filter(|c| category(*c) == GeneralCategory::DecimalNumber).count();
    if digits < MIN_DIGITS || seen.chars().nth(MAX_CHARS).is_some() || seen.chars().any(breaks) {
        return Err(PhoneError);
    }
    Ok(seen.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_kept_as_written_without_what_nobody_sees() {
        for (written, kept) in [
            ("06.12.34.56.78", "06.12.34.56.78"),
            ("030/12345", "030/12345"),
            ("tel:+351-21-000", "tel:+351-21-000"),
            ("\u{202a}+49 170 1234567\u{202c}", "+49 170 1234567"),
            ("\u{feff} +351\u{a0}21\u{a0}000\n", "+351\u{a0}21\u{a0}000"),
            ("٠١٢٣٤٥", "٠١٢٣٤٥"),
            ("112", "112"),
        ] {
            assert_eq!(parse(written).as_deref(), Ok(kept), "{written:?}");
        }
    }

    #[test]
    fn only_what_cannot_be_called_is_refused() {
        let (long, marks) = ("1".repeat(65), format!("123{}", "\u{200b}".repeat(1000)));
        for bad in ["", "12", "+()", "call me", "123\n456", "123\u{2028}456", "1\u{0}23", &long, &marks] {
            assert_eq!(parse(bad), Err(PhoneError), "{bad:?}");
        }
    }
}

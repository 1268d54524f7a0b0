//! Rules for text that people type: any script, bounded, at least one visible character, and no character that changes the direction
//! of the text around it or breaks it.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The rule that a text violates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Only white space.
    #[error("must not be empty")]
    Empty,
    /// No visible character: only zero-width characters, fillers, marks without a letter.
    #[error("must contain a visible character")]
    Invisible,
    /// More characters than `max`.
    #[error("must be at most {max} characters long")]
    TooLong {
        /// Most characters that are allowed.
        max: usize,
    },
    /// A control character, NUL included, or a line separator.
    #[error("must not contain control characters or line separators")]
    ControlCharacter,
    /// A character that changes the direction of text beyond the end of this one.
    #[error(
        "must not contain characters that override the direction of text, or that begin another direction without ending it"
    )]
    Direction,
}

/// Checks a text of one line: 1 to `max` characters, at least one visible, no control characters.
///
/// # Errors
/// The first rule that it violates.
pub fn check_line(text: &str, max: usize) -> Result<(), TextError> {
    check_length(text, max, char::is_control)?;
    check_shown(text)
}

/// Checks a text of several lines: as [`check_line`], but new line, carriage return and tab are allowed.
///
/// # Errors
/// The first rule that it violates.
pub fn check_block(text: &str, max: usize) -> Result<(), TextError> {
    check_length(text, max, |c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))?;
    check_shown(text)
}

/// Checks a search term: 1 to `max` characters on one line, visible or not.
///
/// # Errors
/// The first rule that it violates.
pub fn check_search(text: &str, max: usize) -> Result<(), TextError> {
    check_length(text, max, char::is_control)
}

/// Whether a character is invisible and has no meaning by itself, like a direction mark, a joiner or a zero-width space.
pub(super) fn is_ignorable(c: char) -> bool {
    !c.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn check_length(text: &str, max: usize, refused: impl Fn(char) -> bool) -> Result<(), TextError> {
    if text.chars().any(refused) {
        Err(TextError::ControlCharacter)
    } else if text.chars().nth(max).is_some() {
        Err(TextError::TooLong { max })
    } else if text.trim().is_empty() {
        Err(TextError::Empty)
    } else {
        Ok(())
    }
}

/// Checks that the text is visible and neither breaks nor changes the direction of the text around it.
fn check_shown(text: &str) -> Result<(), TextError> {
    if text.is_ascii() {
        return Ok(());
    }
    // A direction that begins and ends inside the text is harmless; names that were copied have such.
    let (mut embedded, mut isolated) = (0_usize, 0_usize);
    for c in text.chars() {
        match c {
            '\u{2028}' | '\u{2029}' => return Err(TextError::ControlCharacter),
            '\u{202d}' | '\u{202e}' => return Err(TextError::Direction),
            '\u{202a}' | '\u{202b}' => embedded += 1,
            '\u{202c}' => embedded = embedded.checked_sub(1).ok_or(TextError::Direction)?,
            '\u{2066}'..='\u{2068}' => isolated += 1,
            '\u{2069}' => isolated = isolated.checked_sub(1).ok_or(TextError::Direction)?,
            _ => {}
        }
    }
    if embedded + isolated > 0 {
        Err(TextError::Direction)
    } else if text.chars().any(is_visible) {
        Ok(())
    } else {
        Err(TextError::Invisible)
    }
}

fn is_visible(c: char) -> bool {
    use GeneralCategory as Category;

    // U+2800 is the pattern of Braille without dots.
    if c.is_ascii() || c == '\u{2800}' {
        return c.is_ascii_graphic();
    }
    let unseen = matches!(
        CodePointMapData::<Category>::new().get(c),
        Category::Control
            | Category::Format
            | Category::PrivateUse
            | Category::SpaceSeparator
            | Category::NonspacingMark
            | Category::SpacingMark
            | Category::EnclosingMark
    );
    !unseen && !is_ignorable(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_script_pass_and_control_characters_do_not() {
        for good in ["Zoë", "王小明", "محمد", "O'Brien <b>", "x"] {
            assert_eq!(check_line(good, 100), Ok(()), "{good}");
        }
        assert_eq!(check_line("a\u{0}b", 100), Err(TextError::ControlCharacter));
        assert_eq!(check_line("a\nb", 100), Err(TextError::ControlCharacter));
        assert_eq!(check_block("a\nb", 100), Ok(()));
        assert_eq!(check_block("a\u{7f}", 100), Err(TextError::ControlCharacter));
        assert_eq!(check_line("  ", 100), Err(TextError::Empty));
        assert_eq!(check_line("ééé", 2), Err(TextError::TooLong { max: 2 }));
        assert_eq!(check_line("éé", 2), Ok(()));
    }

    #[test]
    fn a_text_has_something_to_see() {
        for unseen in
            ["\u{200b}", "\u{3164}", "\u{2800}", "\u{ad}\u{2060}", "\u{301}", "\u{e000}", "\u{e0041}"]
        {
            assert_eq!(check_line(unseen, 100), Err(TextError::Invisible), "{unseen:?}");
            assert_eq!(check_block(unseen, 100), Err(TextError::Invisible), "{unseen:?}");
            assert_eq!(check_search(unseen, 100), Ok(()), "{unseen:?}");
        }
        for seen in [
            "🍕",
            "♥",
            "#",
            "👨\u{200d}🍳",
            "क\u{94d}\u{200d}ष",
            "می\u{200c}خواهم",
            "\u{1f3f4}\u{e0067}\u{e007f}",
        ] {
            assert_eq!(check_line(seen, 100), Ok(()), "{seen:?}");
        }
    }

    #[test]
    fn a_text_does_not_turn_or_break_the_one_around_it() {
        for turning in ["\u{202e}001", "Ana\u{2066}", "a\u{202c}", "\u{202b}a", "a\u{2069}"] {
            assert_eq!(check_line(turning, 100), Err(TextError::Direction), "{turning:?}");
        }
        for whole in ["\u{202a}+49\u{202c} Ana", "\u{2068}دانا\u{2069}", "\u{200f}שלום"] {
            assert_eq!(check_line(whole, 100), Ok(()), "{whole:?}");
        }
        for broken in ["Ana\u{2028}Order #999", "a\u{2029}b", "a\u{85}b"] {
            assert_eq!(check_line(broken, 100), Err(TextError::ControlCharacter), "{broken:?}");
            assert_eq!(check_block(broken, 100), Err(TextError::ControlCharacter), "{broken:?}");
        }
    }
}

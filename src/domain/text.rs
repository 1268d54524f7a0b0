//! Rules for text that people typed: any script, bounded, no control characters.

/// Why a text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More characters than `max`.
    #[error("must be at most {max} characters long")]
    TooLong {
        /// The most characters allowed.
        max: usize,
    },
    /// A control character, NUL included.
    #[error("must not contain control characters")]
    ControlCharacter,
}

/// Whether `text` fits on one line: 1 to `max` characters, no control characters.
pub fn check_line(text: &str, max: usize) -> Result<(), TextError> {
    check(text, max, char::is_control)
}

/// Whether `text` may be shown over several lines: 1 to `max` characters; of the control characters only the
/// new line, carriage return and tab pass.
pub fn check_block(text: &str, max: usize) -> Result<(), TextError> {
    check(text, max, |c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn check(text: &str, max: usize, refused: impl Fn(char) -> bool) -> Result<(), TextError> {
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
}

//! The rule for new passwords, and the one form in which passwords are hashed and compared.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

const MIN_CHARACTERS: usize = 8;
const MAX_CHARACTERS: usize = 200;

/// The longest password in any form, so that a longer text is not worth composing.
pub(super) const MAX_BYTES: usize = 12 * MAX_CHARACTERS;

/// The rule a new password breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordPolicyError {
    /// Under 8 characters.
    #[error("must have at least 8 characters")]
    TooShort,
    /// Over 200 characters.
    #[error("must have at most 200 characters")]
    TooLong,
    /// A character nobody can type on purpose.
    #[error("must not contain control characters")]
    ControlCharacter,
}

/// A password that may be chosen: 8 to 200 characters of any script in the composed form, no control characters.
#[derive(Debug)]
pub struct NewPassword(pub(super) SecretString);

impl NewPassword {
    /// Checks `text` against the policy. Stored passwords are not checked again at sign-in.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn parse(text: SecretString) -> Result<Self, PasswordPolicyError> {
        if text.expose_secret().len() > MAX_BYTES {
            return Err(PasswordPolicyError::TooLong);
        }
        let composed = match composed(text.expose_secret()) {
            Cow::Borrowed(_) => None,
            Cow::Owned(composed) => Some(SecretString::from(composed)),
        };
        let password = composed.unwrap_or(text);
        let exposed = password.expose_secret();
        match exposed.chars().count() {
            0..MIN_CHARACTERS => Err(PasswordPolicyError::TooShort),
            MIN_CHARACTERS..=MAX_CHARACTERS if exposed.chars().any(char::is_control) => {
                Err(PasswordPolicyError::ControlCharacter)
            }
            MIN_CHARACTERS..=MAX_CHARACTERS => Ok(Self(password)),
            _ => Err(PasswordPolicyError::TooLong),
        }
    }
}

/// The composed form; borrowed when the text is in it already.
pub(super) fn composed(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        IsNormalized::No | IsNormalized::Maybe => {
            let composed: String = text.nfc().collect();
            if composed == text { Cow::Borrowed(text) } else { Cow::Owned(composed) }
        }
    }
}

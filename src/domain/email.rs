//! E-mail addresses in one canonical form, in which they are stored and compared.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization as _;

/// The longest e-mail address that mail can be delivered to, in bytes (RFC 5321 §4.5.3.1.3, without the brackets).
pub const MAX_EMAIL: usize = 254;

/// The longest text that is read, in bytes: the longest address with every letter in its longest encoding, and blanks around it.
const MAX_TYPED: usize = 1024;

/// An address that mail can be delivered to: trimmed, in lower case, the domain in the ASCII form of IDNA. Two texts for the same
/// mailbox give equal addresses. Not printed by `{:?}`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// The reason why a text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// The text has only blanks.
    #[error("must not be empty")]
    Empty,
    /// Over [`MAX_EMAIL`] characters.
    #[error("must be at most 254 characters long")]
    TooLong,
    /// There is no `@`.
    #[error("has no @: expected an address like zoe@example.com")]
    NoAt,
    /// The part before the `@` has a wrong length or character.
    #[error("the part before the @ is not valid: expected 1 to 64 of a-z, 0-9 and .!#$%&'*+/=?^_`{{|}}~-")]
    Mailbox,
    /// The part after the `@` is not a domain.
    #[error("the part after the @ is not a valid domain")]
    Domain,
}

impl EmailAddress {
    /// Reads an address as a person types or pastes it.
    ///
    /// # Errors
    /// The first rule that it violates.
    pub fn parse(typed: &str) -> Result<Self, EmailError> {
        let typed = trimmed(typed);
        if typed.is_empty() {
            return Err(EmailError::Empty);
        }
        if typed.len() > MAX_TYPED {
            return Err(EmailError::TooLong);
        }
        // Some keyboards write letters of full width; NFKC makes them ASCII.
        let plain: Cow<'_, str> =
            if typed.is_ascii() { typed.into() } else { typed.nfkc().collect::<String>().into() };
        let (mailbox, domain) = plain.split_once('@').ok_or(EmailError::NoAt)?;
        // A domain may be an IP address in brackets.
        let domain = if domain.starts_with('[') {
            domain.into()
        } else {
            idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::URL)
                .map_err(|_| EmailError::Domain)?
        };
        let address = format!("{mailbox}@{domain}").to_ascii_lowercase();
        if address.len() > MAX_EMAIL {
            return Err(EmailError::TooLong);
        }
        use garde::rules::email::InvalidEmail as E;
        garde::rules::email::parse_email(&address).map_err(|error| match error {
            E::InvalidDomain | E::DomainLengthExceeded => EmailError::Domain,
            _ => EmailError::Mailbox,
        })?;
        Ok(Self(address))
    }

    /// The address in its canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address in its canonical form.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        Self::parse(text)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(..)")
    }
}

/// An address as typed at sign-in. It may be one that no new account could have: accounts from before the present rules still work.
/// Not printed by `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct SignInAddress {
    address: Option<EmailAddress>,
    as_sent: String,
}

impl SignInAddress {
    /// Reads an address as a person types or pastes it.
    ///
    /// # Errors
    /// No account can have this address: it is empty, too long, or contains a control character.
    pub fn parse(typed: &str) -> Result<Self, super::text::TextError> {
        let as_sent = trimmed(typed).to_lowercase();
        let address = EmailAddress::parse(&as_sent).ok();
        if address.is_none() {
            super::text::check_line(&as_sent, MAX_EMAIL)?;
        }
        Ok(Self { address, as_sent })
    }

    /// The key for counting failures, the same for every spelling of one address.
    pub fn account(&self) -> &str {
        self.address.as_ref().map_or(&self.as_sent, EmailAddress::as_str)
    }

    /// The addresses under which the account may be stored, the most likely first: the canonical form, then the typed text in lower
    /// case if that is different.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        let today = self.address.as_ref().map(EmailAddress::as_str);
        today.into_iter().chain(Some(self.as_sent.as_str()).filter(|sent| today != Some(*sent)))
    }
}

impl FromStr for SignInAddress {
    type Err = super::text::TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Debug for SignInAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignInAddress(..)")
    }
}

/// The text without the invisible characters that keyboards, contact lists and web pages put around an address: blanks, line ends,
/// direction marks, zero-width characters.
fn trimmed(typed: &str) -> &str {
    typed.trim_matches(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c))
}

fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(typed: &str) -> Result<String, EmailError> {
        EmailAddress::parse(typed).map(EmailAddress::into_string)
    }

    #[test]
    fn texts_that_mean_one_mailbox_are_one_address() {
        for (typed, address) in [
            ("zoe@example.com", "zoe@example.com"),
            (" Zoe@Example.COM ", "zoe@example.com"),
            ("\u{a0}zoe@example.com\u{200b}\r\n", "zoe@example.com"),
            ("\u{202a}zoe@example.com\u{202c}", "zoe@example.com"),
            ("zoe@ex\u{e4}mple.de", "zoe@xn--exmple-cua.de"),
            ("zoe@EXA\u{308}MPLE.de", "zoe@xn--exmple-cua.de"),
            ("zoe@XN--EXMPLE-CUA.DE", "zoe@xn--exmple-cua.de"),
            ("zoe@例え。テスト", "zoe@xn--r8jz45g.xn--zckzah"),
            ("ｚｏｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "zoe@example.com"),
            ("zoe@пример.рф", "zoe@xn--e1afmkfd.xn--p1ai"),
            ("zoe+orders@[192.0.2.1]", "zoe+orders@[192.0.2.1]"),
        ] {
            assert_eq!(parsed(typed).as_deref(), Ok(address), "{typed:?}");
        }
    }

    #[test]
    fn a_text_that_is_no_address_is_refused_with_the_part_that_is_wrong() {
        for (typed, error) in [
            ("", EmailError::Empty),
            (" \u{200b} ", EmailError::Empty),
            ("zoe", EmailError::NoAt),
            ("@example.com", EmailError::Mailbox),
            ("z oe@example.com", EmailError::Mailbox),
            ("z\u{200b}oe@example.com", EmailError::Mailbox),
            ("zoë@example.com", EmailError::Mailbox),
            ("a@b@example.com", EmailError::Domain),
            ("zoe@", EmailError::Domain),
            ("zoe@exa mple.com", EmailError::Domain),
            ("zoe@-example.com", EmailError::Domain),
            ("zoe@xn--a.com", EmailError::Domain),
            ("zoe@exa_mple.com", EmailError::Domain),
        ] {
            assert_eq!(parsed(typed), Err(error), "{typed:?}");
        }
        assert_eq!(parsed(&format!("{}@example.com", "x".repeat(65))), Err(EmailError::Mailbox));
        let long = format!("zoe@{}com", "label.".repeat(45));
        assert_eq!(parsed(&long), Err(EmailError::TooLong));
        assert_eq!(parsed(&"x".repeat(1_000_000)), Err(EmailError::TooLong));
    }

    #[test]
    fn an_account_from_before_the_rules_is_looked_for_as_it_was_typed_too() {
        let candidates = |typed: &str| {
            let address = SignInAddress::parse(typed).unwrap();
            address.candidates().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(candidates(" Zoe@Example.com"), ["zoe@example.com"]);
        assert_eq!(candidates("zoe@EXÄMPLE.de"), ["zoe@xn--exmple-cua.de", "zoe@exämple.de"]);
        assert_eq!(candidates("Root"), ["root"]);
        assert!(SignInAddress::parse(" ").is_err());
        assert!(SignInAddress::parse("a\nb").is_err());
        assert!(SignInAddress::parse(&"x".repeat(255)).is_err());
        assert!(!format!("{:?}", SignInAddress::parse("root").unwrap()).contains("root"));
    }

    proptest! {
        #[test]
        fn an_address_is_read_back_as_itself(typed in "\\PC{0,20}@\\PC{0,20}") {
            if let Ok(address) = EmailAddress::parse(&typed) {
                prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address));
            }
        }
    }
}

//! Enums whose variants are words: one list gives the variants, their texts, and the way back from a text.

use std::fmt;

/// A text that is none of the words of a [`string_enum`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    /// Every word there is, in the order of the variants.
    pub expected: &'static [&'static str],
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected ")?;
        let last = self.expected.len().saturating_sub(1);
        for (index, word) in self.expected.iter().enumerate() {
            f.write_str(match index {
                0 => "",
                _ if index == last => " or ",
                _ => ", ",
            })?;
            f.write_str(word)?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownWord {}

/// Declares an enum of words with `ALL`, `as_str`, `Display`, `FromStr` and serde, which all use the word on the right. A word
/// is stored in databases and sent to clients, so it never changes.
macro_rules! string_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::domain::string_enum::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let unknown = $crate::domain::string_enum::UnknownWord { expected: &[$($word),+] };
                Self::ALL.into_iter().find(|variant| variant.as_str() == text).ok_or(unknown)
            }
        }
    };
}

pub(crate) use string_enum;

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro declares public enums only")]
mod tests {
    string_enum! {
        /// Sizes of a cup.
        pub enum Cup {
            Small = "small",
            Medium = "medium",
            VeryLarge = "very_large",
        }
    }

    #[test]
    fn every_word_reads_back_as_its_variant_by_text_and_by_json() {
        for cup in Cup::ALL {
            assert_eq!(cup.as_str().parse(), Ok(cup));
            assert_eq!(serde_json::to_string(&cup).unwrap(), format!("\"{cup}\""));
            assert_eq!(serde_json::from_str::<Cup>(&format!("\"{cup}\"")).unwrap(), cup);
        }
    }

    #[test]
    fn another_text_is_refused_and_every_word_named() {
        let error = "Small".parse::<Cup>().unwrap_err();
        assert_eq!(error.to_string(), "expected small, medium or very_large");
    }
}

//! Words as people look for them: one form for what is stored and for what is typed, whatever the case, the accents and the
//! keyboard.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// Letters of a word that count; a longer one is found by its first ones. Far more than names have, and within what an index
/// takes.
const MAX_LETTERS: usize = 32;

/// The zero of each script that writes numbers with ten digits of its own.
const ZEROS: [u32; 18] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x17E0, 0x1810,
];

/// The words of `text` as they stand there: runs of letters, digits and their marks. An apostrophe between two letters belongs
/// to its word; each ideograph is a word, since nothing stands between those of a name.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(|c: char| c.is_alphanumeric() && !is_apostrophe(c))?;
        rest = &rest[start..];
        let mut letters = rest.char_indices().peekable();
        let (_, first) = letters.next()?;
        let mut end = first.len_utf8();
        while let Some((at, c)) = letters.next()
            && !is_ideograph(first)
        {
            let goes_on = if is_apostrophe(c) {
                letters.peek().is_some_and(|(_, next)| next.is_alphanumeric() && !is_ideograph(*next))
            } else {
                (c.is_alphanumeric() && !is_ideograph(c)) || is_mark(c)
            };
            if !goes_on {
                break;
            }
            end = at + c.len_utf8();
        }
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Words by which an order with `word` in a text is found: the word, and each side of an apostrophe in it.
pub(super) fn found_by(word: &str) -> impl Iterator<Item = &str> {
    let parts = word.split(is_apostrophe).filter(move |part| part.len() < word.len());
    std::iter::once(word).chain(parts)
}

/// `word` without case, accents and apostrophes, letters that few keyboards have as those that people type for them, and a number
/// without zeros before it. Every word is brought into this form before it is stored and before it is looked for.
pub(super) fn folded(word: &str) -> String {
    let letters = word.nfkd().filter(|c| !is_mark(*c) && !is_apostrophe(*c)).flat_map(char::to_lowercase);
    let folded: String = letters.flat_map(letter).filter(|c| c.is_alphanumeric()).take(MAX_LETTERS).collect();
    without_zeros(folded)
}

/// `word` in the form that versions up to 0.1 stored: lower case, with its accents.
pub(super) fn in_lower_case(word: &str) -> String {
    without_zeros(word.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect())
}

fn without_zeros(word: String) -> String {
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word;
    }
    match word.trim_start_matches('0') {
        "" => "0".to_owned(),
        number => number.to_owned(),
    }
}

/// A small letter as it is typed where the keyboard does not have it.
fn letter(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        'ß' => ('s', Some('s')),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        'þ' => ('t', Some('h')),
        'ø' => ('o', None),
        'đ' | 'ð' => ('d', None),
        'ħ' => ('h', None),
        'ı' => ('i', None),
        'ł' => ('l', None),
        'ŋ' => ('n', None),
        'ŧ' => ('t', None),
        'ə' => ('e', None),
        'ς' => ('σ', None),
        'ґ' => ('г', None),
        // One letter on the keyboards of Arabic, Persian and Urdu.
        'ى' | 'ی' | 'ې' => ('ي', None),
        'ک' => ('ك', None),
        'ة' | 'ہ' | 'ە' => ('ه', None),
        _ => (digit(c).unwrap_or(c), None),
    };
    std::iter::once(first).chain(second)
}

fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let value = ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

/// Whether `c` stands over, under or through the letter before it.
fn is_mark(c: char) -> bool {
    canonical_combining_class(c) != 0
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '`' | '´' | 'ʼ' | 'ʻ' | '′' | '＇')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_end_where_people_see_them_end() {
        for (text, words) in [
            ("Ann-Marie O'Brien", vec!["Ann", "Marie", "O'Brien"]),
            ("'quoted' don’t", vec!["quoted", "don’t"]),
            ("王小龍 Wang小", vec!["王", "小", "龍", "Wang", "小"]),
            ("Zoe\u{308} #001", vec!["Zoe\u{308}", "001"]),
            ("\u{308}x ' 🍕 --", vec!["x"]),
            ("ʻOkina", vec!["Okina"]),
            ("", vec![]),
        ] {
            assert_eq!(split(text).collect::<Vec<_>>(), words, "{text}");
        }
        assert_eq!(found_by("O'Brien").collect::<Vec<_>>(), ["O'Brien", "O", "Brien"]);
        assert_eq!(found_by("Ann").collect::<Vec<_>>(), ["Ann"]);
    }

    #[test]
    fn one_word_has_one_form_however_it_is_typed() {
        for (one, other) in [
            ("Zoë", "zoe"),
            ("Zoe\u{308}", "ZOË"),
            ("ΝΙΚΟΣ", "νίκος"),
            ("Straße", "STRASSE"),
            ("O’Brien", "obrien"),
            ("Łukasz", "lukasz"),
            ("Nguyễn", "nguyen"),
            ("ﬁsh", "FISH"),
            ("İpek", "ipek"),
            ("Işık", "ISIK"),
            ("Søren", "soren"),
            ("Ёлкин", "елкин"),
            ("فاطمة", "فاطمه"),
            ("کریم", "كريم"),
            ("שָׁלוֹם", "שלום"),
            ("ｔｏｋｙｏ", "Tokyo"),
            ("٠٠٧", "7"),
            ("007", "７"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_eq!([folded("000"), folded("a07"), folded("12")], ["0", "a07", "12"]);
        assert_eq!(folded(&"ﷺ".repeat(100)).chars().count(), MAX_LETTERS);
    }

    proptest! {
        #[test]
        fn what_is_folded_stays_as_it_is(text in ".{0,40}") {
            for word in split(&text).flat_map(found_by) {
                let once = folded(word);
                prop_assert_eq!(folded(&once), once.clone());
                prop_assert!(once.chars().all(char::is_alphanumeric));
            }
        }
    }
}

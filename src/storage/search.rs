//! Text search of orders: the same words and the same prefixes on both databases, in any script.
//!
//! An index term is a word behind whose it is and the week its order was placed in: once for the business, once for
//! operators, who see all. So a search reads the terms of its caller only, and goes back week by week until it has enough.

use std::ops::RangeInclusive;

use crate::domain::ids::BusinessId;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

use super::statement::Dialect;

/// More words than any name has; a longer one is found by its first ones.
const MAX_NAME_WORDS: usize = 32;
const MAX_SKU_WORDS: usize = 16;

/// A week, in microseconds. Both databases divide by it as well.
pub(super) const WEEK: i64 = 7 * 24 * 60 * 60 * 1_000_000;

/// The week of a moment, counted from 1970.
pub(super) fn week(at: Timestamp) -> u16 {
    u16::try_from((at.as_micros() / WEEK).max(0)).unwrap_or(u16::MAX)
}

/// The words an order is searched by: runs of letters and digits as [`normalised`] leaves them, at most `max`.
pub(super) fn words(text: &str, max: usize) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).map(normalised).filter(|word| !word.is_empty()).take(max)
}

/// What is stored to find an order by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// The terms of the index, apart by spaces.
    pub(super) terms: String,
    /// The bare words, each behind a space; empty where the terms are kept in the order's own row.
    pub(super) words: String,
}

/// What an order is found by.
#[derive(Debug)]
pub(super) struct Searched<'o> {
    pub(super) business: BusinessId,
    pub(super) number: u32,
    pub(super) customer_name: &'o str,
    pub(super) skus: Vec<&'o str>,
    pub(super) created_at: Timestamp,
}

impl<'o> Searched<'o> {
    pub(super) fn of(order: &'o Order) -> Self {
        Self {
            business: order.business_id,
            number: order.order_number,
            customer_name: &order.customer_name,
            skus: order.items.iter().map(|item| item.sku.as_str()).collect(),
            created_at: order.created_at,
        }
    }
}

/// What finds an order: the words of its number, its skus and its customer's name.
pub(super) fn document(order: &Searched<'_>, dialect: Dialect) -> Document {
    let mut found = vec![order.number.to_string()];
    found.extend(words(order.customer_name, MAX_NAME_WORDS));
    found.extend(order.skus.iter().flat_map(|sku| words(sku, MAX_SKU_WORDS)));
    found.sort_unstable();
    found.dedup();
    let stored: Vec<String> = found.into_iter().map(|word| stored(&word, dialect)).collect();
    let week = week(order.created_at);
    let owners =
        [Owner::Business(order.business).prefix(week, dialect), Owner::Anybody.prefix(week, dialect)];
    let terms: Vec<String> =
        owners.iter().flat_map(|owner| stored.iter().map(move |word| format!("{owner}{word}"))).collect();
    let words = match dialect {
        Dialect::Postgres => String::new(),
        Dialect::Sqlite => stored.iter().map(|word| format!(" {word}")).collect(),
    };
    Document { terms: terms.join(" "), words }
}

/// In whose part of the index a search looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A business's.
    Business(BusinessId),
    /// The part operators look in.
    Anybody,
}

impl Owner {
    /// What stands before a word. A business is named by the last ten digits of its id, which are random; whose an order is
    /// in the end, its own row says.
    fn prefix(self, week: u16, dialect: Dialect) -> String {
        match (self, dialect) {
            (Self::Business(id), Dialect::Postgres) => format!("@{}{week:04x}", tail(id)),
            (Self::Business(id), Dialect::Sqlite) => format!("z{}{week:04x}", tail(id)),
            (Self::Anybody, Dialect::Postgres) => format!("#{week:04x}"),
            (Self::Anybody, Dialect::Sqlite) => format!("y{week:04x}"),
        }
    }
}

fn tail(id: BusinessId) -> String {
    format!("{:010x}", id.uuid().as_u128() & 0xff_ffff_ffff)
}

/// The query for orders of `owners` placed in `weeks` that have a word with each of `words` at its beginning.
pub(super) fn query(
    words: &[String],
    owners: &[Owner],
    weeks: RangeInclusive<u16>,
    dialect: Dialect,
) -> String {
    // Letters and digits only, so that quoting is complete without escapes.
    let words: Vec<String> = words.iter().map(|word| stored(word, dialect)).collect();
    let (and, or) = match dialect {
        Dialect::Postgres => (" & ", " | "),
        Dialect::Sqlite => (" AND ", " OR "),
    };
    let mut query = String::new();
    for week in weeks {
        for owner in owners {
            let prefix = owner.prefix(week, dialect);
            query.push_str(if query.is_empty() { "" } else { or });
            query.push('(');
            for (i, word) in words.iter().enumerate() {
                query.push_str(if i == 0 { "" } else { and });
                match dialect {
                    Dialect::Postgres => query.push_str(&format!("'{prefix}{word}':*")),
                    Dialect::Sqlite => query.push_str(&format!("\"{prefix}{word}\"*")),
                }
            }
            query.push(')');
        }
    }
    query
}

/// What a row is tested by that is found without the index. On Postgres one query in which `~` stands for the row's own
/// week, and which knows the bare words of orders that have no others yet; on SQLite a text for each word that the row's
/// words have to hold.
pub(super) fn tests(words: &[String], dialect: Dialect) -> Vec<String> {
    if words.is_empty() {
        return Vec::new();
    }
    match dialect {
        Dialect::Postgres => {
            let tests: Vec<String> = words.iter().map(|word| format!("('~{word}':* | '{word}':*)")).collect();
            vec![tests.join(" & ")]
        }
        Dialect::Sqlite => words.iter().map(|word| format!(" {}", stored(word, dialect))).collect(),
    }
}

/// The letters and digits of `word` in lower case, and a number without zeros before it. Every word is brought into this
/// form before it is stored and before it is looked for, and nowhere else. Lower case can bring new marks with it (`İ`
/// becomes `i` and a dot of its own), which nobody types.
pub(super) fn normalised(word: &str) -> String {
    let word: String = word.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word;
    }
    match word.trim_start_matches('0') {
        "" => "0".to_owned(),
        number => number.to_owned(),
    }
}

/// As the index has it. On SQLite UTF-8 in hexadecimal: prefixes stay prefixes, and no tokenizer has an opinion about the
/// characters.
fn stored(word: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres => word.to_owned(),
        Dialect::Sqlite => word.bytes().map(|byte| format!("{byte:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| normalised(word)).collect()
    }

    #[test]
    fn numbers_are_the_same_with_and_without_zeros_before_them() {
        assert_eq!(normal(&["007", "7", "000", "a07", "０７", "12"]), ["7", "7", "0", "a07", "０７", "12"]);
    }

    #[test]
    fn a_query_is_made_of_letters_and_digits_behind_their_owner_and_week() {
        let id: BusinessId = "biz_0190f3c1a2b37d4e8f00112233445566".parse().unwrap();
        let found = normal(&["ana", "o'x", "王"]);
        let ask = |owner, dialect| query(&found, &[owner], 1..=1, dialect);
        assert_eq!(
            ask(Owner::Business(id), Dialect::Postgres),
            "('@22334455660001ana':* & '@22334455660001ox':* & '@22334455660001王':*)"
        );
        assert_eq!(
            ask(Owner::Anybody, Dialect::Sqlite),
            "(\"y0001616e61\"* AND \"y00016f78\"* AND \"y0001e78e8b\"*)"
        );
        let many = query(&found[..1], &[Owner::Anybody, Owner::Business(id)], 9..=10, Dialect::Postgres);
        assert_eq!(
            many,
            "('#0009ana':*) | ('@22334455660009ana':*) | ('#000aana':*) | ('@2233445566000aana':*)"
        );
    }

    #[test]
    fn every_moment_has_a_week() {
        let week = |micros| week(Timestamp::from_micros(micros));
        assert_eq!(
            [week(i64::MIN), week(-1), week(WEEK - 1), week(WEEK), week(i64::MAX)],
            [0, 0, 0, 1, u16::MAX]
        );
    }
}

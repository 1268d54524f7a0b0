//! Text search of orders: the same words and the same prefixes on both databases, in any script.
//!
//! An index term is a word behind whose it is and when its order was placed: once for the business and four weeks, once for
//! operators, who see all, and a week. So a search reads the terms of its caller only, and goes back until it has enough.

mod words;

use crate::domain::ids::BusinessId;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::storage::sql::statement::Dialect;

/// More words than any name has; a longer one is found by its first ones.
const MAX_NAME_WORDS: usize = 32;
const MAX_SKU_WORDS: usize = 16;

/// A week, in microseconds. Both databases divide by it as well.
const WEEK: i64 = 7 * 24 * 60 * 60 * 1_000_000;

/// Weeks that a business's terms do not tell apart. Somebody with many businesses asks the index for each of them and each
/// such time: a week would make four times the questions, more weeks more orders to sort for a page.
const BUSINESS_WEEKS: i64 = 4;

/// The words of a search, at most `max`, as they were typed.
pub(in crate::storage) fn words(text: &str, max: usize) -> impl Iterator<Item = &str> {
    words::split(text).filter(|word| !words::folded(word).is_empty()).take(max)
}

/// A word that is looked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    folded: String,
    /// As versions up to 0.1 stored it, where that was another form: orders that are not in the index yet have those.
    former: Option<String>,
}

impl Word {
    /// Of what was typed; `None` where there is nothing to look for.
    pub(super) fn of(typed: &str) -> Option<Self> {
        let folded = words::folded(typed);
        let former = words::in_lower_case(typed);
        let former = (former != folded && !former.is_empty()).then_some(former);
        (!folded.is_empty()).then_some(Self { folded, former })
    }

    /// Each form an order may have it in.
    fn forms(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.folded.as_str()).chain(self.former.as_deref())
    }
}

/// Stored terms of one order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// The terms of the index, apart by spaces.
    pub(super) terms: String,
    /// The bare words, each behind a space; empty where the terms are kept in the order's own row.
    pub(super) words: String,
}

/// Texts of an order that it is found by.
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

/// Terms of an order: the words of its number, its skus and its customer's name.
pub(super) fn document(order: &Searched<'_>, dialect: Dialect) -> Document {
    let of = |text, max| words::split(text).take(max).flat_map(words::found_by).map(words::folded);
    let mut found = vec![order.number.to_string()];
    found.extend(of(order.customer_name, MAX_NAME_WORDS));
    found.extend(order.skus.iter().copied().flat_map(|sku| of(sku, MAX_SKU_WORDS)));
    found.retain(|word| !word.is_empty());
    found.sort_unstable();
    found.dedup();
    let stored: Vec<String> = found.into_iter().map(|word| stored(&word, dialect)).collect();
    let owners = [Owner::Business(order.business), Owner::Anybody]
        .map(|owner| owner.prefix(owner.time(order.created_at), dialect));
    let terms: Vec<String> =
        owners.iter().flat_map(|owner| stored.iter().map(move |word| format!("{owner}{word}"))).collect();
    let words = match dialect {
        Dialect::Postgres => String::new(),
        Dialect::Sqlite => stored.iter().map(|word| format!(" {word}")).collect(),
    };
    Document { terms: terms.join(" "), words }
}

/// Part of the index that a search looks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A business's.
    Business(BusinessId),
    /// The part operators look in.
    Anybody,
}

impl Owner {
    /// Time of an order in its terms: the number of weeks, or of four weeks, from 1970 on.
    pub(super) fn time(self, at: Timestamp) -> u16 {
        let length = match self {
            Self::Business(_) => BUSINESS_WEEKS * WEEK,
            Self::Anybody => WEEK,
        };
        u16::try_from((at.as_micros() / length).max(0)).unwrap_or(u16::MAX)
    }

    /// Prefix of each word. A business is named by the last ten digits of its id, which are random; whose an order is
    /// in the end, its own row says.
    fn prefix(self, time: u16, dialect: Dialect) -> String {
        match (self, dialect) {
            (Self::Business(id), Dialect::Postgres) => format!("@{}{time:04x}", tail(id)),
            (Self::Business(id), Dialect::Sqlite) => format!("z{}{time:04x}", tail(id)),
            (Self::Anybody, Dialect::Postgres) => format!("#{time:04x}"),
            (Self::Anybody, Dialect::Sqlite) => format!("y{time:04x}"),
        }
    }
}

fn tail(id: BusinessId) -> String {
    format!("{:010x}", id.uuid().as_u128() & 0xff_ffff_ffff)
}

/// The query for orders of `owner` placed at `time` that have a word with each of `words` at its beginning.
pub(super) fn query(words: &[Word], owner: Owner, time: u16, dialect: Dialect) -> String {
    let prefix = owner.prefix(time, dialect);
    // Letters and digits only, so that quoting is complete without escapes.
    let terms = words.iter().map(|word| match dialect {
        Dialect::Postgres => format!("'{prefix}{}':*", word.folded),
        Dialect::Sqlite => format!("\"{prefix}{}\"*", stored(&word.folded, dialect)),
    });
    let terms: Vec<String> = terms.collect();
    terms.join(match dialect {
        Dialect::Postgres => " & ",
        Dialect::Sqlite => " AND ",
    })
}

/// What a row is tested by that is found without the index: it has to pass one of each list. On Postgres one query in which `~`
/// stands for the row's own week, and which knows the bare words of orders that have no others yet; on SQLite texts that the row's
/// words have to hold.
pub(super) fn tests(words: &[Word], dialect: Dialect) -> Vec<Vec<String>> {
    if words.is_empty() {
        return Vec::new();
    }
    match dialect {
        Dialect::Postgres => {
            let test = |word: &Word| {
                let forms: Vec<String> =
                    word.forms().map(|form| format!("'~{form}':* | '{form}':*")).collect();
                format!("({})", forms.join(" | "))
            };
            vec![vec![words.iter().map(test).collect::<Vec<_>>().join(" & ")]]
        }
        Dialect::Sqlite => {
            let test = |word: &Word| word.forms().map(|form| format!(" {}", stored(form, dialect))).collect();
            words.iter().map(test).collect()
        }
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

    fn found(words: &[&str]) -> Vec<Word> {
        words.iter().filter_map(|word| Word::of(word)).collect()
    }

    #[test]
    fn a_query_is_made_of_letters_and_digits_behind_their_owner_and_time() {
        let id: BusinessId = "biz_0190f3c1a2b37d4e8f00112233445566".parse().unwrap();
        let words = found(&["Ána", "o'x", "王", "--"]);
        assert_eq!(
            query(&words, Owner::Business(id), 1, Dialect::Postgres),
            "'@22334455660001ana':* & '@22334455660001ox':* & '@22334455660001王':*"
        );
        assert_eq!(
            query(&words, Owner::Anybody, 10, Dialect::Sqlite),
            "\"y000a616e61\"* AND \"y000a6f78\"* AND \"y000ae78e8b\"*"
        );
    }

    #[test]
    fn a_row_is_tested_by_both_forms_of_a_word_that_has_two() {
        let words = found(&["Zoë", "7"]);
        assert_eq!(
            tests(&words, Dialect::Postgres),
            [["('~zoe':* | 'zoe':* | '~zoë':* | 'zoë':*) & ('~7':* | '7':*)"]]
        );
        assert_eq!(tests(&words, Dialect::Sqlite), [vec![" 7a6f65", " 7a6fc3ab"], vec![" 37"]]);
    }

    #[test]
    fn every_moment_has_a_week_and_four_of_them_are_one_for_a_business() {
        let id: BusinessId = "biz_0190f3c1a2b37d4e8f00112233445566".parse().unwrap();
        let time = |owner: Owner, micros| owner.time(Timestamp::from_micros(micros));
        let moments = [i64::MIN, -1, WEEK - 1, WEEK, 4 * WEEK - 1, 4 * WEEK, i64::MAX];
        assert_eq!(moments.map(|at| time(Owner::Anybody, at)), [0, 0, 0, 1, 3, 4, u16::MAX]);
        assert_eq!(moments.map(|at| time(Owner::Business(id), at)), [0, 0, 0, 0, 0, 1, u16::MAX]);
    }
}

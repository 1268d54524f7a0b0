//! Text search of orders: the same words and the same prefixes on both databases, in any script.

use crate::domain::order::Order;
use crate::protocol::views::order_number;

use super::search_words;
use super::statement::Dialect;

/// More words than any name has; a longer one is found by its first ones.
const MAX_NAME_WORDS: usize = 32;
const MAX_SKU_WORDS: usize = 16;

/// Every word `order` is found by: those of its number, its skus and its customer's name, apart by spaces.
pub(super) fn document(order: &Order, dialect: Dialect) -> String {
    let mut words = search_words(&order_number(order.order_number), 1);
    words.extend(search_words(&order.customer_name, MAX_NAME_WORDS));
    words.extend(order.items.iter().flat_map(|item| search_words(&item.sku, MAX_SKU_WORDS)));
    words.sort_unstable();
    words.dedup();
    let stored: Vec<String> = words
        .into_iter()
        .map(|word| match dialect {
            Dialect::Postgres => word,
            Dialect::Sqlite => hexadecimal(&word),
        })
        .collect();
    stored.join(" ")
}

/// The query for orders that have a word with each of `words` at its beginning. `None` when there is nothing to
/// look for.
pub(super) fn query(words: &[String], dialect: Dialect) -> Option<String> {
    // What is left has only letters and digits in it, so quoting is complete without escapes.
    let terms: Vec<String> = words
        .iter()
        .map(|word| normalised(word))
        .filter(|word| !word.is_empty())
        .map(|word| match dialect {
            Dialect::Postgres => format!("'{word}':*"),
            Dialect::Sqlite => format!("\"{}\"*", hexadecimal(&word)),
        })
        .collect();
    let and = match dialect {
        Dialect::Postgres => " & ",
        Dialect::Sqlite => " AND ",
    };
    (!terms.is_empty()).then(|| terms.join(and))
}

/// The letters and digits of `word` in lower case. Lower case can bring new marks with it (`İ` becomes `i` and a dot
/// of its own), which nobody types.
pub(super) fn normalised(word: &str) -> String {
    word.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// UTF-8 in hexadecimal: prefixes stay prefixes, and no tokenizer has an opinion about the characters.
fn hexadecimal(word: &str) -> String {
    word.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_made_of_letters_and_digits_only() {
        let words = ["ana", "o'x", "'' |", "", "王"].map(str::to_owned);
        assert_eq!(query(&words, Dialect::Postgres).as_deref(), Some("'ana':* & 'ox':* & '王':*"));
        assert_eq!(
            query(&words, Dialect::Sqlite).as_deref(),
            Some("\"616e61\"* AND \"6f78\"* AND \"e78e8b\"*")
        );
        assert_eq!(query(&[], Dialect::Sqlite), None);
    }
}

//! Lists of orders, newest first: whose, which, how far, and how many there are. Every statement is a bounded part of an
//! index.
//!
//! A list without words is a range of an index; that of somebody who works for several businesses is several ranges merged.
//! A search first walks along that range: words that many orders have fill a page at once, and who has few orders has been
//! through all of them. Only what is still missing then is looked for in the text index, where it is rare.

mod asker;
mod count;
mod indexed;
mod newest;
mod place;
mod sample;
mod scope;
mod times;

use std::collections::HashMap;

use crate::storage::error::StoreError;
use crate::storage::ports::{NextPage, OrderPage, OrderQuery, PageStart, Total};
use crate::storage::sql::rows::{ORDER_COLUMNS, OrderRow};
use crate::storage::sql::search::{self, Word};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::order_items::with_lines;
pub(in crate::storage::sql) use asker::Asker;
use indexed::Indexed;
use newest::Newest;
use place::Place;
use scope::{Conditions, Filter, Part, Scope};

/// Orders a search walks past before it asks the text index. A page is full by then if one in a few dozen is found.
const WALK: usize = 500;

static BY_ID: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("orders"),
        &format!("SELECT {ORDER_COLUMNS} FROM orders o WHERE o.id = {{any}}"),
    )
});

pub(in crate::storage::sql) async fn page(
    asker: &Asker<'_>,
    query: &OrderQuery,
) -> Result<OrderPage, StoreError> {
    let counted = matches!(query.start, PageStart::Offset(_));
    let nothing =
        OrderPage { orders: Vec::new(), total: counted.then_some(Total::Exact(0)), more: NextPage::Absent };
    let words: Vec<Word> = query.words.iter().filter_map(|word| Word::of(word)).collect();
    if words.is_empty() && !query.words.is_empty() {
        return Ok(nothing);
    }
    let Some(scope) = Scope::of(asker, query).await? else { return Ok(nothing) };
    let filter = Filter { business: query.business, status: query.status };
    let list = List { asker, scope, filter, words };
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let (mut rows, total) = list.rows(query.start, limit).await?;
    let more = if rows.len() > limit { NextPage::Exists } else { NextPage::Absent };
    rows.truncate(limit);
    Ok(OrderPage { orders: with_lines(asker.store, rows).await?, total, more })
}

struct List<'l> {
    asker: &'l Asker<'l>,
    scope: Scope,
    filter: Filter,
    words: Vec<Word>,
}

impl List<'_> {
    /// One order more than the limit, if there are so many, and how many there are.
    async fn rows(
        &self,
        start: PageStart,
        limit: usize,
    ) -> Result<(Vec<OrderRow>, Option<Total>), StoreError> {
        let counted = matches!(start, PageStart::Offset(_));
        let (skipped, below) = match start {
            PageStart::Offset(offset) => (usize::try_from(offset).unwrap_or(usize::MAX), Place::top()),
            PageStart::After(at, id) => (0, Place { at: at.as_micros(), id: id.to_string() }),
        };
        let parts = self.parts();
        if !self.words.is_empty() {
            return self.found(parts, skipped, &below, limit, counted).await;
        }
        let rows = match parts.as_slice() {
            [only] => self.range(*only, skipped, &below, limit).await?,
            _ => {
                let wanted = skipped.saturating_add(limit + 1);
                let mut newest = Newest::new(parts, &below, self.filter, Vec::new());
                newest.read(self.asker, wanted, wanted).await?;
                let places: Vec<&Place> = newest.hits().skip(skipped).take(limit + 1).collect();
                self.by_place(&places).await?
            }
        };
        let total = if counted { Some(self.count().await?) } else { None };
        Ok((rows, total))
    }

    fn parts(&self) -> Vec<Part> {
        match &self.scope {
            Scope::Customer(user) => vec![Part::Customer(*user)],
            Scope::Businesses(businesses) => businesses.iter().copied().map(Part::Business).collect(),
            Scope::All => vec![Part::All],
        }
    }

    /// Orders of one range.
    async fn range(
        &self,
        part: Part,
        skipped: usize,
        below: &Place,
        limit: usize,
    ) -> Result<Vec<OrderRow>, StoreError> {
        let mut conditions = Conditions::after(Vec::new());
        self.filter.put(part, &mut conditions);
        let time = part.time(self.asker.dialect());
        conditions.add(&format!("({time}, o.id) < (?, ?)"), [Arg::Int(below.at), Arg::text(&below.id)]);
        let int = |n: usize| Arg::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let (limit, offset) = (conditions.arg(int(limit + 1)), conditions.arg(int(skipped)));
        let text = format!(
            "SELECT {ORDER_COLUMNS} FROM {} WHERE {} ORDER BY {time} DESC, o.id DESC \
             LIMIT {limit} OFFSET {offset}",
            part.orders(self.filter, self.asker.dialect()),
            conditions.text
        );
        self.asker.fetch(&Statement::new(Operation::Select("orders"), &text), &conditions.args).await
    }

    /// The orders at these places, in their order. One that has moved to another status meanwhile is left out.
    async fn by_place(&self, places: &[&Place]) -> Result<Vec<OrderRow>, StoreError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let ids = Arg::texts(places.iter().map(|place| &place.id));
        let rows: Vec<OrderRow> = self.asker.fetch(&BY_ID, &[ids]).await?;
        let mut rows: HashMap<String, OrderRow> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        let status = self.filter.status.map(|status| status.as_str());
        let rows = places.iter().filter_map(|place| rows.remove(&place.id));
        Ok(rows.filter(|row| status.is_none_or(|status| row.has_status(status))).collect())
    }

    /// Orders with all the words.
    async fn found(
        &self,
        parts: Vec<Part>,
        skipped: usize,
        below: &Place,
        limit: usize,
        counted: bool,
    ) -> Result<(Vec<OrderRow>, Option<Total>), StoreError> {
        let has_index = !matches!(self.scope, Scope::Customer(_)) && indexed::is_complete(self.asker).await?;
        let wanted = skipped.saturating_add(limit + 1);
        let tests = search::tests(&self.words, self.asker.dialect());
        let mut newest = Newest::new(parts, below, self.filter, tests);
        newest.read(self.asker, wanted, if has_index { WALK } else { usize::MAX }).await?;
        let mut places: Vec<Place> = newest.hits().cloned().collect();
        let walked = places.len();
        let total_of = |places: usize| Total::of(u64::try_from(places).unwrap_or(u64::MAX));
        let mut total = total_of(walked);
        if let Some(sample) = newest.sample()
            && !newest.has_ended()
            && (counted || walked < wanted)
        {
            let indexed = if has_index {
                Some(Indexed::new(self.asker, &self.scope, &self.words, self.filter, sample).await?)
            } else {
                None
            };
            if let Some(indexed) = &indexed
                && walked < wanted
            {
                places.extend(indexed.find(self.asker, sample.last, wanted - walked).await?);
            }
            if indexed.is_some() && places.len() < wanted {
                total = total_of(places.len());
            } else if counted {
                total = self.count_found(indexed.as_ref(), sample).await?;
            }
        }
        let places: Vec<&Place> = places.iter().skip(skipped).take(limit + 1).collect();
        Ok((self.by_place(&places).await?, counted.then_some(total)))
    }
}

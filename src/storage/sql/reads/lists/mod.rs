//! Lists of orders, newest first: whose, which, how far, and how many there are. Every statement is a bounded part of an
//! index.
//!
//! A list without words is a range of an index; that of somebody who works for several businesses is several ranges merged.
//! A search first walks along that range: words that many orders have fill a page at once, and who has few orders has been
//! through all of them. Only what is still missing then is looked for in the text index, where it is rare.

mod asker;
mod indexed;
mod newest;
mod scope;

use std::collections::HashMap;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::storage::error::StoreError;
use crate::storage::ports::{More, OrderPage, OrderQuery, PageStart, Total};
use crate::storage::sql::rows::{ORDER_COLUMNS, OrderRow};
use crate::storage::sql::search::{self, Word};
use crate::storage::sql::statement::{Arg, Dialect, LazyStatement, Operation, Statement};

use super::order_items::with_lines;
pub(in crate::storage) use asker::Asker;
use asker::CountRow;
use indexed::Indexed;
use newest::{Newest, Place};
use scope::{Conditions, Filter, Part, Scope, test};

/// Orders a search walks past before it asks the text index. A page is full by then if one in a few dozen is found.
const WALK: usize = 500;

/// Orders that are walked past to count those found, where at least half of them are.
const COUNT_WALK: i64 = 20_000;

/// Orders of one status that are walked past to count those found, however few: less than to look up the status of every order that
/// has the words, of which most are long delivered.
const STATUS_WALK: i64 = 10_000;

/// The same over several businesses, whose orders of a status are not counted beforehand.
const SHORT_WALK: i64 = 2_000;

/// The same where there is no text index to ask: a customer's own, however many.
const LONG_WALK: i64 = 100_000;

static BY_ID: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("orders"),
        &format!("SELECT {ORDER_COLUMNS} FROM orders o WHERE o.id = {{any}}"),
    )
});

#[derive(FromRow)]
struct WalkedRow {
    n: i64,
    hits: i64,
}

#[derive(Serialize)]
struct BusinessRow {
    business: String,
}

/// What is left to count to, of one more than the most.
fn counted_to(counted: u64) -> i64 {
    i64::try_from((Total::MOST + 1).saturating_sub(counted)).unwrap_or(i64::MAX)
}

pub(in crate::storage) async fn page(asker: &Asker<'_>, query: &OrderQuery) -> Result<OrderPage, StoreError> {
    let counted = matches!(query.start, PageStart::Offset(_));
    let nothing =
        OrderPage { orders: Vec::new(), total: counted.then_some(Total::Exact(0)), more: More::End };
    let words: Vec<Word> = query.words.iter().filter_map(|word| Word::of(word)).collect();
    if words.is_empty() && !query.words.is_empty() {
        return Ok(nothing);
    }
    let Some(scope) = Scope::of(asker, query).await? else { return Ok(nothing) };
    let filter = Filter { business: query.business, status: query.status };
    let list = List { asker, scope, filter, words };
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let (mut rows, total) = list.rows(query.start, limit).await?;
    let more = if rows.len() > limit { More::Follow } else { More::End };
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

    /// How many orders there are without words.
    async fn count(&self) -> Result<Total, StoreError> {
        let counted = match self.parts().as_slice() {
            [only] => self.count_part(*only, counted_to(0)).await?,
            _ => {
                let (statement, args) = self.merged("1 AS one", counted_to(0), "SELECT count(*) AS n");
                let rows: Vec<CountRow> = self.asker.fetch(&statement, &args).await?;
                rows.first().map_or(0, |row| row.n)
            }
        };
        Ok(total_of(counted))
    }

    /// How many orders of a part there are, whatever their words, counted to `most`.
    async fn count_part(&self, part: Part, most: i64) -> Result<i64, StoreError> {
        let mut conditions = Conditions::after(Vec::new());
        self.filter.put(part, &mut conditions);
        let limit = conditions.arg(Arg::Int(most));
        let text = format!(
            "SELECT count(*) AS n FROM (SELECT 1 AS one FROM {} WHERE {} LIMIT {limit}) c",
            part.orders(self.filter, self.asker.dialect()),
            conditions.text
        );
        let rows: Vec<CountRow> =
            self.asker.fetch(&Statement::new(Operation::Select("orders"), &text), &conditions.args).await?;
        Ok(rows.first().map_or(0, |row| row.n))
    }

    /// Something over at most `most` orders of several businesses.
    fn merged(&self, columns: &str, most: i64, select: &str) -> (Statement, Vec<Arg>) {
        let rows: Vec<BusinessRow> = match &self.scope {
            Scope::Businesses(all) => all.iter().map(|b| BusinessRow { business: b.to_string() }).collect(),
            Scope::Customer(_) | Scope::All => Vec::new(),
        };
        let mut conditions = Conditions::after(vec![Arg::rows(&rows), Arg::Int(most)]);
        self.filter.put_status(&mut conditions);
        let of_one = format!("o.business_id = r.business AND {}", conditions.text);
        let tests = search::tests(&self.words, self.asker.dialect());
        let hit = test("o", &tests, &mut conditions, self.asker.dialect());
        let hit = format!("CASE WHEN {hit} THEN 1 ELSE 0 END AS hit");
        let postgres = format!(
            "{select} FROM (SELECT {hit} FROM {{rows}} \
             CROSS JOIN LATERAL (SELECT {columns} FROM orders o WHERE {of_one} LIMIT $2) o LIMIT $2) c"
        );
        let sqlite = format!(
            "{select} FROM (SELECT {hit} FROM {{rows}} CROSS JOIN {} WHERE {of_one} LIMIT $2) c",
            self.parts()[0].orders(self.filter, Dialect::Sqlite)
        );
        (Statement::apart(Operation::Select("orders"), "business text", &postgres, &sqlite), conditions.args)
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
        let indexed = if matches!(self.scope, Scope::Customer(_)) || !indexed::is_complete(self.asker).await?
        {
            None
        } else {
            Some(Indexed::new(self.asker, &self.scope, &self.words, self.filter).await?)
        };
        let wanted = skipped.saturating_add(limit + 1);
        let tests = search::tests(&self.words, self.asker.dialect());
        let mut newest = Newest::new(parts, below, self.filter, tests);
        let far = if indexed.is_some() { WALK } else { usize::MAX };
        newest.read(self.asker, wanted, far).await?;
        let mut places: Vec<Place> = newest.hits().cloned().collect();
        let walked = places.len();
        if let (Some(indexed), Some((_, last))) = (&indexed, newest.span())
            && walked < wanted
            && !newest.has_ended()
        {
            places.extend(indexed.find(self.asker, last, wanted - walked).await?);
        }
        let total = match (counted, newest.has_ended(), newest.span()) {
            (false, ..) => None,
            (true, true, _) | (true, false, None) => {
                Some(total_of(i64::try_from(walked).unwrap_or(i64::MAX)))
            }
            (true, false, Some((first, _))) => {
                let (rows, first) = (newest.rows(), first.at);
                Some(self.count_found(indexed.as_ref(), walked, rows, first).await?)
            }
        };
        let places: Vec<&Place> = places.iter().skip(skipped).take(limit + 1).collect();
        Ok((self.by_place(&places).await?, total))
    }

    /// How many there are, where `hits` were found among the first `rows`.
    async fn count_found(
        &self,
        indexed: Option<&Indexed<'_>>,
        hits: usize,
        rows: usize,
        newest: i64,
    ) -> Result<Total, StoreError> {
        let Some(indexed) = indexed else { return Ok(total_of(self.walked(LONG_WALK).await?.hits)) };
        if self.filter.status.is_some() {
            if let [only] = self.parts().as_slice() {
                if self.count_part(*only, STATUS_WALK + 1).await? <= STATUS_WALK {
                    return Ok(total_of(self.walked(STATUS_WALK).await?.hits));
                }
            } else {
                let WalkedRow { n, hits } = self.walked(SHORT_WALK).await?;
                if n < SHORT_WALK {
                    return Ok(total_of(hits));
                }
            }
        }
        // On SQLite the text index alone does not know the status: to walk past orders is less than to look each up there, as
        // long as many of them are hits.
        if 2 * hits >= rows && self.filter.status.is_some() && self.asker.dialect() == Dialect::Sqlite {
            let WalkedRow { n, hits } = self.walked(COUNT_WALK).await?;
            if n < COUNT_WALK || hits >= counted_to(0) {
                return Ok(total_of(hits));
            }
        }
        Ok(Total::of(indexed.count(self.asker, newest).await?))
    }

    /// How many of the newest `most` orders there are, and how many of them have the words.
    async fn walked(&self, most: i64) -> Result<WalkedRow, StoreError> {
        let dialect = self.asker.dialect();
        let columns = match dialect {
            Dialect::Postgres => "o.created_at, o.search",
            Dialect::Sqlite => "o.created_at, o.words",
        };
        let select = "SELECT count(*) AS n, CAST(COALESCE(sum(c.hit), 0) AS BIGINT) AS hits";
        let (statement, args) = match self.parts().as_slice() {
            [only] => {
                let mut conditions = Conditions::after(Vec::new());
                self.filter.put(*only, &mut conditions);
                let limit = conditions.arg(Arg::Int(most));
                let inner = format!(
                    "SELECT {columns} FROM {} WHERE {} ORDER BY {} DESC, o.id DESC LIMIT {limit}",
                    only.orders(self.filter, dialect),
                    conditions.text,
                    only.time(dialect)
                );
                let hit = test("w", &search::tests(&self.words, dialect), &mut conditions, dialect);
                let text = format!(
                    "{select} FROM (SELECT CASE WHEN {hit} THEN 1 ELSE 0 END AS hit FROM ({inner}) w) c"
                );
                (Statement::new(Operation::Select("orders"), &text), conditions.args)
            }
            _ => self.merged(columns, most, select),
        };
        let rows: Vec<WalkedRow> = self.asker.fetch(&statement, &args).await?;
        Ok(rows.into_iter().next().unwrap_or(WalkedRow { n: 0, hits: 0 }))
    }
}

fn total_of(counted: i64) -> Total {
    Total::of(u64::try_from(counted).unwrap_or(0))
}

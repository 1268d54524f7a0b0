//! Searching by the databases' own text indexes, from the newest time back.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::ops::RangeInclusive;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::Total;
use crate::storage::sql::search::{self, Owner, Word};
use crate::storage::sql::statement::{Arg, Dialect, LazyStatement, Operation, Statement};

use super::asker::{Asker, CountRow};
use super::newest::RowRead;
use super::place::Place;
use super::sample::Sample;
use super::scope::{Conditions, Filter, Part, Scope};
use super::times::Times;

/// Questions to the index in one statement at most.
const MAX_PREFIXES: usize = 1_000;

/// From so many businesses on it is asked first whether the words are rare.
const MANY_OWNERS: usize = 8;

/// Beyond so many businesses the operators' part of the index is looked in.
const MAX_OWNERS: usize = 100;

/// Fewer orders than this have rare words.
const RARE: u64 = 1_000;

static OLDEST: LazyStatement = LazyStatement::new(|| {
    let text = |part: Part, dialect| {
        format!("SELECT o.created_at AS n FROM orders o ORDER BY {}, o.id LIMIT 1", part.time(dialect))
    };
    Statement::apart(
        Operation::Select("orders"),
        "",
        &text(Part::All, Dialect::Postgres),
        &text(Part::All, Dialect::Sqlite),
    )
});

static UNFINISHED: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Select("hub"), "SELECT search_below FROM hub WHERE id = 1")
});

#[derive(FromRow)]
struct BelowRow {
    search_below: Option<String>,
}

/// Whether every order is in the index.
pub(super) async fn is_complete(asker: &Asker<'_>) -> Result<bool, StoreError> {
    let rows: Vec<BelowRow> = asker.fetch(&UNFINISHED, &[]).await?;
    Ok(rows.iter().all(|row| row.search_below.is_none()))
}

/// A search in the part of the index that belongs to a scope.
pub(super) struct Indexed<'q> {
    owners: Vec<Owner>,
    /// Whose own row says whose it is: empty for all.
    businesses: Vec<BusinessId>,
    words: &'q [Word],
    filter: Filter,
    /// When the oldest order of all was placed.
    oldest: Timestamp,
}

impl<'q> Indexed<'q> {
    pub(super) async fn new(
        asker: &Asker<'_>,
        scope: &Scope,
        words: &'q [Word],
        filter: Filter,
        sample: Sample<'_>,
    ) -> Result<Self, StoreError> {
        let businesses = match scope {
            Scope::Businesses(businesses) => businesses.clone(),
            Scope::Customer(_) | Scope::All => Vec::new(),
        };
        let owners = if businesses.is_empty() || businesses.len() > MAX_OWNERS {
            vec![Owner::Anybody]
        } else {
            businesses.iter().copied().map(Owner::Business).collect()
        };
        let oldest: Vec<CountRow> = asker.fetch(&OLDEST, &[]).await?;
        let oldest = Timestamp::from_micros(oldest.first().map_or(0, |row| row.n));
        let mut indexed = Self { owners, businesses, words, filter, oldest };
        // A new word comes often and is rare all the same: not to ask may cost so many questions and no more.
        let questions = indexed.owners.len() * indexed.times(sample.first.at).periods();
        if sample.expected_hits(oldest) < 2 * RARE || questions > MAX_PREFIXES {
            indexed.prefer_rare(asker).await?;
        }
        Ok(indexed)
    }

    /// Where words are rare with everybody, it is less to look at each order that has them than in the parts of many.
    async fn prefer_rare(&mut self, asker: &Asker<'_>) -> Result<(), StoreError> {
        if self.owners.len() < MANY_OWNERS {
            return Ok(());
        }
        let everybody = Self {
            owners: vec![Owner::Anybody],
            businesses: Vec::new(),
            words: self.words,
            filter: Filter { business: None, status: None },
            oldest: self.oldest,
        };
        if everybody.count_to(asker, Timestamp::now().as_micros(), RARE).await? < RARE {
            self.owners = everybody.owners;
        }
        Ok(())
    }

    fn times(&self, newest: i64) -> Times {
        let longest = u16::try_from((MAX_PREFIXES / self.owners.len()).max(1)).unwrap_or(u16::MAX);
        // Those of one scope have times of one length.
        let time = |at| self.owners.first().map_or(0, |owner| owner.time(at));
        Times {
            newest: Some(time(Timestamp::from_micros(newest))),
            oldest: time(self.oldest),
            length: 1,
            longest,
        }
    }

    /// The newest `most` orders below `below`.
    pub(super) async fn find(
        &self,
        asker: &Asker<'_>,
        below: &Place,
        most: usize,
    ) -> Result<Vec<Place>, StoreError> {
        let mut found = Vec::new();
        for times in self.times(below.at) {
            let left = i64::try_from(most - found.len()).unwrap_or(i64::MAX);
            let (statement, args) = self.find_of(times, below, left, asker.dialect());
            let rows: Vec<RowRead> = asker.fetch(&statement, &args).await?;
            found.extend(rows.into_iter().map(RowRead::into_place));
            if found.len() >= most {
                break;
            }
        }
        Ok(found)
    }

    /// How many there are from `newest` on back.
    pub(super) async fn count(&self, asker: &Asker<'_>, newest: i64) -> Result<u64, StoreError> {
        self.count_to(asker, newest, Total::MOST + 1).await
    }

    async fn count_to(&self, asker: &Asker<'_>, newest: i64, most: u64) -> Result<u64, StoreError> {
        let mut counted = 0;
        for times in self.times(newest) {
            let left = i64::try_from(most - counted).unwrap_or(i64::MAX);
            let (statement, args) = self.count_of(times, left, asker.dialect());
            let rows: Vec<CountRow> = asker.fetch(&statement, &args).await?;
            counted += rows.first().map_or(0, |row| u64::try_from(row.n).unwrap_or(0));
            if counted >= most {
                break;
            }
        }
        Ok(counted)
    }

    /// What is asked of the index: one question for each owner and time, since a database that is asked for all of them in
    /// one compares every order with every one of them.
    fn asked(&self, times: RangeInclusive<u16>, dialect: Dialect) -> Arg {
        let mut rows = Vec::with_capacity(self.owners.len() * times.len());
        for time in times.rev() {
            rows.extend(self.owners.iter().map(|owner| AskedRow {
                business: match owner {
                    Owner::Business(business) => Some(*business),
                    Owner::Anybody => None,
                },
                query: search::query(self.words, *owner, time, dialect),
            }));
        }
        Arg::rows(&rows)
    }

    /// Orders in the index of these times, where no other index is to be used for any of it: conditions of `orders o`.
    fn conditions(&self, times: RangeInclusive<u16>, dialect: Dialect) -> Conditions {
        let mut conditions = Conditions::after(vec![self.asked(times, dialect)]);
        conditions.text = match dialect {
            Dialect::Postgres => BY_WORDS.to_owned(),
            Dialect::Sqlite => "s.order_search MATCH r.query".to_owned(),
        };
        if self.owners != [Owner::Anybody] {
            conditions.add("(o.business_id || '') = r.business", []);
        } else if !self.businesses.is_empty() {
            // A list that is looked up by hash: an array would be gone through for every order. IS TRUE keeps it from becoming a join.
            let among = match dialect {
                Dialect::Postgres => {
                    "((o.business_id || '') IN (SELECT json_array_elements_text(?::json))) IS TRUE"
                }
                Dialect::Sqlite => "(o.business_id || '') IN (SELECT value FROM json_each(?))",
            };
            conditions.add(among, [Arg::texts(&self.businesses)]);
        }
        self.filter.put_aside(&mut conditions);
        conditions
    }

    fn find_of(
        &self,
        times: RangeInclusive<u16>,
        below: &Place,
        most: i64,
        dialect: Dialect,
    ) -> (Statement, Vec<Arg>) {
        let mut conditions = self.conditions(times, dialect);
        conditions.add("(o.created_at - 0, o.id || '') < (?, ?)", [Arg::Int(below.at), Arg::text(&below.id)]);
        let limit = conditions.arg(Arg::Int(most));
        let from = orders_of(&conditions.text, dialect);
        // Apart, so that the order does not tempt a planner to look for the words along another index.
        let text = format!(
            "WITH hits AS MATERIALIZED (SELECT o.id, o.created_at, o.business_id FROM {from}) \
             SELECT h.id, h.created_at, h.business_id, CAST(1 AS BIGINT) AS hit FROM hits h \
             ORDER BY h.created_at DESC, h.id DESC LIMIT {limit}"
        );
        (Statement::over(Operation::Select("orders"), ASKED, &text), conditions.args)
    }

    fn count_of(&self, times: RangeInclusive<u16>, most: i64, dialect: Dialect) -> (Statement, Vec<Arg>) {
        let anybodys = self.owners == [Owner::Anybody] && !self.businesses.is_empty();
        let (table, from, limit, args) = if self.filter.status.is_none() && !anybodys {
            // By the index alone, which says whose an order is and of when: to look that up in each order takes Postgres as long again.
            let (table, from) = match dialect {
                Dialect::Postgres => ("orders", orders_of(BY_WORDS, dialect)),
                Dialect::Sqlite => (
                    "order_search",
                    "{rows} CROSS JOIN order_search s WHERE s.order_search MATCH r.query".to_owned(),
                ),
            };
            (table, from, "$2".to_owned(), vec![self.asked(times, dialect), Arg::Int(most)])
        } else {
            let mut conditions = self.conditions(times, dialect);
            let limit = conditions.arg(Arg::Int(most));
            ("orders", orders_of(&conditions.text, dialect), limit, conditions.args)
        };
        let text = format!("SELECT count(*) AS n FROM (SELECT 1 AS one FROM {from} LIMIT {limit}) c");
        (Statement::over(Operation::Select(table), ASKED, &text), args)
    }
}

const ASKED: &str = "business text, query text";

const BY_WORDS: &str = "o.search @@ r.query::tsquery";

#[derive(Serialize)]
struct AskedRow {
    business: Option<BusinessId>,
    query: String,
}

/// The orders `o` with `conditions`, question by question.
fn orders_of(conditions: &str, dialect: Dialect) -> String {
    match dialect {
        // As it stands: what is left out of it is not to be thought over.
        Dialect::Postgres => format!(
            "{{rows}} CROSS JOIN LATERAL (SELECT o.id, o.created_at, o.business_id FROM orders o \
             WHERE {conditions} OFFSET 0) o"
        ),
        Dialect::Sqlite => format!(
            "{{rows}} CROSS JOIN order_search s CROSS JOIN orders o INDEXED BY orders_by_search_row \
             ON o.search_row = s.rowid WHERE {conditions}"
        ),
    }
}

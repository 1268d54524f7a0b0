//! Walking along the indexes from the newest order back: one range, or several merged into one order.

use std::collections::HashMap;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::OrderId;
use crate::storage::error::StoreError;
use crate::storage::sql::rows::corrupt;
use crate::storage::sql::statement::{Arg, Dialect, Operation, Statement};

use super::asker::Asker;
use super::place::Place;
use super::sample::Sample;
use super::scope::{Conditions, Filter, Part, test};

/// Rows of one statement at most.
const STEP: usize = 4_000;

/// So many rows are read at once from several ranges, each as if it were the only one; beyond it each gives its share.
const AT_ONCE: usize = 500;

/// An order that was passed by.
#[derive(Debug, FromRow)]
pub(super) struct RowRead {
    id: String,
    created_at: i64,
    business_id: String,
    hit: i64,
}

impl RowRead {
    pub(super) fn into_place(self) -> Place {
        Place { at: self.created_at, id: self.id }
    }
}

/// What was passed by of one range, as SQLite tells it: a row of an answer costs more there than what is in it, so that a whole range
/// is one.
#[derive(Debug, FromRow)]
struct RangeRow {
    business_id: String,
    /// Nothing where there is no order.
    orders: Option<String>,
}

#[derive(Debug)]
struct Passed {
    place: Place,
    hit: bool,
}

impl Passed {
    /// An order of a [`RangeRow`]: a digit that says whether it is a hit, its id and its time.
    fn unpack(text: &str) -> Option<Self> {
        let (hit, rest) = text.split_at_checked(1)?;
        let (id, at) = rest.split_at_checked(OrderId::TEXT_LENGTH)?;
        let place = Place { at: at.parse().ok()?, id: id.to_owned() };
        Some(Self { place, hit: hit == "1" })
    }
}

#[derive(Debug)]
struct Walk {
    part: Part,
    below: Place,
    ended: bool,
}

impl Walk {
    fn business(&self) -> Option<String> {
        match self.part {
            Part::Business(business) => Some(business.to_string()),
            Part::Customer(_) | Part::All => None,
        }
    }
}

#[derive(Serialize)]
struct WalkRow<'w> {
    business: String,
    at: i64,
    id: &'w str,
}

/// The newest rows of some ranges, read as far as was needed.
#[derive(Debug)]
pub(super) struct Newest {
    walks: Vec<Walk>,
    filter: Filter,
    tests: Vec<Vec<String>>,
    /// Newest first.
    passed: Vec<Passed>,
    /// How many of them no unread row comes before.
    certain: usize,
}

impl Newest {
    /// Of `parts`, all of them businesses if there are several, below `below`; rows that pass one of each of `tests` are hits.
    pub(super) fn new(parts: Vec<Part>, below: &Place, filter: Filter, tests: Vec<Vec<String>>) -> Self {
        let walks = parts.into_iter().map(|part| Walk { part, below: below.clone(), ended: false }).collect();
        Self { walks, filter, tests, passed: Vec::new(), certain: 0 }
    }

    /// Whether everything was read.
    pub(super) fn has_ended(&self) -> bool {
        self.walks.iter().all(|walk| walk.ended)
    }

    /// The hits among the rows that were read in order, newest first.
    pub(super) fn hits(&self) -> impl Iterator<Item = &Place> {
        self.passed[..self.certain].iter().filter(|row| row.hit).map(|row| &row.place)
    }

    /// What they say about all there are, if there are any.
    pub(super) fn sample(&self) -> Option<Sample<'_>> {
        let rows = &self.passed[..self.certain];
        let (first, last) = (&rows.first()?.place, &rows.last()?.place);
        Some(Sample { first, last, rows: rows.len(), hits: self.hits().count() })
    }

    /// Reads on until there are so many hits or rows, or nothing more.
    pub(super) async fn read(
        &mut self,
        asker: &Asker<'_>,
        hits: usize,
        rows: usize,
    ) -> Result<(), StoreError> {
        let wanted = if self.tests.is_empty() { hits.min(rows) } else { rows.min(STEP) };
        let walks = self.walks.len();
        let mut step = if walks == 1 {
            wanted.min(AT_ONCE)
        } else if wanted.saturating_mul(walks) <= AT_ONCE {
            wanted
        } else {
            (wanted + wanted / 4).div_ceil(walks).max(4)
        };
        while !self.has_ended() && self.certain < rows && self.hits().count() < hits {
            self.step(asker, wanted, step).await?;
            step = (2 * step).min(STEP);
        }
        Ok(())
    }

    /// Reads `step` rows more of each range whose rest may begin before the row numbered `wanted`.
    async fn step(&mut self, asker: &Asker<'_>, wanted: usize, step: usize) -> Result<(), StoreError> {
        let target = self.passed.get(wanted.saturating_sub(1)).map(|row| row.place.clone());
        let due = |walk: &Walk| !walk.ended && target.as_ref().is_none_or(|target| walk.below >= *target);
        let any = self.walks.iter().any(due);
        let due: Vec<usize> = (0..self.walks.len())
            .filter(|&i| if any { due(&self.walks[i]) } else { !self.walks[i].ended })
            .collect();
        let read = self.fetch(asker, &due, step).await?;
        for (nth, &i) in due.iter().enumerate() {
            self.walks[i].ended = read[nth] < step;
        }
        self.passed.sort_by(|a, b| b.place.cmp(&a.place));
        let unread = self.walks.iter().filter(|walk| !walk.ended).map(|walk| &walk.below).max();
        self.certain = unread
            .map_or(self.passed.len(), |unread| self.passed.partition_point(|row| row.place >= *unread));
        Ok(())
    }

    /// Passes by the next `step` rows of the ranges `due` and tells how many there were of each.
    async fn fetch(
        &mut self,
        asker: &Asker<'_>,
        due: &[usize],
        step: usize,
    ) -> Result<Vec<usize>, StoreError> {
        let (statement, args) = self.statement(due, step, asker.dialect());
        let mut read = vec![0; due.len()];
        let mut lowest: Vec<Option<usize>> = vec![None; due.len()];
        let of_businesses: HashMap<String, usize> = match self.walks.len() {
            1 => HashMap::new(),
            _ => due
                .iter()
                .enumerate()
                .filter_map(|(nth, &i)| Some((self.walks[i].business()?, nth)))
                .collect(),
        };
        let nth = |business: &str| {
            if of_businesses.is_empty() { Some(0) } else { of_businesses.get(business).copied() }
        };
        let mut pass = |nth: Option<usize>, row: Passed| {
            if let Some(nth) = nth {
                read[nth] += 1;
                if lowest[nth].is_none_or(|lowest| row.place < self.passed[lowest].place) {
                    lowest[nth] = Some(self.passed.len());
                }
            }
            self.passed.push(row);
        };
        match asker.dialect() {
            Dialect::Postgres => {
                let rows: Vec<RowRead> = asker.fetch(&statement, &args).await?;
                for row in rows {
                    pass(nth(&row.business_id), Passed { hit: row.hit != 0, place: row.into_place() });
                }
            }
            Dialect::Sqlite => {
                let ranges: Vec<RangeRow> = asker.fetch(&statement, &args).await?;
                for range in ranges {
                    let nth = nth(&range.business_id);
                    for order in range.orders.iter().flat_map(|orders| orders.split(',')) {
                        pass(nth, Passed::unpack(order).ok_or_else(|| corrupt("orders.id"))?);
                    }
                }
            }
        }
        for (&i, lowest) in due.iter().zip(lowest) {
            if let Some(lowest) = lowest {
                self.walks[i].below.clone_from(&self.passed[lowest].place);
            }
        }
        Ok(read)
    }

    fn statement(&self, due: &[usize], step: usize, dialect: Dialect) -> (Statement, Vec<Arg>) {
        let limit = Arg::Int(i64::try_from(step).unwrap_or(i64::MAX));
        let columns = "o.id, o.created_at, o.business_id";
        let tested = match (self.tests.is_empty(), dialect) {
            (true, _) => "",
            (false, Dialect::Postgres) => ", o.search",
            (false, Dialect::Sqlite) => ", o.words",
        };
        let order = "ORDER BY o.created_at DESC, o.id DESC LIMIT";
        if let [only] = self.walks.as_slice() {
            let mut conditions = Conditions::after(Vec::new());
            self.filter.put(only.part, &mut conditions);
            let Place { at, id } = &only.below;
            let time = only.part.time(dialect);
            conditions.add(&format!("({time}, o.id) < (?, ?)"), [Arg::Int(*at), Arg::text(id)]);
            let limit = conditions.arg(limit);
            let inner = format!(
                "SELECT {columns}{tested} FROM {} WHERE {} ORDER BY {time} DESC, o.id DESC LIMIT {limit}",
                only.part.orders(self.filter, dialect),
                conditions.text
            );
            let hit = test("w", &self.tests, &mut conditions, dialect);
            let text = match dialect {
                Dialect::Postgres => select("w", &hit, &format!("({inner}) w")),
                Dialect::Sqlite => {
                    format!("SELECT '' AS business_id, {} AS orders FROM ({inner}) w", packed("w", &hit))
                }
            };
            return (Statement::new(Operation::Select("orders"), &text), conditions.args);
        }
        let rows: Vec<WalkRow<'_>> = due
            .iter()
            .map(|&i| &self.walks[i])
            .filter_map(|walk| {
                Some(WalkRow { business: walk.business()?, at: walk.below.at, id: &walk.below.id })
            })
            .collect();
        let mut conditions = Conditions::after(vec![Arg::rows(&rows), limit]);
        self.filter.put_status(&mut conditions);
        let of_one = format!(
            "o.business_id = r.business AND (o.created_at, o.id) < (r.at, r.id) AND {} {order} $2",
            conditions.text
        );
        let hit = test("w", &self.tests, &mut conditions, dialect);
        let postgres =
            format!("{{rows}} CROSS JOIN LATERAL (SELECT {columns}{tested} FROM orders o WHERE {of_one}) w");
        // SQLite cannot join what depends on the row before it, but can make a text of it.
        let orders = self.walks[0].part.orders(self.filter, Dialect::Sqlite);
        let sqlite = format!(
            "SELECT r.business AS business_id, \
             (SELECT {} FROM (SELECT {columns}{tested} FROM {orders} WHERE {of_one}) w) AS orders FROM {{rows}}",
            packed("w", &hit)
        );
        let statement = Statement::apart(
            Operation::Select("orders"),
            "business text, at int, id text",
            &select("w", &hit, &postgres),
            &sqlite,
        );
        (statement, conditions.args)
    }
}

/// All of a range as one text, for [`Passed::unpack`].
fn packed(row: &str, hit: &str) -> String {
    format!("group_concat(CASE WHEN {hit} THEN 1 ELSE 0 END || {row}.id || {row}.created_at, ',')")
}

fn select(row: &str, hit: &str, from: &str) -> String {
    format!(
        "SELECT {row}.id, {row}.created_at, {row}.business_id, CAST(CASE WHEN {hit} THEN 1 ELSE 0 END AS BIGINT) AS hit \
         FROM {from}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_unpacked_into_what_was_packed() {
        let id = format!("ord_{}", "0".repeat(32));
        for (hit, at) in [(true, 1_700_000_000_000_000), (false, 0), (true, -5)] {
            let row = Passed::unpack(&format!("{}{id}{at}", u8::from(hit))).unwrap();
            assert_eq!((row.hit, row.place), (hit, Place { at, id: id.clone() }));
        }
        for broken in ["", "1", "1ord_1", &format!("1{id}"), &format!("1{id}x")] {
            assert!(Passed::unpack(broken).is_none(), "{broken}");
        }
    }
}

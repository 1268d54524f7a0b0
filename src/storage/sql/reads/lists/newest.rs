//! Walking along the indexes from the newest order back: one range, or several merged into one order.

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::OrderId;
use crate::storage::error::StoreError;
use crate::storage::sql::rows::{AFTER_ALL, parse};
use crate::storage::sql::statement::{Arg, Dialect, Operation, Statement};

use super::asker::Asker;
use super::scope::{Conditions, Filter, Part, test};

/// Rows of one statement at most.
const STEP: usize = 4_000;

/// So many rows are read at once from several ranges, each as if it were the only one; beyond it each gives its share.
const AT_ONCE: usize = 500;

/// A place in a list: smaller is further down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) at: i64,
    pub(super) id: String,
}

impl Place {
    /// Above every order.
    pub(super) fn top() -> Self {
        Self { at: i64::MAX, id: AFTER_ALL.to_owned() }
    }
}

/// An order that was passed by.
#[derive(Debug, FromRow)]
pub(super) struct RowRead {
    id: String,
    created_at: i64,
    business_id: String,
    hit: i64,
}

impl RowRead {
    pub(super) fn place(&self) -> Place {
        Place { at: self.created_at, id: self.id.clone() }
    }
}

#[derive(Debug)]
struct Passed {
    place: Place,
    hit: bool,
}

#[derive(Debug)]
struct Walk {
    part: Part,
    below: Place,
    ended: bool,
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

    /// How many rows were read in order.
    pub(super) fn rows(&self) -> usize {
        self.certain
    }

    /// The hits among them, newest first.
    pub(super) fn hits(&self) -> impl Iterator<Item = &Place> {
        self.passed[..self.certain].iter().filter(|row| row.hit).map(|row| &row.place)
    }

    /// The first and the last of them, if there are any.
    pub(super) fn span(&self) -> Option<(&Place, &Place)> {
        let rows = &self.passed[..self.certain];
        Some((&rows.first()?.place, &rows.last()?.place))
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
            (2 * wanted / walks + 1).max(4)
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
        let (statement, args) = self.statement(&due, step, asker.dialect());
        let rows: Vec<RowRead> = asker.fetch(&statement, &args).await?;
        let mut read = vec![0; due.len()];
        for row in rows {
            let place = row.place();
            let nth = match self.walks[due[0]].part {
                Part::Business(_) if self.walks.len() > 1 => {
                    let business = parse("orders.business_id", &row.business_id)?;
                    due.iter().position(|&i| matches!(self.walks[i].part, Part::Business(b) if b == business))
                }
                _ => Some(0),
            };
            if let Some(nth) = nth {
                read[nth] += 1;
                let below = &mut self.walks[due[nth]].below;
                if place < *below {
                    below.clone_from(&place);
                }
            }
            self.passed.push(Passed { place, hit: row.hit != 0 });
        }
        for (nth, &i) in due.iter().enumerate() {
            self.walks[i].ended = read[nth] < step;
        }
        self.passed.sort_by(|a, b| b.place.cmp(&a.place));
        let unread = self.walks.iter().filter(|walk| !walk.ended).map(|walk| &walk.below).max();
        self.certain = unread
            .map_or(self.passed.len(), |unread| self.passed.partition_point(|row| row.place >= *unread));
        Ok(())
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
            return (
                Statement::new(Operation::Select("orders"), &select("w", &hit, &format!("({inner}) w"))),
                conditions.args,
            );
        }
        let rows: Vec<WalkRow<'_>> = due
            .iter()
            .map(|&i| &self.walks[i])
            .filter_map(|walk| match walk.part {
                Part::Business(business) => {
                    Some(WalkRow { business: business.to_string(), at: walk.below.at, id: &walk.below.id })
                }
                Part::Customer(_) | Part::All => None,
            })
            .collect();
        let mut conditions = Conditions::after(vec![Arg::rows(&rows), limit]);
        self.filter.put_status(&mut conditions);
        let of_one = format!(
            "o.business_id = r.business AND (o.created_at, o.id) < (r.at, r.id) AND {} {order} $2",
            conditions.text
        );
        let row = match dialect {
            Dialect::Postgres => "x",
            Dialect::Sqlite => "o",
        };
        let hit = test(row, &self.tests, &mut conditions, dialect);
        let postgres =
            format!("{{rows}} CROSS JOIN LATERAL (SELECT {columns}{tested} FROM orders o WHERE {of_one}) x");
        // SQLite cannot join what depends on the row before it, but can unpack a list that does: each order as one text, so that
        // neither the order is looked up again nor a list within a list read.
        let orders = self.walks[0].part.orders(self.filter, Dialect::Sqlite);
        let hits = format!(
            "SELECT CASE WHEN {hit} THEN 1 ELSE 0 END || o.id || o.created_at AS text FROM {orders} WHERE {of_one}"
        );
        let sqlite = format!(
            "SELECT substr(j.value, 2, {ID}) AS id, CAST(substr(j.value, 2 + {ID}) AS INTEGER) AS created_at, \
             r.business AS business_id, CAST(substr(j.value, 1, 1) AS INTEGER) AS hit \
             FROM {{rows}} CROSS JOIN json_each((SELECT json_group_array(w.text) FROM ({hits}) w)) j",
            ID = OrderId::TEXT_LENGTH
        );
        let statement = Statement::apart(
            Operation::Select("orders"),
            "business text, at int, id text",
            &select("x", &hit, &postgres),
            &sqlite,
        );
        (statement, conditions.args)
    }
}

fn select(row: &str, hit: &str, from: &str) -> String {
    format!(
        "SELECT {row}.id, {row}.created_at, {row}.business_id, CAST(CASE WHEN {hit} THEN 1 ELSE 0 END AS BIGINT) AS hit \
         FROM {from}"
    )
}

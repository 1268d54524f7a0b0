//! How many orders a list has: counted to one more than [`Total::MOST`], by walking or by the text index, whichever is less.

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::storage::error::StoreError;
use crate::storage::ports::Total;
use crate::storage::sql::search;
use crate::storage::sql::statement::{Arg, Dialect, Operation, Statement};

use super::List;
use super::asker::CountRow;
use super::indexed::Indexed;
use super::sample::Sample;
use super::scope::{Conditions, Part, Scope, test};

/// Orders that are walked past to count those found, where at least half of them are.
const COUNT_WALK: i64 = 20_000;

/// Orders of one status that are walked past to count those found, however few: less than to look up the status of every order that
/// has the words, of which most are long delivered.
const STATUS_WALK: i64 = 10_000;

/// The same over several businesses.
const SHORT_WALK: i64 = 2_000;

/// The same where there is no text index to ask: a customer's own, however many.
const LONG_WALK: i64 = 100_000;

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

/// What counting came to.
fn total_of(counted: i64) -> Total {
    Total::of(u64::try_from(counted).unwrap_or(0))
}

impl List<'_> {
    /// How many orders there are without words.
    pub(super) async fn count(&self) -> Result<Total, StoreError> {
        let counted = match self.parts().as_slice() {
            [only] => self.count_part(*only, counted_to(0)).await?,
            _ => self.count_parts(counted_to(0)).await?,
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

    /// The same of several businesses.
    async fn count_parts(&self, most: i64) -> Result<i64, StoreError> {
        let (statement, args) = self.merged("1 AS one", most, "SELECT count(*) AS n", &[]);
        let rows: Vec<CountRow> = self.asker.fetch(&statement, &args).await?;
        Ok(rows.first().map_or(0, |row| row.n))
    }

    /// Something over at most `most` orders of several businesses.
    fn merged(&self, columns: &str, most: i64, select: &str, tests: &[Vec<String>]) -> (Statement, Vec<Arg>) {
        let rows: Vec<BusinessRow> = match &self.scope {
            Scope::Businesses(all) => all.iter().map(|b| BusinessRow { business: b.to_string() }).collect(),
            Scope::Customer(_) | Scope::All => Vec::new(),
        };
        let mut conditions = Conditions::after(vec![Arg::rows(&rows), Arg::Int(most)]);
        self.filter.put_status(&mut conditions);
        let of_one = format!("o.business_id = r.business AND {}", conditions.text);
        let hit = test("o", tests, &mut conditions, self.asker.dialect());
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

    /// How many there are, where the newest are `sample`.
    pub(super) async fn count_found(
        &self,
        indexed: Option<&Indexed<'_>>,
        sample: Sample<'_>,
    ) -> Result<Total, StoreError> {
        let Some(indexed) = indexed else { return Ok(total_of(self.walked(LONG_WALK).await?.hits)) };
        if self.filter.status.is_some()
            && let Some(hits) = self.hits_of_few().await?
        {
            return Ok(total_of(hits));
        }
        // On SQLite the text index alone does not know the status: to walk past orders is less than to look each up there, as
        // long as many of them are hits.
        if 2 * sample.hits >= sample.rows
            && self.filter.status.is_some()
            && self.asker.dialect() == Dialect::Sqlite
        {
            let WalkedRow { n, hits } = self.walked(COUNT_WALK).await?;
            if n < COUNT_WALK || hits >= counted_to(0) {
                return Ok(total_of(hits));
            }
        }
        Ok(Total::of(indexed.count(self.asker, sample.first.at).await?))
    }

    /// How many have the words, if few have the status.
    async fn hits_of_few(&self) -> Result<Option<i64>, StoreError> {
        // Counted first, by the index alone: to look for words in two thousand orders that are not all takes tens of milliseconds.
        let (few, counted) = match self.parts().as_slice() {
            [only] => (STATUS_WALK, self.count_part(*only, STATUS_WALK + 1).await?),
            _ => (SHORT_WALK, self.count_parts(SHORT_WALK + 1).await?),
        };
        Ok(if counted <= few { Some(self.walked(few).await?.hits) } else { None })
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
            _ => self.merged(columns, most, select, &search::tests(&self.words, dialect)),
        };
        let rows: Vec<WalkedRow> = self.asker.fetch(&statement, &args).await?;
        Ok(rows.into_iter().next().unwrap_or(WalkedRow { n: 0, hits: 0 }))
    }
}

//! The way of a list's statements to the database, which can tell how each is answered.

use std::sync::{Mutex, PoisonError};

use sqlx_macros::FromRow;

use crate::storage::error::StoreError;
use crate::storage::sql::connection::SharedRow;
use crate::storage::sql::statement::{Arg, Dialect, Statement};
use crate::storage::sql::store::SqlStore;

/// Number of rows.
#[derive(FromRow)]
pub(super) struct CountRow {
    pub(super) n: i64,
}

/// Asks the store and, if it is to explain, keeps the plan of every statement.
pub(in crate::storage::sql) struct Asker<'s> {
    pub(super) store: &'s SqlStore,
    plans: Option<Mutex<Vec<String>>>,
}

impl<'s> Asker<'s> {
    pub(in crate::storage::sql) fn new(store: &'s SqlStore) -> Self {
        Self { store, plans: None }
    }

    /// One that has each statement explained before it is asked.
    pub(in crate::storage::sql) fn explaining(store: &'s SqlStore) -> Self {
        Self { store, plans: Some(Mutex::default()) }
    }

    /// What was explained, in the order it was asked.
    pub(in crate::storage::sql) fn into_plans(self) -> Vec<String> {
        self.plans.map_or_else(Vec::new, |plans| plans.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.store.read_pool.dialect()
    }

    pub(super) async fn fetch<T: SharedRow>(
        &self,
        statement: &Statement,
        args: &[Arg],
    ) -> Result<Vec<T>, StoreError> {
        if let Some(plans) = &self.plans {
            let plan = self.explain(statement, args).await?;
            plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan);
        }
        self.store.fetch(statement, args).await
    }

    async fn explain(&self, statement: &Statement, args: &[Arg]) -> Result<String, StoreError> {
        let text = statement.text(self.dialect());
        let text = text.as_str();
        let lines: Vec<String> = match self.dialect() {
            Dialect::Postgres => {
                let explained = Statement::new(
                    statement.operation(),
                    &format!("EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, COSTS OFF) {text}"),
                );
                let lines: Vec<(String,)> = self.store.fetch(&explained, args).await?;
                lines.into_iter().map(|(line,)| line).collect()
            }
            Dialect::Sqlite => {
                let explained = Statement::new(statement.operation(), &format!("EXPLAIN QUERY PLAN {text}"));
                let lines: Vec<(i64, i64, i64, String)> = self.store.fetch(&explained, args).await?;
                lines.into_iter().map(|(.., line)| line).collect()
            }
        };
        Ok(format!("{text}\n{}", lines.join("\n")))
    }
}

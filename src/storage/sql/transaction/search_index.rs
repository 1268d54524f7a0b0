//! Orders that are put into the text index after they were stored.

use std::collections::HashMap;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::time::Timestamp;
use crate::storage::commands::{IndexOrders, MaintenanceProgress};
use crate::storage::error::StoreError;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{number, parse};
use crate::storage::sql::search::{self, Document, Searched};
use crate::storage::sql::statement::{Arg, Dialect, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};
use super::maintenance::PairRow;
use super::order_rows::{INSERT_TERMS, NEXT_SEARCH_ROW};

static UNINDEXED: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("hub"),
        "SELECT search_below AS first, '' AS second FROM hub WHERE id = 1 AND search_below IS NOT NULL",
    )
});

// From the last one down. Locked upwards all the same, as everybody locks them. New orders are in the index when they are
// stored: on Postgres they only get the same terms again, on SQLite they have a row of it.
static LOCK_UNINDEXED: LazyStatement = LazyStatement::new(|| {
    let text = |indexed: &str| {
        format!(
            "SELECT o.id, o.business_id, o.order_number, o.customer_name, o.created_at, {indexed} AS indexed FROM orders o \
             WHERE o.id IN (SELECT b.id FROM orders b WHERE b.id < $1 ORDER BY b.id DESC LIMIT $2) \
             ORDER BY o.id {{for_update}}"
        )
    };
    Statement::apart(
        Operation::Select("orders"),
        "",
        &text("CAST(0 AS BIGINT)"),
        &text("o.search_row IS NOT NULL"),
    )
});

static SKUS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("order_items"),
        "SELECT i.order_id AS first, i.sku AS second FROM order_items i WHERE i.order_id = {any}",
    )
});

static INDEX: LazyStatement = LazyStatement::new(|| {
    Statement::apart(
        Operation::Update("orders"),
        "id text, terms text, words text",
        "UPDATE orders SET search = array_to_tsvector(string_to_array(r.terms, ' ')) FROM {rows} WHERE orders.id = r.id",
        &format!(
            "UPDATE orders SET words = n.words, search_row = n.search_row FROM \
             (SELECT r.id, r.words, {NEXT_SEARCH_ROW} AS search_row FROM {{rows}}) n WHERE orders.id = n.id"
        ),
    )
});

static INDEXED_TO: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Update("hub"), "UPDATE hub SET search_below = $1 WHERE id = 1")
});

#[derive(FromRow)]
struct UnindexedRow {
    id: String,
    business_id: String,
    order_number: i64,
    customer_name: String,
    created_at: i64,
    indexed: i64,
}

#[derive(Serialize)]
struct TermsRow {
    id: String,
    terms: String,
    words: String,
}

impl Execute for IndexOrders {
    type Output = MaintenanceProgress;

    /// Puts the next orders into the index.
    async fn execute(&self, cx: Context<'_>) -> Result<MaintenanceProgress, TxError> {
        let limit = self.limit;
        let dialect = cx.connection.dialect();
        let below: Option<PairRow> = cx.connection.fetch_first(&UNINDEXED, &[]).await?;
        let Some(PairRow { first: below, .. }) = below else {
            return Ok(MaintenanceProgress { changed: 0, last: None });
        };
        let args = [Arg::Text(below), Arg::Int(limit.into())];
        let rows: Vec<UnindexedRow> = cx.connection.fetch(&LOCK_UNINDEXED, &args).await?;
        let last = rows.first().map(|row| row.id.clone());
        let rows: Vec<UnindexedRow> = rows.into_iter().filter(|row| row.indexed == 0).collect();
        let items: Vec<PairRow> =
            cx.connection.fetch(&SKUS, &[Arg::texts(rows.iter().map(|row| &row.id))]).await?;
        let mut skus: HashMap<String, Vec<String>> = HashMap::new();
        for PairRow { first, second } in items {
            skus.entry(first).or_default().push(second);
        }
        let rows: Vec<TermsRow> = rows
            .into_iter()
            .map(|row| {
                let skus = skus.remove(&row.id).unwrap_or_default();
                let searched = Searched {
                    business: parse("orders.business_id", &row.business_id)?,
                    number: number("orders.order_number", row.order_number)?,
                    customer_name: &row.customer_name,
                    skus: skus.iter().map(String::as_str).collect(),
                    created_at: Timestamp::from_micros(row.created_at),
                };
                let Document { terms, words } = search::document(&searched, dialect);
                Ok(TermsRow { id: row.id, terms, words })
            })
            .collect::<Result<_, StoreError>>()?;
        let changed = cx.connection.execute(&INDEX, &[Arg::rows(&rows)]).await?;
        if dialect == Dialect::Sqlite {
            cx.connection.execute(&INSERT_TERMS, &[Arg::rows(&rows)]).await?;
        }
        cx.connection.execute(&INDEXED_TO, &[Arg::OptText(last.clone())]).await?;
        Ok(MaintenanceProgress { changed, last })
    }
}

//! Values sealed with older keys, seen without a lock and without opening anything; addresses of another time.

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::ids::UserId;
use crate::storage::commands::{RowKey, SealedColumn};
use crate::storage::error::StoreError;
use crate::storage::ports::{MaintenanceReads, SealedPage};
use crate::storage::sql::rows::{AFTER_ALL, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

// Of a value only its beginning is read, which names the key: `v1.`, at most 16 characters, a dot. Rows without a value
// count as well, so that a statement reads as many as it was told, whatever they hold.
fn rows_below(column: SealedColumn) -> Statement {
    let (table, column) = column.place();
    Statement::new(
        Operation::Select(table),
        &format!(
            "SELECT t.id AS first, '' AS second, substr(t.{column}, 1, 20) AS sealed FROM {table} t \
         WHERE t.id < $1 ORDER BY t.id DESC LIMIT $2"
        ),
    )
}

static PHONES: LazyStatement = LazyStatement::new(|| rows_below(SealedColumn::OrderPhone));
static ADDRESSES: LazyStatement = LazyStatement::new(|| rows_below(SealedColumn::OrderAddress));
static BUSINESS_EMAILS: LazyStatement = LazyStatement::new(|| rows_below(SealedColumn::BusinessEmail));
static PAYMENT_MESSAGES: LazyStatement = LazyStatement::new(|| rows_below(SealedColumn::PaymentMessage));
static DELIVERY_CODES: LazyStatement = LazyStatement::new(|| rows_below(SealedColumn::DeliveryCode));
static BUSINESS_PHONES: LazyStatement = LazyStatement::new(|| rows_below(SealedColumn::BusinessPhone));
static USER_PHONES: LazyStatement = LazyStatement::new(|| rows_below(SealedColumn::UserPhone));

static BODIES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("idempotency_keys"),
        "SELECT k.scope AS first, k.key AS second, substr(k.body, 1, 20) AS sealed FROM idempotency_keys k \
         WHERE (k.scope, k.key) < ($1, $3) ORDER BY k.scope DESC, k.key DESC LIMIT $2",
    )
});

#[derive(FromRow)]
struct BeginningRead {
    first: String,
    second: String,
    sealed: Option<String>,
}

static UNUSUAL_ADDRESSES: LazyStatement = LazyStatement::new(|| {
    let sql = |strange: &str, capital: &str| {
        format!(
            "SELECT id, email FROM users WHERE {strange} OR {capital} OR email LIKE '%xn--%' ORDER BY id LIMIT $1"
        )
    };
    Statement::apart(
        Operation::Select("users"),
        "",
        &sql("email ~ '[^!-~]'", "email ~ '[A-Z]'"),
        &sql("email GLOB '*[^!-~]*'", "email GLOB '*[A-Z]*'"),
    )
});

#[derive(FromRow)]
struct AddressRow {
    id: String,
    email: String,
}

#[async_trait]
impl MaintenanceReads for SqlStore {
    async fn unusual_addresses(&self, limit: u32) -> Result<Vec<(UserId, String)>, StoreError> {
        let rows: Vec<AddressRow> = self.fetch(&UNUSUAL_ADDRESSES, &[Arg::Int(limit.into())]).await?;
        rows.into_iter().map(|row| Ok((parse("users.id", &row.id)?, row.email))).collect()
    }

    async fn sealed_below(
        &self,
        column: SealedColumn,
        below: Option<&RowKey>,
        limit: u32,
    ) -> Result<SealedPage, StoreError> {
        let (first, second) =
            below.map_or((AFTER_ALL, AFTER_ALL), |row| (row.first.as_str(), row.second.as_str()));
        let mut args = vec![Arg::text(first), Arg::Int(limit.into())];
        let statement = match column {
            SealedColumn::OrderPhone => &PHONES,
            SealedColumn::OrderAddress => &ADDRESSES,
            SealedColumn::BusinessEmail => &BUSINESS_EMAILS,
            SealedColumn::BusinessPhone => &BUSINESS_PHONES,
            SealedColumn::UserPhone => &USER_PHONES,
            SealedColumn::PaymentMessage => &PAYMENT_MESSAGES,
            SealedColumn::DeliveryCode => &DELIVERY_CODES,
            SealedColumn::StoredResponse => {
                args.push(Arg::text(second));
                &BODIES
            }
        };
        let mut page = SealedPage::default();
        for BeginningRead { first, second, sealed } in self.fetch(statement, &args).await? {
            let row = RowKey { first, second };
            if sealed.is_some_and(|beginning| !self.cipher.is_current(&beginning)) {
                page.outdated.push(row.clone());
            }
            page.last = Some(row);
        }
        Ok(page)
    }
}

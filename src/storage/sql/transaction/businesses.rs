//! Businesses: created and changed.

use sqlx_macros::FromRow;

use crate::domain::access::MemberRole;
use crate::domain::ids::BusinessId;
use crate::domain::money::Currency;
use crate::storage::commands::{BusinessUpdate, CreateBusiness, UpdateBusiness};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{BUSINESS_COLUMNS, BusinessRow, sealed_contact, state_columns};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::business_lock::lock;
use super::execute::{Context, Execute};
use super::members::put_member_row;

static CREATE: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("businesses"),
        "INSERT INTO businesses (id, name, lat, lng, zone, timezone, currency, prep_minutes, tables, state, \
             extra_minutes, paused_until, version, created_at, updated_at, delivered_by, contact_email, contact_phone) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
         ON CONFLICT (id) DO NOTHING",
    )
});

static UPDATE: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("businesses"),
        &format!(
            "UPDATE businesses AS b SET name = COALESCE($2, name), lat = COALESCE($3, lat), lng = COALESCE($4, lng), \
             zone = COALESCE($5, zone), timezone = COALESCE($6, timezone), \
             prep_minutes = COALESCE($7, prep_minutes), tables = COALESCE($8, tables), \
             extra_minutes = CASE WHEN $9 IS NULL THEN extra_minutes ELSE $10 END, \
             paused_until = CASE WHEN $9 IS NULL THEN paused_until ELSE $11 END, \
             state = COALESCE($9, state), version = version + 1, updated_at = $12, \
             delivered_by = COALESCE($13, delivered_by), currency = COALESCE($14, currency), \
             contact_email = CASE WHEN $15 THEN $16 ELSE contact_email END, \
             contact_phone = CASE WHEN $15 THEN $17 ELSE contact_phone END \
         WHERE b.id = $1 RETURNING {}",
            // SQLite gives the columns of RETURNING no alias.
            BUSINESS_COLUMNS.replace("b.", "")
        ),
    )
});

static PRICES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        "SELECT b.currency, (EXISTS (SELECT 1 FROM menu_items m WHERE m.business_id = $1) \
             OR EXISTS (SELECT 1 FROM orders o WHERE o.business_id = $1)) AS in_use FROM businesses b WHERE b.id = $1",
    )
});

impl Execute for CreateBusiness {
    type Output = ();

    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let Self { business, owner } = self;
        let (state, extra_minutes, paused_until) = state_columns(business.state);
        let (contact_email, contact_phone) = sealed_contact(&business.contact, business.id, cx.cipher)?;
        // Bound one by one: SQLite reads a fraction out of JSON with less care than the bound number.
        let args = [
            Arg::text(business.id),
            Arg::text(&business.name),
            Arg::OptFloat(Some(business.location.lat)),
            Arg::OptFloat(Some(business.location.lng)),
            Arg::text(&business.zone),
            Arg::text(business.timezone.name()),
            Arg::text(business.currency),
            Arg::Int(business.prep_minutes.into()),
            Arg::Int(business.tables.into()),
            Arg::text(state),
            Arg::OptInt(extra_minutes),
            Arg::OptInt(paused_until),
            Arg::Int(business.version),
            Arg::Int(business.created_at.as_micros()),
            Arg::Int(business.updated_at.as_micros()),
            Arg::text(business.delivered_by.as_str()),
            Arg::OptText(contact_email),
            Arg::OptText(contact_phone),
        ];
        if cx.connection.execute(&CREATE, &args).await? > 0 {
            put_member_row(cx.connection, business.id, *owner, MemberRole::Owner).await?;
        }
        Ok(())
    }
}

impl Execute for UpdateBusiness {
    type Output = BusinessUpdate;

    async fn execute(&self, cx: Context<'_>) -> Result<BusinessUpdate, TxError> {
        let (business, patch, now) = (self.business, &self.patch, cx.now);
        if let Some(currency) = patch.currency
            && is_priced_in_another(cx.connection, business, currency).await?
        {
            return Ok(BusinessUpdate::CurrencyInUse);
        }
        let contact =
            patch.contact.as_ref().map(|contact| sealed_contact(contact, business, cx.cipher)).transpose()?;
        let is_contact = contact.is_some();
        let (contact_email, contact_phone) = contact.unwrap_or_default();
        let state = patch.state.map(state_columns);
        let args = [
            Arg::text(business),
            Arg::OptText(patch.name.clone()),
            Arg::OptFloat(patch.location.map(|l| l.lat)),
            Arg::OptFloat(patch.location.map(|l| l.lng)),
            Arg::OptText(patch.zone.clone()),
            Arg::OptText(patch.timezone.as_ref().map(|zone| zone.name().to_owned())),
            Arg::OptInt(patch.prep_minutes.map(Into::into)),
            Arg::OptInt(patch.tables.map(Into::into)),
            Arg::OptText(state.map(|(word, _, _)| word.to_owned())),
            Arg::OptInt(state.and_then(|(_, extra, _)| extra)),
            Arg::OptInt(state.and_then(|(_, _, until)| until)),
            Arg::Int(now.as_micros()),
            Arg::OptText(patch.delivered_by.map(|by| by.as_str().to_owned())),
            Arg::OptText(patch.currency.map(|currency| currency.to_string())),
            Arg::Bool(is_contact),
            Arg::OptText(contact_email),
            Arg::OptText(contact_phone),
        ];
        let row: Option<BusinessRow> = cx.connection.fetch_first(&UPDATE, &args).await?;
        let update = match row {
            Some(row) => BusinessUpdate::Updated(Box::new(row.into_business(cx.cipher)?)),
            None => BusinessUpdate::NotThere,
        };
        Ok(update)
    }
}

/// Whether there are prices or orders of a business in another currency than this. The business is locked from here on, as it is
/// where items are added, without which nothing can be ordered.
async fn is_priced_in_another(
    connection: &mut Connection,
    business: BusinessId,
    currency: Currency,
) -> Result<bool, TxError> {
    lock(connection, business).await?;
    let row: Option<PricesRow> = connection.fetch_first(&PRICES, &[Arg::text(business)]).await?;
    Ok(row.is_some_and(|row| row.in_use && row.currency != currency.as_str()))
}

#[derive(FromRow)]
struct PricesRow {
    currency: String,
    in_use: bool,
}

//! Businesses: created and changed.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use sqlx_macros::FromRow;

use crate::domain::access::MemberRole;
use crate::domain::business::{Business, BusinessEvent, Hand, PauseCause};
use crate::domain::control::ControlChange;
use crate::domain::ids::{BusinessId, EventId};
use crate::domain::money::Currency;
use crate::domain::ops::{ChangeIds, business_updated, business_updated_for_members};
use crate::domain::time::Timestamp;
use crate::storage::commands::{BusinessUpdate, CreateBusiness, UpdateBusiness};
use crate::storage::crypto::cipher::Cipher;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{
    BUSINESS_COLUMNS, BusinessRow, TERMS_COLUMNS, sealed_contact, state_columns, terms_args,
};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::audit::{self, AuditEntry};
use super::business_lock::lock;
use super::execute::{Context, Execute};
use super::holds;
use super::members::put_member_row;

static CREATE: LazyStatement = LazyStatement::new(|| {
    let columns = "id, name, lat, lng, zone, timezone, currency, prep_minutes, tables, state, extra_minutes, paused_until, \
         version, created_at, updated_at, delivered_by, contact_email, contact_phone";
    let count = columns.split(',').count() + TERMS_COLUMNS.len();
    let values: Vec<String> = (1..=count).map(|n| format!("${n}")).collect();
    Statement::new(
        Operation::Insert("businesses"),
        &format!(
            "INSERT INTO businesses ({columns}, {}) VALUES ({}) ON CONFLICT (id) DO NOTHING",
            TERMS_COLUMNS.join(", "),
            values.join(", ")
        ),
    )
});

static LOCK: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        &format!("SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id = $1 {{for_update}}"),
    )
});

// The row is locked: what decides whether orders are taken is written as it was decided on what was read. A word of `reach` that
// only a newer release knows stays, unless it is changed.
static UPDATE: LazyStatement = LazyStatement::new(|| {
    let terms: Vec<String> = TERMS_COLUMNS
        .iter()
        .zip(19..)
        .map(|(column, n)| match *column {
            "reach" => format!("reach = CASE WHEN $18 THEN ${n} ELSE reach END"),
            column => format!("{column} = ${n}"),
        })
        .collect();
    Statement::new(
        Operation::Update("businesses"),
        &format!(
            "UPDATE businesses AS b SET name = COALESCE($2, name), lat = COALESCE($3, lat), lng = COALESCE($4, lng), \
             zone = COALESCE($5, zone), timezone = COALESCE($6, timezone), \
             prep_minutes = COALESCE($7, prep_minutes), tables = COALESCE($8, tables), \
             state = $9, extra_minutes = $10, paused_until = NULL, version = version + 1, updated_at = $11, \
             delivered_by = COALESCE($12, delivered_by), currency = COALESCE($13, currency), \
             contact_email = CASE WHEN $14 THEN $15 ELSE contact_email END, \
             contact_phone = CASE WHEN $14 THEN $16 ELSE contact_phone END, \
             unreachable_since = CASE WHEN $17 THEN unreachable_since ELSE NULL END, {} \
         WHERE b.id = $1 RETURNING {}",
            terms.join(", "),
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
        let args = [args.as_slice(), &terms_args(business)].concat();
        if cx.connection.execute(&CREATE, &args).await? > 0 {
            put_member_row(cx.connection, business.id, *owner, MemberRole::Owner).await?;
            cx.control.push(ControlChange::MembershipsChanged(*owner));
        }
        Ok(())
    }
}

impl Execute for UpdateBusiness {
    type Output = BusinessUpdate;

    async fn execute(&self, cx: Context<'_>) -> Result<BusinessUpdate, TxError> {
        let now = cx.now;
        if let Some(currency) = self.patch.currency
            && is_priced_in_another(cx.connection, self.business, currency).await?
        {
            return Ok(BusinessUpdate::CurrencyInUse);
        }
        let row: Option<BusinessRow> = cx.connection.fetch_first(&LOCK, &[Arg::text(self.business)]).await?;
        let Some(row) = row else { return Ok(BusinessUpdate::NotThere) };
        let before = row.into_business_without_contact()?;
        if self.leaves_a_hold(cx.connection, &before, now).await? {
            return Ok(BusinessUpdate::ZoneHeld);
        }
        let mut after = before.clone();
        self.patch.apply_terms(&mut after, self.hand, now);
        let args = self.args(&after, cx.cipher, now)?;
        let row: Option<BusinessRow> = cx.connection.fetch_first(&UPDATE, &args).await?;
        let Some(row) = row else { return Ok(BusinessUpdate::NotThere) };
        let updated = row.into_business(cx.cipher)?;
        cx.control.push(ControlChange::BusinessChanged(self.business));
        self.tell(cx, &before, &updated).await?;
        Ok(BusinessUpdate::Updated(Box::new(updated)))
    }
}

impl UpdateBusiness {
    /// Whether the change would take the business out of something that operators hold, or into it: the zone is a word that its
    /// owners choose, and with another word a hold of the zone would be over for it.
    async fn leaves_a_hold(
        &self,
        connection: &mut Connection,
        before: &Business,
        now: Timestamp,
    ) -> Result<bool, TxError> {
        match &self.patch.zone {
            Some(zone) if self.hand == Hand::Member && *zone != before.zone => {
                holds::is_any_in(connection, [&before.zone, zone], now).await
            }
            Some(_) | None => Ok(false),
        }
    }

    /// Tells the business of a change, and operators of one that decides whether orders are taken. Extra minutes and the mute can be
    /// changed all day: from members they are no entry of the audit, whose size is for what matters.
    async fn tell(&self, cx: Context<'_>, before: &Business, after: &Business) -> Result<(), TxError> {
        let Context { connection, now, told, .. } = cx;
        let (was, is) = (BusinessEvent::of(before, now), BusinessEvent::of(after, now));
        if is.says_the_same(&was) {
            return Ok(());
        }
        let in_business = EventId::generate();
        told.push(if is.takes_orders == was.takes_orders {
            business_updated_for_members(after, in_business, now)
        } else {
            business_updated(after, ChangeIds { in_business, in_ops: EventId::generate() }, now)
        });
        if self.hand == Hand::Member && is.trades_the_same(&was) {
            return Ok(());
        }
        audit::record(connection, [AuditEntry::trading(Some(self.user), after, now)], now).await
    }

    fn args(&self, after: &Business, cipher: &Cipher, now: Timestamp) -> Result<Vec<Arg>, TxError> {
        let (business, patch) = (self.business, &self.patch);
        let contact =
            patch.contact.as_ref().map(|contact| sealed_contact(contact, business, cipher)).transpose()?;
        let is_contact = contact.is_some();
        let (contact_email, contact_phone) = contact.unwrap_or_default();
        let (state, extra_minutes, _) = state_columns(after.state);
        let args = [
            Arg::text(business),
            Arg::OptText(patch.name.clone()),
            Arg::OptFloat(patch.location.map(|l| l.lat)),
            Arg::OptFloat(patch.location.map(|l| l.lng)),
            Arg::OptText(patch.zone.clone()),
            Arg::OptText(patch.timezone.as_ref().map(|zone| zone.name().to_owned())),
            Arg::OptInt(patch.prep_minutes.map(Into::into)),
            Arg::OptInt(patch.tables.map(Into::into)),
            Arg::text(state),
            Arg::OptInt(extra_minutes),
            Arg::Int(now.as_micros()),
            Arg::OptText(patch.delivered_by.map(|by| by.as_str().to_owned())),
            Arg::OptText(patch.currency.map(|currency| currency.to_string())),
            Arg::Bool(is_contact),
            Arg::OptText(contact_email),
            Arg::OptText(contact_phone),
            Arg::Bool(after.pauses.of(PauseCause::Unreachable, now).is_some()),
            Arg::Bool(patch.reach.is_some()),
        ];
        Ok([args.as_slice(), &terms_args(after)].concat())
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

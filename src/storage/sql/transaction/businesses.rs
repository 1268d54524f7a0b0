//! Businesses, their menus and their members.

use sqlx_macros::FromRow;

use crate::domain::access::MemberRole;
use crate::domain::business::{MAX_MEMBERS, MAX_MENU_ITEMS, MenuItem};
use crate::domain::ids::{BusinessId, UserId};
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;
use crate::storage::command::{
    AddItem, Addition, BusinessUpdate, CreateBusiness, MemberRefusal, PutMember, ReadNotification, Removal,
    RemoveItem, RemoveMember, UpdateBusiness, UpdateItem,
};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{BUSINESS_COLUMNS, BusinessRow, MenuItemRow, sealed_contact, state_columns};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};

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

static ADD_ITEM: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("menu_items"),
        "INSERT INTO menu_items (business_id, sku, name, category, price_minor, available) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
});

static MENU_STANDING: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("menu_items"),
        "SELECT (SELECT count(*) FROM menu_items WHERE business_id = $1) AS items, \
             (SELECT count(*) FROM menu_items WHERE business_id = $1 AND sku = $2) AS same",
    )
});

static UPDATE_ITEM: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("menu_items"),
        "UPDATE menu_items SET name = COALESCE($3, name), \
             category = CASE WHEN $4 THEN $5 ELSE category END, \
             price_minor = COALESCE($6, price_minor), available = COALESCE($7, available) \
         WHERE business_id = $1 AND sku = $2 \
         RETURNING business_id, sku, name, category, price_minor, available",
    )
});

static REMOVE_ITEM: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Delete("menu_items"),
        "DELETE FROM menu_items WHERE business_id = $1 AND sku = $2",
    )
});

// Changes of one business's members go one after the other, or two owners could remove each other; so do additions to its
// menu, or two could both take the last place.
static LOCK: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Select("businesses"), "SELECT id FROM businesses WHERE id = $1 {for_update}")
});

static STANDING: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("users"),
        "SELECT (SELECT count(*) FROM users WHERE id = $2) AS users, \
             (SELECT role FROM members WHERE business_id = $1 AND user_id = $2) AS role, \
             (SELECT count(*) FROM members WHERE business_id = $1 AND role = 'owner') AS owners, \
             (SELECT count(*) FROM members WHERE business_id = $1) AS members",
    )
});

static PUT_MEMBER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("members"),
        "INSERT INTO members (business_id, user_id, role) VALUES ($1, $2, $3) \
         ON CONFLICT (business_id, user_id) DO UPDATE SET role = excluded.role",
    )
});

static REMOVE_MEMBER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Delete("members"),
        "DELETE FROM members WHERE business_id = $1 AND user_id = $2",
    )
});

static READ_NOTIFICATION: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("notification_reads"),
        "INSERT INTO notification_reads (notification_id, user_id, at) \
         SELECT n.id, $2, $3 FROM notifications n WHERE n.id = $1 AND n.business_id = $4 \
         ON CONFLICT (notification_id, user_id) DO NOTHING",
    )
});

static READ_AT: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("notification_reads"),
        "SELECT r.at FROM notification_reads r JOIN notifications n ON n.id = r.notification_id \
         WHERE r.notification_id = $1 AND r.user_id = $2 AND n.business_id = $3",
    )
});

#[derive(FromRow)]
struct ReadAtRow {
    at: i64,
}

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
        let (business, patch, at) = (self.business, &self.patch, cx.at);
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
            Arg::Int(at.as_micros()),
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

impl Execute for AddItem {
    type Output = Addition;

    async fn execute(&self, cx: Context<'_>) -> Result<Addition, TxError> {
        let Self { business, item } = self;
        lock(cx.connection, *business).await?;
        let standing = [Arg::text(business), Arg::text(&item.sku)];
        let menu: Option<MenuStandingRow> = cx.connection.fetch_first(&MENU_STANDING, &standing).await?;
        let menu = menu.expect("a select without a table has one row");
        if menu.same > 0 {
            return Ok(Addition::AlreadyThere);
        }
        if menu.items >= MAX_MENU_ITEMS.into() {
            return Ok(Addition::Full);
        }
        let args = [
            Arg::text(business),
            Arg::text(&item.sku),
            Arg::text(&item.name),
            Arg::OptText(item.category.clone()),
            Arg::Int(item.price_minor),
            Arg::Bool(item.available),
        ];
        cx.connection.execute(&ADD_ITEM, &args).await?;
        Ok(Addition::Added)
    }
}

impl Execute for UpdateItem {
    type Output = Option<MenuItem>;

    async fn execute(&self, cx: Context<'_>) -> Result<Option<MenuItem>, TxError> {
        let Self { business, sku, patch } = self;
        let args = [
            Arg::text(business),
            Arg::text(sku),
            Arg::OptText(patch.name.clone()),
            Arg::Bool(patch.category.is_some()),
            Arg::OptText(patch.category.clone().flatten()),
            Arg::OptInt(patch.price_minor),
            Arg::OptBool(patch.available),
        ];
        let row: Option<MenuItemRow> = cx.connection.fetch_first(&UPDATE_ITEM, &args).await?;
        Ok(row.map(Into::into))
    }
}

impl Execute for RemoveItem {
    type Output = Removal;

    async fn execute(&self, cx: Context<'_>) -> Result<Removal, TxError> {
        let Self { business, sku } = self;
        let removed = cx.connection.execute(&REMOVE_ITEM, &[Arg::text(business), Arg::text(sku)]).await?;
        Ok(if removed == 0 { Removal::NotThere } else { Removal::Removed })
    }
}

#[derive(FromRow)]
struct PricesRow {
    currency: String,
    in_use: bool,
}

#[derive(FromRow)]
struct MenuStandingRow {
    items: i64,
    same: i64,
}

#[derive(FromRow)]
pub(super) struct StandingRow {
    users: i64,
    pub(super) role: Option<String>,
    owners: i64,
    pub(super) members: i64,
}

impl StandingRow {
    fn is_last_owner(&self) -> bool {
        self.role.as_deref() == Some(MemberRole::Owner.as_str()) && self.owners <= 1
    }
}

#[derive(FromRow)]
struct IdRow {
    #[expect(dead_code, reason = "the row is read for its lock")]
    id: String,
}

/// How somebody stands to a business, which is locked from here on.
pub(super) async fn standing(
    connection: &mut Connection,
    business: BusinessId,
    user: UserId,
) -> Result<StandingRow, TxError> {
    lock(connection, business).await?;
    let row = connection.fetch_first(&STANDING, &[Arg::text(business), Arg::text(user)]).await?;
    Ok(row.expect("a select without a table has one row"))
}

/// Locks a business, so that what is counted of it holds until the transaction ends.
pub(super) async fn lock(connection: &mut Connection, business: BusinessId) -> Result<(), TxError> {
    let _: Option<IdRow> = connection.fetch_first(&LOCK, &[Arg::text(business)]).await?;
    Ok(())
}

/// Writes a membership, whatever it was before.
pub(super) async fn put_member_row(
    connection: &mut Connection,
    business: BusinessId,
    user: UserId,
    role: MemberRole,
) -> Result<(), TxError> {
    let args = [Arg::text(business), Arg::text(user), Arg::text(role.as_str())];
    connection.execute(&PUT_MEMBER, &args).await.map(drop)
}

impl Execute for PutMember {
    type Output = Result<(), MemberRefusal>;

    async fn execute(&self, cx: Context<'_>) -> Result<Result<(), MemberRefusal>, TxError> {
        let Self { business, user, role } = *self;
        let standing = standing(cx.connection, business, user).await?;
        if standing.users == 0 {
            return Ok(Err(MemberRefusal::NoSuchUser));
        }
        if role != MemberRole::Owner && standing.is_last_owner() {
            return Ok(Err(MemberRefusal::LastOwner));
        }
        if standing.role.is_none() && standing.members >= MAX_MEMBERS.into() {
            return Ok(Err(MemberRefusal::Full));
        }
        put_member_row(cx.connection, business, user, role).await?;
        Ok(Ok(()))
    }
}

impl Execute for RemoveMember {
    type Output = Removal;

    async fn execute(&self, cx: Context<'_>) -> Result<Removal, TxError> {
        let Self { business, user } = *self;
        let standing = standing(cx.connection, business, user).await?;
        if standing.is_last_owner() {
            return Ok(Removal::LastOwner);
        }
        let removed = cx.connection.execute(&REMOVE_MEMBER, &[Arg::text(business), Arg::text(user)]).await?;
        Ok(if removed == 0 { Removal::NotThere } else { Removal::Removed })
    }
}

impl Execute for ReadNotification {
    type Output = Option<Timestamp>;

    /// Stores that `user` has read the notification, unless they had before.
    async fn execute(&self, cx: Context<'_>) -> Result<Option<Timestamp>, TxError> {
        let Self { business, notification, user } = *self;
        let args =
            [Arg::text(notification), Arg::text(user), Arg::Int(cx.at.as_micros()), Arg::text(business)];
        cx.connection.execute(&READ_NOTIFICATION, &args).await?;
        let args = [Arg::text(notification), Arg::text(user), Arg::text(business)];
        let read: Option<ReadAtRow> = cx.connection.fetch_first(&READ_AT, &args).await?;
        Ok(read.map(|row| Timestamp::from_micros(row.at)))
    }
}

//! Businesses, members, menus and notifications.

use sqlx_macros::FromRow;

use crate::domain::access::MemberRole;
use crate::domain::business::{Business, MenuItem};
use crate::domain::event::Notification;
use crate::domain::ids::{BusinessId, NotificationId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::Member;
use crate::storage::sql::rows::{
    BUSINESS_COLUMNS, BusinessRow, MenuItemRow, NotificationRow, parse, report_unreadable,
};
use crate::storage::sql::statement::{Arg, LazyStatement, Statement};
use crate::storage::sql::store::SqlStore;

static BUSINESS: LazyStatement = LazyStatement::new(|| {
    Statement::new(&format!("SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id = $1"))
});

// Ids follow time, so their order is that of creation.
static ALL: LazyStatement = LazyStatement::new(|| {
    Statement::new(&format!(
        "SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id > COALESCE($1, '') ORDER BY b.id LIMIT $2"
    ))
});

static OF_MEMBER: LazyStatement = LazyStatement::new(|| {
    Statement::new(&format!(
        "SELECT {BUSINESS_COLUMNS} FROM members m JOIN businesses b ON b.id = m.business_id \
         WHERE m.user_id = $1 AND m.business_id > COALESCE($2, '') ORDER BY m.business_id LIMIT $3"
    ))
});

static MEMBERSHIP: LazyStatement =
    LazyStatement::new(|| Statement::new("SELECT role FROM members WHERE business_id = $1 AND user_id = $2"));

static MEMBERS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT m.user_id, u.email, u.name, m.role FROM members m JOIN users u ON u.id = m.user_id \
         WHERE m.business_id = $1 ORDER BY CASE m.role WHEN 'owner' THEN 0 ELSE 1 END, m.user_id",
    )
});

static MENU: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT business_id, sku, name, category, price_minor, available FROM menu_items WHERE business_id = $1 \
         ORDER BY category NULLS LAST, name, sku",
    )
});

static NOTIFICATIONS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        // No id is greater than a tilde.
        "SELECT id, business_id, kind, title, message, data, priority, created_at FROM notifications \
         WHERE business_id = $1 AND id < COALESCE($2, '~') ORDER BY id DESC LIMIT $3",
    )
});

static READS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT notification_id, at FROM notification_reads WHERE notification_id = {any} AND user_id = $2",
    )
});

/// What is asked here, for a look at how.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] =
    &[&BUSINESS, &ALL, &OF_MEMBER, &MEMBERSHIP, &MEMBERS, &MENU, &NOTIFICATIONS, &READS];

#[derive(FromRow)]
struct ReadRow {
    notification_id: String,
    at: i64,
}

#[derive(FromRow)]
struct RoleRow {
    role: String,
}

#[derive(FromRow)]
struct MemberRow {
    user_id: String,
    email: String,
    name: Option<String>,
    role: String,
}

pub(in crate::storage) async fn business(
    store: &SqlStore,
    id: BusinessId,
) -> Result<Option<Business>, StoreError> {
    let row: Option<BusinessRow> = store.fetch_first(&BUSINESS, &[Arg::text(id)]).await?;
    row.map(|row| row.into_business(&store.cipher)).transpose()
}

fn after_text(after: Option<BusinessId>) -> Arg {
    Arg::OptText(after.map(|id| id.to_string()))
}

pub(in crate::storage) async fn businesses(
    store: &SqlStore,
    after: Option<BusinessId>,
    limit: u32,
) -> Result<Vec<Business>, StoreError> {
    let rows: Vec<BusinessRow> = store.fetch(&ALL, &[after_text(after), Arg::Int(limit.into())]).await?;
    rows.into_iter().map(|row| row.into_business(&store.cipher)).collect()
}

pub(in crate::storage) async fn businesses_of(
    store: &SqlStore,
    user: UserId,
    after: Option<BusinessId>,
    limit: u32,
) -> Result<Vec<Business>, StoreError> {
    let args = [Arg::text(user), after_text(after), Arg::Int(limit.into())];
    let rows: Vec<BusinessRow> = store.fetch(&OF_MEMBER, &args).await?;
    rows.into_iter().map(|row| row.into_business(&store.cipher)).collect()
}

pub(in crate::storage) async fn membership(
    store: &SqlStore,
    business: BusinessId,
    user: UserId,
) -> Result<Option<MemberRole>, StoreError> {
    let row: Option<RoleRow> =
        store.fetch_first(&MEMBERSHIP, &[Arg::text(business), Arg::text(user)]).await?;
    row.map(|row| parse("members.role", &row.role)).transpose()
}

pub(in crate::storage) async fn members(
    store: &SqlStore,
    business: BusinessId,
) -> Result<Vec<Member>, StoreError> {
    let rows: Vec<MemberRow> = store.fetch(&MEMBERS, &[Arg::text(business)]).await?;
    rows.into_iter()
        .map(|row| {
            let user = parse("members.user_id", &row.user_id)?;
            Ok(Member { user, email: row.email, name: row.name, role: parse("members.role", &row.role)? })
        })
        .collect()
}

pub(in crate::storage) async fn menu(
    store: &SqlStore,
    business: BusinessId,
) -> Result<Vec<MenuItem>, StoreError> {
    let rows: Vec<MenuItemRow> = store.fetch(&MENU, &[Arg::text(business)]).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(in crate::storage) async fn notifications(
    store: &SqlStore,
    business: BusinessId,
    before: Option<NotificationId>,
    limit: u32,
) -> Result<Vec<Notification>, StoreError> {
    let before = Arg::OptText(before.map(|id| id.to_string()));
    let args = [Arg::text(business), before, Arg::Int(limit.into())];
    let rows: Vec<NotificationRow> = store.fetch(&NOTIFICATIONS, &args).await?;
    let read = |row: NotificationRow| {
        let id = row.id.clone();
        let read = row.into_notification();
        read.map_err(|error| report_unreadable(&store.metrics, "notifications", &id, &error)).ok()
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

pub(in crate::storage) async fn notification_reads(
    store: &SqlStore,
    user: UserId,
    notifications: &[NotificationId],
) -> Result<Vec<(NotificationId, Timestamp)>, StoreError> {
    if notifications.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<ReadRow> = store.fetch(&READS, &[Arg::texts(notifications), Arg::text(user)]).await?;
    rows.into_iter()
        .map(|row| {
            let id = parse("notification_reads.notification_id", &row.notification_id)?;
            Ok((id, Timestamp::from_micros(row.at)))
        })
        .collect()
}

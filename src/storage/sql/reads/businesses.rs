//! Businesses with their members, invitations and menus.

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::access::MemberRole;
use crate::domain::business::{Business, MAX_INVITATIONS_OF_USER, MenuItem};
use crate::domain::ids::{BusinessId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::{AnswerTimes, BusinessReads, Invitation, Member};
use crate::storage::sql::rows::{BUSINESS_COLUMNS, BusinessRow, MenuItemRow, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

use super::answer_times;

static BUSINESS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        &format!("SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id = $1"),
    )
});

static NAMED: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        &format!("SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id = {{any}}"),
    )
});

// Ids follow time, so their order is that of creation.
static ALL: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        &format!(
            "SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id > COALESCE($1, '') ORDER BY b.id LIMIT $2"
        ),
    )
});

static OF_MEMBER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("members"),
        &format!(
            "SELECT {BUSINESS_COLUMNS} FROM members m JOIN businesses b ON b.id = m.business_id \
         WHERE m.user_id = $1 AND m.business_id > COALESCE($2, '') ORDER BY m.business_id LIMIT $3"
        ),
    )
});

static MEMBERSHIP: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("members"),
        "SELECT role FROM members WHERE business_id = $1 AND user_id = $2",
    )
});

static MEMBERS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("members"),
        "SELECT m.user_id, u.email, u.name, m.role, m.alert_me FROM members m JOIN users u ON u.id = m.user_id \
         WHERE m.business_id = $1 ORDER BY CASE m.role WHEN 'owner' THEN 0 ELSE 1 END, m.user_id",
    )
});

static MENU: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("menu_items"),
        "SELECT business_id, sku, name, category, price_minor, available FROM menu_items WHERE business_id = $1 \
         ORDER BY category NULLS LAST, name, sku",
    )
});

static INVITATIONS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("invitations"),
        "SELECT i.id, i.business_id, b.name AS business_name, i.role, i.created_at, i.expires_at \
         FROM invitations i JOIN businesses b ON b.id = i.business_id \
         WHERE i.user_id = $1 AND i.state = 'pending' AND i.expires_at > $2 ORDER BY i.id DESC LIMIT $3",
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] =
    &[&BUSINESS, &NAMED, &ALL, &OF_MEMBER, &MEMBERSHIP, &MEMBERS, &MENU, &INVITATIONS];

#[derive(FromRow)]
struct RoleRow {
    role: String,
}

#[derive(FromRow)]
struct InvitationRow {
    id: String,
    business_id: String,
    business_name: String,
    role: String,
    created_at: i64,
    expires_at: i64,
}

#[derive(FromRow)]
struct MemberRow {
    user_id: String,
    email: String,
    name: Option<String>,
    role: String,
    alert_me: Option<bool>,
}

fn after_text(after: Option<BusinessId>) -> Arg {
    Arg::OptText(after.map(|id| id.to_string()))
}

#[async_trait]
impl BusinessReads for SqlStore {
    async fn business(&self, id: BusinessId) -> Result<Option<Business>, StoreError> {
        let row: Option<BusinessRow> = self.fetch_first(&BUSINESS, &[Arg::text(id)]).await?;
        row.map(|row| row.into_business(&self.cipher)).transpose()
    }

    async fn businesses_of(
        &self,
        user: UserId,
        after: Option<BusinessId>,
        limit: u32,
    ) -> Result<Vec<Business>, StoreError> {
        let args = [Arg::text(user), after_text(after), Arg::Int(limit.into())];
        let rows: Vec<BusinessRow> = self.fetch(&OF_MEMBER, &args).await?;
        rows.into_iter().map(|row| row.into_business(&self.cipher)).collect()
    }

    async fn businesses(&self, after: Option<BusinessId>, limit: u32) -> Result<Vec<Business>, StoreError> {
        let rows: Vec<BusinessRow> = self.fetch(&ALL, &[after_text(after), Arg::Int(limit.into())]).await?;
        rows.into_iter().map(|row| row.into_business(&self.cipher)).collect()
    }

    async fn businesses_named(&self, ids: &[BusinessId]) -> Result<Vec<Business>, StoreError> {
        let rows: Vec<BusinessRow> = self.fetch(&NAMED, &[Arg::texts(ids)]).await?;
        rows.into_iter().map(|row| row.into_business(&self.cipher)).collect()
    }

    async fn answer_times(
        &self,
        businesses: &[BusinessId],
        since: Timestamp,
    ) -> Result<Vec<(BusinessId, AnswerTimes)>, StoreError> {
        answer_times::of_businesses(self, businesses, since).await
    }

    async fn slowest_to_answer(
        &self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<(BusinessId, AnswerTimes)>, StoreError> {
        answer_times::slowest(self, since, limit).await
    }

    async fn membership(&self, business: BusinessId, user: UserId) -> Result<Option<MemberRole>, StoreError> {
        let row: Option<RoleRow> =
            self.fetch_first(&MEMBERSHIP, &[Arg::text(business), Arg::text(user)]).await?;
        row.map(|row| parse("members.role", &row.role)).transpose()
    }

    async fn members(&self, business: BusinessId) -> Result<Vec<Member>, StoreError> {
        let rows: Vec<MemberRow> = self.fetch(&MEMBERS, &[Arg::text(business)]).await?;
        rows.into_iter()
            .map(|row| {
                let user = parse("members.user_id", &row.user_id)?;
                let role = parse("members.role", &row.role)?;
                Ok(Member { user, email: row.email, name: row.name, role, alert_me: row.alert_me })
            })
            .collect()
    }

    async fn invitations_of(&self, user: UserId, now: Timestamp) -> Result<Vec<Invitation>, StoreError> {
        let args = [Arg::text(user), Arg::Int(now.as_micros()), Arg::Int(MAX_INVITATIONS_OF_USER.into())];
        let rows: Vec<InvitationRow> = self.fetch(&INVITATIONS, &args).await?;
        rows.into_iter()
            .map(|row| {
                Ok(Invitation {
                    id: parse("invitations.id", &row.id)?,
                    business: parse("invitations.business_id", &row.business_id)?,
                    business_name: row.business_name,
                    role: parse("invitations.role", &row.role)?,
                    created_at: Timestamp::from_micros(row.created_at),
                    expires_at: Timestamp::from_micros(row.expires_at),
                })
            })
            .collect()
    }

    async fn menu(&self, business: BusinessId) -> Result<Vec<MenuItem>, StoreError> {
        let rows: Vec<MenuItemRow> = self.fetch(&MENU, &[Arg::text(business)]).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

//! Memberships.

use sqlx_macros::FromRow;

use crate::domain::access::MemberRole;
use crate::domain::business::MAX_MEMBERS;
use crate::domain::control::ControlChange;
use crate::domain::ids::{BusinessId, UserId};
use crate::storage::commands::{MemberRefusal, PutMember, Removal, RemoveMember, SetAlertMe, UserChange};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::business_lock::lock;
use super::execute::{Context, Execute};

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

static ALERT_ME: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("members"),
        "UPDATE members SET alert_me = $3 WHERE business_id = $1 AND user_id = $2",
    )
});

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

/// Standing of a user with a business, which is locked from here on.
pub(super) async fn standing(
    connection: &mut Connection,
    business: BusinessId,
    user: UserId,
) -> Result<StandingRow, TxError> {
    lock(connection, business).await?;
    let row = connection.fetch_first(&STANDING, &[Arg::text(business), Arg::text(user)]).await?;
    Ok(row.expect("a select without a table has one row"))
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
        cx.control.push(ControlChange::MembershipsChanged(user));
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
        if removed == 0 {
            return Ok(Removal::NotThere);
        }
        cx.control.push(ControlChange::MembershipsChanged(user));
        Ok(Removal::Removed)
    }
}

impl Execute for SetAlertMe {
    type Output = UserChange;

    async fn execute(&self, cx: Context<'_>) -> Result<UserChange, TxError> {
        let Self { business, user, alert_me } = *self;
        let args = [Arg::text(business), Arg::text(user), Arg::Bool(alert_me)];
        let changed = cx.connection.execute(&ALERT_ME, &args).await?;
        Ok(if changed == 0 { UserChange::NotThere } else { UserChange::Made })
    }
}

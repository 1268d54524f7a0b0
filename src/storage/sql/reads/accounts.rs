//! Accounts and login sessions.

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::ids::{LoginSessionId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::commands::{Approval, Device};
use crate::storage::error::StoreError;
use crate::storage::ports::{AccountReads, LoginSession, User};
use crate::storage::sql::rows::{opened_user_phone, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

static USER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("users"),
        "SELECT id, email, password_hash, role, name, approved, suspended_at, created_at FROM users WHERE id = $1",
    )
});

static USER_BY_EMAIL: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("users"),
        "SELECT id, email, password_hash, role, name, approved, suspended_at, created_at FROM users WHERE email = $1",
    )
});

static PHONE: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Select("users"), "SELECT phone FROM users WHERE id = $1")
});

static ENDED: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Select("sessions"), "SELECT id FROM sessions WHERE ended_at >= $1")
});

static SESSIONS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("sessions"),
        "SELECT id, device_id, device_name, device_platform, created_at, expires_at, \
             CASE WHEN last_active_at > rotated_at THEN last_active_at ELSE rotated_at END AS seen_at \
         FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 \
         ORDER BY seen_at DESC, id DESC LIMIT $3",
    )
});

static OWNER: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Select("sessions"), "SELECT user_id AS id FROM sessions WHERE id = $1")
});

static DEVICE: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("sessions"),
        "SELECT id FROM sessions WHERE user_id = $1 AND device_id = $2 LIMIT 1",
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] = &[&USER, &USER_BY_EMAIL, &PHONE, &ENDED, &SESSIONS, &OWNER];

#[derive(FromRow)]
struct UserRow {
    id: String,
    email: String,
    password_hash: String,
    role: String,
    name: Option<String>,
    approved: bool,
    suspended_at: Option<i64>,
    created_at: i64,
}

impl UserRow {
    fn into_user(self) -> Result<User, StoreError> {
        Ok(User {
            id: parse("users.id", &self.id)?,
            email: self.email,
            password_hash: self.password_hash,
            role: parse("users.role", &self.role)?,
            name: self.name,
            suspended_at: self.suspended_at.map(Timestamp::from_micros),
            approved: if self.approved { Approval::Approved } else { Approval::Pending },
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

#[derive(FromRow)]
struct PhoneRow {
    phone: Option<String>,
}

#[derive(FromRow)]
struct IdRow {
    id: String,
}

#[derive(FromRow)]
struct SessionRow {
    id: String,
    device_id: Option<String>,
    device_name: Option<String>,
    device_platform: Option<String>,
    created_at: i64,
    expires_at: i64,
    seen_at: i64,
}

impl SessionRow {
    fn into_session(self) -> Result<LoginSession, StoreError> {
        let (name, platform) = (self.device_name, self.device_platform);
        Ok(LoginSession {
            id: parse("sessions.id", &self.id)?,
            device: self.device_id.map(|id| Device { id, name, platform }),
            created_at: Timestamp::from_micros(self.created_at),
            last_active_at: Timestamp::from_micros(self.seen_at),
            expires_at: Timestamp::from_micros(self.expires_at),
        })
    }
}

#[async_trait]
impl AccountReads for SqlStore {
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.fetch_first::<UserRow>(&USER, &[Arg::text(id)]).await?.map(UserRow::into_user).transpose()
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = self.fetch_first(&USER_BY_EMAIL, &[Arg::text(email)]).await?;
        row.map(UserRow::into_user).transpose()
    }

    async fn user_phone(&self, id: UserId) -> Result<Option<String>, StoreError> {
        let row: Option<PhoneRow> = self.fetch_first(&PHONE, &[Arg::text(id)]).await?;
        let sealed = row.and_then(|row| row.phone);
        sealed.map(|sealed| opened_user_phone(id, &sealed, &self.cipher)).transpose()
    }

    async fn sessions_ended_since(&self, since: Timestamp) -> Result<Vec<LoginSessionId>, StoreError> {
        let rows: Vec<IdRow> = self.fetch(&ENDED, &[Arg::Int(since.as_micros())]).await?;
        rows.iter().map(|row| parse("sessions.id", &row.id)).collect()
    }

    async fn sessions_of(
        &self,
        user: UserId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<LoginSession>, StoreError> {
        let args = [Arg::text(user), Arg::Int(now.as_micros()), Arg::Int(limit.into())];
        let rows: Vec<SessionRow> = self.fetch(&SESSIONS, &args).await?;
        rows.into_iter().map(SessionRow::into_session).collect()
    }

    async fn session_owner(&self, id: LoginSessionId) -> Result<Option<UserId>, StoreError> {
        let row: Option<IdRow> = self.fetch_first(&OWNER, &[Arg::text(id)]).await?;
        row.map(|row| parse("sessions.user_id", &row.id)).transpose()
    }

    async fn knows_device(&self, user: UserId, device: &str) -> Result<bool, StoreError> {
        let row: Option<IdRow> = self.fetch_first(&DEVICE, &[Arg::text(user), Arg::text(device)]).await?;
        Ok(row.is_some())
    }
}

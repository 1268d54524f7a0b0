//! Accounts, sign-ins and kept answers.

use sqlx_macros::FromRow;

use crate::domain::ids::{SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::batch::{KEPT_FOR, KeptRow};
use crate::storage::command::{Approval, Device, KeptAnswer};
use crate::storage::error::StoreError;
use crate::storage::ports::{Session, User};
use crate::storage::rows::parse;
use crate::storage::statement::{Arg, LazyStatement, Statement};
use crate::storage::store::SqlStore;

static USER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT id, email, password_hash, role, name, approved, created_at FROM users WHERE id = $1",
    )
});

static USER_BY_EMAIL: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT id, email, password_hash, role, name, approved, created_at FROM users WHERE email = $1",
    )
});

static UNUSUAL_ADDRESSES: LazyStatement = LazyStatement::new(|| {
    let sql = |strange: &str, capital: &str| {
        format!(
            "SELECT id, email FROM users WHERE {strange} OR {capital} OR email LIKE '%xn--%' ORDER BY id LIMIT $1"
        )
    };
    Statement::apart(
        "",
        &sql("email ~ '[^!-~]'", "email ~ '[A-Z]'"),
        &sql("email GLOB '*[^!-~]*'", "email GLOB '*[A-Z]*'"),
    )
});

static ENDED: LazyStatement =
    LazyStatement::new(|| Statement::new("SELECT id FROM sessions WHERE ended_at >= $1"));

static SESSIONS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT id, device_id, device_name, device_platform, created_at, expires_at, \
             CASE WHEN last_active_at > rotated_at THEN last_active_at ELSE rotated_at END AS seen_at \
         FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 \
         ORDER BY seen_at DESC, id DESC LIMIT $3",
    )
});

static OWNER: LazyStatement =
    LazyStatement::new(|| Statement::new("SELECT user_id AS id FROM sessions WHERE id = $1"));

static DEVICE: LazyStatement = LazyStatement::new(|| {
    Statement::new("SELECT id FROM sessions WHERE user_id = $1 AND device_id = $2 LIMIT 1")
});

static KEPT: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT scope, key, request_mac, status, body FROM idempotency_keys \
         WHERE scope = $1 AND key = $2 AND created_at > $3",
    )
});

/// What is asked here, for a look at how.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] = &[&USER, &USER_BY_EMAIL, &ENDED, &SESSIONS, &OWNER, &KEPT];

#[derive(FromRow)]
struct UserRow {
    id: String,
    email: String,
    password_hash: String,
    role: String,
    name: Option<String>,
    approved: bool,
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
            approved: if self.approved { Approval::Approved } else { Approval::Pending },
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
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
    fn into_session(self) -> Result<Session, StoreError> {
        let (name, platform) = (self.device_name, self.device_platform);
        Ok(Session {
            id: parse("sessions.id", &self.id)?,
            device: self.device_id.map(|id| Device { id, name, platform }),
            created_at: Timestamp::from_micros(self.created_at),
            last_active_at: Timestamp::from_micros(self.seen_at),
            expires_at: Timestamp::from_micros(self.expires_at),
        })
    }
}

pub(in crate::storage) async fn user(store: &SqlStore, id: UserId) -> Result<Option<User>, StoreError> {
    store.fetch_first::<UserRow>(&USER, &[Arg::text(id)]).await?.map(UserRow::into_user).transpose()
}

pub(in crate::storage) async fn user_by_email(
    store: &SqlStore,
    email: &str,
) -> Result<Option<User>, StoreError> {
    let row: Option<UserRow> = store.fetch_first(&USER_BY_EMAIL, &[Arg::text(email)]).await?;
    row.map(UserRow::into_user).transpose()
}

#[derive(FromRow)]
struct AddressRow {
    id: String,
    email: String,
}

pub(in crate::storage) async fn unusual_addresses(
    store: &SqlStore,
    limit: u32,
) -> Result<Vec<(UserId, String)>, StoreError> {
    let rows: Vec<AddressRow> = store.fetch(&UNUSUAL_ADDRESSES, &[Arg::Int(limit.into())]).await?;
    rows.into_iter().map(|row| Ok((parse("users.id", &row.id)?, row.email))).collect()
}

pub(in crate::storage) async fn sessions_ended_since(
    store: &SqlStore,
    since: Timestamp,
) -> Result<Vec<SessionId>, StoreError> {
    let rows: Vec<IdRow> = store.fetch(&ENDED, &[Arg::Int(since.as_micros())]).await?;
    rows.iter().map(|row| parse("sessions.id", &row.id)).collect()
}

pub(in crate::storage) async fn sessions_of(
    store: &SqlStore,
    user: UserId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Session>, StoreError> {
    let args = [Arg::text(user), Arg::Int(now.as_micros()), Arg::Int(limit.into())];
    let rows: Vec<SessionRow> = store.fetch(&SESSIONS, &args).await?;
    rows.into_iter().map(SessionRow::into_session).collect()
}

pub(in crate::storage) async fn session_owner(
    store: &SqlStore,
    id: SessionId,
) -> Result<Option<UserId>, StoreError> {
    let row: Option<IdRow> = store.fetch_first(&OWNER, &[Arg::text(id)]).await?;
    row.map(|row| parse("sessions.user_id", &row.id)).transpose()
}

pub(in crate::storage) async fn knows_device(
    store: &SqlStore,
    user: UserId,
    device: &str,
) -> Result<bool, StoreError> {
    let row: Option<IdRow> = store.fetch_first(&DEVICE, &[Arg::text(user), Arg::text(device)]).await?;
    Ok(row.is_some())
}

pub(in crate::storage) async fn kept_answer(
    store: &SqlStore,
    scope: &str,
    key: &str,
) -> Result<Option<KeptAnswer>, StoreError> {
    let oldest = Timestamp::now().minus(KEPT_FOR);
    let args = [Arg::text(scope), Arg::text(key), Arg::Int(oldest.as_micros())];
    match store.fetch_first::<KeptRow>(&KEPT, &args).await? {
        Some(row) => row.into_kept(&store.cipher),
        None => Ok(None),
    }
}

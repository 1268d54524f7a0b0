//! Login sessions and their refresh tokens.

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::control::ControlChange;
use crate::domain::ids::LoginSessionId;
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    EndSession, NewSession, ROTATION_GRACE, Removal, RotateSession, Rotation, SessionActivity, TokenUse,
    UserChange,
};
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{number, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};

// The lock of the account lets a suspension wait that would not see this session.
static OPEN_SESSION: LazyStatement = LazyStatement::new(|| {
    let text = "INSERT INTO sessions (id, user_id, device_id, device_name, device_platform, generation, token_hash, \
             rotated_at, created_at, expires_at) SELECT $1, u.id, $3, $4, $5, 0, $6, $7, $7, $8 FROM users u \
         WHERE u.id = $2 AND u.suspended_at IS NULL";
    Statement::apart(Operation::Insert("sessions"), "", &format!("{text} FOR SHARE OF u"), text)
});

static LOCK_SESSION: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("sessions"),
        "SELECT s.user_id, s.device_id, (SELECT u.role FROM users u WHERE u.id = s.user_id) AS role, s.generation, s.token_hash, \
             s.previous_hash, s.used_generation, s.used_at, s.expires_at, s.ended_at FROM sessions s WHERE s.id = $1 {for_update}",
    )
});

static ROTATE: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("sessions"),
        "UPDATE sessions SET generation = generation + 1, previous_hash = token_hash, token_hash = $2, \
             rotated_at = $3, expires_at = $4 WHERE id = $1",
    )
});

static END_SESSION: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("sessions"),
        "UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL",
    )
});

// Only tokens that hold are worth knowing: nobody asks for what came after those of before.
static SEEN: LazyStatement = LazyStatement::new(|| {
    const NEWER: &str = "r.generation = sessions.generation AND r.generation > coalesce(used_generation, -1)";
    Statement::over(
        Operation::Update("sessions"),
        "id text, at int, generation int, used_at int",
        &format!(
            "UPDATE sessions SET \
                 last_active_at = CASE WHEN last_active_at > r.at THEN last_active_at ELSE r.at END, \
                 used_generation = CASE WHEN {NEWER} THEN r.generation ELSE used_generation END, \
                 used_at = CASE WHEN {NEWER} THEN r.used_at ELSE sessions.used_at END \
             FROM {{rows}} WHERE sessions.id = r.id AND ended_at IS NULL \
                 AND (last_active_at IS NULL OR last_active_at < r.at OR ({NEWER}))"
        ),
    )
});

impl Execute for NewSession {
    type Output = UserChange;

    async fn execute(&self, cx: Context<'_>) -> Result<UserChange, TxError> {
        let session = self;
        let device = session.device.as_ref();
        let args = [
            Arg::text(session.id),
            Arg::text(session.user),
            Arg::OptText(device.map(|d| d.id.clone())),
            Arg::OptText(device.and_then(|d| d.name.clone())),
            Arg::OptText(device.and_then(|d| d.platform.clone())),
            Arg::text(&session.token_hash),
            Arg::Int(session.created_at.as_micros()),
            Arg::Int(session.expires_at.as_micros()),
        ];
        Ok(UserChange::from(cx.connection.execute(&OPEN_SESSION, &args).await? > 0))
    }
}

#[derive(FromRow)]
struct StoredSession {
    user_id: String,
    device_id: Option<String>,
    role: String,
    generation: i64,
    token_hash: String,
    previous_hash: Option<String>,
    used_generation: Option<i64>,
    used_at: Option<i64>,
    expires_at: i64,
    ended_at: Option<i64>,
}

impl StoredSession {
    /// First use of the tokens that hold, as far as the store and this node know.
    fn first_used(&self, here: Option<TokenUse>) -> Option<Timestamp> {
        let stored = self.used_at.filter(|_| self.used_generation == Some(self.generation));
        let here = here.filter(|used| i64::from(used.generation) == self.generation).map(|used| used.at);
        stored.map(Timestamp::from_micros).into_iter().chain(here).min()
    }
}

/// Meaning of a presented token for its session.
#[derive(Debug, PartialEq, Eq)]
enum Presented {
    /// The token that holds.
    Current,
    /// The one before, and the answer with the one that holds may have been lost; or it is asked for in two places at once.
    Unanswered,
    /// One that was rotated away.
    Rotated,
    /// No token of this session, or the session has ended.
    Nothing,
}

fn presented(stored: &StoredSession, rotate: &RotateSession, at: Timestamp) -> Presented {
    if stored.ended_at.is_some() || Timestamp::from_micros(stored.expires_at) <= at {
        return Presented::Nothing;
    }
    let presented = i64::from(rotate.generation);
    if presented == stored.generation {
        let holds = rotate.presented_hash == stored.token_hash;
        return if holds { Presented::Current } else { Presented::Nothing };
    }
    // Newer than any: from a history this store does not have.
    if presented > stored.generation {
        return Presented::Nothing;
    }
    if presented + 1 == stored.generation {
        if stored.previous_hash.as_ref() != Some(&rotate.presented_hash) {
            return Presented::Nothing;
        }
        // A clock that was set back since, here or on another node, makes the grace no longer than it is.
        let within_grace = |used: Timestamp| at.since(used).max(used.since(at)) <= ROTATION_GRACE;
        if stored.first_used(rotate.used).is_none_or(within_grace) {
            return Presented::Unanswered;
        }
    }
    Presented::Rotated
}

fn micros(at: Timestamp) -> Arg {
    Arg::Int(at.as_micros())
}

impl Execute for RotateSession {
    type Output = Rotation;

    async fn execute(&self, cx: Context<'_>) -> Result<Rotation, TxError> {
        let (rotate, at) = (self, cx.at);
        let id = || Arg::text(rotate.session);
        let stored: Option<StoredSession> = cx.connection.fetch_first(&LOCK_SESSION, &[id()]).await?;
        let Some(stored) = stored else { return Ok(Rotation::Refused) };
        let user = parse("sessions.user_id", &stored.user_id)?;
        let role = parse("users.role", &stored.role)?;
        let generation: u32 = number("sessions.generation", stored.generation)?;
        let rotation = match presented(&stored, rotate, at) {
            Presented::Nothing => Rotation::Refused,
            Presented::Unanswered => Rotation::Continued {
                generation,
                user,
                role,
                device: stored.device_id,
                expires_at: Timestamp::from_micros(stored.expires_at),
            },
            Presented::Rotated => {
                cx.connection.execute(&END_SESSION, &[id(), micros(at)]).await?;
                cx.control.push(ControlChange::SessionEnded(rotate.session));
                Rotation::Reused { user }
            }
            Presented::Current => {
                let expires_at = at.plus(rotate.lifetime);
                let args = [id(), Arg::text(&rotate.successor_hash), micros(at), micros(expires_at)];
                cx.connection.execute(&ROTATE, &args).await?;
                Rotation::Continued {
                    generation: generation + 1,
                    user,
                    role,
                    device: stored.device_id,
                    expires_at,
                }
            }
        };
        Ok(rotation)
    }
}

impl Execute for EndSession {
    type Output = Removal;

    async fn execute(&self, cx: Context<'_>) -> Result<Removal, TxError> {
        let (session, at) = (self.session, cx.at);
        let ended =
            cx.connection.execute(&END_SESSION, &[Arg::text(session), Arg::Int(at.as_micros())]).await?;
        if ended == 0 {
            return Ok(Removal::NotThere);
        }
        cx.control.push(ControlChange::SessionEnded(session));
        Ok(Removal::Removed)
    }
}

#[derive(Serialize)]
struct ActivityRow {
    id: LoginSessionId,
    at: i64,
    generation: Option<u32>,
    used_at: Option<i64>,
}

impl Execute for Vec<SessionActivity> {
    type Output = ();

    /// Each sign-in may stand in the list once.
    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let seen = self;
        let row = |seen: &SessionActivity| ActivityRow {
            id: seen.session,
            at: seen.at.as_micros(),
            generation: seen.used.map(|used| used.generation),
            used_at: seen.used.map(|used| used.at.as_micros()),
        };
        let rows: Vec<ActivityRow> = seen.iter().map(row).collect();
        cx.connection.execute(&SEEN, &[Arg::rows(&rows)]).await?;
        Ok(())
    }
}

//! Invitations: asked by an owner, answered by the person.

use sqlx_macros::FromRow;

use crate::domain::business::{MAX_INVITATIONS, MAX_INVITATIONS_OF_USER, MAX_MEMBERS};
use crate::domain::control::ControlChange;
use crate::domain::ids::BusinessId;
use crate::storage::commands::{
    AnswerInvitation, InvitationAnswer, InvitationOutcome, Invitee, NewInvitation,
};
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::parse;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::business_lock::lock;
use super::execute::{Context, Execute};
use super::members::{put_member_row, standing};

// One statement for accounts that exist and for those that do not, so that its time tells nothing either.
static INVITE: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("invitations"),
        "INSERT INTO invitations (id, business_id, user_id, role, state, invited_by, created_at, expires_at) \
         SELECT $1, $2, u.id, $5, 'pending', $6, $7, $8 FROM users u \
         WHERE (u.email = $3 OR u.id = $4) AND u.role = 'merchant' \
             AND NOT EXISTS (SELECT 1 FROM members m WHERE m.business_id = $2 AND m.user_id = u.id) \
         ON CONFLICT (business_id, user_id) DO UPDATE SET id = excluded.id, role = excluded.role, \
             state = excluded.state, invited_by = excluded.invited_by, created_at = excluded.created_at, \
             expires_at = excluded.expires_at \
         RETURNING user_id",
    )
});

// Ids follow time: those behind the first so many are the oldest.
static DROP_OLDEST_OF_BUSINESS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Delete("invitations"),
        "DELETE FROM invitations WHERE id IN \
             (SELECT id FROM invitations WHERE business_id = $1 ORDER BY id DESC LIMIT 1000 OFFSET $2)",
    )
});

static DROP_OLDEST_OF_USER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Delete("invitations"),
        "DELETE FROM invitations WHERE id IN \
             (SELECT id FROM invitations WHERE user_id = $1 ORDER BY id DESC LIMIT 1000 OFFSET $2)",
    )
});

static READ: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("invitations"),
        "SELECT business_id, role, state FROM invitations WHERE id = $1 AND user_id = $2 AND expires_at > $3",
    )
});

static SET_STATE: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Update("invitations"), "UPDATE invitations SET state = $2 WHERE id = $1")
});

#[derive(FromRow)]
struct InvitedRow {
    user_id: String,
}

#[derive(FromRow)]
struct InvitationRow {
    business_id: String,
    role: String,
    state: String,
}

impl Execute for NewInvitation {
    type Output = ();

    /// Stores an invitation, unless nobody is there to be invited. The business is locked first, as everywhere.
    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let new = self;
        lock(cx.connection, new.business).await?;
        let (email, user) = match &new.invitee {
            Invitee::Email(email) => (Some(email.clone()), None),
            Invitee::User(user) => (None, Some(user.to_string())),
        };
        let args = [
            Arg::text(new.id),
            Arg::text(new.business),
            Arg::OptText(email),
            Arg::OptText(user),
            Arg::text(new.role.as_str()),
            Arg::text(new.invited_by),
            Arg::Int(cx.now.as_micros()),
            Arg::Int(new.expires_at.as_micros()),
        ];
        let invited: Option<InvitedRow> = cx.connection.fetch_first(&INVITE, &args).await?;
        if let Some(invited) = invited {
            let of_business = [Arg::text(new.business), Arg::Int(MAX_INVITATIONS.into())];
            cx.connection.execute(&DROP_OLDEST_OF_BUSINESS, &of_business).await?;
            let of_user = [Arg::Text(invited.user_id), Arg::Int(MAX_INVITATIONS_OF_USER.into())];
            cx.connection.execute(&DROP_OLDEST_OF_USER, &of_user).await?;
        }
        Ok(())
    }
}

impl Execute for AnswerInvitation {
    type Output = InvitationOutcome;

    /// Makes the invited person a member, or notes that they do not want to. An answer given again comes to the same.
    async fn execute(&self, cx: Context<'_>) -> Result<InvitationOutcome, TxError> {
        let Self { invitation, user, answer } = *self;
        let args = [Arg::text(invitation), Arg::text(user), Arg::Int(cx.now.as_micros())];
        let found: Option<InvitationRow> = cx.connection.fetch_first(&READ, &args).await?;
        let Some(found) = found else { return Ok(InvitationOutcome::NotThere) };
        let business: BusinessId = parse("invitations.business_id", &found.business_id)?;
        let standing = standing(cx.connection, business, user).await?;
        // Again under the lock: another lane may have been first.
        let row: Option<InvitationRow> = cx.connection.fetch_first(&READ, &args).await?;
        let Some(row) = row else { return Ok(InvitationOutcome::NotThere) };
        let role = parse("invitations.role", &row.role)?;
        let state = match (answer, row.state.as_str()) {
            (InvitationAnswer::Accept, "accepted") => {
                return Ok(InvitationOutcome::Joined { business, role });
            }
            (InvitationAnswer::Decline, "accepted") => return Ok(InvitationOutcome::NotThere),
            (InvitationAnswer::Decline, _) => "declined",
            (InvitationAnswer::Accept, _) if standing.role.is_some() => "accepted",
            (InvitationAnswer::Accept, _) if standing.members >= MAX_MEMBERS.into() => {
                return Ok(InvitationOutcome::Full);
            }
            (InvitationAnswer::Accept, _) => {
                put_member_row(cx.connection, business, user, role).await?;
                cx.control.push(ControlChange::MembershipsChanged(user));
                "accepted"
            }
        };
        cx.connection.execute(&SET_STATE, &[Arg::text(invitation), Arg::text(state)]).await?;
        Ok(match answer {
            InvitationAnswer::Accept => InvitationOutcome::Joined { business, role },
            InvitationAnswer::Decline => InvitationOutcome::Declined,
        })
    }
}

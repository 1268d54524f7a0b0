//! Accounts and tickets.

use crate::domain::control::ControlChange;
use crate::storage::commands::{
    Approval, ApproveUser, Creation, NewUser, RedeemTicket, SetPassword, SetPhone, UserChange,
};
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::sealed_user_phone;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};

static CREATE_USER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("users"),
        "INSERT INTO users (id, email, password_hash, role, name, approved, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
});

static SET_PASSWORD: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("users"),
        "UPDATE users SET password_hash = $2 WHERE id = $1 AND password_hash = coalesce($3, password_hash)",
    )
});

static SET_PHONE: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Update("users"), "UPDATE users SET phone = $2 WHERE id = $1")
});

static APPROVE: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Update("users"), "UPDATE users SET approved = TRUE WHERE id = $1")
});

static REDEEM: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("tickets"),
        "INSERT INTO tickets (jti, expires_at) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING",
    )
});

fn creation(changed: u64) -> Creation {
    if changed == 0 { Creation::AlreadyThere } else { Creation::Created }
}

impl Execute for NewUser {
    type Output = Creation;

    async fn execute(&self, cx: Context<'_>) -> Result<Creation, TxError> {
        let user = self;
        let args = [
            Arg::text(user.id),
            Arg::text(&user.email),
            Arg::text(&user.password_hash),
            Arg::text(user.role),
            Arg::OptText(user.name.clone()),
            Arg::Bool(user.approved == Approval::Approved),
            Arg::Int(user.created_at.as_micros()),
        ];
        Ok(creation(cx.connection.execute(&CREATE_USER, &args).await?))
    }
}

fn change(changed: u64) -> UserChange {
    if changed == 0 { UserChange::NotThere } else { UserChange::Made }
}

impl Execute for SetPassword {
    type Output = UserChange;

    async fn execute(&self, cx: Context<'_>) -> Result<UserChange, TxError> {
        let set = self;
        let args = [Arg::text(set.user), Arg::text(&set.password_hash), Arg::OptText(set.instead_of.clone())];
        Ok(change(cx.connection.execute(&SET_PASSWORD, &args).await?))
    }
}

impl Execute for SetPhone {
    type Output = UserChange;

    async fn execute(&self, cx: Context<'_>) -> Result<UserChange, TxError> {
        let Self { user, phone } = self;
        let sealed = phone.as_ref().map(|phone| sealed_user_phone(*user, phone, cx.cipher)).transpose()?;
        Ok(change(cx.connection.execute(&SET_PHONE, &[Arg::text(user), Arg::OptText(sealed)]).await?))
    }
}

impl Execute for ApproveUser {
    type Output = UserChange;

    async fn execute(&self, cx: Context<'_>) -> Result<UserChange, TxError> {
        let user = self.user;
        let approved = cx.connection.execute(&APPROVE, &[Arg::text(user)]).await?;
        if approved > 0 {
            cx.control.push(ControlChange::AccountChanged(user));
        }
        Ok(change(approved))
    }
}

impl Execute for RedeemTicket {
    type Output = Creation;

    async fn execute(&self, cx: Context<'_>) -> Result<Creation, TxError> {
        let Self { jti, expires_at } = self;
        let args = [Arg::text(jti), Arg::Int(expires_at.as_micros())];
        Ok(creation(cx.connection.execute(&REDEEM, &args).await?))
    }
}

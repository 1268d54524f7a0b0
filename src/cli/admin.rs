//! Making operators; there is no other way to become one.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use secrecy::SecretString;

use crate::app::{StartError, open_store};
use crate::config::Settings;
use crate::domain::access::Role;
use crate::domain::ids::{CommandId, UserId};
use crate::domain::text::check_line;
use crate::domain::time::Timestamp;
use crate::http::access::password::{NewPassword, PasswordSettings, Passwords, Standing};
use crate::storage::Attempt;
use crate::storage::command::{Action, Approval, Command, Creation, NewUser, Outcome};

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Make an operator; the password is asked for, or read from standard input when that is no terminal
    Create(Create),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Address to sign in with
    #[arg(long)]
    email: String,
    /// What others call them
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum CreateError {
    #[error("{0} is not an e-mail address")]
    Email(String),
    #[error("the name {0}")]
    Name(#[from] crate::domain::text::TextError),
    #[error("the password could not be read: {0}")]
    Read(#[from] io::Error),
    #[error("the password {0}")]
    Password(String),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the operator was not stored: {0}")]
    Store(#[from] crate::storage::StoreError),
    #[error("{0} is taken")]
    Taken(String),
}

pub(super) async fn create(settings: &Settings, wanted: Create) -> ExitCode {
    match try_create(settings, wanted).await {
        Ok(email) => {
            super::say(&format!("{email} can sign in as an operator"));
            ExitCode::SUCCESS
        }
        Err(error) => super::fail(&error),
    }
}

async fn try_create(settings: &Settings, wanted: Create) -> Result<String, CreateError> {
    let email = wanted.email.trim().to_lowercase();
    if email.len() > 254 || garde::rules::email::apply(&email, ()).is_err() {
        return Err(CreateError::Email(wanted.email));
    }
    if let Some(name) = &wanted.name {
        check_line(name, 100)?;
    }
    let password = NewPassword::parse(read_password()?).map_err(|e| CreateError::Password(e.to_string()))?;
    let auth = &settings.http.auth;
    let cost = PasswordSettings {
        memory_kib: auth.hash_memory_kib,
        iterations: auth.hash_passes,
        ..PasswordSettings::default()
    };
    let passwords = Passwords::new(&cost).map_err(StartError::from)?;
    let password_hash =
        passwords.hash(password, Standing::Known).await.map_err(|e| CreateError::Password(e.to_string()))?;
    let (store, _) = open_store(settings).await?;
    store.migrate().await?;
    let now = Timestamp::now();
    let user = NewUser {
        id: UserId::generate(),
        email: email.clone(),
        password_hash,
        role: Role::Admin,
        name: wanted.name,
        approved: Approval::Approved,
        created_at: now,
    };
    let command = Command { id: CommandId::generate(), at: now, action: Action::CreateUser(Box::new(user)) };
    let committed = store.open_lane().await?.run(&[command], Attempt::First).await?;
    store.close().await;
    match committed.outcomes.first() {
        Some(Outcome::UserCreated(Creation::Created)) => Ok(email),
        _ => Err(CreateError::Taken(email)),
    }
}

fn read_password() -> io::Result<SecretString> {
    if io::stdin().is_terminal() {
        return rpassword::prompt_password("Password: ").map(SecretString::from);
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line.into())
}

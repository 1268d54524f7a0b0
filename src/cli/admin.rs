//! Accounts from the command line: creating operators (the only way), approving drivers, setting passwords.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};

use crate::app::StartError;
use crate::auth::password::{NewPassword, PasswordSettings, Passwords, Standing};
use crate::config::Settings;
use crate::domain::access::Role;
use crate::domain::email::{EmailAddress, SignInAddress};
use crate::domain::ids::UserId;
use crate::domain::text::{TextError, check_line};
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    Approval, ApproveUser, Creation, EndSession, NewUser, Outcome, SetPassword, UserChange, Write,
};
use crate::storage::{Attempt, Lane, Store, StoreError, User};

use super::database::{self, DatabaseError};
use super::one_write::{command, run_one};

/// Login sessions ended in one transaction.
const ENDED_AT_ONCE: u32 = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Create an operator; the password is asked for twice, or read from standard input if that is not a terminal
    Create(Create),
    /// Approve a driver
    Approve {
        /// Address the account signs in with
        email: SignInAddress,
    },
    /// Set a new password for an account, asked for as in `create`, and end all its login sessions
    Password {
        /// Address the account signs in with
        email: SignInAddress,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Address to sign in with
    #[arg(long)]
    email: EmailAddress,
    /// Name that others see
    #[arg(long)]
    name: Option<String>,
    /// Create the database if it does not exist
    #[arg(long)]
    init: bool,
}

impl Admin {
    /// Whether the command needs an existing database.
    pub(super) fn needs_database(&self) -> bool {
        !matches!(self, Self::Create(Create { init: true, .. }))
    }
}

#[derive(Debug, thiserror::Error)]
enum AdminError {
    #[error("the name {0}")]
    Name(#[from] TextError),
    #[error("the password could not be read: {0}")]
    Read(#[from] io::Error),
    #[error("the two passwords are different; nothing was changed")]
    Differ,
    #[error("the password {0}")]
    Password(String),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the account was not stored: {0}")]
    Store(#[from] StoreError),
    #[error("{email} has an account already in {database}")]
    Taken { email: String, database: String },
    #[error("there is no account with the address {email} in {database}")]
    Unknown { email: String, database: String },
}

pub(super) async fn run(settings: &Settings, command: Admin) -> ExitCode {
    let done = match command {
        Admin::Create(wanted) => create(settings, wanted).await,
        Admin::Approve { email } => approve(settings, &email).await,
        Admin::Password { email } => set_password(settings, &email).await,
    };
    match done {
        Ok(text) => {
            super::output::print_line(&text);
            ExitCode::SUCCESS
        }
        Err(error) => super::output::fail(&error),
    }
}

async fn create(settings: &Settings, wanted: Create) -> Result<String, AdminError> {
    if let Some(name) = &wanted.name {
        check_line(name, 100)?;
    }
    let database = database::name(settings)?;
    let open = async || match wanted.init {
        true => database::open_or_make(settings).await,
        false => database::open_existing(settings).await,
    };
    // Opened before the password is asked for, so that a wrong database is reported first.
    let store = open().await?;
    let password_hash = hash(settings, ask()?).await?;
    let email = wanted.email.into_string();
    let user = NewUser {
        id: UserId::generate(),
        email: email.clone(),
        password_hash,
        role: Role::Admin,
        name: wanted.name,
        approved: Approval::Approved,
        created_at: Timestamp::now(),
    };
    let outcome = run_one(&mut *store.open_lane().await?, Write::CreateUser(Box::new(user))).await?;
    store.close().await;
    match outcome {
        Outcome::UserCreated(Creation::Created) => {
            Ok(format!("{email} can sign in as an operator ({database})"))
        }
        _ => Err(AdminError::Taken { email, database }),
    }
}

async fn approve(settings: &Settings, email: &SignInAddress) -> Result<String, AdminError> {
    let (store, user, database) = account(settings, email).await?;
    let outcome =
        run_one(&mut *store.open_lane().await?, Write::ApproveUser(ApproveUser { user: user.id })).await?;
    store.close().await;
    match outcome {
        Outcome::UserChanged(UserChange::Made) => {
            Ok(format!("{} is approved as a {} ({database})", user.email, user.role))
        }
        _ => Err(AdminError::Unknown { email: user.email, database }),
    }
}

async fn set_password(settings: &Settings, email: &SignInAddress) -> Result<String, AdminError> {
    let (store, user, database) = account(settings, email).await?;
    let password_hash = hash(settings, ask()?).await?;
    let set = SetPassword { user: user.id, password_hash, instead_of: None };
    let mut lane = store.open_lane().await?;
    let outcome = run_one(&mut *lane, Write::SetPassword(Box::new(set))).await?;
    let Outcome::UserChanged(UserChange::Made) = outcome else {
        return Err(AdminError::Unknown { email: user.email, database });
    };
    let ended = end_sessions(store.as_ref(), &mut *lane, user.id).await?;
    drop(lane);
    store.close().await;
    Ok(format!("{} has a new password; {ended} login sessions ended ({database})", user.email))
}

/// Ends every login session of an account. A running hub notices within seconds.
async fn end_sessions(store: &dyn Store, lane: &mut dyn Lane, user: UserId) -> Result<usize, AdminError> {
    let mut ended = 0;
    loop {
        let sessions = store.sessions_of(user, Timestamp::now(), ENDED_AT_ONCE).await?;
        if sessions.is_empty() {
            return Ok(ended);
        }
        let end = |session: &crate::storage::LoginSession| {
            command(Write::EndSession(EndSession { session: session.id }))
        };
        lane.run(&sessions.iter().map(end).collect::<Vec<_>>(), Attempt::First).await?;
        ended += sessions.len();
    }
}

/// The account that a sign-in with this address would find.
async fn account(
    settings: &Settings,
    address: &SignInAddress,
) -> Result<(Arc<dyn Store>, User, String), AdminError> {
    let database = database::name(settings)?;
    let store = database::open_existing(settings).await?;
    for candidate in address.candidates() {
        if let Some(user) = store.user_by_email(candidate).await? {
            return Ok((store, user, database));
        }
    }
    Err(AdminError::Unknown { email: address.account().to_owned(), database })
}

async fn hash(settings: &Settings, password: NewPassword) -> Result<String, AdminError> {
    let auth = &settings.http.auth;
    let cost = PasswordSettings {
        memory_kib: auth.hash_memory_kib,
        iterations: auth.hash_passes,
        ..PasswordSettings::default()
    };
    let passwords = Passwords::new(&cost).map_err(|error| DatabaseError::from(StartError::from(error)))?;
    passwords.hash(password, Standing::Known).await.map_err(|error| AdminError::Password(error.to_string()))
}

fn ask() -> Result<NewPassword, AdminError> {
    let typed = if io::stdin().is_terminal() {
        ask_twice(|prompt| rpassword::prompt_password(prompt))?
    } else {
        read_line()?
    };
    NewPassword::parse(typed).map_err(|error| AdminError::Password(error.to_string()))
}

/// Asks for a password twice, because a hidden one is easily mistyped.
fn ask_twice(mut prompt: impl FnMut(&str) -> io::Result<String>) -> Result<SecretString, AdminError> {
    let first = SecretString::from(prompt("Password: ")?);
    let second = SecretString::from(prompt("Repeat the password: ")?);
    if first.expose_secret() == second.expose_secret() { Ok(first) } else { Err(AdminError::Differ) }
}

fn read_line() -> io::Result<SecretString> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_asked_for_twice_and_two_that_differ_are_refused() {
        let asked = |answers: [&str; 2]| {
            let mut answers = answers.into_iter();
            ask_twice(move |_| Ok(answers.next().expect("it asks twice").to_owned()))
        };
        assert_eq!(asked(["correct horse", "correct horse"]).unwrap().expose_secret(), "correct horse");
        assert!(matches!(asked(["correct horse", "correct hose"]), Err(AdminError::Differ)));
    }
}

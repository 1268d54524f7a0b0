//! The record of what has happened, which makes a command that is tried again happen once.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::CommandId;
use crate::storage::commands::{Command, Outcome};
use crate::storage::crypto::cipher::Cipher;
use crate::storage::error::StoreError;
use crate::storage::ports::Attempt;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{corrupt, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::answer::Answer;
use super::outcome::StoredOutcome;
use super::{idempotency, orders};

// In order of the ids, and waiting on the index for a transaction that may still be dying.
static CLAIM: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("commands"),
        "id text",
        "INSERT INTO commands (id) SELECT r.id FROM {rows} WHERE true ORDER BY r.id ON CONFLICT (id) DO NOTHING \
         RETURNING id",
    )
});

static READ: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Select("commands"), "SELECT id, outcome FROM commands WHERE id = {any}")
});

static INSERT: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("commands"),
        "id text, outcome text",
        "INSERT INTO commands (id, outcome) SELECT r.id, r.outcome FROM {rows}",
    )
});

static COMPLETE: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("commands"),
        "id text, outcome text",
        "UPDATE commands SET outcome = r.outcome FROM {rows} WHERE commands.id = r.id",
    )
});

#[derive(Serialize)]
struct ClaimRow {
    id: CommandId,
}

#[derive(FromRow)]
struct IdRead {
    id: String,
}

#[derive(FromRow)]
struct CommandRead {
    id: String,
    outcome: Option<String>,
}

#[derive(Serialize)]
struct CommandRow {
    id: CommandId,
    outcome: String,
}

/// Makes the commands this transaction's own, and answers those that have happened with their first outcomes.
pub(super) async fn claim(
    connection: &mut Connection,
    cipher: &Cipher,
    commands: &[Command],
) -> Result<Vec<Option<Answer>>, TxError> {
    let mut ids: Vec<CommandId> = commands.iter().map(|command| command.id).collect();
    ids.sort_unstable();
    let rows: Vec<ClaimRow> = ids.iter().map(|id| ClaimRow { id: *id }).collect();
    let claimed: Vec<IdRead> = connection.fetch(&CLAIM, &[Arg::rows(&rows)]).await?;
    let claimed: HashSet<CommandId> =
        claimed.into_iter().map(|row| parse("commands.id", &row.id)).collect::<Result<_, _>>()?;
    let happened: Vec<CommandId> = ids.into_iter().filter(|id| !claimed.contains(id)).collect();
    let mut first = read(connection, cipher, &happened).await?;
    Ok(commands.iter().map(|command| first.remove(&command.id).map(Into::into)).collect())
}

async fn read(
    connection: &mut Connection,
    cipher: &Cipher,
    ids: &[CommandId],
) -> Result<HashMap<CommandId, Outcome>, TxError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut stored = Vec::with_capacity(ids.len());
    for row in connection.fetch::<CommandRead>(&READ, &[Arg::texts(ids)]).await? {
        let id: CommandId = parse("commands.id", &row.id)?;
        let outcome =
            row.outcome.as_deref().and_then(|json| serde_json::from_str::<StoredOutcome>(json).ok());
        stored.push((id, outcome.ok_or_else(|| corrupt("commands.outcome"))?));
    }
    let wanted: BTreeSet<_> = stored.iter().filter_map(|(_, outcome)| outcome.order()).collect();
    let orders = orders::read(connection, cipher, &wanted).await?;
    let mut outcomes = HashMap::with_capacity(stored.len());
    for (id, outcome) in stored {
        let kept = match outcome.response() {
            Some((scope, key)) => idempotency::response_under(connection, cipher, scope, key).await?,
            None => None,
        };
        let order = outcome.order().and_then(|order| orders.get(&order).cloned());
        let outcome = outcome.into_outcome(order, kept, cipher).ok_or_else(|| corrupt("commands.outcome"))?;
        outcomes.insert(id, outcome);
    }
    Ok(outcomes)
}

/// Records the outcomes of the commands at `ran`.
pub(super) async fn record(
    connection: &mut Connection,
    cipher: &Cipher,
    commands: &[Command],
    ran: &[usize],
    outcomes: &[Outcome],
    attempt: Attempt,
) -> Result<(), TxError> {
    if ran.is_empty() {
        return Ok(());
    }
    let rows: Vec<CommandRow> = ran
        .iter()
        .map(|&i| {
            let stored = StoredOutcome::of(&outcomes[i], &commands[i], cipher)?;
            let outcome = serde_json::to_string(&stored).expect("an outcome is made of texts and numbers");
            Ok(CommandRow { id: commands[i].id, outcome })
        })
        .collect::<Result<_, StoreError>>()?;
    let statement = match attempt {
        Attempt::First => &INSERT,
        Attempt::AfterUnknown => &COMPLETE,
    };
    connection.execute(statement, &[Arg::rows(&rows)]).await.map(drop)
}

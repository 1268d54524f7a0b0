//! Renewing keys and epochs from the outside, while hubs run or not: many small transactions of a lane of its own.

use std::time::Duration;

use crate::domain::cursor::Epoch;
use crate::domain::ids::CommandId;
use crate::domain::time::Timestamp;

use super::command::{Action, Advanced, Command, Outcome, SealedColumn};
use super::error::StoreError;
use super::ports::{Attempt, Lane, Store};

/// Rows looked at in one transaction: some milliseconds, so that running hubs hardly wait.
const ROWS: u32 = 200;

/// Between two transactions, so that the writer of a running hub gets its turn: SQLite hands the lock to whoever asks
/// first.
const BREATH: Duration = Duration::from_millis(5);

/// How often a transaction that did not happen is tried before giving up.
const TRIES: u32 = 10;

/// How often everything is gone through before it is said that somebody still writes with an old key.
const PASSES: u32 = 5;

/// Why keys or epochs were not renewed everywhere. Running it again goes on from where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Values are still being written in the old way.
    #[error("some hub still writes in the old way: restart every hub with the new settings, then try again")]
    StillInUse,
}

/// Seals every value anew that was not sealed with the current key. `progress` is told of every transaction: the
/// column and how many values it renewed. Hubs may run, if all of them know the new key. When this returns, no value
/// needs an older key any more, which was seen by going through all of them once without finding one.
///
/// # Errors
/// What was done until then is done; running it again goes on.
pub async fn reseal_all(
    store: &dyn Store,
    mut progress: impl FnMut(SealedColumn, u64),
) -> Result<u64, RotationError> {
    let mut lane = store.open_lane().await?;
    let mut renewed = 0;
    for _ in 0..PASSES {
        let mut changed = 0;
        for column in SealedColumn::ALL {
            let step = |after| Action::Reseal { column, after, limit: ROWS };
            changed += pass(lane.as_mut(), step, |rows| progress(column, rows)).await?;
        }
        renewed += changed;
        if changed == 0 {
            return Ok(renewed);
        }
    }
    Err(RotationError::StillInUse)
}

/// Puts every room into `epoch`, so that no cursor from before passes for one of now: clients get `resync`. Running hubs
/// notice within a second. Gives the number of rooms.
///
/// # Errors
/// What was done until then is done; running it again, with whatever epoch, does the rest.
pub async fn rotate_epoch(store: &dyn Store, epoch: Epoch) -> Result<u64, RotationError> {
    let mut lane = store.open_lane().await?;
    let mut moved = 0;
    for _ in 0..PASSES {
        let step = |after| Action::RotateEpoch { epoch, after, limit: ROWS };
        let changed = pass(lane.as_mut(), step, |_| ()).await?;
        moved += changed;
        if changed == 0 {
            return Ok(moved);
        }
    }
    Err(RotationError::StillInUse)
}

/// Goes through everything once, and gives how many rows were changed.
async fn pass(
    lane: &mut dyn Lane,
    step: impl Fn(Option<(String, String)>) -> Action,
    mut progress: impl FnMut(u64),
) -> Result<u64, StoreError> {
    let (mut after, mut total) = (None, 0);
    loop {
        let Advanced { changed, last } = advance(lane, &step, after).await?;
        total += changed;
        progress(changed);
        if last.is_none() {
            return Ok(total);
        }
        after = last;
        tokio::time::sleep(BREATH).await;
    }
}

/// One transaction, tried again when it did not happen or may not have: to do it twice changes nothing.
async fn advance(
    lane: &mut dyn Lane,
    step: &impl Fn(Option<(String, String)>) -> Action,
    after: Option<(String, String)>,
) -> Result<Advanced, StoreError> {
    let mut tries = 0;
    loop {
        let command =
            Command { id: CommandId::generate(), at: Timestamp::now(), action: step(after.clone()) };
        match lane.run(&[command], Attempt::First).await {
            Ok(committed) => {
                return match committed.outcomes.into_iter().next() {
                    Some(Outcome::Advanced(advanced)) => Ok(advanced),
                    _ => Err(StoreError::Corrupt("a command had another command's outcome".to_owned())),
                };
            }
            Err(error @ StoreError::Corrupt(_)) => return Err(error),
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => {
                tries += 1;
                tokio::time::sleep(BREATH * 2_u32.pow(tries)).await;
            }
        }
    }
}

//! Rotation of encryption keys and epochs by an operator, while hubs run or not: many small transactions on a lane of its own.
//!
//! A hub seals with the first of the keys it was started with. So the new key comes first in the settings of every hub
//! before this runs, and what is written meanwhile needs no renewing: a walk through a column goes from its last row
//! down, away from the rows that are being added. A hub that was forgotten is found: every column is walked through
//! again, new rows included, until a walk finds no value sealed with an older key.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::domain::cursor::Epoch;
use crate::domain::ids::CommandId;
use crate::domain::time::Timestamp;

use crate::storage::commands::{
    Command, MaintenanceProgress, Reseal, RotateEpoch, RowKey, SealedColumn, SetCopyHeld, WriteRequest,
};
use crate::storage::error::StoreError;
use crate::storage::ports::{Attempt, Lane, SealedPage, Store};

/// Rows of one read, which holds no lock.
const LOOKED_AT: u32 = 2_000;

/// Rows changed in one transaction: some milliseconds, so that running hubs hardly wait.
const ROWS: u32 = 200;

/// Between two transactions, so that the writer of a running hub gets its turn. SQLite has no queue for its lock: who
/// waits asks again and again, after 25 ms at most while the wait is short, and after 100 ms at most however long it
/// is. A pause of the length of the transaction within these bounds is one in which a waiting writer asks.
const PAUSE: RangeInclusive<Duration> = Duration::from_millis(25)..=Duration::from_millis(100);

/// The first wait before a step is tried again; each further one is twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(10);

/// Retries of a step that did not happen: ten seconds in all, and the waits of the step itself.
const RETRIES: u32 = 10;

/// Walks through everything before the rotation fails because a hub still writes with the old key or epoch.
const PASSES: u32 = 5;

/// Failure of a rotation. Running it again goes on from where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Values are still being sealed with an older key.
    #[error(
        "values are still being sealed with an older key ({0}): restart every hub with the new key first in \
         encryption.keys, then run this again, and keep the older keys until it ends well"
    )]
    KeysInUse(Values),
    /// Rooms still begin in another epoch.
    #[error("another epoch is being given to rooms at the same time: run one at a time, then this again")]
    EpochInUse,
}

/// Number of values of each column; columns without any are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<&'static str, u64>);

impl Values {
    /// Sum over all columns.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn add(&mut self, column: SealedColumn, values: u64) {
        if values > 0 {
            *self.0.entry(column.name()).or_default() += values;
        }
    }
}

/// `orders.address 3, orders.phone 4`.
impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> =
            self.0.iter().map(|(column, values)| format!("{column} {values}")).collect();
        f.write_str(&columns.join(", "))
    }
}

/// Reseals every value that is not sealed with the current key, and returns their number. `progress` is called with it after
/// every transaction. Hubs may run, if all of them have the new key first. When this returns, no value needs an older key:
/// the last walk through all of them, those written meanwhile included, found none.
///
/// # Errors
/// Everything done until then stays done; running it again goes on.
pub async fn reseal_all(
    store: &dyn Store,
    mut progress: impl FnMut(&Values),
) -> Result<Values, RotationError> {
    let mut lane = store.open_lane().await?;
    let (mut renewed, mut outdated) = (Values::default(), Values::default());
    for _ in 0..PASSES {
        outdated = Values::default();
        for column in SealedColumn::ALL {
            let mut below = None;
            loop {
                let page = next_page(store, column, below.as_ref()).await?;
                outdated.add(column, page.outdated.len() as u64);
                for rows in page.outdated.chunks(ROWS as usize) {
                    let began = Instant::now();
                    renewed.add(column, reseal(lane.as_mut(), column, rows).await?);
                    pause(began).await;
                    progress(&renewed);
                }
                if page.last.is_none() {
                    break;
                }
                below = page.last;
            }
        }
        if outdated.total() == 0 {
            return Ok(renewed);
        }
    }
    Err(RotationError::KeysInUse(outdated))
}

/// Puts every room into `epoch`, so that no cursor from before passes for one of now: clients get `resync`. Running hubs
/// notice within a second. Returns the number of rooms.
///
/// # Errors
/// Everything done until then stays done; running it again, with any epoch, does the rest.
pub async fn rotate_epoch(store: &dyn Store, epoch: Epoch) -> Result<u64, RotationError> {
    let mut lane = store.open_lane().await?;
    let mut moved = 0;
    for _ in 0..PASSES {
        let (mut changed, mut below) = (0, None);
        loop {
            let began = Instant::now();
            let step = move_rooms(lane.as_mut(), epoch, below.as_deref()).await?;
            changed += step.changed;
            if step.last.is_none() {
                break;
            }
            below = step.last;
            pause(began).await;
        }
        moved += changed;
        if changed == 0 {
            return Ok(moved);
        }
    }
    Err(RotationError::EpochInUse)
}

/// Holds the orders of the database, which is a restored copy: nothing is done by itself about them until it is released.
///
/// # Errors
/// Nothing has changed then.
pub async fn hold_copy(store: &dyn Store) -> Result<(), RotationError> {
    let mut lane = store.open_lane().await?;
    Ok(run(lane.as_mut(), || SetCopyHeld { held: true }).await?)
}

async fn next_page(
    store: &dyn Store,
    column: SealedColumn,
    below: Option<&RowKey>,
) -> Result<SealedPage, StoreError> {
    let mut retries = Retries::default();
    loop {
        match store.sealed_below(column, below, LOOKED_AT).await {
            Ok(page) => return Ok(page),
            Err(error) => retries.wait_after(error).await?,
        }
    }
}

async fn reseal(lane: &mut dyn Lane, column: SealedColumn, rows: &[RowKey]) -> Result<u64, StoreError> {
    run(lane, || Reseal { column, rows: rows.to_vec() }).await
}

async fn move_rooms(
    lane: &mut dyn Lane,
    epoch: Epoch,
    below: Option<&str>,
) -> Result<MaintenanceProgress, StoreError> {
    run(lane, || RotateEpoch { epoch, below: below.map(str::to_owned), limit: ROWS }).await
}

fn another_outcome() -> StoreError {
    StoreError::Corrupt("a command had another command's outcome".to_owned())
}

/// One transaction, tried again when it did not happen or may not have: to do it twice changes nothing.
async fn run<W: WriteRequest>(lane: &mut dyn Lane, write: impl Fn() -> W) -> Result<W::Output, StoreError> {
    let mut retries = Retries::default();
    loop {
        let command = Command { id: CommandId::generate(), at: Timestamp::now(), write: write().into() };
        match lane.run(&[command], Attempt::First).await {
            Ok(committed) => {
                let outcome = committed.outcomes.into_iter().next().ok_or_else(another_outcome)?;
                return W::output(outcome).map_err(|_| another_outcome());
            }
            Err(error) => retries.wait_after(error).await?,
        }
    }
}

/// After a transaction that began at `began`.
async fn pause(began: Instant) {
    tokio::time::sleep(began.elapsed().clamp(*PAUSE.start(), *PAUSE.end())).await;
}

#[derive(Default)]
struct Retries(u32);

impl Retries {
    /// Waits, longer each time; gives the error back when trying again would not help.
    async fn wait_after(&mut self, error: StoreError) -> Result<(), StoreError> {
        if self.0 == RETRIES || matches!(error, StoreError::Corrupt(_)) {
            return Err(error);
        }
        tokio::time::sleep(FIRST_RETRY * 2_u32.pow(self.0)).await;
        self.0 += 1;
        Ok(())
    }
}

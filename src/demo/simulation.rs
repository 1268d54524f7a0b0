//! The run of the demo: the town opens, customers order until it closes, what is open runs to its end, and the books are
//! compared with what the hub lists.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::order::Status;

use super::chance::Chance;
use super::client::{Account, Call, CallError};
use super::customer;
use super::ledger::{Audit, DEVICES, Judged, Ledger, Listed};
use super::merchant::Device;
use super::seed::Town;

/// How long devices may take to open their sockets; orders are placed then all the same, and show what is wrong.
const OPENING_WITHIN: Duration = Duration::from_secs(20);

/// How long what is open may take to its end once no more is ordered.
const CLOSING_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked whether everything has come to its end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long devices may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(5);

/// What everybody in the town shares.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) town: Town,
    run: Uuid,
    ledger: Arc<Mutex<Ledger>>,
    /// No more orders, and nobody goes away any more.
    pub(super) closing: CancellationToken,
    /// Everybody goes home.
    pub(super) over: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Stage {
    /// The books; nobody who holds them waits for anything.
    pub(super) fn books<R>(&self, use_them: impl FnOnce(&mut Ledger) -> R) -> R {
        use_them(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The idempotency key of this run's order number `n`, also written on the order, so that lists show it.
    pub(super) fn key_text(&self, n: u64) -> String {
        format!("{}{n}", key_prefix(self.run))
    }

    /// Closes every socket and drops what is under way, within five seconds.
    pub(super) async fn go_home(&self) {
        self.over.cancel();
        self.tasks.close();
        // Whoever is still waiting for an answer does not hold up the end.
        let _ = tokio::time::timeout(FAREWELL, self.tasks.wait()).await;
    }

    fn key_number(&self, notes: &str) -> Option<u64> {
        notes.strip_prefix(&key_prefix(self.run))?.parse().ok()
    }
}

fn key_prefix(run: Uuid) -> String {
    format!("demo-{}-", run.simple())
}

/// How it runs.
#[derive(Debug)]
pub(super) struct Plan {
    /// Orders a second, on average.
    pub(super) pace: f64,
    /// How long customers order; without end until `closing` is cancelled.
    pub(super) run_for: Option<Duration>,
    /// Cancelled from outside to end early.
    pub(super) closing: CancellationToken,
    /// Cancelled from outside to wait for nothing any more.
    pub(super) hurry: CancellationToken,
}

/// Plays the town until it closes and everything has run to its end, at most thirty seconds later; then audits. The
/// devices are still there afterwards, until [`Stage::go_home`].
///
/// # Errors
/// When the hub's lists could not be read at the end.
pub(super) async fn play(
    town: Town,
    run: Uuid,
    ledger: Arc<Mutex<Ledger>>,
    mut chance: Chance,
    plan: Plan,
) -> Result<(Arc<Stage>, Audit), CallError> {
    let stage = Arc::new(Stage {
        town,
        run,
        ledger,
        closing: plan.closing.clone(),
        over: CancellationToken::new(),
        tasks: TaskTracker::new(),
    });
    // An order placed before a device has its place in the room would not ring on it: each holds an end of this channel
    // until then.
    let (opened, mut all_opened) = mpsc::channel::<Infallible>(1);
    for business in 0..stage.town.places.len() {
        for slot in 0..DEVICES {
            let device = Device::new(stage.clone(), business, slot, chance.fork());
            stage.tasks.spawn(device.run(opened.clone()));
        }
    }
    drop(opened);
    tokio::select! {
        _ = tokio::time::timeout(OPENING_WITHIN, all_opened.recv()) => customers_order(&stage, chance, &plan).await,
        () = plan.hurry.cancelled() => {}
    }
    stage.closing.cancel();
    tokio::select! {
        _ = tokio::time::timeout(CLOSING_WITHIN, everything_settled(&stage)) => {}
        () = plan.hurry.cancelled() => {}
    }
    // Before the lists are read: an order may come to its end meanwhile.
    let judged =
        if plan.hurry.is_cancelled() { stage.books(|books| books.settled()) } else { Judged::Everything };
    let listed = list_everything(&stage).await?;
    let audit = stage.books(|books| books.audit(&listed, &judged));
    Ok((stage, audit))
}

async fn customers_order(stage: &Arc<Stage>, chance: Chance, plan: &Plan) {
    let time_is_up = async {
        match plan.run_for {
            Some(run_for) => tokio::time::sleep(run_for).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = customer::order_at_pace(stage, plan.pace, chance) => {}
        () = time_is_up => {}
        () = stage.closing.cancelled() => {}
    }
}

async fn everything_settled(stage: &Stage) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        if stage.books(|books| books.is_settled()) {
            return;
        }
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    id: OrderId,
    status: Status,
    version: i64,
    notes: Option<String>,
}

/// Every order of this run that the hub lists, business by business.
async fn list_everything(stage: &Stage) -> Result<Vec<Listed>, CallError> {
    let floor = stage.books(|books| books.floor());
    let mut listed = Vec::new();
    for place in &stage.town.places {
        let mut next = None;
        loop {
            let page = page_of(&place.team[0], place.id, next).await?;
            // Newest first: what is older than the run needs no look.
            let done = page.items.last().is_none_or(|oldest| oldest.id < floor);
            let ours = page.items.into_iter().filter(|item| item.id >= floor);
            listed.extend(ours.map(|item| Listed {
                key: item.notes.as_deref().and_then(|notes| stage.key_number(notes)),
                id: item.id,
                status: item.status,
                version: item.version,
            }));
            next = page.next_cursor;
            if done || next.is_none() {
                break;
            }
        }
    }
    Ok(listed)
}

async fn page_of(member: &Account, business: BusinessId, cursor: Option<String>) -> Result<Page, CallError> {
    let mut path = format!("/orders?business_id={business}&limit=50");
    if let Some(cursor) = cursor {
        path.push_str(&format!("&cursor={cursor}"));
    }
    member.ask(&Call::get(path)).await
}

//! Letting a restored copy go: lists what the hub would do about its orders, ends old ones, and ends the hold.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;

use crate::config::Settings;
use crate::domain::ids::OrderId;
use crate::domain::order::Status;
use crate::domain::time::Timestamp;
use crate::storage::commands::{MoveOrder, Outcome, SetCopyHeld, Write};
use crate::storage::crypto::key_rotation::{self, RotationError};
use crate::storage::{HeldOrder, HeldRefund, Lane, Store, StoreError};

use super::database::{self, DatabaseError};
use super::one_write::run_one;
use super::output::{fail, print_line};

/// Orders read, and orders ended, in one step.
const PAGE: u32 = 200;

/// Refunds that are listed; more than that are a number.
const REFUNDS_LISTED: u32 = 10_000;

/// The reason that ended orders carry.
const REASON: &str = "ended after a restore; what became of it is not known";

#[derive(Debug, Args)]
pub(super) struct Release {
    /// End the hold. Without it the command changes nothing and lists what would happen
    #[arg(long)]
    yes: bool,
    /// With --yes, first end the listed orders that were placed before this time, such as 2026-05-02T18:00:00Z: no money moves and no
    /// device rings
    #[arg(long, value_name = "TIME", value_parser = time)]
    close_before: Option<Timestamp>,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| "expected a time such as 2026-05-02T18:00:00Z".to_owned())
}

#[derive(Debug, thiserror::Error)]
enum ReleaseError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Rotation(#[from] RotationError),
    #[error("no random numbers are available: {0}")]
    Random(#[from] getrandom::Error),
}

pub(super) async fn run(settings: &Settings, release: Release) -> ExitCode {
    match try_release(settings, &release).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn try_release(settings: &Settings, release: &Release) -> Result<(), ReleaseError> {
    let store = database::open_existing(settings).await?;
    let name = database::name(settings)?;
    match store.held_since().await? {
        Some(since) => let_go(store.as_ref(), &name, release, since).await?,
        None => print_line(&format!("{name} is not held: there is nothing to release")),
    }
    store.close().await;
    Ok(())
}

async fn let_go(
    store: &dyn Store,
    name: &str,
    release: &Release,
    since: Timestamp,
) -> Result<(), ReleaseError> {
    let orders = orders(store, since).await?;
    let is_old = |order: &&HeldOrder| release.close_before.is_some_and(|before| order.created_at < before);
    let is_live = |order: &&HeldOrder| !order.status.is_end();
    let old: Vec<&HeldOrder> = orders.values().filter(is_old).filter(is_live).collect();
    print_line(&format!("{name} is held for orders placed until {}", since.to_rfc3339()));
    for order in orders.values() {
        print_line(&line(order, old.iter().any(|one| one.order == order.order)));
    }
    let refunds = store.held_refunds(since, REFUNDS_LISTED).await?;
    for HeldRefund { refund, order, amount_minor, currency } in &refunds {
        print_line(&format!("refund {refund} of {order}: {amount_minor} {currency} would be sent"));
    }
    if release.yes {
        return end_hold(store, &old).await;
    }
    print_line(&format!(
        "{} orders and {} refunds; nothing was changed. `bellhop release --yes` ends the hold",
        orders.len(),
        refunds.len()
    ));
    Ok(())
}

async fn end_hold(store: &dyn Store, old: &[&HeldOrder]) -> Result<(), ReleaseError> {
    let mut lane = store.open_lane().await?;
    let ended = end(lane.as_mut(), old).await?;
    if ended > 0 {
        // Clients and caches of running hubs have not been told of the ends: they list everything anew.
        let epoch = store.epoch().await?.another(getrandom::u32()?);
        key_rotation::rotate_epoch(store, epoch).await?;
    }
    run_one(lane.as_mut(), Write::SetCopyHeld(SetCopyHeld { held: false })).await?;
    print_line(&format!(
        "{ended} orders ended; the hold is over: what is due of the others happens within half a minute"
    ));
    Ok(())
}

/// Every order of the copy about which something would happen.
async fn orders(store: &dyn Store, since: Timestamp) -> Result<BTreeMap<OrderId, HeldOrder>, StoreError> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.held_orders(since, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.place);
        all.extend(page.into_iter().map(|order| (order.order, order)));
    }
}

fn line(order: &HeldOrder, ends: bool) -> String {
    let HeldOrder { order: id, business, number, status, created_at, .. } = order;
    let what = match &order.next {
        _ if ends => "would be ended".to_owned(),
        Some((kind, due)) => format!("{kind} due at {}", due.to_rfc3339()),
        None => "something is due".to_owned(),
    };
    format!("order {id} (no. {number} at {business}, {status}, placed {}): {what}", created_at.to_rfc3339())
}

/// Ends live orders: one that is on its way counts as delivered, any other as cancelled.
async fn end(lane: &mut dyn Lane, old: &[&HeldOrder]) -> Result<usize, StoreError> {
    let mut ended = 0;
    for order in old {
        let to = if order.status == Status::PickedUp { Status::Delivered } else { Status::Cancelled };
        let wish = MoveOrder::of_held_copy((order.order, order.business), order.version, to, REASON);
        match run_one(lane, Write::MoveOrder(wish)).await? {
            Outcome::Moved(Ok(_)) => ended += 1,
            _ => print_line(&format!("order {} has changed meanwhile and was not ended", order.order)),
        }
    }
    Ok(ended)
}

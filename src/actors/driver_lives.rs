//! What commits leave to do for drivers: looks for the pools, what they know of drivers, and what is counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::domain::delivery::DriverLocation;
use crate::domain::dispatch::Position;
use crate::domain::ephemeral::EphemeralType;
use crate::domain::event::EventType;
use crate::domain::ids::OrderId;
use crate::domain::location::Location;
use crate::domain::room::RoomId;
use crate::protocol::ephemeral::EphemeralEvent;
use crate::protocol::event::RoomEvent;
use crate::storage::commands::{Command, Committed, OfferAnswer, Outcome, Write};
use crate::telemetry::Metrics;

use super::driver_pool::DriverPools;
use super::driver_positions::DriverPositions;

/// Most orders of which the beginning of the search is remembered; further ones are not measured.
const MAX_SEARCHES: usize = 10_000;

/// A search that has begun so long ago has ended without a driver.
const FORGET_AFTER: Duration = Duration::from_secs(2 * 60 * 60);

/// Tells what commits have left to do for drivers. Nothing here waits; a look that is lost comes again, and everything else is in the
/// store.
#[derive(Clone)]
pub struct DriverLives {
    pools: DriverPools,
    positions: DriverPositions,
    metrics: Metrics,
    searches: Arc<Mutex<HashMap<OrderId, Instant>>>,
}

impl DriverLives {
    /// Lives with these parts.
    pub fn new(pools: DriverPools, positions: DriverPositions, metrics: Metrics) -> Self {
        Self { pools, positions, metrics, searches: Arc::default() }
    }

    /// Passes on what a commit of this node has left.
    pub(super) fn committed(&self, commands: &[Command], committed: &Committed, events: &[RoomEvent]) {
        for event in events {
            self.count_offer(event);
            self.told(event);
        }
        for written in &committed.drivers {
            self.positions.changed(written.driver.user);
        }
        for (command, outcome) in commands.iter().zip(&committed.outcomes) {
            self.assigned(command.write.unkeyed(), outcome);
        }
        self.begun(committed);
        self.pools.committed(committed);
    }

    /// An event of a driver's room, of whichever node: what the driver carries, or is asked, has changed.
    pub(super) fn told(&self, event: &RoomEvent) {
        let RoomId::Driver(driver) = event.room else { return };
        if event.kind == EventType::OfferOpened {
            self.pools.asked(driver);
        } else if event.kind == EventType::OfferClosed {
            self.pools.unasked(driver);
        } else if event.kind == EventType::DeliveryUpdated {
            self.positions.changed(driver);
        }
    }

    /// A position of a driver that another node heard of.
    pub(super) fn heard(&self, event: &EphemeralEvent) {
        let (RoomId::Zone(zone), EphemeralType::DriverLocation) = (event.room, event.kind) else { return };
        if let Ok(at) = serde_json::from_str::<DriverLocation>(event.data.as_str()) {
            let position = Position { location: Location { lat: at.lat, lng: at.lng }, at: at.at };
            self.pools.moved(at.driver_id, position, &[zone.to_string()]);
        }
    }

    fn count_offer(&self, event: &RoomEvent) {
        let outcome = if event.kind == EventType::OfferOpened {
            "opened".to_owned()
        } else if event.kind == EventType::OfferClosed {
            let data: Result<Value, _> = serde_json::from_str(event.data.as_str());
            let reason = data.ok().and_then(|data| Some(data.get("reason")?.as_str()?.to_owned()));
            let Some(reason) = reason else { return };
            reason
        } else {
            return;
        };
        self.metrics.offers_total.with_label_values(&[&outcome]).inc();
    }

    fn begun(&self, committed: &Committed) {
        if committed.looks.is_empty() {
            return;
        }
        let mut searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        for look in &committed.looks {
            if searches.len() >= MAX_SEARCHES {
                searches.retain(|_, begun| begun.elapsed() < FORGET_AFTER);
            }
            if searches.len() < MAX_SEARCHES {
                searches.entry(look.order).or_insert_with(Instant::now);
            }
        }
    }

    fn assigned(&self, write: &Write, outcome: &Outcome) {
        let order = match (write, outcome) {
            (Write::AnswerOffer(answered), Outcome::OfferAnswered(Ok(changed)))
                if !changed.already && answered.answer == OfferAnswer::Accept =>
            {
                self.metrics.offers_total.with_label_values(&["accepted"]).inc();
                changed.order
            }
            (Write::AssignDriver(_), Outcome::DriverAssigned(Ok(changed))) if !changed.already => {
                changed.order
            }
            _ => return,
        };
        let begun = self.searches.lock().unwrap_or_else(PoisonError::into_inner).remove(&order);
        if let Some(begun) = begun {
            self.metrics.dispatch_assign_seconds.observe(begun.elapsed().as_secs_f64());
        }
    }
}

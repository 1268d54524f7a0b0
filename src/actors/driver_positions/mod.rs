//! What drivers say of themselves on this node: that they are alive, where they are, whether they want offers. Positions are conflated to
//! the latest, shown to those whom they concern, told to the pools, and written a few at a time.

mod keeper;
mod settings;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::domain::delivery::DriverLocation;
use crate::domain::dispatch::DriverRefusal;
use crate::domain::ephemeral::EphemeralPayload;
use crate::domain::ids::UserId;
use crate::domain::location::Location;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::domain::zone::ZoneName;
use crate::protocol::ephemeral::EphemeralEvent;
use crate::storage::Store;
use crate::storage::commands::SetDriverOnline;

use super::driver_pool::DriverPools;
use super::persistence::{Persistence, SubmitError};
use super::room::Rooms;
use settings::STOP_WITHIN;
use state::{Heard, Pass, PositionState};

pub use keeper::PositionKeeper;

/// A node that remembers as many drivers as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many drivers")]
pub struct TooManyDrivers;

/// What this node hears of drivers. Cheap to clone, safe to use from any thread; only [`DriverPositions::set_online`] waits.
#[derive(Clone)]
pub struct DriverPositions(Arc<Shared>);

struct Shared {
    state: Mutex<PositionState>,
    store: Arc<dyn Store>,
    rooms: Rooms,
    pools: DriverPools,
    writer: OnceLock<Persistence>,
    /// Notified when the store is to be asked about a driver.
    wake: Notify,
    stopped: CancellationToken,
    /// The keeper has stored all.
    ended: CancellationToken,
}

impl DriverPositions {
    /// Nothing was heard yet.
    pub fn new(store: Arc<dyn Store>, rooms: Rooms, pools: DriverPools) -> Self {
        let (wake, stopped) = (Notify::new(), CancellationToken::new());
        let (state, writer, ended) = (Mutex::default(), OnceLock::new(), CancellationToken::new());
        Self(Arc::new(Shared { state, store, rooms, pools, writer, wake, stopped, ended }))
    }

    /// Lets it write. Called once, when the writers run; a second call changes nothing.
    pub fn write_through(&self, persistence: Persistence) {
        let _ = self.0.writer.set(persistence);
    }

    /// Ends the keeper and waits until it has stored what was heard, a second at most.
    pub async fn stop(&self) {
        self.0.stopped.cancel();
        let _ = tokio::time::timeout(STOP_WITHIN, self.0.ended.cancelled()).await;
    }

    fn state(&self) -> MutexGuard<'_, PositionState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.0.store.clock().now()
    }

    /// A sign of life of a driver: a frame, a request, an open connection. One that finds no place is dropped.
    pub fn alive(&self, driver: UserId) {
        let heard = self.state().alive(driver, self.now());
        // Of a driver who is not remembered, a position is refused too.
        let _ = self.follow(heard);
    }

    /// A driver is somewhere; `at` is the device's time. One that is not newer than the last, or older than a minute, changes nothing, and
    /// of several a second only the latest is passed on.
    ///
    /// # Errors
    /// The node has no place for one more driver.
    pub fn moved(
        &self,
        driver: UserId,
        location: Location,
        at: Option<Timestamp>,
    ) -> Result<(), TooManyDrivers> {
        let heard = self.state().moved(driver, location, at, self.now());
        self.follow(heard)
    }

    fn follow(&self, heard: Heard) -> Result<(), TooManyDrivers> {
        match heard {
            Heard::Noted => {}
            Heard::Unknown => self.0.wake.notify_one(),
            Heard::Pass(pass) => {
                self.pass_on(&pass);
                if self.state().has_first_position() {
                    self.0.wake.notify_one();
                }
            }
            Heard::Full => return Err(TooManyDrivers),
        }
        Ok(())
    }

    /// Lets a driver get offers, or no more of them. What they said before is stored first, so that nothing of it comes later.
    ///
    /// # Errors
    /// As for any write.
    pub async fn set_online(
        &self,
        driver: UserId,
        online: bool,
    ) -> Result<Result<(), DriverRefusal>, SubmitError> {
        let Some(writer) = self.0.writer.get() else { return Err(SubmitError::Unavailable) };
        let seen = self.state().take_of(driver);
        if let Some(seen) = seen {
            let seen = vec![seen];
            if let Err(error) = writer.write(seen.clone()).await {
                tracing::warn!(%error, "the last position of a driver could not be stored yet");
                self.state().not_stored(&seen);
            }
        }
        writer.write(SetDriverOnline { driver, online }).await
    }

    /// Something about a driver has changed: what they carry, or in which zones they work.
    pub(in crate::actors) fn changed(&self, driver: UserId) {
        if self.state().changed(driver) {
            self.0.wake.notify_one();
        }
    }

    /// Shows a position to those who may see it: operators in the zones, members from the assignment on, the customer once the food is on its
    /// way. The pools of the zones rank by it.
    fn pass_on(&self, Pass { driver, position, known }: &Pass) {
        self.0.pools.moved(*driver, *position, &known.zones);
        let publish = |room, delivery_id| {
            let Location { lat, lng } = position.location;
            let location = DriverLocation { driver_id: *driver, delivery_id, lat, lng, at: position.at };
            let payload = EphemeralPayload::DriverLocation(location);
            self.0.rooms.publish_ephemeral(EphemeralEvent::new(room, position.at, &payload));
        };
        for zone in known.zones.iter().filter_map(|zone| ZoneName::learn(zone)) {
            publish(RoomId::Zone(zone), None);
        }
        for carried in &known.carried {
            publish(RoomId::Business(carried.business), Some(carried.delivery));
            if carried.is_under_way {
                publish(RoomId::Order(carried.order), Some(carried.delivery));
            }
        }
    }
}

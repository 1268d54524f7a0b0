//! Reachability: which businesses have a device that can ring. Devices say it on their sockets and by requests; the node holds
//! leases in the store for them, so that every node knows, and tells businesses when the number of their devices changes.

mod settings;
mod state;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::domain::ids::{BusinessId, UserId};

use state::ReachState;

pub(in crate::actors) use state::{DeviceOf, RingSource};

/// What the devices of this node said, shared by its worker threads. Cheap to clone; nothing here waits.
#[derive(Clone, Debug, Default)]
pub struct Reachability(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<ReachState>,
    /// Notified when a business becomes reachable.
    wake: Notify,
}

impl Reachability {
    /// Nobody can ring yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, ReachState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A device said at `at` that it can ring for these businesses.
    pub(in crate::actors) fn said(
        &self,
        source: RingSource,
        device: DeviceOf,
        businesses: Box<[BusinessId]>,
        at: Instant,
    ) {
        if self.state().said(source, device, businesses, at) {
            self.0.wake.notify_one();
        }
    }

    /// A device can no longer ring from there.
    pub(in crate::actors) fn silent(&self, source: &RingSource) {
        self.state().silent(source);
    }

    /// The word of a device without a socket; no businesses when it cannot ring. Returns how long it holds.
    pub fn said_by_request(
        &self,
        user: UserId,
        device: &str,
        businesses: Box<[BusinessId]>,
        now: Instant,
    ) -> Duration {
        let device: DeviceOf = (user, device.into());
        let source = RingSource::Requests(device.clone());
        if businesses.is_empty() {
            self.silent(&source);
        } else {
            self.said(source, device, businesses, now);
        }
        settings::SAID_FOR
    }
}

//! Reachability: which businesses have a device that can ring. Devices say it on their sockets and by requests; the node holds
//! leases in the store for them, so that every node knows, and tells businesses when the number of their devices changes.

mod keeper;
mod settings;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::domain::ids::{BusinessId, UserId};

pub use keeper::{LeaseKeeper, NodeSays};
use state::{Heard, ReachState};

pub(in crate::actors) use state::{DeviceOf, RingSource};

/// A node that remembers as many devices as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many devices")]
pub struct TooManyDevices;

/// What the devices of this node said, shared by its worker threads. Cheap to clone; nothing here waits.
#[derive(Clone, Debug)]
pub struct Reachability(Arc<Shared>);

/// Most questions for a round that wait.
const QUESTIONS: usize = 16;

#[derive(Debug)]
struct Shared {
    state: Mutex<ReachState>,
    /// Notified when a business becomes reachable.
    wake: Notify,
    questions: mpsc::Sender<oneshot::Sender<()>>,
    /// Taken by the keeper.
    asked: Mutex<Option<mpsc::Receiver<oneshot::Sender<()>>>>,
    stopped: CancellationToken,
}

impl Default for Reachability {
    fn default() -> Self {
        Self::new()
    }
}

impl Reachability {
    /// Nobody can ring yet.
    pub fn new() -> Self {
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let asked = Mutex::new(Some(asked));
        let (wake, stopped) = (Notify::new(), CancellationToken::new());
        Self(Arc::new(Shared { state: Mutex::default(), wake, questions, asked, stopped }))
    }

    /// Ends the keeper, before the writers that it uses. The leases of this node run out by themselves.
    pub fn stop(&self) {
        self.0.stopped.cancel();
    }

    /// Returns after a whole round: every lease renewed, and everything paused that is due. For tests that move the store's time,
    /// since rounds come by the time that passes. Without a keeper it returns at once.
    pub async fn renew_now(&self) {
        let (question, answer) = oneshot::channel();
        if self.0.questions.send(question).await.is_ok() {
            let _ = answer.await;
        }
    }

    fn take_questions(&self) -> Option<mpsc::Receiver<oneshot::Sender<()>>> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns when a business has become reachable that has no lease.
    async fn woken(&self) {
        self.0.wake.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, ReachState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A device said at `at` that it can ring for these businesses. Whether the node has place for it.
    pub(in crate::actors) fn said(
        &self,
        source: RingSource,
        device: DeviceOf,
        businesses: Box<[BusinessId]>,
        at: Instant,
    ) -> Result<(), TooManyDevices> {
        match self.state().said(source, device, businesses, at) {
            Heard::Leased => {}
            Heard::NeedsLease => self.0.wake.notify_one(),
            Heard::Full => return Err(TooManyDevices),
        }
        Ok(())
    }

    /// A device can no longer ring from there.
    pub(in crate::actors) fn silent(&self, source: &RingSource) {
        self.state().silent(source);
    }

    /// The word of a device without a socket; no businesses when it cannot ring. Returns how long it holds.
    ///
    /// # Errors
    /// The node has no place for it.
    pub fn said_by_request(
        &self,
        user: UserId,
        device: &str,
        businesses: Box<[BusinessId]>,
        now: Instant,
    ) -> Result<Duration, TooManyDevices> {
        let device: DeviceOf = (user, device.into());
        let source = RingSource::Requests(device.clone());
        if businesses.is_empty() {
            self.silent(&source);
        } else {
            self.said(source, device, businesses, now)?;
        }
        Ok(settings::SAID_FOR)
    }
}

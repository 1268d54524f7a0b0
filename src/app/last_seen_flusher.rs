//! The times at which login sessions were last seen, on their way from requests and sockets to the store.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::actors::persistence::Persistence;
use crate::actors::session::Sessions;
use crate::auth::last_seen::LastSeen;
use crate::domain::time::Timestamp;
use crate::storage::commands::SessionActivity;

/// Times last seen are stored this often: they are shown to people only.
const STORE_EVERY: Duration = Duration::from_secs(60);

/// First uses of new tokens are stored this often: until then a node that asks the store takes them for unused.
const STORE_USES_EVERY: Duration = Duration::from_secs(4);

/// Time that worker threads have to list the login sessions of their sockets.
const LIST_WITHIN: Duration = Duration::from_secs(1);

/// Stores the times last seen, once a minute and at the end. A crash loses up to a minute of them.
#[derive(Clone)]
pub(super) struct LastSeenFlusher {
    pub(super) last_seen: LastSeen,
    pub(super) sessions: Sessions,
    pub(super) persistence: Persistence,
}

impl LastSeenFlusher {
    /// Runs until it is stopped.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(STORE_EVERY);
        let mut uses = tokio::time::interval(STORE_USES_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        uses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    self.touch_open_sockets().await;
                    self.store().await;
                }
                _ = uses.tick() => self.write(self.last_seen.take_uses()).await,
            }
        }
    }

    /// Every login session with an open socket is seen now.
    pub(super) async fn touch_open_sockets(&self) {
        let now = Timestamp::now();
        for session in self.sessions.active_sessions(LIST_WITHIN).await {
            self.last_seen.touch(session, now);
        }
    }

    /// Stores everything noted so far.
    pub(super) async fn store(&self) {
        self.write(self.last_seen.take()).await;
    }

    /// Puts back what cannot be stored now, for the next time.
    async fn write(&self, seen: Vec<SessionActivity>) {
        for left in self.persistence.store_activity(seen).await {
            self.last_seen.put_back(left);
        }
    }
}

//! Last activities on their way from requests and sockets to the store (requirement 1.4).

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::actors::persistence::Persistence;
use crate::actors::session::Sessions;
use crate::auth::activity::Activity;
use crate::domain::time::Timestamp;
use crate::storage::commands::SessionActivity;

/// Last activities are stored this often: what is told of them is for people.
const STORE_ACTIVITY_EVERY: Duration = Duration::from_secs(60);

/// First uses of new tokens are stored this often: until then a node that asks the store takes them for unused.
const STORE_USES_EVERY: Duration = Duration::from_secs(4);

/// How long worker threads may take to say whose sockets they have.
const CENSUS_WITHIN: Duration = Duration::from_secs(1);

/// Who was seen, from everywhere to the store.
#[derive(Clone)]
pub(super) struct Attendance {
    pub(super) activity: Activity,
    pub(super) sessions: Sessions,
    pub(super) persistence: Persistence,
}

impl Attendance {
    /// Asks and stores until it is stopped.
    pub(super) async fn keep(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(STORE_ACTIVITY_EVERY);
        let mut uses = tokio::time::interval(STORE_USES_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        uses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    self.ask_sockets().await;
                    self.store().await;
                }
                _ = uses.tick() => self.write(self.activity.take_uses()).await,
            }
        }
    }

    /// Whoever has a socket open is there now.
    pub(super) async fn ask_sockets(&self) {
        let now = Timestamp::now();
        for session in self.sessions.signed_in(CENSUS_WITHIN).await {
            self.activity.seen(session, now);
        }
    }

    pub(super) async fn store(&self) {
        self.write(self.activity.take()).await;
    }

    /// What cannot be stored now waits for the next time.
    async fn write(&self, seen: Vec<SessionActivity>) {
        for left in self.persistence.store_activity(seen).await {
            self.activity.give_back(left);
        }
    }
}

//! Last activities on their way from requests and sockets to the store (requirement 1.4).

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::actors::persistence::Persistence;
use crate::actors::session::Sessions;
use crate::domain::time::Timestamp;
use crate::http::access::activity::Activity;

/// Last activities are stored this often: what is told of them is for people.
const STORE_ACTIVITY_EVERY: Duration = Duration::from_secs(60);

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
    /// Asks and stores once a minute until it is stopped.
    pub(super) async fn keep(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(STORE_ACTIVITY_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    self.ask_sockets().await;
                    self.store().await;
                }
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

    /// What cannot be stored now waits for the next time.
    pub(super) async fn store(&self) {
        for left in self.persistence.store_activity(self.activity.take()).await {
            self.activity.seen(left.session, left.at);
        }
    }
}

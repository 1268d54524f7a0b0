//! Keeps what the store knows of this node's reachable businesses true, and tells businesses and operators of changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::actors::persistence::Persistence;
use crate::actors::room::Rooms;
use crate::domain::ephemeral::{EphemeralPayload, Presence};
use crate::domain::ids::{BusinessId, NodeId};
use crate::domain::room::RoomId;
use crate::domain::saga::Clocks;
use crate::protocol::ephemeral::EphemeralEvent;
use crate::storage::Store;
use crate::storage::commands::{LeaseHistory, PauseUnreachable, RenewLeases};

use super::Reachability;
use super::settings::{LEASE_FOR, LEASES_A_WRITE, MERGE_WITHIN, RENEW_EVERY};
use super::state::Round;

/// Writes the leases of one node, every five seconds and at once for a business that becomes reachable, and pauses what cannot be
/// reached. While the store is away it goes on trying; nothing is paused for that time.
pub struct LeaseKeeper {
    reachability: Reachability,
    store: Arc<dyn Store>,
    persistence: Persistence,
    rooms: Rooms,
    clocks: Clocks,
    node: NodeId,
    /// When all leases of this node were last in the store.
    renewed: Option<Instant>,
}

/// Leases to write.
#[derive(Clone, Copy)]
enum Which {
    All,
    /// Those of businesses that have none.
    Missing,
}

impl LeaseKeeper {
    /// A keeper of what `reachability` hears.
    pub fn new(
        reachability: Reachability,
        store: Arc<dyn Store>,
        persistence: Persistence,
        rooms: Rooms,
        clocks: Clocks,
    ) -> Self {
        Self { reachability, store, persistence, rooms, clocks, node: NodeId::generate(), renewed: None }
    }

    /// Runs until [`Reachability::stop`], which also ends a write that is waited for: writers that stop refuse it, and that is no
    /// news. Only one keeper of a [`Reachability`] answers [`Reachability::renew_now`].
    pub async fn run(self) {
        let stopped = self.reachability.0.stopped.clone();
        stopped.run_until_cancelled(self.keep()).await;
    }

    async fn keep(mut self) {
        let mut asked = self.reachability.take_questions();
        let mut ticks = interval(RENEW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let reachability = self.reachability.clone();
        loop {
            tokio::select! {
                _ = ticks.tick() => self.round().await,
                () = reachability.woken() => {
                    sleep(MERGE_WITHIN).await;
                    self.renew(Which::Missing).await;
                }
                question = next_question(&mut asked) => {
                    self.round().await;
                    let _ = question.send(());
                }
            }
        }
    }

    async fn round(&mut self) {
        self.renew(Which::All).await;
        if !self.clocks.unreachable.is_zero() {
            let pause = PauseUnreachable { clocks: self.clocks.clone() };
            if let Err(error) = self.persistence.write(pause).await {
                tracing::warn!(%error, "businesses without a device could not be looked for");
            }
        }
    }

    async fn renew(&mut self, which: Which) {
        let begun = Instant::now();
        let Round { leases, lapsed } = match which {
            Which::All => self.reachability.state().renewal(begun),
            Which::Missing => self.reachability.state().missing(begun),
        };
        if leases.is_empty() && matches!(which, Which::Missing) {
            return;
        }
        // One round without leases says that the node lives.
        let chunks = leases.chunks(LEASES_A_WRITE).map(<[_]>::to_vec);
        let mut chunks: Vec<Round> = chunks.map(|leases| Round { leases, lapsed: Vec::new() }).collect();
        if chunks.is_empty() {
            chunks.push(Round::default());
        }
        chunks[0].lapsed = lapsed;
        for round in chunks {
            if !self.write(round, begun).await {
                return;
            }
        }
        if matches!(which, Which::All) {
            self.renewed = Some(begun);
        }
    }

    /// Writes a part of the leases and tells what has changed by it; whether it is in the store.
    async fn write(&self, round: Round, begun: Instant) -> bool {
        let broken = self.renewed.is_some_and(|renewed| begun.duration_since(renewed) > LEASE_FOR);
        let renewal = RenewLeases {
            node: self.node,
            leases: round.leases.clone(),
            lapsed: round.lapsed.clone(),
            lease: LEASE_FOR,
            history: if broken { LeaseHistory::Broken } else { LeaseHistory::Unbroken },
            clocks: self.clocks.clone(),
        };
        match self.persistence.write(renewal).await {
            Ok(renewed) => {
                if let Some(devices) = renewed.devices {
                    self.tell(&round, &devices, begun);
                }
                true
            }
            Err(error) => {
                tracing::warn!(%error, businesses = round.leases.len(), "leases could not be renewed");
                false
            }
        }
    }

    fn tell(&self, round: &Round, devices: &HashMap<BusinessId, u32>, begun: Instant) {
        let changed: Vec<Presence> = self.reachability.state().renewed(round, devices, begun);
        let at = self.store.clock().now();
        for presence in changed {
            let payload = EphemeralPayload::Presence(presence.clone());
            for room in [RoomId::Business(presence.business_id), RoomId::Ops] {
                self.rooms.publish_ephemeral(EphemeralEvent::new(room, at, &payload));
            }
        }
    }
}

/// The next question for a round of its own; never without a place where one can come from.
async fn next_question(asked: &mut Option<mpsc::Receiver<oneshot::Sender<()>>>) -> oneshot::Sender<()> {
    if let Some(asked) = asked
        && let Some(question) = asked.recv().await
    {
        return question;
    }
    std::future::pending().await
}

//! Keeps what the store knows of this node's reachable businesses true, and tells businesses and operators of changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

use crate::actors::persistence::Persistence;
use crate::actors::room::Rooms;
use crate::domain::ephemeral::{EphemeralPayload, Presence};
use crate::domain::ids::BusinessId;
use crate::domain::node::NodeFacts;
use crate::domain::room::RoomId;
use crate::domain::saga::Clocks;
use crate::domain::time::Timestamp;
use crate::protocol::ephemeral::EphemeralEvent;
use crate::storage::commands::{HubSeen, LeaseHistory, NodeBeat, PauseUnreachable, RenewLeases};
use crate::storage::{KnownNodes, Store};

use super::Reachability;
use super::settings::{
    AFTER_LAPSE, LATE_WITHIN, LEASE_FOR, LEASES_A_WRITE, LOOK_PAUSE, MERGE_WITHIN, RENEW_EVERY,
};
use super::state::Round;

/// Writes the leases of one node, every five seconds and at once for a business that becomes reachable, and pauses what cannot be
/// reached. While the store is away it goes on trying; nothing is paused for that time.
pub struct LeaseKeeper {
    reachability: Reachability,
    store: Arc<dyn Store>,
    persistence: Persistence,
    rooms: Rooms,
    clocks: Clocks,
    nodes: KnownNodes,
    says: NodeSays,
    /// When all leases of this node were last in the store.
    renewed: Option<Instant>,
    /// The store's time up to which it is known which leases of other nodes have run out.
    looked_at: Option<Timestamp>,
    /// When the next lease of a node that is late runs out, if that is before the next round.
    lapse: Option<Instant>,
}

/// Gives what a node says of itself at this moment.
pub type NodeSays = Box<dyn Fn() -> NodeFacts + Send>;

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
        nodes: KnownNodes,
        says: NodeSays,
    ) -> Self {
        let (renewed, looked_at, lapse) = (None, None, None);
        Self { reachability, store, persistence, rooms, clocks, nodes, says, renewed, looked_at, lapse }
    }

    /// Runs until [`Reachability::stop`], which also ends a write that is waited for: writers that stop refuse it, and that is no
    /// news. Only one keeper of a [`Reachability`] answers [`Reachability::renew_now`].
    pub async fn run(self) {
        let stopped = self.reachability.clone();
        tokio::select! {
            // Looked at first: an answer of writers that stop may be there at the same moment.
            biased;
            () = stopped.0.stopped.cancelled() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(mut self) {
        let mut asked = self.reachability.take_questions();
        let mut ticks = interval(RENEW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let reachability = self.reachability.clone();
        loop {
            tokio::select! {
                _ = ticks.tick() => self.round().await,
                // A node that has gone: what its devices could ring for is known at once.
                () = at_the_time(self.lapse) => self.renew(Which::All).await,
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
        if matches!(which, Which::All) {
            self.lapse = None;
        }
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
        let mut beat = matches!(which, Which::All).then(|| NodeBeat {
            facts: (self.says)(),
            looked_at: self.looked_at,
            late: LATE_WITHIN,
        });
        for round in chunks {
            if !self.write(round, begun, beat.take()).await {
                return;
            }
        }
        if matches!(which, Which::All) {
            self.renewed = Some(begun);
        }
    }

    /// Writes a part of the leases and tells what has changed by it; whether it is in the store.
    async fn write(&mut self, round: Round, begun: Instant, beat: Option<NodeBeat>) -> bool {
        let broken = self.renewed.is_some_and(|renewed| begun.duration_since(renewed) > LEASE_FOR);
        let renewal = RenewLeases {
            node: self.nodes.own(),
            leases: round.leases.clone(),
            lapsed: round.lapsed.clone(),
            lease: LEASE_FOR,
            history: if broken { LeaseHistory::Broken } else { LeaseHistory::Unbroken },
            clocks: self.clocks.clone(),
            beat,
        };
        match self.persistence.write(renewal).await {
            Ok(renewed) => {
                if let Some(devices) = renewed.devices {
                    self.tell(&round, &devices, begun);
                }
                if let Some(hub) = renewed.hub {
                    self.seen(*hub, &round);
                }
                true
            }
            Err(error) => {
                tracing::warn!(%error, businesses = round.leases.len(), "leases could not be renewed");
                false
            }
        }
    }

    /// Takes in what the others are and do.
    fn seen(&mut self, hub: HubSeen, round: &Round) {
        self.nodes.seen(hub.nodes);
        self.nodes.quotas_reset(hub.quota_era);
        self.nodes.schema_seen(hub.schema_version);
        self.looked_at = Some(hub.at);
        let wait = hub.next_lapse.map(|lapse| lapse.since(hub.at)).filter(|wait| *wait < RENEW_EVERY);
        // Once a second at most, however many leases run out one after the other.
        self.lapse = wait.map(|wait| Instant::now() + (wait + AFTER_LAPSE).max(LOOK_PAUSE));
        for (business_id, devices) in hub.lapsed {
            if !round.leases.iter().any(|lease| lease.business == business_id) {
                self.tell_here(Presence { business_id, reachable: devices > 0, devices }, hub.at);
            }
        }
    }

    /// Tells those who follow a business here that a lease of another node has run out, which may have gone without a word. Every node
    /// tells its own.
    fn tell_here(&self, presence: Presence, at: Timestamp) {
        let rooms = [RoomId::Business(presence.business_id), RoomId::Ops];
        let payload = EphemeralPayload::Presence(presence);
        for room in rooms {
            self.rooms.deliver_ephemeral(&EphemeralEvent::new(room, at, &payload));
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

/// Returns at a moment, or never.
async fn at_the_time(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
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

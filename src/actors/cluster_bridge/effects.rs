//! What messages of other nodes do on this one.

use std::sync::Arc;

use crate::actors::commit_fanout::CommitFanout;
use crate::actors::room::Rooms;
use crate::bus::BusMessage;

/// The parts of a node that obey other nodes; a port, so that the bridge can be tested alone. Calls never wait.
pub trait BusListener: Send + Sync + 'static {
    /// Another node said this.
    fn obey(&self, message: BusMessage);

    /// Messages were lost: every room may lack events, and so may the control room.
    fn lost(&self);
}

/// The rooms, caches and sockets of this node. A message that is lost costs time and nothing else: the rooms' watermark finds events
/// within 1.5 s, the follower of the control room what has changed.
pub struct BusEffects {
    /// Hear the events.
    pub rooms: Rooms,
    /// Acts on what other nodes have changed.
    pub fanout: Arc<CommitFanout>,
}

impl BusListener for BusEffects {
    fn obey(&self, message: BusMessage) {
        match message {
            BusMessage::Event(event) => self.fanout.told(&event),
            BusMessage::Ephemeral(event) => {
                self.fanout.heard(&event);
                self.rooms.deliver_ephemeral(&event);
            }
            // What they say are events of the control room, which is followed.
            BusMessage::Control(_) => {}
        }
    }

    fn lost(&self) {
        self.rooms.compare_now();
        self.fanout.messages_were_lost();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix::{Arbiter, System};
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;
    use uuid::Uuid;

    use super::*;
    use crate::actors::SendError;
    use crate::actors::cluster_bridge::ClusterBridge;
    use crate::actors::deadlines::Deadlines;
    use crate::actors::driver_lives::DriverLives;
    use crate::actors::driver_pool::DriverPools;
    use crate::actors::driver_positions::DriverPositions;
    use crate::actors::intents::Intents;
    use crate::actors::money::Money;
    use crate::actors::order_lives::OrderLives;
    use crate::actors::order_saga::OrderSagas;
    use crate::actors::persistence::CommitListener as _;
    use crate::actors::room::{Listener, LiveEvent};
    use crate::actors::settings::{RoomSettings, SagaSettings};
    use crate::actors::worker::Workers;
    use crate::auth::revocations::Revocations;
    use crate::bus::InProcessBus;
    use crate::domain::control::ControlChange;
    use crate::domain::cursor::{Cursor, Epoch};
    use crate::domain::ephemeral::EphemeralType;
    use crate::domain::ids::{BusinessId, EventId, LoginSessionId};
    use crate::domain::room::RoomId;
    use crate::domain::time::Timestamp;
    use crate::protocol::ephemeral::{EncodedEphemeral, EphemeralEvent};
    use crate::protocol::event::{EventData, RoomEvent};
    use crate::storage::cache::CachedReads;
    use crate::storage::commands::Committed;
    use crate::storage::settings::CacheSettings;
    use crate::telemetry::Metrics;

    struct Node {
        fanout: Arc<CommitFanout>,
        rooms: Rooms,
        epoch: Epoch,
        revocations: Revocations,
        _folder: tempfile::TempDir,
    }

    impl Node {
        async fn start(bus: &InProcessBus) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let metrics = Metrics::new(folder.path());
            let store = crate::storage::sqlite::empty(folder.path(), metrics.clone()).await;
            let (bus, inbox) = bus.connect();
            let rooms = Rooms::start(store.clone(), bus.clone(), 1, RoomSettings::default(), metrics.clone());
            let epoch = store.epoch().await.unwrap();
            let sagas = OrderSagas::start(Deadlines::new(store.clone()), &SagaSettings::default());
            let pools = DriverPools::default();
            let positions = DriverPositions::new(store.clone(), rooms.clone(), pools.clone());
            let drivers = DriverLives::new(pools, positions, metrics.clone());
            let lives =
                OrderLives::new(sagas, Intents::default(), Money::default(), rooms.clone(), metrics.clone());
            let reads = CachedReads::new(store, CacheSettings::default(), metrics.clone());
            let revocations = Revocations::new(Duration::from_secs(60));
            let (counted, revoked) = (metrics.clone(), revocations.clone());
            let fanout = Arc::new(CommitFanout::new(
                reads.clone(),
                rooms.clone(),
                lives,
                drivers,
                revoked,
                Workers::new(),
                counted,
                bus,
            ));
            let effects = BusEffects { rooms: rooms.clone(), fanout: fanout.clone() };
            ClusterBridge::start(&Arbiter::current(), inbox, Arc::new(effects), CancellationToken::new());
            Self { fanout, rooms, epoch, revocations, _folder: folder }
        }

        fn commit(&self, room: RoomId, epoch: Epoch, kind: &str, data: EventData) {
            let (cursor, at) = (Cursor::new(epoch, 1), Timestamp::now());
            let event = RoomEvent { room, cursor, id: EventId::generate(), kind: kind.into(), at, data };
            self.fanout.committed(&[], &mut Committed { events: vec![event], ..Committed::default() });
        }

        fn commit_end_of(&self, session: LoginSessionId) {
            let change = ControlChange::SessionEnded(session);
            self.commit(RoomId::Control, self.epoch, change.kind().as_str(), change.into());
        }
    }

    #[test]
    fn a_login_session_that_ends_on_one_node_ends_on_the_others() {
        System::new().block_on(async {
            let bus = InProcessBus::default();
            let (first, second) = (Node::start(&bus).await, Node::start(&bus).await);
            let ended = LoginSessionId::generate();
            // A newer release tells something that this one does not know.
            first.commit(RoomId::Control, first.epoch, "shop_moved", EventData::empty());
            first.commit_end_of(ended);
            assert!(first.revocations.contains(ended));
            let arrived = async {
                while !second.revocations.contains(ended) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), arrived).await.expect("it arrives soon");
        });
    }

    /// Passes on what a room delivers.
    struct EventReader {
        events: mpsc::Sender<Cursor>,
        ephemerals: mpsc::Sender<Uuid>,
    }

    impl Listener for EventReader {
        fn id(&self) -> usize {
            0
        }

        fn is_open(&self) -> bool {
            true
        }

        fn deliver(&self, _: RoomId, event: LiveEvent) -> Result<(), SendError> {
            self.events.try_send(event.event.cursor).map_err(|_| SendError::Closed)
        }

        fn deliver_ephemeral(&self, _: RoomId, event: EncodedEphemeral) {
            let _ = self.ephemerals.try_send(event.subject);
        }

        fn set_head(&self, _: RoomId, _: Cursor) -> Result<(), SendError> {
            Ok(())
        }
    }

    #[test]
    fn an_event_that_one_node_commits_reaches_a_listener_on_another() {
        System::new().block_on(async {
            let bus = InProcessBus::default();
            let (first, second) = (Node::start(&bus).await, Node::start(&bus).await);
            let room = RoomId::Business(BusinessId::generate());
            let (events, mut delivered) = mpsc::channel(8);
            let (ephemerals, mut ephemeral) = mpsc::channel(8);
            let reader = Arc::new(EventReader { events, ephemerals });
            let head = second.rooms.join(room, reader).await.unwrap();
            assert_eq!(head, Cursor::new(second.epoch, 0));
            first.commit(room, second.epoch, "order_created", EventData::empty());
            let cursor = tokio::time::timeout(Duration::from_secs(5), delivered.recv()).await;
            assert_eq!(cursor.expect("it arrives soon"), Some(Cursor::new(second.epoch, 1)));
            let ring = EphemeralEvent {
                room,
                kind: EphemeralType::OrderRing,
                subject: Uuid::from_u128(7),
                at: Timestamp::now(),
                data: EventData::empty(),
            };
            first.rooms.publish_ephemeral(ring);
            let subject = tokio::time::timeout(Duration::from_secs(5), ephemeral.recv()).await;
            assert_eq!(subject.expect("it arrives soon"), Some(Uuid::from_u128(7)));
        });
    }
}

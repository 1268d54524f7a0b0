//! The promises of the bus (`src/bus/mod.rs`), kept by every implementation.
#![allow(clippy::unwrap_used)]

#[path = "support/redis_server.rs"]
#[allow(unreachable_pub)]
mod redis_server;

use std::future::Future;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bellhop::bus::{
    Bus, BusHealth, BusInbox, BusKeys, BusMessage, BusSettings, ControlMessage, INBOX_MESSAGES, InProcessBus,
    Received, RedisBus,
};
use bellhop::domain::cursor::{Cursor, Epoch};
use bellhop::domain::ephemeral::EphemeralType;
use bellhop::domain::event::EventKind;
use bellhop::domain::ids::{BusinessId, EventId, LoginSessionId, NodeId};
use bellhop::domain::room::RoomId;
use bellhop::domain::time::Timestamp;
use bellhop::protocol::ephemeral::EphemeralEvent;
use bellhop::protocol::event::{EventData, RoomEvent};
use bellhop::redis_client::{RedisClient, RedisSettings};
use bellhop::telemetry::Metrics;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A fresh bus of one implementation.
trait Cluster {
    /// One more node, connected.
    fn node(&self) -> impl Future<Output = Node>;
    /// Returns when subscriptions made before hold everywhere.
    fn settle(&self) -> impl Future<Output = ()>;
}

struct Node {
    bus: Arc<dyn Bus>,
    inbox: BusInbox,
}

impl Cluster for InProcessBus {
    async fn node(&self) -> Node {
        let (bus, inbox) = self.connect();
        Node { bus, inbox }
    }

    async fn settle(&self) {}
}

/// A Redis, single or cluster.
struct OverRedis {
    client: RedisClient,
    metrics: Metrics,
    nodes: Mutex<Vec<Weak<RedisBus>>>,
    _folder: tempfile::TempDir,
    _stop: DropGuard,
}

impl OverRedis {
    /// The one that a variable names; none, with a word, where there is none.
    fn named(variable: &str, cluster: bool) -> Option<Self> {
        let url = redis_server::redis_url(variable)?.into();
        let settings =
            RedisSettings { url, cluster, prefix: redis_server::own_prefix(), ..RedisSettings::default() };
        let client = RedisClient::new(&settings).expect("the settings work").expect("there is a Redis");
        let (stop, folder) = (CancellationToken::new(), tempfile::tempdir().expect("a folder"));
        tokio::spawn(client.keep(stop.clone()));
        let metrics = Metrics::new(folder.path());
        Some(Self { client, metrics, nodes: Mutex::default(), _folder: folder, _stop: stop.drop_guard() })
    }
}

impl Cluster for OverRedis {
    async fn node(&self) -> Node {
        let keys = BusKeys::new(&BusSettings::default(), b"the secret of this hub");
        let (bus, inbox, running) = RedisBus::connect(&self.client, NodeId::generate(), keys, &self.metrics);
        tokio::spawn(running);
        tokio::time::timeout(SOON, bus.settled()).await.expect("it connects soon");
        self.nodes.lock().unwrap().push(Arc::downgrade(&bus));
        Node { bus, inbox }
    }

    async fn settle(&self) {
        let nodes: Vec<_> = self.nodes.lock().unwrap().iter().filter_map(Weak::upgrade).collect();
        for node in nodes {
            tokio::time::timeout(SOON, node.settled()).await.expect("it is subscribed soon");
        }
    }
}

/// Longer than any message takes.
const SOON: Duration = Duration::from_secs(20);

/// Runs each promise against each implementation.
macro_rules! promises {
    ($($promise:ident),+ $(,)?) => {
        mod in_process {
            $(
                #[tokio::test]
                async fn $promise() {
                    super::$promise(bellhop::bus::InProcessBus::default()).await;
                }
            )+
        }
        mod redis_single {
            $(
                #[tokio::test]
                async fn $promise() {
                    if let Some(redis) = super::OverRedis::named("BELLHOP_TEST_REDIS", false) {
                        super::$promise(redis).await;
                    }
                }
            )+
        }
        mod redis_cluster {
            $(
                #[tokio::test]
                async fn $promise() {
                    if let Some(redis) = super::OverRedis::named("BELLHOP_TEST_REDIS_CLUSTER", true) {
                        super::$promise(redis).await;
                    }
                }
            )+
        }
    };
}

promises![
    an_event_reaches_the_other_subscribed_nodes_once_and_unchanged,
    a_node_hears_nothing_of_its_own,
    events_and_ephemeral_events_reach_only_subscribed_nodes,
    control_messages_reach_every_other_node,
    one_sender_is_heard_in_its_order,
    a_full_inbox_loses_for_its_node_alone_and_says_so,
    a_node_that_has_gone_disturbs_nobody,
    a_connected_node_is_fine,
];

fn room() -> RoomId {
    RoomId::Business(BusinessId::generate())
}

fn event(room: RoomId, seq: u64) -> BusMessage {
    BusMessage::Event(RoomEvent {
        room,
        cursor: Cursor::new(Epoch::new(7), seq),
        id: EventId::generate(),
        kind: EventKind::from("order_created"),
        at: Timestamp::from_unix_seconds(1_000_000),
        data: EventData::stored(format!("{{\"order_number\":{seq}}}")).expect("it is JSON"),
    })
}

fn ephemeral(room: RoomId) -> BusMessage {
    BusMessage::Ephemeral(EphemeralEvent {
        room,
        kind: EphemeralType::OrderRing,
        subject: uuid::Uuid::from_u128(7),
        at: Timestamp::from_unix_seconds(1_000_000),
        data: EventData::empty(),
    })
}

fn control() -> BusMessage {
    BusMessage::Control(ControlMessage::SessionEnded(LoginSessionId::generate()))
}

/// The text of everything in a message: equal texts are equal messages.
fn text(message: &BusMessage) -> String {
    format!("{message:?}")
}

impl Node {
    async fn next(&mut self) -> Received {
        tokio::time::timeout(SOON, self.inbox.next())
            .await
            .expect("it arrives soon")
            .expect("the bus is there")
    }

    async fn expect(&mut self, message: &BusMessage) {
        match self.next().await {
            Received::Message(arrived) => assert_eq!(text(&arrived), text(message)),
            Received::Lost => panic!("nothing was lost"),
        }
    }

    /// Nothing arrives before a message that was published after everything else.
    async fn expect_nothing_before(&mut self, sender: &Node) {
        let last = control();
        sender.bus.publish(last.clone());
        self.expect(&last).await;
    }
}

async fn an_event_reaches_the_other_subscribed_nodes_once_and_unchanged(cluster: impl Cluster) {
    let (sender, mut second, mut third) = (cluster.node().await, cluster.node().await, cluster.node().await);
    let room = room();
    for node in [&second, &third] {
        node.bus.subscribe(room);
        node.bus.subscribe(room);
    }
    cluster.settle().await;
    let (sent, last) = (event(room, 1), control());
    sender.bus.publish(sent.clone());
    for node in [&mut second, &mut third] {
        node.expect(&sent).await;
    }
    // Nothing is promised between kinds, so that one follows the other only when that has arrived.
    sender.bus.publish(last.clone());
    for node in [&mut second, &mut third] {
        node.expect(&last).await;
    }
}

async fn a_node_hears_nothing_of_its_own(cluster: impl Cluster) {
    let (mut sender, other) = (cluster.node().await, cluster.node().await);
    let room = room();
    sender.bus.subscribe(room);
    cluster.settle().await;
    sender.bus.publish(event(room, 1));
    sender.bus.publish(ephemeral(room));
    sender.bus.publish(control());
    sender.expect_nothing_before(&other).await;
}

async fn events_and_ephemeral_events_reach_only_subscribed_nodes(cluster: impl Cluster) {
    let (sender, mut other) = (cluster.node().await, cluster.node().await);
    let (heard, foreign) = (room(), room());
    other.bus.unsubscribe(foreign);
    other.bus.subscribe(heard);
    cluster.settle().await;
    let (first, second) = (ephemeral(heard), event(heard, 2));
    for message in [event(foreign, 1), first.clone(), ephemeral(foreign), second.clone()] {
        sender.bus.publish(message);
    }
    other.expect(&first).await;
    other.expect(&second).await;
    other.bus.unsubscribe(heard);
    cluster.settle().await;
    sender.bus.publish(event(heard, 3));
    other.expect_nothing_before(&sender).await;
}

async fn control_messages_reach_every_other_node(cluster: impl Cluster) {
    let (sender, mut second, mut third) = (cluster.node().await, cluster.node().await, cluster.node().await);
    let sent = control();
    sender.bus.publish(sent.clone());
    second.expect(&sent).await;
    third.expect(&sent).await;
}

async fn one_sender_is_heard_in_its_order(cluster: impl Cluster) {
    let (sender, mut other) = (cluster.node().await, cluster.node().await);
    let room = room();
    other.bus.subscribe(room);
    cluster.settle().await;
    let sent: Vec<_> = (1..=100).map(|seq| event(room, seq)).collect();
    sent.iter().for_each(|message| sender.bus.publish(message.clone()));
    for message in &sent {
        other.expect(message).await;
    }
}

async fn a_full_inbox_loses_for_its_node_alone_and_says_so(cluster: impl Cluster) {
    let (sender, mut slow, mut quick) = (cluster.node().await, cluster.node().await, cluster.node().await);
    let room = room();
    slow.bus.subscribe(room);
    quick.bus.subscribe(room);
    cluster.settle().await;
    let count = 2 * INBOX_MESSAGES as u64;
    for seq in 1..=count {
        let sent = event(room, seq);
        sender.bus.publish(sent.clone());
        quick.expect(&sent).await;
    }
    let (mut losses, mut arrived) = (0, 0);
    let last = control();
    loop {
        // Once the loss was told, what is published arrives again.
        match slow.next().await {
            Received::Lost => losses += 1,
            Received::Message(BusMessage::Event(_)) => arrived += 1,
            Received::Message(message) => {
                assert_eq!(text(&message), text(&last));
                break;
            }
        }
        if arrived == 1 {
            assert_eq!(losses, 1, "a loss is told before what was published after it");
            sender.bus.publish(last.clone());
        }
    }
    // What was still on its way when the loss was told may be lost as well.
    assert!((1..=2).contains(&losses), "{losses}");
    assert!(arrived < count && arrived >= INBOX_MESSAGES as u64, "{arrived} arrived");
}

async fn a_connected_node_is_fine(cluster: impl Cluster) {
    assert_eq!(cluster.node().await.bus.health(), BusHealth::Fine);
}

async fn a_node_that_has_gone_disturbs_nobody(cluster: impl Cluster) {
    let (sender, mut other) = (cluster.node().await, cluster.node().await);
    let (room, gone) = (room(), cluster.node().await);
    gone.bus.subscribe(room);
    other.bus.subscribe(room);
    cluster.settle().await;
    let Node { bus, mut inbox } = gone;
    drop(bus);
    assert!(inbox.next().await.is_none(), "its inbox has ended");
    let sent = event(room, 1);
    sender.bus.publish(sent.clone());
    other.expect(&sent).await;
}

//! The promises of the bus (`src/bus/mod.rs`), kept by every implementation.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bellhop::bus::{Bus, BusInbox, BusMessage, ControlMessage, INBOX_MESSAGES, InProcessBus, Received};
use bellhop::domain::cursor::{Cursor, Epoch};
use bellhop::domain::ephemeral::EphemeralType;
use bellhop::domain::event::EventKind;
use bellhop::domain::ids::{BusinessId, EventId, LoginSessionId};
use bellhop::domain::room::RoomId;
use bellhop::domain::time::Timestamp;
use bellhop::protocol::ephemeral::EphemeralEvent;
use bellhop::protocol::event::{EventData, RoomEvent};

/// A fresh bus of one implementation.
trait Cluster {
    /// One more node.
    fn node(&self) -> Node;
    /// Returns when subscriptions made before hold everywhere.
    fn settle(&self) -> impl Future<Output = ()>;
}

struct Node {
    bus: Arc<dyn Bus>,
    inbox: BusInbox,
}

impl Cluster for InProcessBus {
    fn node(&self) -> Node {
        let (bus, inbox) = self.connect();
        Node { bus, inbox }
    }

    async fn settle(&self) {}
}

/// Longer than any message takes.
const SOON: Duration = Duration::from_secs(5);

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
    let (sender, mut second, mut third) = (cluster.node(), cluster.node(), cluster.node());
    let room = room();
    for node in [&second, &third] {
        node.bus.subscribe(room);
        node.bus.subscribe(room);
    }
    cluster.settle().await;
    let (sent, last) = (event(room, 1), control());
    sender.bus.publish(sent.clone());
    sender.bus.publish(last.clone());
    for node in [&mut second, &mut third] {
        node.expect(&sent).await;
        node.expect(&last).await;
    }
}

async fn a_node_hears_nothing_of_its_own(cluster: impl Cluster) {
    let (mut sender, other) = (cluster.node(), cluster.node());
    let room = room();
    sender.bus.subscribe(room);
    cluster.settle().await;
    sender.bus.publish(event(room, 1));
    sender.bus.publish(ephemeral(room));
    sender.bus.publish(control());
    sender.expect_nothing_before(&other).await;
}

async fn events_and_ephemeral_events_reach_only_subscribed_nodes(cluster: impl Cluster) {
    let (sender, mut other) = (cluster.node(), cluster.node());
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
    let (sender, mut second, mut third) = (cluster.node(), cluster.node(), cluster.node());
    let sent = control();
    sender.bus.publish(sent.clone());
    second.expect(&sent).await;
    third.expect(&sent).await;
}

async fn one_sender_is_heard_in_its_order(cluster: impl Cluster) {
    let (sender, mut other) = (cluster.node(), cluster.node());
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
    let (sender, mut slow, mut quick) = (cluster.node(), cluster.node(), cluster.node());
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
    assert_eq!(losses, 1);
    assert!(arrived < count && arrived >= INBOX_MESSAGES as u64, "{arrived} arrived");
}

async fn a_node_that_has_gone_disturbs_nobody(cluster: impl Cluster) {
    let (sender, mut other) = (cluster.node(), cluster.node());
    let (room, gone) = (room(), cluster.node());
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

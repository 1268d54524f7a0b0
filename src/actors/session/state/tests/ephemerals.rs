use serde_json::Value;

use super::*;
use crate::domain::ephemeral::{EphemeralPayload, OrderRing};
use crate::domain::ids::OrderId;
use crate::domain::saga::{Ring, RingKind};
use crate::protocol::ephemeral::EphemeralEvent;

fn ring(room: RoomId, order: u128, ring: u32) -> EncodedEphemeral {
    let ring = Ring { kind: RingKind::Placed, ring, deadline_at: None };
    let order = OrderId::from_uuid(Uuid::from_u128(order));
    let payload = EphemeralPayload::OrderRing(OrderRing::new(order, "001", ring, WALL));
    EncodedEphemeral::new(&EphemeralEvent::new(room, WALL, &payload))
}

/// The number of each ring in the outbox, and the cursor of each event.
fn sent(f: &mut Fixture) -> Vec<String> {
    let frames = f.written();
    let word = |frame: String| {
        let json: Value = serde_json::from_str(&frame[frame.find('{').unwrap()..]).unwrap();
        match json["type"].as_str() {
            Some("ephemeral") => format!("ring {}", json["event"]["data"]["ring"]),
            _ => json["cursor"].as_str().unwrap_or_default().to_owned(),
        }
    };
    frames.into_iter().map(word).collect()
}

#[test]
fn a_client_that_takes_everything_hears_each_ring_at_once() {
    let mut f = Fixture::joined();
    for n in 1..=2 {
        assert_eq!(f.state.deliver_ephemeral(f.room, &ring(f.room, 1, n)), Delivered::Queued);
        assert_eq!(sent(&mut f), [format!("ring {n}")]);
    }
}

#[test]
fn a_slow_client_hears_the_latest_ring_of_each_order_behind_its_events() {
    let mut f = Fixture::joined();
    f.deliver(11);
    for (order, n) in [(1, 1), (2, 2), (1, 3)] {
        assert_eq!(f.state.deliver_ephemeral(f.room, &ring(f.room, order, n)), Delivered::Ignored);
    }
    assert!(!f.state.release_ephemerals(), "the event is first");
    assert_eq!(sent(&mut f), ["00000007.11"]);
    assert!(f.state.release_ephemerals());
    assert_eq!(sent(&mut f), ["ring 2", "ring 3"]);
    assert!(!f.state.release_ephemerals(), "each once");
}

#[test]
fn nothing_ephemeral_reaches_a_client_before_hello_nor_while_it_catches_up_nor_once_it_closes() {
    let mut f = Fixture::opened(Some("biz"));
    let ring = ring(f.room, 1, 1);
    assert_eq!(f.state.deliver_ephemeral(f.room, &ring), Delivered::Ignored);
    f.state.joined(f.room, at(10), Some("00000007.8".to_owned()), WALL, &SessionSettings::default());
    f.written();
    assert_eq!(f.state.deliver_ephemeral(f.room, &ring), Delivered::Ignored);
    assert!(!f.state.release_ephemerals(), "two events come first");
    let page = [event(f.room, 9, EventType::OrderCreated), event(f.room, 10, EventType::OrderUpdated)];
    f.state.history_read(f.room, &page, &f.limits);
    assert_eq!(sent(&mut f), ["00000007.9", "00000007.10"]);
    f.state.close(CloseReason::TooSlow);
    f.written();
    assert!(!f.state.release_ephemerals());
}

use proptest::prelude::*;

use super::super::super::settings::BusSettings;
use super::*;
use crate::domain::cursor::Epoch;
use crate::domain::ids::{BusinessId, OrderId};

fn envelopes(node: u128, secret: &[u8]) -> Envelopes {
    Envelopes::new(NodeId::from_uuid(Uuid::from_u128(node)), BusKeys::new(&BusSettings::default(), secret))
}

fn pair() -> (Envelopes, Envelopes) {
    (envelopes(1, b"one secret"), envelopes(2, b"one secret"))
}

fn event(data: &str) -> Told {
    Told::Message(BusMessage::Event(RoomEvent {
        room: RoomId::Order(OrderId::from_uuid(Uuid::from_u128(3))),
        cursor: Cursor::new(Epoch::new(7), 42),
        id: EventId::from_uuid(Uuid::from_u128(4)),
        kind: EventKind::from("a_type_of_tomorrow"),
        at: Timestamp::from_unix_seconds(1_000_000),
        data: EventData::stored(data.to_owned()).expect("it is JSON"),
    }))
}

fn ephemeral() -> Told {
    Told::Message(BusMessage::Ephemeral(EphemeralEvent {
        room: RoomId::Business(BusinessId::from_uuid(Uuid::from_u128(3))),
        kind: EphemeralType::OrderRing,
        subject: Uuid::from_u128(9),
        at: Timestamp::from_unix_seconds(1_000_000),
        data: EventData::empty(),
    }))
}

fn all() -> Vec<Told> {
    vec![
        event(r#"{"text":"two\nlines","n":1.5}"#),
        ephemeral(),
        Told::Message(BusMessage::Control(ControlMessage::SessionEnded(LoginSessionId::from_uuid(
            Uuid::from_u128(5),
        )))),
        Told::Message(BusMessage::Control(ControlMessage::MembershipsChanged(UserId::from_uuid(
            Uuid::from_u128(6),
        )))),
        Told::Probe(u64::MAX),
    ]
}

#[test]
fn every_kind_of_message_reads_back_unchanged() {
    let (sender, receiver) = pair();
    for told in all() {
        let bytes = sender.write("c", &told).expect("it is small");
        let opened = receiver.read("c", &bytes).expect("it is genuine").expect("it is of another node");
        assert_eq!(format!("{opened:?}"), format!("{told:?}"));
    }
}

#[test]
fn own_messages_are_none_and_own_probes_are_seen() {
    let (sender, _) = pair();
    for told in all() {
        let bytes = sender.write("c", &told).expect("it is small");
        let opened = sender.read("c", &bytes).expect("it is genuine");
        assert_eq!(opened.is_some(), matches!(told, Told::Probe(_)));
    }
}

#[test]
fn messages_of_other_hubs_and_for_other_channels_are_forged() {
    let (sender, receiver) = pair();
    let bytes = sender.write("c", &event("{}")).expect("it is small");
    assert_eq!(receiver.read("d", &bytes).unwrap_err(), Unread::Forged);
    assert_eq!(envelopes(2, b"another").read("c", &bytes).unwrap_err(), Unread::Forged);
}

#[test]
fn what_a_later_release_says_is_left_alone() {
    let (sender, receiver) = pair();
    let written = |kind: u8, body: &[u8]| {
        let node = sender.node.uuid();
        let code = sender.keys.sign(&[b"c", &[0, VERSION, kind], node.as_bytes(), body]);
        [&[VERSION][..], &code, &[kind], node.as_bytes(), body].concat()
    };
    let room = "order:ord_00000000000000000000000000000003";
    let known = format!(
        "{{\"room\":\"{room}\",\"cursor\":\"00000007.1\",\"id\":\"evt_00000000000000000000000000000003\",\
         \"type\":\"order_created\",\"time\":\"2026-01-01T00:00:00Z\",\"colour\":\"blue\"}}\n{{}}"
    );
    assert!(receiver.read("c", &written(EVENT, known.as_bytes())).is_ok_and(|told| told.is_some()));
    let foreign_room = known.replace("order:ord_", "planet:pla_");
    for (kind, body) in
        [(EVENT, foreign_room.as_str()), (99, "{}"), (CONTROL, r#"{"colour_changed":"blue"}"#)]
    {
        assert_eq!(
            receiver.read("c", &written(kind, body.as_bytes())).unwrap_err(),
            Unread::Unknown,
            "{body}"
        );
    }
    assert_eq!(receiver.read("c", &[2, 1, 2, 3]).unwrap_err(), Unread::Unknown);
}

#[test]
fn what_is_too_large_is_not_sent_and_not_read() {
    let (sender, receiver) = pair();
    let data = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    assert!(sender.write("c", &event(&data(MAX_BYTES - 1000))).is_some());
    assert!(sender.write("c", &event(&data(MAX_BYTES))).is_none());
    assert_eq!(receiver.read("c", &vec![VERSION; MAX_BYTES + 1]).unwrap_err(), Unread::Forged);
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_left_alone(bytes in proptest::collection::vec(any::<u8>(), 0..400), valid: bool) {
        let (_, receiver) = pair();
        let mut bytes = bytes;
        if valid && let Some(first) = bytes.first_mut() {
            *first = VERSION;
        }
        prop_assert!(receiver.read("c", &bytes).is_err());
    }

    #[test]
    fn a_changed_byte_is_noticed(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (sender, receiver) = pair();
        let told = all().swap_remove(which.index(5));
        let mut bytes = sender.write("c", &told).expect("it is small");
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(receiver.read("c", &bytes).is_err());
    }

    #[test]
    fn genuine_envelopes_of_any_contents_are_decoded_or_left_alone(kind: u8, body in ".*") {
        let _ = decode(kind, body.as_bytes());
        let _ = decode(kind % 5, format!("{{}}\n{body}").as_bytes());
    }

    #[test]
    fn events_of_any_position_and_data_read_back(seq in 1_u64..=i64::MAX as u64, epoch: u32, text in ".*") {
        let (sender, receiver) = pair();
        let Told::Message(BusMessage::Event(mut sent)) = event("{}") else { unreachable!() };
        sent.cursor = Cursor::new(Epoch::new(epoch), seq);
        sent.data = EventData::stored(serde_json::to_string(&text).expect("a text")).expect("it is JSON");
        let told = Told::Message(BusMessage::Event(sent));
        let bytes = sender.write("c", &told).expect("it is small");
        let opened = receiver.read("c", &bytes).expect("genuine").expect("of another");
        prop_assert_eq!(format!("{opened:?}"), format!("{told:?}"));
    }
}

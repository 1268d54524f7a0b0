use super::*;

fn word(f: &Fixture) -> Option<(String, Vec<BusinessId>, Instant)> {
    let word = f.state.ring_word()?;
    Some((word.device.1.to_string(), word.businesses.to_vec(), word.at))
}

const CAN: &str = r#"{"type":"device","id":"till-1","can_ring":true}"#;
const CANNOT: &str = r#"{"type":"device","id":"till-1","can_ring":false}"#;

#[test]
fn a_device_that_says_so_rings_for_the_businesses_it_listens_to_until_it_takes_it_back() {
    let mut f = Fixture::joined();
    let business = BusinessId::from_uuid(Uuid::nil());
    assert_eq!(f.send(CANNOT), None, "it never could");
    assert_eq!(f.send(CAN), Some(SessionEffect::TellRing));
    assert_eq!(word(&f), Some(("till-1".to_owned(), vec![business], f.now)));
    assert_eq!(f.send(CANNOT), Some(SessionEffect::TellRing));
    assert_eq!(word(&f), None);
}

#[test]
fn a_room_that_is_joined_later_is_told_at_once_with_the_time_of_the_word() {
    let mut f = Fixture::joined();
    f.send(CAN);
    let other = BusinessId::from_uuid(Uuid::from_u128(2));
    let frame = format!(r#"{{"type":"subscribe","room":"business:{other}"}}"#);
    f.send(&frame);
    let room = RoomId::Business(other);
    f.state.admitted(room, None);
    assert_eq!(word(&f).map(|word| word.1.len()), Some(1), "it is not there yet");
    let joined = f.state.joined(room, at(3), None, WALL, &SessionSettings::default());
    assert_eq!(joined, Some(SessionEffect::TellRing));
    assert_eq!(word(&f).map(|word| word.1), Some(vec![BusinessId::from_uuid(Uuid::nil()), other]));
    f.send(&format!(r#"{{"type":"unsubscribe","room":"business:{other}"}}"#));
    assert_eq!(word(&f).map(|word| word.1.len()), Some(1));
}

#[test]
fn an_operator_who_listens_answers_for_no_business() {
    let mut f = Fixture::joined();
    f.state.principal.role = Role::Admin;
    f.send(CAN);
    assert_eq!(word(&f), None);
}

#[test]
fn a_bad_device_id_says_nothing_about_ringing() {
    let mut f = Fixture::joined();
    assert_eq!(f.send(r#"{"type":"device","id":"","can_ring":true}"#), None);
    assert_eq!(word(&f), None);
}

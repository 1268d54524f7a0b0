use super::super::tests::{SOON, order};
use super::*;
use crate::domain::business::Location;

const MOMENT: Duration = Duration::from_secs(90);

fn request(party: Party, order: &Order) -> ChangeRequest {
    let version = order.version;
    ChangeRequest { party, version, ready_in_minutes: None, address: None, phone: None, notes: None }
}

fn has_route(field: OrderField) -> bool {
    matches!(field, OrderField::Fulfilment | OrderField::DeliveredBy)
}

/// A request that names this field alone.
fn naming(field: OrderField, party: Party, order: &Order) -> ChangeRequest {
    let mut request = request(party, order);
    match field {
        OrderField::ReadyAt => request.ready_in_minutes = Some(10),
        OrderField::Address => {
            let location = Location { lat: 1.0, lng: 2.0 };
            request.address = Some(Address { text: "Rua 2".to_owned(), location });
        }
        OrderField::Phone => request.phone = Some("+351 1".to_owned()),
        OrderField::Notes => request.notes = Some("no onions".to_owned()),
        OrderField::Fulfilment | OrderField::DeliveredBy => panic!("it has a route of its own"),
    }
    request
}

#[test]
fn who_may_change_what_and_until_when() {
    use Status::{Accepted, PendingPayment, PickedUp, Placed, Preparing, Ready};
    let cooking = [Accepted, Preparing, Ready].as_slice();
    let unanswered = [PendingPayment, Placed].as_slice();
    let live = [PendingPayment, Placed, Accepted, Preparing, Ready, PickedUp].as_slice();
    for field in OrderField::ALL.into_iter().filter(|field| !has_route(*field)) {
        for party in Party::ALL {
            let until: &[Status] = match (field, party) {
                (_, Party::Driver | Party::System) | (OrderField::ReadyAt, Party::Customer) => &[],
                (OrderField::ReadyAt, Party::Member | Party::Admin) => cooking,
                (_, Party::Customer) => unanswered,
                (_, Party::Member | Party::Admin) => live,
            };
            for status in Status::ALL {
                let mut order = order(Fulfilment::Delivery);
                order.status = status;
                let before = order.clone();
                let changed = order.change(naming(field, party, &order), SOON);
                let expected = match until {
                    [] => Err(ChangeRefusal::NotTheirs(field)),
                    _ if until.contains(&status) => Ok(vec![field]),
                    _ => Err(ChangeRefusal::NotNow { field, status }),
                };
                assert_eq!(changed, expected, "{field} by {party} at {status}");
                assert_eq!(order == before, expected.is_err(), "a refusal changes nothing");
                assert_eq!((order.version, order.status), (before.version, before.status));
            }
        }
    }
}

#[test]
fn what_is_so_already_is_no_change_and_the_time_counts_from_now() {
    let mut order = order(Fulfilment::Delivery);
    order.status = Status::Preparing;
    let wanted = ChangeRequest {
        ready_in_minutes: Some(25),
        notes: Some("no onions".to_owned()),
        ..request(Party::Member, &order)
    };
    let now = SOON.plus(MOMENT);
    let both = vec![OrderField::ReadyAt, OrderField::Notes];
    assert_eq!(order.change(wanted.clone(), now), Ok(both));
    assert_eq!(order.ready_at, Some(now.plus(Duration::from_secs(25 * 60))));
    assert_eq!(order.change(wanted, now), Ok(vec![]));
}

#[test]
fn one_field_that_is_refused_leaves_the_others_as_they_were() {
    let mut order = order(Fulfilment::Delivery);
    let phone = naming(OrderField::Phone, Party::Member, &order);
    let refused = order.change(ChangeRequest { ready_in_minutes: Some(5), ..phone }, SOON);
    let (field, status) = (OrderField::ReadyAt, Status::Placed);
    assert_eq!(refused, Err(ChangeRefusal::NotNow { field, status }));
    assert_eq!(order.phone, None);
}

#[test]
fn a_change_of_an_outdated_order_or_of_an_address_it_does_not_have_is_refused() {
    let mut delivery = order(Fulfilment::Delivery);
    let stale = ChangeRequest { version: 7, ..naming(OrderField::Notes, Party::Customer, &delivery) };
    let current = ChangeRefusal::Stale { current: 1, status: Status::Placed };
    assert_eq!(delivery.change(stale, SOON), Err(current));
    for fulfilment in [Fulfilment::Pickup, Fulfilment::DineIn] {
        let mut order = order(fulfilment);
        let address = naming(OrderField::Address, Party::Admin, &order);
        assert_eq!(order.change(address, SOON), Err(ChangeRefusal::NoDelivery));
    }
}

#[test]
fn a_printed_request_does_not_say_where_somebody_lives() {
    let order = order(Fulfilment::Delivery);
    let printed = format!("{:?}", naming(OrderField::Address, Party::Customer, &order));
    assert!(printed.contains("address") && !printed.contains("Rua"), "{printed}");
}

#[test]
fn a_customer_changes_an_order_20_times_and_all_together_100_times_at_most() {
    let mut order = order(Fulfilment::Delivery);
    let notes = |party, text: &str, order: &Order| {
        let notes = Some(text.to_owned());
        ChangeRequest { notes, ..request(party, order) }
    };
    for (party, most) in [(Party::Customer, 20), (Party::Member, 100)] {
        for edit in order.edits..most {
            assert_eq!(
                order.change(notes(party, &edit.to_string(), &order), SOON),
                Ok(vec![OrderField::Notes])
            );
        }
        let before = order.clone();
        assert_eq!(order.change(notes(party, "more", &order), SOON), Err(ChangeRefusal::TooOften));
        assert_eq!(order, before);
        let last = (most - 1).to_string();
        assert_eq!(order.change(notes(party, &last, &order), SOON), Ok(vec![]), "a repetition is none");
    }
    assert_eq!(order.change(notes(Party::Admin, "more", &order), SOON), Err(ChangeRefusal::TooOften));
}

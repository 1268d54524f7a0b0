use super::*;

#[test]
fn every_move_that_is_not_in_the_table_is_refused() {
    let mut allowed = 0;
    for from in Status::ALL {
        for to in Status::ALL {
            for way in Way::ALL {
                for party in Party::ALL {
                    let listed = TABLE.iter().any(|r| {
                        r.from == from && r.to == to && r.ways.contains(&way) && r.parties.contains(&party)
                    });
                    match verdict(from, to, way, party) {
                        Verdict::Allowed(r) => {
                            assert!(listed && r.from == from && r.to == to);
                            allowed += 1;
                        }
                        Verdict::Forbidden { allowed } | Verdict::NobodysMove { allowed } => {
                            assert!(!listed && !allowed.contains(&to));
                        }
                        Verdict::AlreadyThere => assert_eq!(from, to),
                        Verdict::NotTheirMove => assert!(!listed),
                    }
                }
            }
        }
    }
    let lines: usize = TABLE.iter().map(|r| r.ways.len() * r.parties.len()).sum();
    assert_eq!(allowed, lines, "each line of the table is reachable exactly once");
}

#[test]
fn ends_are_ends_and_everything_else_has_a_way_out() {
    for status in Status::ALL {
        assert_eq!(TABLE.iter().any(|r| r.from == status), !status.is_end(), "{status:?}");
    }
}

#[test]
fn customers_cancel_until_accepted_and_do_nothing_else() {
    for from in Status::ALL {
        for to in Status::ALL {
            let may = matches!(verdict(from, to, Way::Pickup, Party::Customer), Verdict::Allowed(_));
            assert_eq!(may, to == Cancelled && matches!(from, PendingPayment | Placed), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn members_cancel_until_picked_up() {
    for from in Status::ALL {
        let may = matches!(verdict(from, Cancelled, Way::OwnDelivery, Party::Member), Verdict::Allowed(_));
        assert_eq!(may, from < PickedUp, "{from:?}");
    }
}

#[test]
fn pickup_and_dine_in_go_from_ready_to_delivered_and_are_picked_up_by_nobody() {
    for way in [Way::Pickup, Way::DineIn] {
        assert!(matches!(verdict(Ready, Delivered, way, Party::Member), Verdict::Allowed(_)));
        for party in Party::ALL {
            let verdict = verdict(Ready, PickedUp, way, party);
            assert!(matches!(verdict, Verdict::NobodysMove { .. }), "{party:?}: {verdict:?}");
        }
    }
    assert!(matches!(verdict(Ready, Delivered, Way::OwnDelivery, Party::Member), Verdict::Forbidden { .. }));
}

#[test]
fn nobody_goes_back_to_waiting_for_payment_and_the_hub_alone_places() {
    for party in [Party::Customer, Party::Member, Party::Driver, Party::Admin] {
        for to in [PendingPayment, Placed] {
            let verdict = verdict(Accepted, to, Way::Pickup, party);
            assert!(matches!(verdict, Verdict::NobodysMove { .. }), "{party:?}: {verdict:?}");
        }
        assert!(matches!(verdict(Placed, Placed, Way::Pickup, party), Verdict::AlreadyThere));
    }
    assert!(matches!(verdict(PendingPayment, Placed, Way::Pickup, Party::System), Verdict::Allowed(_)));
}

#[test]
fn members_bring_their_own_deliveries_to_their_end_and_leave_others_to_drivers() {
    for (from, to) in [(Ready, PickedUp), (PickedUp, Delivered), (PickedUp, Failed)] {
        let may = |way, party| matches!(verdict(from, to, way, party), Verdict::Allowed(_));
        let not_theirs = |way, party| matches!(verdict(from, to, way, party), Verdict::NotTheirMove);
        assert!(
            may(Way::OwnDelivery, Party::Member) && not_theirs(Way::OwnDelivery, Party::Driver),
            "{to:?}"
        );
        assert!(
            may(Way::DriverDelivery, Party::Driver) && not_theirs(Way::DriverDelivery, Party::Member),
            "{to:?}"
        );
        assert!(may(Way::OwnDelivery, Party::Admin) && may(Way::DriverDelivery, Party::Admin), "{to:?}");
    }
}

#[test]
fn only_answers_stop_the_ringing_and_every_way_out_of_placed_is_an_answer() {
    for r in TABLE {
        assert_eq!(r.follows.contains(&StopAlert), r.from == Placed, "{r:?}");
        assert_eq!(r.follows.contains(&StartAlert), r.to == Placed, "{r:?}");
    }
}

#[test]
fn the_printed_table_is_the_one_in_the_docs() {
    let docs = include_str!("../../../../docs/orders.md");
    assert!(docs.contains(&to_markdown()), "docs/orders.md must contain this table:\n{}", to_markdown());
}

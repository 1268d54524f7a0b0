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
fn only_an_operators_correction_of_a_delivered_order_leads_out_of_an_end() {
    for status in Status::ALL {
        let out: Vec<&Row> = TABLE.iter().filter(|row| row.from == status).collect();
        let corrected =
            |row: &&Row| row.when == When::EndIsRecent && row.parties == [Admin] && row.follows.is_empty();
        match status {
            Delivered => assert!(out.iter().all(corrected) && out.len() == 2),
            _ => assert_eq!(out.is_empty(), status.is_end(), "{status}"),
        }
    }
    assert!(TABLE.iter().all(|row| row.from == Delivered || row.when != When::EndIsRecent));
}

#[test]
fn members_skip_forward_and_the_hub_skips_to_no_refund() {
    for way in Way::ALL {
        let may = |from, to, party| matches!(verdict(from, to, way, party), Verdict::Allowed(_));
        let fetched = matches!(way, Way::Pickup | Way::DineIn);
        assert!(may(Accepted, Ready, Member), "{way:?}");
        for from in [Accepted, Preparing, Ready] {
            assert_eq!(may(from, Delivered, Member), fetched, "{from} {way:?}");
            assert_eq!(may(from, Delivered, System), fetched, "{from} {way:?}");
            assert_eq!(may(from, PickedUp, Driver), way == Way::DriverDelivery, "{from} {way:?}");
            assert_eq!(
                may(from, PickedUp, Member),
                from == Ready && way == Way::OwnDelivery,
                "{from} {way:?}"
            );
        }
        assert!(!may(PickedUp, Delivered, System) && !may(PickedUp, Failed, System), "{way:?}");
    }
    let of_the_hub = TABLE.iter().filter(|row| row.parties == [System] && row.to == Delivered);
    assert!(
        of_the_hub.clone().count() == 4 && of_the_hub.clone().all(|row| row.follows.contains(&LeaveCash))
    );
}

#[test]
fn members_take_ready_back_until_it_is_picked_up() {
    for way in Way::ALL {
        for party in Party::ALL {
            for from in [Ready, PickedUp, Delivered] {
                let may = matches!(verdict(from, Preparing, way, party), Verdict::Allowed(_));
                assert_eq!(may, from == Ready && matches!(party, Member | Admin), "{from} {way:?} {party}");
            }
        }
    }
}

#[test]
fn a_failure_is_a_no_show_at_the_counter_and_anything_else_on_the_way() {
    for row in TABLE.iter().filter(|row| row.to == Failed) {
        let ReasonRule::OneOf(known) = row.reason(row.parties[0]) else { panic!("{row:?}") };
        match row.from {
            Ready => assert!(known == [FailureReason::NoShow] && row.ways == [Way::Pickup]),
            PickedUp => assert!(!known.contains(&FailureReason::NoShow)),
            _ => assert_eq!(known, FailureReason::ALL),
        }
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
        let answers = r.follows.contains(&StopAlert) != r.follows.contains(&RingOn);
        assert_eq!(answers, r.from == Placed, "{r:?}");
        assert_eq!(
            r.follows.contains(&RingOn),
            r.from == Placed && r.to == Accepted && r.parties == [System]
        );
        assert_eq!(r.follows.contains(&StartAlert), r.to == Placed, "{r:?}");
    }
}

#[test]
fn an_end_that_the_business_did_not_make_rings_if_it_had_accepted() {
    for row in TABLE.iter().filter(|row| row.to == Cancelled) {
        let is_cooking = matches!(row.from, Accepted | Preparing | Ready);
        assert_eq!(row.follows.contains(&RingEnd), is_cooking && !row.parties.contains(&Member), "{row:?}");
    }
}

#[test]
fn the_printed_tables_and_the_diagram_are_those_in_the_docs() {
    let docs = include_str!("../../../../docs/orders.md");
    for text in [to_markdown(), format!("```mermaid\n{}```\n", to_mermaid()), failures_to_markdown()] {
        assert!(docs.contains(&text), "docs/orders.md must contain this:\n{text}");
    }
}

//! Businesses, menus and members.

use std::sync::Arc;
use std::time::Duration;

use bellhop::domain::access::{MemberRole, Role};
use bellhop::domain::business::{
    Accepts, BusinessContact, BusinessState, Location, MenuItem, PauseCause, Reach, Timezone, TradingChange,
};
use bellhop::domain::delivery::DeliveredBy;
use bellhop::domain::hold::HeldAction;
use bellhop::domain::ids::{BusinessId, UserId};
use bellhop::domain::order::{Fulfilment, PlaceRefusal};
use bellhop::domain::room::RoomId;
use bellhop::storage::Lane;
use bellhop::storage::commands::{
    AddItem, Addition, AlertTimes, BusinessPatch, BusinessUpdate, CreateBusiness, ItemPatch, MemberRefusal,
    Outcome, PlaceOutcome, PutMember, Removal, RemoveItem, RemoveMember, SetHold, UpdateItem, Write,
};

use crate::fixtures::{Fixture, item, now, place, place_one, run, run_one, trade, update, user, world};

fn put(world: &Fixture, user: UserId, role: MemberRole) -> Write {
    Write::PutMember(PutMember { business: world.business.id, user, role })
}

fn remove(world: &Fixture, user: UserId) -> Write {
    Write::RemoveMember(RemoveMember { business: world.business.id, user })
}

on_every_store! {
    async fn a_business_comes_back_exactly(store) {
        let (world, _lane) = Fixture::new(&store).await;
        assert_eq!(store.store.business(world.business.id).await.unwrap(), Some(world.business));
        assert_eq!(store.store.business(BusinessId::generate()).await.unwrap(), None);
    }

    async fn an_update_changes_only_what_is_given(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let update = |patch| update(world.business.id, patch);
        let mut expected = world.business.clone();
        for (change, state) in [
            (TradingChange::Busy { extra_minutes: 15 }, BusinessState::Busy { extra_minutes: 15 }),
            (TradingChange::Closed, BusinessState::Closed), (TradingChange::Open, BusinessState::Open),
        ] {
            let outcome = run_one(&mut *lane, trade(world.business.id, change)).await;
            let Outcome::BusinessUpdated(BusinessUpdate::Updated(updated)) = outcome else { panic!() };
            expected.version += 1;
            (expected.state, expected.updated_at) = (state, updated.updated_at);
            expected.alerts.opened_at = (state == BusinessState::Open).then_some(updated.updated_at);
            assert_eq!(*updated, expected);
        }
        let patch = BusinessPatch {
            name: Some("Новое".to_owned()), location: Some(Location { lat: -0.1, lng: 179.999_999_9 }),
            zone: Some("north".to_owned()), timezone: Some(Timezone::utc()), prep_minutes: Some(5), tables: Some(0),
            contact: Some(BusinessContact { email: None, phone: Some("112".to_owned()) }),
            delivered_by: Some(DeliveredBy::Drivers), ..BusinessPatch::default()
        };
        let Outcome::BusinessUpdated(BusinessUpdate::Updated(updated)) = run_one(&mut *lane, update(patch)).await else { panic!() };
        assert_eq!((&*updated.name, updated.location.lng, updated.tables), ("Новое", 179.999_999_9, 0));
        assert_eq!(store.store.business(world.business.id).await.unwrap(), Some(*updated));
        let absent = crate::fixtures::update(BusinessId::generate(), BusinessPatch::default());
        assert!(matches!(run_one(&mut *lane, absent).await, Outcome::BusinessUpdated(BusinessUpdate::NotThere)));
    }

    async fn terms_of_a_business_come_back_and_pauses_stand_beside_its_state(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let id = world.business.id;
        run_one(&mut *lane, trade(id, TradingChange::Busy { extra_minutes: 5 })).await;
        let until = now().plus(Duration::from_secs(600));
        let committed = run(&mut *lane, vec![trade(id, TradingChange::Paused { until: Some(until) })]).await;
        let rooms: Vec<String> = committed.events.iter().map(|event| event.room.to_string()).collect();
        assert_eq!(rooms, [format!("business:{id}"), "ops".to_owned()]);
        let terms = BusinessPatch {
            alert_times: Some(AlertTimes { accept_s: Some(300), ring_every_s: None }), auto_accept: Some(true),
            reach: Some(Reach::Any), muted_until: Some(Some(until)),
            accepts: Some(Accepts { fulfilment: vec![Fulfilment::Pickup], ..Accepts::default() }),
            ..BusinessPatch::default()
        };
        run_one(&mut *lane, update(id, terms.clone())).await;
        let stored = store.store.business(id).await.unwrap().unwrap();
        assert_eq!(stored.state, BusinessState::Busy { extra_minutes: 5 });
        assert_eq!(stored.pauses.of(PauseCause::Manual, now()).and_then(|pause| pause.until), Some(until));
        let alerts = &stored.alerts;
        assert_eq!((alerts.accept_s, alerts.ring_every_s, alerts.auto_accept), (Some(300), None, true));
        assert_eq!((alerts.reach, alerts.muted_until), (Reach::Any, Some(until)));
        assert_eq!(stored.accepts, terms.accepts.unwrap());
        // A name tells nobody anything, and leaves all of it.
        let renamed = run(&mut *lane, vec![update(id, BusinessPatch { name: Some("x".to_owned()), ..BusinessPatch::default() })]).await;
        assert!(renamed.events.is_empty());
        let after = store.store.business(id).await.unwrap().unwrap();
        assert_eq!((after.pauses, after.accepts, after.alerts), (stored.pauses, stored.accepts, stored.alerts));
        assert_eq!(store.peek("SELECT count(*) FROM audit WHERE action = 'business.trading'").await, 2);
    }

    async fn operators_and_the_audit_are_told_what_changes_whether_orders_are_taken(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let id = world.business.id;
        let until = now().plus(Duration::from_secs(600));
        let mute = BusinessPatch { muted_until: Some(Some(until)), ..BusinessPatch::default() };
        let busy = |extra_minutes| trade(id, TradingChange::Busy { extra_minutes });
        for (change, in_ops, in_audit) in [
            (busy(5), false, 1), (busy(6), false, 1), (update(id, mute), false, 1),
            (trade(id, TradingChange::Closed), true, 2), (trade(id, TradingChange::Open), true, 3),
        ] {
            let rooms: Vec<RoomId> = run(&mut *lane, vec![change]).await.events.iter().map(|event| event.room).collect();
            let ops = in_ops.then_some(RoomId::Ops);
            assert_eq!(rooms, [RoomId::Business(id)].into_iter().chain(ops).collect::<Vec<_>>());
            assert_eq!(store.peek("SELECT count(*) FROM audit WHERE action = 'business.trading'").await, in_audit);
        }
    }

    async fn a_pause_of_an_older_release_ends_by_hand_like_any(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let id = world.business.id;
        store.tamper("UPDATE businesses SET state = 'paused', paused_until = 9000000000000000").await;
        let ended = BusinessPatch { ended_pause: Some(PauseCause::Manual), ..BusinessPatch::default() };
        let outcomes = run(&mut *lane, vec![place(world.draft()), update(id, ended), place(world.draft())]).await.outcomes;
        assert!(matches!(&outcomes[0], Outcome::Placed(PlaceOutcome::Refused(PlaceRefusal::NotTakingOrders(_)))));
        assert!(matches!(&outcomes[2], Outcome::Placed(PlaceOutcome::Placed(_))), "{outcomes:?}");
    }

    async fn holds_are_set_replaced_lifted_and_recorded(store) {
        let mut lane = store.lane().await;
        let (user, at) = (UserId::generate(), now());
        let set = |scope: &str, until: Option<u64>| Write::SetHold(SetHold {
            what: HeldAction::AutoPause, scope: scope.parse().unwrap(), reason: "a test".to_owned(), user,
            until: until.map(|seconds| at.plus(Duration::from_secs(seconds))),
        });
        for write in [set("all", Some(60)), set("zone:north pole", Some(120)), set("all", Some(600)), set("all", None)] {
            run_one(&mut *lane, write).await;
        }
        let held = store.store.holds(at).await.unwrap();
        assert_eq!(held.len(), 1);
        assert_eq!((held[0].hold.scope.to_string(), held[0].user), ("zone:north pole".to_owned(), user));
        assert!(store.store.holds(at.plus(Duration::from_secs(120))).await.unwrap().is_empty(), "it has ended");
        store.tamper("UPDATE holds SET what = 'gravity'").await;
        assert!(store.store.holds(at).await.unwrap().is_empty(), "a newer release knows it");
        assert_eq!(store.peek("SELECT count(*) FROM audit WHERE action LIKE 'hold.%'").await, 4);
    }

    async fn the_times_of_answers_are_those_of_the_nearest_rank(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let slow = crate::fixtures::world(&mut *lane).await;
        let since = now().minus(Duration::from_secs(3600));
        // Answered after 1 to 10 seconds, by their numbers.
        for _ in 1..=10 {
            place_one(&mut *lane, world.draft()).await;
        }
        store.tamper("UPDATE orders SET answered_at = placed_at + order_number * 1000000").await;
        // One that a member placed, and one that the hub accepted by itself: neither waited for an answer.
        for _ in 11..=12 {
            place_one(&mut *lane, world.draft()).await;
        }
        store.tamper("UPDATE orders SET answered_at = placed_at + 1, placed_by = 'member' WHERE order_number = 11").await;
        store.tamper("UPDATE orders SET answered_at = placed_at + 1 WHERE order_number = 12").await;
        store
            .tamper(
                "INSERT INTO order_events (order_id, version, from_status, to_status, party, at) \
                 SELECT id, 2, 'placed', 'accepted', 'system', placed_at FROM orders WHERE order_number = 12",
            )
            .await;
        let (lost, late) = (slow.draft(), slow.draft());
        for draft in [lost, late] {
            place_one(&mut *lane, draft).await;
        }
        store.tamper("UPDATE orders SET status = 'cancelled', ended_code = 'unanswered' WHERE answered_at IS NULL AND order_number = 1").await;
        store.tamper("UPDATE orders SET answered_at = placed_at + 90000000 WHERE answered_at IS NULL AND order_number = 2").await;
        let stats = store.store.business_stats(world.business.id, since).await.unwrap().answers;
        assert_eq!((stats.p50_s, stats.p90_s, stats.answered, stats.unanswered), (Some(5), Some(9), 10, 0));
        let slowest = store.store.slowest_to_answer(since, 10).await.unwrap();
        let ids: Vec<_> = slowest.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [slow.business.id, world.business.id]);
        let times = slowest[0].1;
        assert_eq!((times.p50_s, times.p90_s, times.answered, times.unanswered), (Some(90), Some(90), 1, 1));
        let of_both = store.store.answer_times(&ids, since).await.unwrap();
        assert_eq!(of_both.len(), 2);
        let none = store.store.answer_times(&ids, now()).await.unwrap();
        assert!(none.is_empty(), "{none:?}");
        let named = store.store.businesses_named(&[ids[0], BusinessId::generate()]).await.unwrap();
        assert_eq!(named.len(), 1);
    }

    async fn a_currency_changes_until_there_is_a_price_or_an_order(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let to = |business, code: &str| {
            let patch = BusinessPatch { currency: Some(code.parse().unwrap()), ..BusinessPatch::default() };
            update(business, patch)
        };
        let fresh = crate::fixtures::business();
        let make = Write::CreateBusiness(CreateBusiness { business: Box::new(fresh.clone()), owner: world.owner });
        let outcomes = run(&mut *lane, vec![make, to(fresh.id, "XCG")]).await.outcomes;
        let Outcome::BusinessUpdated(BusinessUpdate::Updated(changed)) = &outcomes[1] else { panic!("{outcomes:?}") };
        assert_eq!(changed.currency.as_str(), "XCG");
        let in_use = async |lane: &mut dyn Lane, code| {
            let outcome = run_one(lane, to(world.business.id, code)).await;
            matches!(outcome, Outcome::BusinessUpdated(BusinessUpdate::CurrencyInUse))
        };
        assert!(in_use(&mut *lane, "EUR").await, "there are prices");
        assert!(!in_use(&mut *lane, "JPY").await, "it is the present one");
        place_one(&mut *lane, world.draft()).await;
        for sku in ["SOUP", "PIZZA-1", "GONE"] {
            run_one(&mut *lane, Write::RemoveItem(RemoveItem { business: world.business.id, sku: sku.to_owned() })).await;
        }
        assert!(in_use(&mut *lane, "EUR").await, "there was an order");
        assert_eq!(store.store.business(world.business.id).await.unwrap().unwrap().currency, world.business.currency);
    }

    async fn a_currency_that_was_withdrawn_since_stays_readable(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        store.tamper("UPDATE businesses SET currency = 'ANG'").await;
        store.tamper("UPDATE orders SET currency = 'ANG'").await;
        assert_eq!(store.store.business(world.business.id).await.unwrap().unwrap().currency.as_str(), "ANG");
        assert_eq!(store.store.order(order.id).await.unwrap().unwrap().currency.as_str(), "ANG");
    }

    async fn the_contact_of_a_business_is_sealed(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let shown = "SELECT count(*) FROM businesses WHERE contact_email LIKE '%example%' OR contact_phone LIKE '%44%55%' \
                     OR contact_email IS NULL OR contact_phone IS NULL";
        assert_eq!(store.peek(shown).await, 0);
        let none = BusinessPatch { contact: Some(BusinessContact::default()), ..BusinessPatch::default() };
        run_one(&mut *lane, update(world.business.id, none)).await;
        let contact = store.store.business(world.business.id).await.unwrap().unwrap().contact;
        assert_eq!(contact, BusinessContact::default());
    }

    async fn businesses_are_listed_oldest_first_from_anywhere(store) {
        let mut lane = store.lane().await;
        let worlds = [world(&mut *lane).await, world(&mut *lane).await, world(&mut *lane).await];
        let ids = |list: Vec<bellhop::domain::business::Business>| list.into_iter().map(|b| b.id).collect::<Vec<_>>();
        let all: Vec<_> = worlds.iter().map(|w| w.business.id).collect();
        assert_eq!(ids(store.store.businesses(None, 10).await.unwrap()), all);
        assert_eq!(ids(store.store.businesses(Some(all[0]), 1).await.unwrap()), [all[1]]);
        let staff = worlds[0].owner;
        run_one(&mut *lane, put(&worlds[2], staff, MemberRole::Staff)).await;
        assert_eq!(ids(store.store.businesses_of(staff, None, 10).await.unwrap()), [all[0], all[2]]);
        assert_eq!(ids(store.store.businesses_of(staff, Some(all[0]), 10).await.unwrap()), [all[2]]);
        assert!(store.store.businesses_of(worlds[0].customer, None, 10).await.unwrap().is_empty());
    }

    async fn a_menu_is_kept_by_category_and_name(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let business = world.business.id;
        let water = MenuItem { category: Some("Drinks".to_owned()), ..item("WATER", 100) };
        let loose = MenuItem { category: None, ..item("A", 1) };
        let add = |item: &MenuItem| Write::AddItem(AddItem { business, item: item.clone() });
        let added = run(&mut *lane, vec![add(&water), add(&loose), add(&water)]).await.outcomes;
        assert!(matches!(added[..], [
            Outcome::ItemAdded(Addition::Added), Outcome::ItemAdded(Addition::Added),
            Outcome::ItemAdded(Addition::AlreadyThere),
        ]));
        let skus = async || {
            let menu = store.store.menu(business).await.unwrap();
            menu.into_iter().map(|i| i.sku).collect::<Vec<_>>()
        };
        assert_eq!(skus().await, ["WATER", "GONE", "PIZZA-1", "SOUP", "A"]);
        let update = |patch| Write::UpdateItem(UpdateItem { business, sku: "WATER".to_owned(), patch });
        let patch = ItemPatch { category: Some(None), available: Some(false), ..ItemPatch::default() };
        let Outcome::ItemUpdated(Some(changed)) = run_one(&mut *lane, update(patch)).await else { panic!() };
        assert_eq!(changed, MenuItem { category: None, available: false, ..water.clone() });
        let patch = ItemPatch {
            name: Some("Wasser".to_owned()), price_minor: Some(0), category: Some(Some("Z".to_owned())),
            available: None,
        };
        run_one(&mut *lane, update(patch)).await;
        let menu = store.store.menu(business).await.unwrap();
        let stored = menu.iter().find(|i| i.sku == "WATER").unwrap();
        assert_eq!((&*stored.name, stored.price_minor, stored.category.as_deref(), stored.available),
            ("Wasser", 0, Some("Z"), false));
        let gone = |sku: &str| Write::RemoveItem(RemoveItem { business, sku: sku.to_owned() });
        let removed = run(&mut *lane, vec![gone("WATER"), gone("WATER")]).await.outcomes;
        assert!(matches!(removed[..], [Outcome::Removed(Removal::Removed), Outcome::Removed(Removal::NotThere)]));
        let absent = Write::UpdateItem(UpdateItem { business, sku: "NO".to_owned(), patch: ItemPatch::default() });
        assert!(matches!(run_one(&mut *lane, absent).await, Outcome::ItemUpdated(None)));
    }

    async fn a_menu_has_a_thousand_items_and_a_business_two_hundred_members_at_most(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let business = world.business.id;
        let held = store.store.menu(business).await.unwrap().len();
        let add = |n: usize| Write::AddItem(AddItem { business, item: item(&format!("NO-{n}"), 1) });
        for batch in (held..1000).collect::<Vec<_>>().chunks(50) {
            run(&mut *lane, batch.iter().copied().map(add).collect()).await;
        }
        assert_eq!(store.store.menu(business).await.unwrap().len(), 1000);
        let outcomes = run(&mut *lane, vec![add(1000), add(999)]).await.outcomes;
        assert!(matches!(outcomes[..], [
            Outcome::ItemAdded(Addition::Full), Outcome::ItemAdded(Addition::AlreadyThere),
        ]));
        let people: Vec<_> = (0..200).map(|_| user(Role::Merchant)).collect();
        let ids: Vec<UserId> = people.iter().map(|user| user.id).collect();
        for batch in people.chunks(50) {
            run(&mut *lane, batch.iter().cloned().map(|user| Write::CreateUser(Box::new(user))).collect()).await;
        }
        for batch in ids[..199].chunks(50) {
            run(&mut *lane, batch.iter().map(|id| put(&world, *id, MemberRole::Staff)).collect()).await;
        }
        let outcomes = run(&mut *lane, vec![
            put(&world, ids[199], MemberRole::Staff), put(&world, ids[0], MemberRole::Owner),
            remove(&world, ids[1]), put(&world, ids[199], MemberRole::Staff),
        ]).await.outcomes;
        assert!(matches!(outcomes[..], [
            Outcome::MemberPut(Err(MemberRefusal::Full)), Outcome::MemberPut(Ok(())),
            Outcome::Removed(Removal::Removed), Outcome::MemberPut(Ok(())),
        ]));
    }

    async fn members_come_and_go_and_owners_are_listed_first(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let staff = user(Role::Merchant);
        let id = staff.id;
        run(&mut *lane, vec![Write::CreateUser(Box::new(staff)), put(&world, id, MemberRole::Staff)]).await;
        let business = world.business.id;
        assert_eq!(store.store.membership(business, id).await.unwrap(), Some(MemberRole::Staff));
        assert_eq!(store.store.membership(business, world.customer).await.unwrap(), None);
        let members = store.store.members(business).await.unwrap();
        let listed: Vec<_> = members.iter().map(|m| (m.user, m.role, m.name.as_deref())).collect();
        assert_eq!(listed, [
            (world.owner, MemberRole::Owner, Some("Zoë Ünal")), (id, MemberRole::Staff, Some("Zoë Ünal")),
        ]);
        let gone = run(&mut *lane, vec![remove(&world, id), remove(&world, id)]).await.outcomes;
        assert!(matches!(gone[..], [Outcome::Removed(Removal::Removed), Outcome::Removed(Removal::NotThere)]));
        let nobody = run_one(&mut *lane, put(&world, UserId::generate(), MemberRole::Staff)).await;
        assert!(matches!(nobody, Outcome::MemberPut(Err(MemberRefusal::NoSuchUser))));
    }

    async fn the_last_owner_is_neither_removed_nor_demoted(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let outcomes = run(&mut *lane, vec![
            remove(&world, world.owner), put(&world, world.owner, MemberRole::Staff),
            put(&world, world.owner, MemberRole::Owner),
        ]).await.outcomes;
        assert!(matches!(outcomes[..], [
            Outcome::Removed(Removal::LastOwner), Outcome::MemberPut(Err(MemberRefusal::LastOwner)),
            Outcome::MemberPut(Ok(())),
        ]));
        run_one(&mut *lane, put(&world, world.customer, MemberRole::Owner)).await;
        assert!(matches!(run_one(&mut *lane, remove(&world, world.owner)).await, Outcome::Removed(Removal::Removed)));
    }

    async fn two_owners_who_remove_each_other_at_once_leave_one(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let world = Arc::new(world);
        let lanes = store.lanes().await;
        for _ in 0..20 {
            for owner in [world.owner, world.customer] {
                run_one(&mut *lane, put(&world, owner, MemberRole::Owner)).await;
            }
            let tasks: Vec<_> = [world.owner, world.customer].into_iter().enumerate().map(|(i, who)| {
                let (lane, world) = (Arc::clone(&lanes[i % lanes.len()]), Arc::clone(&world));
                tokio::spawn(async move { run_one(&mut **lane.lock().await, remove(&world, who)).await })
            }).collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(store.store.members(world.business.id).await.unwrap().len(), 1);
        }
    }
}

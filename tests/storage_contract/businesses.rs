//! Businesses, menus and members.

use std::sync::Arc;

use bellhop::domain::access::{MemberRole, Role};
use bellhop::domain::business::{BusinessContact, BusinessState, Location, MenuItem, Timezone};
use bellhop::domain::delivery::DeliveredBy;
use bellhop::domain::ids::{BusinessId, UserId};
use bellhop::storage::Lane;
use bellhop::storage::commands::{
    AddItem, Addition, BusinessPatch, BusinessUpdate, CreateBusiness, ItemPatch, MemberRefusal, Outcome,
    PutMember, Removal, RemoveItem, RemoveMember, UpdateBusiness, UpdateItem, Write,
};

use crate::fixtures::{Fixture, item, now, place_one, run, run_one, user, world};

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
        let update = |patch| Write::UpdateBusiness(UpdateBusiness { business: world.business.id, patch: Box::new(patch) });
        let mut expected = world.business.clone();
        let until = now();
        for state in [
            BusinessState::Busy { extra_minutes: 15 }, BusinessState::Paused { until }, BusinessState::Closed,
            BusinessState::Open,
        ] {
            let patch = BusinessPatch { state: Some(state), ..BusinessPatch::default() };
            let Outcome::BusinessUpdated(BusinessUpdate::Updated(updated)) = run_one(&mut *lane, update(patch)).await else { panic!() };
            expected.version += 1;
            (expected.state, expected.updated_at) = (state, updated.updated_at);
            assert_eq!(*updated, expected);
        }
        let patch = BusinessPatch {
            name: Some("Новое".to_owned()), location: Some(Location { lat: -0.1, lng: 179.999_999_9 }),
            zone: Some("north".to_owned()), timezone: Some(Timezone::utc()), prep_minutes: Some(5), tables: Some(0),
            contact: Some(BusinessContact { email: None, phone: Some("112".to_owned()) }),
            delivered_by: Some(DeliveredBy::Drivers), currency: None, state: None,
        };
        let Outcome::BusinessUpdated(BusinessUpdate::Updated(updated)) = run_one(&mut *lane, update(patch)).await else { panic!() };
        assert_eq!((&*updated.name, updated.location.lng, updated.tables), ("Новое", 179.999_999_9, 0));
        assert_eq!(store.store.business(world.business.id).await.unwrap(), Some(*updated));
        let absent = Write::UpdateBusiness(UpdateBusiness {
            business: BusinessId::generate(), patch: Box::new(BusinessPatch::default()),
        });
        assert!(matches!(run_one(&mut *lane, absent).await, Outcome::BusinessUpdated(BusinessUpdate::NotThere)));
    }

    async fn a_currency_changes_until_there_is_a_price_or_an_order(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let to = |business, code: &str| {
            let patch = BusinessPatch { currency: Some(code.parse().unwrap()), ..BusinessPatch::default() };
            Write::UpdateBusiness(UpdateBusiness { business, patch: Box::new(patch) })
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
        run_one(&mut *lane, Write::UpdateBusiness(UpdateBusiness { business: world.business.id, patch: Box::new(none) })).await;
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

//! What writes tell every node: events of the control room.

use std::time::Duration;

use bellhop::domain::access::{MemberRole, Role};
use bellhop::domain::business::TradingChange;
use bellhop::domain::control::ControlChange;
use bellhop::domain::ids::{LoginSessionId, UserId};
use bellhop::domain::order::Status;
use bellhop::domain::room::RoomId;
use bellhop::protocol::event::RoomEvent;
use bellhop::storage::commands::{
    ApproveUser, BusinessPatch, Committed, EndSession, EndSessions, Expirable, ItemPatch, NewSession,
    PutMember, RemoveItem, RemoveMember, RestoreUser, RotateSession, SuspendUser, UpdateItem, Write,
};

use crate::deliveries::{assign, driver, ready};
use crate::fixtures::{Fixture, item, move_to, now, place, placed, run_told as run, trade, update, user};
use crate::retention::purge;

/// The changes that a commit tells every node, in their order.
pub(crate) fn told(committed: &Committed) -> Vec<ControlChange> {
    committed.events.iter().filter_map(RoomEvent::control_change).collect()
}

fn session(user: UserId) -> NewSession {
    NewSession {
        id: LoginSessionId::generate(),
        user,
        device: None,
        token_hash: "first".to_owned(),
        created_at: now(),
        expires_at: now().plus(Duration::from_secs(3600)),
    }
}

fn rotate(session: LoginSessionId, generation: u32, presented: &str, successor: &str) -> Write {
    Write::RotateSession(RotateSession {
        session,
        generation,
        presented_hash: presented.to_owned(),
        successor_hash: successor.to_owned(),
        lifetime: Duration::from_secs(3600),
        used: None,
    })
}

on_every_store! {
    async fn a_login_session_that_ends_is_told_once(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (one, two) = (session(world.owner), session(world.owner));
        let (first, second) = (one.id, two.id);
        let opened = [one, two].map(|session| Write::OpenSession(Box::new(session)));
        assert_eq!(told(&run(&mut *lane, opened.to_vec()).await), []);
        let end = |session| Write::EndSession(EndSession { session });
        let ended = run(&mut *lane, vec![end(first), end(first), end(LoginSessionId::generate())]).await;
        assert_eq!(told(&ended), [ControlChange::SessionEnded(first)]);
        assert_eq!(told(&run(&mut *lane, vec![end(first)]).await), []);
        let rotated = vec![rotate(second, 0, "first", "second"), rotate(second, 1, "second", "third")];
        assert_eq!(told(&run(&mut *lane, rotated).await), []);
        let reused = run(&mut *lane, vec![rotate(second, 0, "first", "fourth")]).await;
        assert_eq!(told(&reused), [ControlChange::SessionEnded(second)]);
    }

    async fn changes_of_members_and_accounts_are_told_and_refused_ones_are_not(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (business, staff) = (world.business.id, user(Role::Merchant));
        let id = staff.id;
        let put = |user| Write::PutMember(PutMember { business, user, role: MemberRole::Staff });
        let remove = |user| Write::RemoveMember(RemoveMember { business, user });
        let steps = [
            (Write::CreateUser(Box::new(staff)), vec![]),
            (put(id), vec![ControlChange::MembershipsChanged(id)]),
            (put(world.owner), vec![]),
            (put(UserId::generate()), vec![]),
            (remove(id), vec![ControlChange::MembershipsChanged(id)]),
            (remove(id), vec![]),
            (remove(world.owner), vec![]),
            (Write::ApproveUser(ApproveUser { user: id }), vec![ControlChange::AccountChanged(id)]),
            (Write::ApproveUser(ApproveUser { user: UserId::generate() }), vec![]),
        ];
        for (write, expected) in steps {
            let named = format!("{write:?}");
            assert_eq!(told(&run(&mut *lane, vec![write]).await), expected, "{named}");
        }
    }

    async fn a_suspended_account_is_told_with_each_login_session_that_ends(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let sessions = [session(world.owner), session(world.owner)];
        let mut ended = sessions.clone().map(|session| ControlChange::SessionEnded(session.id)).to_vec();
        ended.sort();
        let opened = sessions.map(|session| Write::OpenSession(Box::new(session)));
        run(&mut *lane, opened.to_vec()).await;
        let (user, by) = (world.owner, world.customer);
        let account = ControlChange::AccountChanged(user);
        let suspended = run(&mut *lane, vec![Write::SuspendUser(SuspendUser { user, by })]).await;
        assert_eq!(told(&suspended), [ended, vec![account]].concat());
        let restored = run(&mut *lane, vec![Write::RestoreUser(RestoreUser { user, by })]).await;
        assert_eq!(told(&restored), [account]);
        let again = session(user);
        let ended = ControlChange::SessionEnded(again.id);
        run(&mut *lane, vec![Write::OpenSession(Box::new(again))]).await;
        let all = run(&mut *lane, vec![Write::EndSessions(EndSessions { user, by })]).await;
        assert_eq!(told(&all), [ended]);
        let nobody = Write::SuspendUser(SuspendUser { user: UserId::generate(), by });
        assert_eq!(told(&run(&mut *lane, vec![nobody]).await), []);
    }

    async fn changes_of_businesses_and_menus_are_told_once_a_transaction(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let id = world.business.id;
        let (business, menu) = (ControlChange::BusinessChanged(id), ControlChange::MenuChanged(id));
        let named = |name: &str| update(id, BusinessPatch { name: Some(name.to_owned()), ..BusinessPatch::default() });
        let dearer = |sku: &str| {
            let patch = ItemPatch { price_minor: Some(9), ..ItemPatch::default() };
            Write::UpdateItem(UpdateItem { business: id, sku: sku.to_owned(), patch })
        };
        let off = |sku: &str| Write::RemoveItem(RemoveItem { business: id, sku: sku.to_owned() });
        let new = |sku: &str| Write::AddItem(bellhop::storage::commands::AddItem { business: id, item: item(sku, 1) });
        let closed = trade(id, TradingChange::Closed);
        for (writes, expected) in [
            (vec![named("A"), named("B")], vec![business]),
            (vec![closed], vec![business]),
            (vec![new("NEW"), new("NEW")], vec![menu]),
            (vec![new("NEW")], vec![]),
            (vec![dearer("NEW"), named("C")], vec![business, menu]),
            (vec![dearer("none"), off("none")], vec![]),
            (vec![off("NEW")], vec![menu]),
        ] {
            let named = format!("{writes:?}");
            assert_eq!(told(&run(&mut *lane, writes).await), expected, "{named}");
        }
    }

    /// Every order would wait for every other one at that room's row.
    async fn an_order_on_its_way_tells_the_other_nodes_nothing(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let before = store.store.head(RoomId::Control).await.unwrap();
        let committed = run(&mut *lane, vec![place(world.draft()), place(world.draft())]).await;
        let order = placed(&committed.outcomes[0]);
        for status in [Status::Accepted, Status::Preparing, Status::Ready] {
            let order = store.store.order(order.id).await.unwrap().unwrap();
            run(&mut *lane, vec![move_to(&order, status)]).await;
        }
        assert_eq!(store.store.head(RoomId::Control).await.unwrap(), before);
    }

    async fn a_driver_who_has_an_order_no_more_is_told_of(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let (one, other) = (driver(&mut *lane, 1).await, driver(&mut *lane, 1).await);
        assert_eq!(told(&run(&mut *lane, vec![assign(&order, one)]).await), []);
        let left = ControlChange::DriverLeft { order: order.id, driver: one };
        assert_eq!(told(&run(&mut *lane, vec![assign(&order, other)]).await), [left]);
    }

    async fn the_control_room_is_numbered_and_read_like_any_other(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let before = store.store.head(RoomId::Control).await.unwrap();
        let rename = |n: u32| update(world.business.id, BusinessPatch { name: Some(format!("N{n}")), ..BusinessPatch::default() });
        let mut events = Vec::new();
        for n in 0..3 {
            events.extend(run(&mut *lane, vec![rename(n)]).await.events);
        }
        events.retain(|event| event.room == RoomId::Control);
        let numbers: Vec<u64> = events.iter().map(|event| event.cursor.seq).collect();
        assert_eq!(numbers, (before.cursor.seq + 1..).take(3).collect::<Vec<_>>());
        let read = store.store.events_after(RoomId::Control, before.cursor.seq, 10).await.unwrap();
        assert_eq!(read.iter().map(|event| (event.cursor, event.id)).collect::<Vec<_>>(),
            events.iter().map(|event| (event.cursor, event.id)).collect::<Vec<_>>());
        assert_eq!(read[0].control_change(), events[0].control_change());
        let head = store.store.head(RoomId::Control).await.unwrap();
        assert_eq!((head.cursor, head.last), (events[2].cursor, Some(events[2].id)));
    }

    async fn the_control_room_keeps_its_events_for_a_time_of_its_own(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        run(&mut *lane, vec![place(world.draft())]).await;
        let others = store.peek("SELECT count(*) FROM room_events WHERE room <> 'control'").await;
        let soon = now().plus(Duration::from_secs(60));
        assert!(purge(&mut *lane, Expirable::ControlEvents, soon, 100).await > 0);
        assert_eq!(store.peek("SELECT count(*) FROM room_events WHERE room = 'control'").await, 0);
        assert_eq!(store.peek("SELECT count(*) FROM room_events").await, others);
        let head = store.store.head(RoomId::Control).await.unwrap();
        assert!(head.cursor.seq > 0 && head.last.is_none(), "its numbers go on");
    }
}

//! Lists of orders: whose, which, in what order, and how far.

use bellhop::domain::access::MemberRole;
use bellhop::domain::ids::OrderId;
use bellhop::domain::order::{Order, Status};
use bellhop::domain::time::Timestamp;
use bellhop::storage::commands::{PutMember, Write};
use bellhop::storage::{Attempt, Lane, NextPage, OrderQuery, OrderScope, PageStart, Total, search_words};

use crate::fixtures::{Fixture, command, move_to, place, place_one, placed, run_one, world};
use crate::harness::TestStore;

fn query(scope: OrderScope) -> OrderQuery {
    OrderQuery {
        scope,
        business: None,
        status: None,
        words: Vec::new(),
        start: PageStart::Offset(0),
        limit: 50,
    }
}

async fn ids(store: &TestStore, query: OrderQuery) -> Vec<OrderId> {
    let page = store.store.orders(&query).await.unwrap();
    if let PageStart::Offset(0) = query.start {
        assert_eq!(
            page.total,
            Some(Total::Exact(page.orders.len() as u64)),
            "all of these lists fit on a page"
        );
    }
    page.orders.into_iter().map(|order| order.id).collect()
}

async fn place_named(lane: &mut dyn Lane, world: &Fixture, name: &str) -> Order {
    let draft = bellhop::domain::order::Draft { customer_name: name.to_owned(), ..world.draft() };
    place_one(lane, draft).await
}

on_every_store! {
    async fn everybody_sees_their_own(store) {
        let (one, mut lane) = Fixture::new(&store).await;
        let other = world(&mut *lane).await;
        let a = place_one(&mut *lane, one.draft()).await;
        let b = place_one(&mut *lane, other.draft()).await;
        let stray = bellhop::domain::order::Draft { customer_id: one.customer, ..other.draft() };
        let c = place_one(&mut *lane, stray).await;
        assert_eq!(ids(&store, query(OrderScope::Customer(one.customer))).await, [c.id, a.id]);
        assert_eq!(ids(&store, query(OrderScope::Member(one.owner))).await, [a.id]);
        assert_eq!(ids(&store, query(OrderScope::Everybody)).await, [c.id, b.id, a.id]);
        run_one(&mut *lane, Write::PutMember(PutMember {
            business: other.business.id, user: one.owner, role: MemberRole::Staff,
        })).await;
        assert_eq!(ids(&store, query(OrderScope::Member(one.owner))).await, [c.id, b.id, a.id]);
        let only = OrderQuery { business: Some(other.business.id), ..query(OrderScope::Member(one.owner)) };
        assert_eq!(ids(&store, only).await, [c.id, b.id]);
        let foreign = OrderQuery { business: Some(one.business.id), ..query(OrderScope::Member(other.owner)) };
        assert!(ids(&store, foreign).await.is_empty());
    }

    async fn a_list_can_be_of_one_status(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let a = place_one(&mut *lane, world.draft()).await;
        let b = place_one(&mut *lane, world.draft()).await;
        run_one(&mut *lane, move_to(&a, Status::Accepted)).await;
        let of = |status| OrderQuery { status: Some(status), ..query(OrderScope::Member(world.owner)) };
        assert_eq!(ids(&store, of(Status::Placed)).await, [b.id]);
        assert_eq!(ids(&store, of(Status::Accepted)).await, [a.id]);
        assert!(ids(&store, of(Status::Ready)).await.is_empty());
    }

    async fn words_find_orders_by_number_sku_and_name_in_any_script(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let names = [
            "Ana-María Müller", "Анна Каренина", "王小明", "محمد علي", "हिन्दी नाम", "O'Brien <b>", "İpek ÇELİK",
            "Ḧ𝔸 𐐷x", "100% Real",
        ];
        let mut orders = Vec::new();
        for name in names {
            orders.push(place_named(&mut *lane, &world, name).await);
        }
        let everybody = orders.iter().rev().map(|o| o.id).collect::<Vec<_>>();
        let find = async |text: &str| {
            let words = search_words(text, 8);
            assert!(!words.is_empty(), "{text} has words");
            ids(&store, OrderQuery { words, ..query(OrderScope::Everybody) }).await
        };
        for (text, found) in [
            ("ana", vec![0]), ("ANA mar", vec![0]), ("müll", vec![0]), ("mull", vec![0]), ("lle", vec![]),
            ("кар", vec![1]), ("Анна", vec![1]), ("王", vec![2]), ("王小明", vec![2]), ("小", vec![2]),
            ("محمد", vec![3]), ("عل", vec![3]), ("हिन्दी", vec![4]), ("o'brien", vec![5]), ("brien b", vec![5]),
            ("ipek", vec![6]), ("İpek", vec![6]), ("çelİk", vec![6]), ("𐐷x", vec![7]), ("𐐏X", vec![7]),
            ("100", vec![8]), ("005", vec![4]), ("5", vec![4]), ("0005", vec![4]), ("0", vec![]), ("ana кар", vec![]), ("ana soup", vec![0]),
        ] {
            let expected: Vec<_> = found.into_iter().map(|i: usize| orders[i].id).collect();
            assert_eq!(find(text).await, expected, "{text}");
        }
        assert_eq!(find("soup").await, everybody);
        assert_eq!(find("PIZZA-1").await, everybody);
        assert_eq!(find("piz so").await, everybody);
        let odd = vec!["' | '':*".to_owned(), "\" * \"".to_owned(), String::new()];
        let none = OrderQuery { words: odd.clone(), ..query(OrderScope::Everybody) };
        assert!(ids(&store, none).await.is_empty(), "where nothing can be looked for, nothing is found");
        let words = [odd, vec!["ana".to_owned()]].concat();
        let some = OrderQuery { words, ..query(OrderScope::Everybody) };
        assert_eq!(ids(&store, some).await, [orders[0].id], "what is no word is no syntax either");
        let mine = OrderQuery { words: search_words("ana", 8), ..query(OrderScope::Customer(world.owner)) };
        assert!(ids(&store, mine).await.is_empty(), "words do not widen whose orders are listed");
    }

    async fn pages_by_offset_and_by_cursor_show_each_order_once(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        // Several in the same microsecond: the id decides.
        let at = Timestamp::now();
        let mut commands: Vec<_> = (0..12).map(|_| command(place(world.draft()))).collect();
        for (i, command) in commands.iter_mut().enumerate() {
            command.at = Timestamp::from_micros(at.as_micros() + i as i64 / 3);
        }
        let outcomes = lane.run(&commands, Attempt::First).await.unwrap().outcomes;
        let mut all: Vec<_> = outcomes.iter().map(placed).collect();
        all.sort_by_key(|o| std::cmp::Reverse((o.created_at, o.id)));
        let base = OrderQuery { limit: 5, ..query(OrderScope::Member(world.owner)) };
        let (mut by_offset, mut by_cursor) = (Vec::new(), Vec::new());
        for offset in [0, 5, 10] {
            let page = store.store.orders(&OrderQuery { start: PageStart::Offset(offset), ..base.clone() }).await;
            let page = page.unwrap();
            assert_eq!(page.total, Some(Total::Exact(12)));
            assert_eq!(page.more, if offset < 10 { NextPage::Exists } else { NextPage::Absent });
            by_offset.extend(page.orders);
        }
        let mut start = PageStart::Offset(0);
        loop {
            let page = store.store.orders(&OrderQuery { start, ..base.clone() }).await.unwrap();
            assert_eq!(page.total.is_some(), matches!(start, PageStart::Offset(_)));
            let last = page.orders.last().unwrap();
            start = PageStart::After(last.created_at, last.id);
            by_cursor.extend(page.orders);
            if page.more == NextPage::Absent { break; }
        }
        assert_eq!(by_offset, all);
        assert_eq!(by_cursor, all);
        let exact = OrderQuery { limit: 12, ..base };
        assert_eq!(store.store.orders(&exact).await.unwrap().more, NextPage::Absent);
    }
}

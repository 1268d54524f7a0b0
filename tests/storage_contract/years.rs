//! Lists over years of orders: what each shows is what it means, whichever way it is found.

use bellhop::domain::access::MemberRole;
use bellhop::domain::ids::OrderId;
use bellhop::domain::order::{Draft, Order, Status};
use bellhop::domain::time::Timestamp;
use bellhop::storage::commands::{PutMember, Write};
use bellhop::storage::{Attempt, NextPage, OrderQuery, OrderScope, PageStart, Total};

use crate::fixtures::{Fixture, command, place, place_one, placed, run_one, world};
use crate::harness::TestStore;

/// Orders of some businesses long enough ago that they stand in several weeks of the index, more of them than a search walks
/// past: every tenth for Ada, the others for Bob; those of the first business are its owner's, who works for all of them.
struct Years {
    worlds: Vec<Fixture>,
    /// All of them, newest first.
    orders: Vec<Order>,
}

impl Years {
    async fn of(store: &TestStore, businesses: usize, orders: usize) -> Self {
        let mut lane = store.lane().await;
        let mut worlds = Vec::new();
        for _ in 0..businesses {
            worlds.push(world(&mut *lane).await);
        }
        for other in &worlds[1..] {
            let (business, user) = (other.business.id, worlds[0].owner);
            run_one(&mut *lane, Write::PutMember(PutMember { business, user, role: MemberRole::Staff }))
                .await;
        }
        let now = Timestamp::now().as_micros();
        let mut all = Vec::new();
        let numbers: Vec<usize> = (0..orders).collect();
        for some in numbers.chunks(200) {
            let commands: Vec<_> = some
                .iter()
                .map(|n| {
                    let name = if n % 10 == 0 { "Ada" } else { "Bob" };
                    // The last business has as many as all the others.
                    let world = &worlds[if n % 2 == 0 { businesses - 1 } else { n % businesses }];
                    let draft = Draft { customer_name: name.to_owned(), ..world.draft() };
                    let mut command = command(place(draft));
                    command.at = Timestamp::from_micros(now - (orders - n) as i64 * 3 * 3_600_000_000);
                    command
                })
                .collect();
            all.extend(lane.run(&commands, Attempt::First).await.unwrap().outcomes.iter().map(placed));
        }
        all.reverse();
        Self { worlds, orders: all }
    }

    /// What is in the list, by what it means.
    fn expected(&self, query: &OrderQuery) -> Vec<OrderId> {
        let mine = |order: &&Order| match query.scope {
            OrderScope::Customer(user) => order.customer_id == user,
            OrderScope::Member(user) => self.worlds.iter().any(|w| {
                w.business.id == order.business_id && (w.owner == user || self.worlds[0].owner == user)
            }),
            OrderScope::Everybody => true,
        };
        let words = |order: &&Order| {
            let name = order.customer_name.to_lowercase();
            query
                .words
                .iter()
                .all(|word| name.starts_with(word) || order.order_number.to_string().starts_with(word))
        };
        self.orders
            .iter()
            .filter(mine)
            .filter(|order| query.business.is_none_or(|business| order.business_id == business))
            .filter(|order| query.status.is_none_or(|status| order.status == status))
            .filter(words)
            .map(|order| order.id)
            .collect()
    }

    /// Every kind of list there is.
    fn queries(&self) -> Vec<OrderQuery> {
        let last = self.worlds.last().unwrap();
        let mut queries = Vec::new();
        for scope in [
            OrderScope::Customer(last.customer),
            OrderScope::Member(last.owner),
            OrderScope::Member(self.worlds[0].owner),
            OrderScope::Everybody,
        ] {
            for business in [None, Some(last.business.id)] {
                for status in [None, Some(Status::Placed), Some(Status::Ready)] {
                    for words in [&[][..], &["bob"], &["ad"], &["ada", "7"], &["nobody"]] {
                        let words = words.iter().map(|word| (*word).to_owned()).collect();
                        queries.push(OrderQuery {
                            scope,
                            business,
                            status,
                            words,
                            start: PageStart::Offset(0),
                            limit: 20,
                        });
                    }
                }
            }
        }
        queries
    }
}

on_every_store! {
    async fn every_list_is_what_it_means_page_by_page_however_it_is_found(store) {
        let years = Years::of(&store, 3, 1_500).await;
        for query in years.queries() {
            let expected = years.expected(&query);
            let total = Some(Total::Exact(expected.len() as u64));
            for offset in [0, 20, 300, 1_600] {
                let start = PageStart::Offset(offset);
                let page = store.store.orders(&OrderQuery { start, ..query.clone() }).await.unwrap();
                let rest = expected.iter().copied().skip(offset as usize);
                assert_eq!(page.total, total, "{query:?}");
                assert_eq!(
                    page.orders.iter().map(|order| order.id).collect::<Vec<_>>(),
                    rest.clone().take(20).collect::<Vec<_>>(), "{query:?} from {offset}"
                );
                assert_eq!(page.more == NextPage::Exists, rest.count() > 20, "{query:?} from {offset}");
            }
            let (mut start, mut found) = (PageStart::Offset(0), Vec::new());
            while found.len() < 700 {
                let page = store.store.orders(&OrderQuery { start, limit: 50, ..query.clone() }).await.unwrap();
                found.extend(page.orders.iter().map(|order| order.id));
                let (NextPage::Exists, Some(last)) = (page.more, page.orders.last()) else { break };
                start = PageStart::After(last.created_at, last.id);
            }
            assert_eq!(found, expected[..found.len()], "{query:?} by cursor");
            assert!(found.len() == expected.len() || found.len() >= 700, "{query:?} by cursor");
        }
    }

    async fn words_of_foreign_orders_find_nothing(store) {
        let (one, mut lane) = Fixture::new(&store).await;
        let other = world(&mut *lane).await;
        place_one(&mut *lane, Draft { customer_name: "Ada".to_owned(), ..other.draft() }).await;
        for scope in [OrderScope::Member(one.owner), OrderScope::Customer(one.customer)] {
            for business in [None, Some(other.business.id)] {
                let words = vec!["ada".to_owned()];
                let query =
                    OrderQuery { scope, business, status: None, words, start: PageStart::Offset(0), limit: 20 };
                let page = store.store.orders(&query).await.unwrap();
                assert_eq!((page.orders.len(), page.total), (0, Some(Total::Exact(0))), "{query:?}");
            }
        }
    }
}

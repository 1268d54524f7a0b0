//! Lists, searches and counts over a million orders of 500 businesses, one of which has 100,000: how long each kind takes, and
//! whether the slowest hundredth is within the bound. Takes minutes and means something only on a machine that does nothing
//! else, so it runs when it is asked to: `load-tests/lists/run`.

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use bellhop::domain::ids::{BusinessId, OrderId, UserId};
use bellhop::domain::order::Status;
use bellhop::domain::time::Timestamp;
use bellhop::storage::{OrderQuery, OrderScope, PageStart, search_words};

use crate::harness::{Place, TestStore, check};

/// The most that the slowest hundredth of a kind may take, milliseconds; `BELLHOP_LIST_BOUND_MS` says otherwise.
const BOUND_MS: u64 = 50;

/// Times each kind is asked; `BELLHOP_LIST_ROUNDS` says otherwise.
const ROUNDS: usize = 200;

fn set_or<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test]
#[ignore = "loads a million orders"]
async fn a_million_orders_are_listed_within_the_bound_on_sqlite() {
    check(TestStore::sqlite().await, |store| async move { measure(&store).await }).await;
}

#[tokio::test]
#[ignore = "loads a million orders"]
async fn a_million_orders_are_listed_within_the_bound_on_postgres() {
    check(TestStore::postgres().await, |store| async move { measure(&store).await }).await;
}

async fn measure(store: &TestStore) {
    store
        .tamper(match &store.place {
            Place::Sqlite { .. } => include_str!("../../load-tests/lists/sqlite.sql"),
            Place::Postgres { .. } => include_str!("../../load-tests/lists/postgres.sql"),
        })
        .await;
    if let Place::Postgres { .. } = &store.place {
        store.tamper("VACUUM ANALYZE").await;
        // What was loaded is written out first, or it is written out beside what is measured.
        store.tamper("CHECKPOINT").await;
    }
    let (rounds, bound) = (
        set_or("BELLHOP_LIST_ROUNDS", ROUNDS),
        Duration::from_millis(set_or("BELLHOP_LIST_BOUND_MS", BOUND_MS)),
    );
    println!("\n{}\n{:<52} {:>8} {:>8} {:>6}", store.store.name(), "kind", "p50 ms", "p99 ms", "found");
    let (mut slow, mut all) = (Vec::new(), Vec::new());
    for kind in all_kinds() {
        let (times, found) = time(store, &kind, rounds).await;
        let (middle, last) = (at(&times, 50), at(&times, 99));
        let mark = if last <= bound { "" } else { "  over the bound" };
        println!("{:<52} {:>8.2} {:>8.2} {:>6}{mark}", kind.name, millis(middle), millis(last), found);
        if last > bound {
            slow.push(kind.name);
        }
        all.extend(times);
    }
    all.sort_unstable();
    println!("{:<52} {:>8.2} {:>8.2}", "all of them", millis(at(&all, 50)), millis(at(&all, 99)));
    assert!(slow.is_empty(), "over {} ms: {slow:?}", bound.as_millis());
}

/// How long each round took, in order of that.
async fn time(store: &TestStore, kind: &Kind, rounds: usize) -> (Vec<Duration>, usize) {
    let mut found = 0;
    // After some a server has settled on its plans.
    for round in 0..10 {
        found = store.store.orders(&kind.query(round)).await.unwrap().orders.len();
    }
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let query = kind.query(round);
        let began = Instant::now();
        store.store.orders(&query).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    (times, found)
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// When the first order was placed, milliseconds; one follows every half minute.
const BEGAN_MS: u128 = 1_735_689_600_000;

/// A kind of list.
struct Kind {
    name: String,
    whose: Whose,
    status: Option<Status>,
    text: &'static str,
    from: Begin,
}

#[derive(Clone, Copy)]
enum Whose {
    /// Any customer, of some fifty orders.
    Customer,
    /// The one with five thousand.
    Regular,
    /// The owner of any business of some 1,800.
    Owner,
    /// The owner of the one with 100,000.
    Large,
    /// Somebody who works for the first fifty.
    Fifty,
    /// Somebody who works for all.
    All,
    Operator,
    /// An operator, of the large one.
    OperatorOfLarge,
}

#[derive(Clone, Copy)]
enum Begin {
    Top,
    Offset(u64),
    Cursor,
}

fn id<T: std::str::FromStr>(prefix: &str, n: u128) -> T {
    let text = format!("{prefix}{BEGAN_MS:012x}7{:03x}8{n:015x}", n % 4096);
    text.parse().ok().expect("it is written like an id")
}

fn user(n: u128) -> UserId {
    id("usr_", n)
}

fn business(n: u128) -> BusinessId {
    id("biz_", n)
}

impl Kind {
    /// The list asked in this round: of another customer or owner, from another place.
    fn query(&self, round: usize) -> OrderQuery {
        let n = round as u128 * 7919;
        let (scope, business) = match self.whose {
            Whose::Customer => (OrderScope::Customer(user(602 + n % 19_999)), None),
            Whose::Regular => (OrderScope::Customer(user(601)), None),
            Whose::Owner => (OrderScope::Member(user(2 + n % 499)), None),
            Whose::Large => (OrderScope::Member(user(1)), Some(business(1))),
            Whose::Fifty => (OrderScope::Member(user(501)), None),
            Whose::All => (OrderScope::Member(user(502)), None),
            Whose::Operator => (OrderScope::Everybody, None),
            Whose::OperatorOfLarge => (OrderScope::Everybody, Some(business(1))),
        };
        let start = match self.from {
            Begin::Top => PageStart::Offset(0),
            Begin::Offset(offset) => PageStart::Offset(offset),
            Begin::Cursor => {
                let order = 100_000 + n % 900_000;
                let micros = (BEGAN_MS + order * 30_000) * 1_000;
                PageStart::After(Timestamp::from_micros(micros as i64), id::<OrderId>("ord_", order))
            }
        };
        OrderQuery {
            scope,
            business,
            status: self.status,
            words: search_words(self.text, 8),
            start,
            limit: 20,
        }
    }
}

/// What is searched for: on every order, on most, on some, on few, on none.
const TEXTS: [&str; 10] = ["bread", "n", "b", "1", "7", "pizza", "ana soup", "n00", "n0001fb", "nobody"];

/// Every kind.
fn all_kinds() -> Vec<Kind> {
    let whose = [
        ("a customer's", Whose::Customer),
        ("a regular's (5,000)", Whose::Regular),
        ("an owner's (1,800)", Whose::Owner),
        ("the large business's (100,000)", Whose::Large),
        ("of fifty businesses", Whose::Fifty),
        ("of all businesses", Whose::All),
        ("an operator's", Whose::Operator),
        ("an operator's of the large business", Whose::OperatorOfLarge),
    ];
    let mut kinds = Vec::new();
    for (name, whose) in whose {
        for status in [None, Some(Status::Placed), Some(Status::Delivered)] {
            let of = status.map_or(String::new(), |status| format!(", {}", status.as_str()));
            for (way, from) in
                [("", Begin::Top), (", page 400", Begin::Offset(8_000)), (", by cursor", Begin::Cursor)]
            {
                kinds.push(Kind { name: format!("{name}{of}{way}"), whose, status, text: "", from });
            }
            for text in TEXTS {
                let name = format!("{name}{of}, q={text}");
                kinds.push(Kind { name, whose, status, text, from: Begin::Top });
            }
        }
        for text in ["n", "n00"] {
            let name = format!("{name}, q={text}, by cursor");
            kinds.push(Kind { name, whose, status: None, text, from: Begin::Cursor });
        }
    }
    kinds
}

//! Deadlines of many orders: how late they are, and what a hub that is killed leaves to the next one.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bellhop::domain::time::Timestamp;
use futures_util::{StreamExt as _, stream};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::s;
use crate::support::{Endpoint, PATIENT_VARIABLE, StoreKind, TestDatabase, order_body};

crate::on_both_stores!(killed_before_its_deadlines_the_next_hub_fires_each_of_them_once);

mod measured {
    use super::*;

    macro_rules! on_each_store {
        ($($store:ident: $kind:expr;)*) => {$(
            mod $store {
                use super::*;

                #[tokio::test]
                #[ignore = "takes minutes: load-tests/deadlines/run"]
                async fn spread_over_a_minute() {
                    a_hundredth_is_at_most_a_second_late($kind).await;
                }

                #[tokio::test]
                #[ignore = "takes minutes: load-tests/deadlines/run"]
                async fn killed_for_twenty_seconds() {
                    fired_soon_after_readiness($kind, "killed for 20 s", Kill::Between(s(20)), 3_000).await;
                }

                #[tokio::test]
                #[ignore = "takes minutes: load-tests/deadlines/run"]
                async fn all_due_at_once() {
                    fired_soon_after_readiness($kind, "all due at once", Kill::Before, 10_000).await;
                }
            }
        )*};
    }

    on_each_store! {
        sqlite: StoreKind::Sqlite;
        postgres: StoreKind::Postgres;
    }
}

/// Orders whose deadlines are spread over a time.
#[derive(Clone, Copy)]
struct Plan {
    orders: usize,
    /// From the first order to the last, and so from the first deadline to the last.
    spread: Duration,
    /// From an order to its deadline: longer than `spread`, so that no business is paused before all are placed.
    accept: Duration,
}

/// When the hub is killed.
#[derive(Clone, Copy)]
enum Kill {
    Never,
    /// In the middle of the deadlines, and started again so much later.
    Between(Duration),
    /// Before the first deadline, and started again after the last.
    Before,
}

/// What became of the deadlines.
#[derive(Debug)]
struct Figures {
    /// Milliseconds from a deadline to the commit that acted on it, sorted; of a hub that was killed those after it was ready again.
    late: Vec<i64>,
    /// Of deadlines that were over when the hub was ready again: milliseconds from then to the commit, sorted.
    overdue: Vec<i64>,
    /// Orders with more or less than one end.
    not_once: usize,
}

impl Figures {
    #[expect(clippy::print_stdout, reason = "the figures are the result of a measuring run")]
    fn print(&self, store: StoreKind, what: &str) {
        let of = |sorted: &[i64], percent: usize| {
            let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(at).map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"))
        };
        println!(
            "{store:?}, {what}: {} punctual, late p50 {} p99 {} most {}; {} overdue, fired p50 {} most {} after readiness; \
             not fired once: {}",
            self.late.len(),
            of(&self.late, 50),
            of(&self.late, 99),
            of(&self.late, 100),
            self.overdue.len(),
            of(&self.overdue, 50),
            of(&self.overdue, 100),
            self.not_once
        );
    }
}

/// A hub as a process of its own, which can be killed.
struct Hub(Child);

impl Hub {
    async fn start(database: &TestDatabase, at: &Endpoint, accept: Duration) -> Self {
        let log = File::options().create(true).append(true).open(database.folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
        command.arg("--data").arg(database.folder.path().join("data"));
        command.args(["serve", "--port", &at.address.port().to_string()]).env_clear();
        for (name, value) in [
            ("RUST_LOG", "warn"),
            ("BELLHOP__DATABASE__LANES", "2"),
            ("BELLHOP__LIMITS__ENABLED", "false"),
            PATIENT_VARIABLE,
            ("BELLHOP__ALERTS__UNANSWERED_PAUSE", "100"),
            ("BELLHOP__ALERTS__ACCEPT_S", &accept.as_secs().to_string()),
            // The hub is away for longer than an outage takes where all are due at once, and its grace is not what is measured.
            ("BELLHOP__SAGAS__OUTAGE_S", "3600"),
        ] {
            command.env(name, value);
        }
        if let Some(postgres) = &database.postgres {
            command.env("DATABASE_URL", &postgres.url);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let hub = Self(command.spawn().unwrap());
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let ready = async {
            loop {
                looks.tick().await;
                if let Ok(answer) = at.http.get(at.url("/health/ready")).send().await
                    && answer.status().is_success()
                {
                    return;
                }
            }
        };
        tokio::time::timeout(s(60), ready).await.expect("the hub starts");
        hub
    }
}

impl Drop for Hub {
    /// SIGKILL: no handler runs, nothing is flushed.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Rows of three numbers, from the database itself.
async fn rows(database: &TestDatabase, sql: &'static str) -> Vec<(i64, i64, i64)> {
    match &database.postgres {
        Some(postgres) => {
            let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
            sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
        }
        None => {
            let file = database.folder.path().join("data/bellhop.sqlite");
            let options = SqliteConnectOptions::new()
                .filename(file)
                .read_only(true)
                .busy_timeout(Duration::from_secs(10));
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
        }
    }
}

/// Businesses are shared by fifty orders of different customers each, so that none is paused for those that ran out.
const CUSTOMERS: usize = 50;

async fn place_all(at: &Endpoint, plan: Plan) {
    let merchant = at.person("merchant", "Mia").await;
    let mut businesses = Vec::new();
    for _ in 0..plan.orders.div_ceil(CUSTOMERS) {
        businesses.push(merchant.business(at).await);
    }
    let names: Vec<String> = (0..CUSTOMERS.min(plan.orders)).map(|n| format!("Guest{n}")).collect();
    let customers = stream::iter(&names).map(|name| at.person("customer", name)).buffered(4);
    let customers: Vec<_> = customers.collect().await;
    let begin = tokio::time::Instant::now();
    let pace = plan.spread / u32::try_from(plan.orders).unwrap();
    let each = (0..plan.orders).map(|n| {
        let (customer, business) = (&customers[n % CUSTOMERS], &businesses[n / CUSTOMERS]);
        async move {
            tokio::time::sleep_until(begin + pace * u32::try_from(n).unwrap()).await;
            customer.post(at, "/orders", &order_body(business)).await.expect(201);
        }
    });
    stream::iter(each).buffered(64).collect::<Vec<()>>().await;
}

async fn until_none_waits(database: &TestDatabase, within: Duration) {
    const WAITING: &str =
        "SELECT COUNT(*), CAST(0 AS BIGINT), CAST(0 AS BIGINT) FROM orders WHERE status = 'placed'";
    let mut looks = tokio::time::interval(Duration::from_millis(100));
    let wait = async {
        while rows(database, WAITING).await[0].0 > 0 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(within, wait).await.expect("every deadline is fired");
}

/// The time of the first or the last deadline.
async fn deadline(database: &TestDatabase, plan: Plan, which: &'static str) -> Timestamp {
    let placed = rows(database, which).await[0].0;
    Timestamp::from_micros(placed).plus(plan.accept)
}

const FIRST: &str = "SELECT MIN(placed_at), CAST(0 AS BIGINT), CAST(0 AS BIGINT) FROM orders";
const LAST: &str = "SELECT MAX(placed_at), CAST(0 AS BIGINT), CAST(0 AS BIGINT) FROM orders";

async fn wait_until(at: Timestamp) {
    tokio::time::sleep(at.since(Timestamp::now())).await;
}

async fn run(kind: StoreKind, plan: Plan, kill: Kill) -> Figures {
    let database = TestDatabase::create(kind).await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let at = Endpoint::new(SocketAddr::from(([127, 0, 0, 1], port)));
    let first = Hub::start(&database, &at, plan.accept).await;
    place_all(&at, plan).await;
    let begin = match kill {
        Kill::Never => None,
        Kill::Between(away) => {
            wait_until(deadline(&database, plan, FIRST).await.plus(plan.spread / 2)).await;
            Some(Timestamp::now().plus(away))
        }
        Kill::Before => Some(deadline(&database, plan, LAST).await.plus(s(1))),
    };
    let (hub, ready) = if let Some(begin) = begin {
        drop(first);
        wait_until(begin).await;
        (Hub::start(&database, &at, plan.accept).await, Some(Timestamp::now()))
    } else {
        (first, None)
    };
    until_none_waits(&database, plan.accept + plan.spread + s(60)).await;
    drop(hub);
    figures(&database, plan, ready).await
}

async fn figures(database: &TestDatabase, plan: Plan, ready: Option<Timestamp>) -> Figures {
    const ENDS: &str = "SELECT o.placed_at, o.updated_at, (SELECT COUNT(*) FROM order_events e \
         WHERE e.order_id = o.id AND e.to_status = 'cancelled') FROM orders o";
    let mut figures = Figures { late: Vec::new(), overdue: Vec::new(), not_once: 0 };
    for (placed, ended, ends) in rows(database, ENDS).await {
        let due = Timestamp::from_micros(placed).plus(plan.accept).as_micros();
        match ready.map(Timestamp::as_micros) {
            Some(ready) if due < ready && ended >= ready => figures.overdue.push((ended - ready) / 1000),
            // What ran out between the kill and readiness, while the hub was starting.
            Some(ready) if due < ready && ended - due > 2_000_000 => figures.overdue.push(0),
            Some(_) | None => figures.late.push((ended - due) / 1000),
        }
        figures.not_once += usize::from(ends != 1);
    }
    figures.late.sort_unstable();
    figures.overdue.sort_unstable();
    figures
}

async fn killed_before_its_deadlines_the_next_hub_fires_each_of_them_once(kind: StoreKind) {
    let plan = Plan { orders: 40, spread: s(1), accept: s(6) };
    let figures = run(kind, plan, Kill::Before).await;
    assert_eq!((figures.late.len() + figures.overdue.len(), figures.not_once), (40, 0), "{figures:?}");
}

/// The plan of a measuring run.
fn measured() -> Plan {
    let number = |key: &str, default: u64| std::env::var(key).map_or(default, |text| text.parse().unwrap());
    let orders = number("BELLHOP_DEADLINE_ORDERS", 5000) as usize;
    let spread = s(number("BELLHOP_DEADLINE_SPREAD_S", 60));
    Plan { orders, spread, accept: spread + s(15) }
}

/// The figures of a measuring run, in which every deadline was fired once.
async fn figures_of(kind: StoreKind, what: &str, kill: Kill) -> Figures {
    let plan = measured();
    let figures = run(kind, plan, kill).await;
    figures.print(kind, what);
    assert_eq!((figures.late.len() + figures.overdue.len(), figures.not_once), (plan.orders, 0));
    figures
}

async fn a_hundredth_is_at_most_a_second_late(kind: StoreKind) {
    let figures = figures_of(kind, "never killed", Kill::Never).await;
    let p99 = figures.late[figures.late.len() * 99 / 100];
    assert!(p99 <= 1000, "a hundredth of the deadlines was {p99} ms late");
}

async fn fired_soon_after_readiness(kind: StoreKind, what: &str, kill: Kill, within_ms: i64) {
    let figures = figures_of(kind, what, kill).await;
    let slowest = figures.overdue.last().copied().expect("some are overdue when the hub is back");
    assert!(slowest <= within_ms, "{slowest} ms after readiness");
}

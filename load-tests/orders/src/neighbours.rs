//! Shops with a normal evening on several hubs, beside one that is flooded: what the others feel of it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bellhop_client::lean::write_request;
use bellhop_client::{Account, Client, ClientSettings, NewAccount};
use serde::Serialize;

use crate::devices::{Devices, Then};
use crate::hub::{MENU_ITEMS, PASSWORD, make_business};
use crate::paced::Pace;
use crate::tally::{Figures, Tally};

/// Shops of each merchant: their devices answer less often than one login session may.
const SHOPS_OF_A_MERCHANT: usize = 2;

/// Devices of the flooded shop.
const FLOODED_DEVICES: usize = 3;

/// The longest time that the flood may make of p99.
const MOST: f64 = 2.0;

/// Rates and times of the load.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    /// Hubs that are loaded, all on the database of the one that makes the accounts.
    pub(crate) hubs: Vec<SocketAddr>,
    /// Shops beside the flooded one.
    pub(crate) shops: usize,
    /// People who order there.
    pub(crate) customers: usize,
    /// People who order at the flooded shop.
    pub(crate) flooders: usize,
    /// Orders a second at all the other shops.
    pub(crate) orders: f64,
    /// Reads a second of the people who order there.
    pub(crate) reads: f64,
    /// Orders a second at the flooded shop, and reads a second of each of its devices.
    pub(crate) flood: f64,
    /// Seconds of each phase.
    pub(crate) seconds: u64,
    /// Times that the phase without and the phase with the flood alternate.
    pub(crate) rounds: u32,
}

/// Answers to orders and to reads.
#[derive(Debug, Serialize)]
struct Felt {
    orders: Figures,
    reads: Figures,
}

/// Results of the run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    plan: Plan,
    /// Of the others, without the flood and beside it.
    without: Felt,
    beside: Felt,
    flood: Felt,
    /// p99 of the others beside the flood by p99 without it.
    orders_ratio: f64,
    reads_ratio: f64,
    /// Orders that devices of the others accepted, and answers that failed.
    answers: (u64, u64),
}

/// Access tokens and shops.
struct Town {
    hubs: Vec<SocketAddr>,
    shops: Vec<String>,
    customers: Vec<String>,
    flooded: String,
    flooders: Vec<String>,
    /// Of each device of the flooded shop.
    flooded_devices: Vec<String>,
    devices: Vec<Devices>,
    /// Part of every idempotency key.
    run: String,
    number: usize,
}

/// Makes everybody through `address`, a hub without limits, and loads the hubs of the plan.
pub(crate) async fn run(address: SocketAddr, plan: Plan, run: &str) -> Result<Report> {
    let mut town = Town::build(address, &plan, run).await?;
    let time = Duration::from_secs(plan.seconds);
    let pace = |a_second, wanted| Pace { a_second, time, wanted };
    let (orders, reads) = (pace(plan.orders, 201), pace(plan.reads, 200));
    let (flood, flood_reads) = (pace(plan.flood, 201), pace(plan.flood * FLOODED_DEVICES as f64, 200));
    let mut tallies: [Tally; 6] = Default::default();
    for _ in 0..plan.rounds {
        let quiet = tokio::join!(orders.run(town.orders()), reads.run(town.reads()));
        let beside = tokio::join!(
            orders.run(town.orders()),
            reads.run(town.reads()),
            flood.run(town.flood()),
            flood_reads.run(town.flood_reads()),
        );
        let answers = [quiet.0, quiet.1, beside.0, beside.1, beside.2, beside.3];
        tallies.iter_mut().zip(&answers).for_each(|(all, one)| all.add(one));
    }
    let felt = |orders: Pace, reads: Pace, at: usize| Felt {
        orders: orders.figures(&tallies[at], plan.rounds),
        reads: reads.figures(&tallies[at + 1], plan.rounds),
    };
    let (without, beside) = (felt(orders, reads, 0), felt(orders, reads, 2));
    Ok(Report {
        orders_ratio: beside.orders.p99_ms / without.orders.p99_ms,
        reads_ratio: beside.reads.p99_ms / without.reads.p99_ms,
        answers: town.answers(),
        flood: felt(flood, flood_reads, 4),
        without,
        beside,
        plan,
    })
}

impl Town {
    async fn build(address: SocketAddr, plan: &Plan, run: &str) -> Result<Self> {
        ensure!(!plan.hubs.is_empty(), "no hub is to be loaded");
        let client = Client::new(address, ClientSettings::default())?;
        let mut town = Self {
            hubs: plan.hubs.clone(),
            shops: Vec::new(),
            customers: people(&client, run, "customer", plan.customers).await?,
            flooded: String::new(),
            flooders: people(&client, run, "flooder", plan.flooders).await?,
            flooded_devices: Vec::new(),
            devices: Vec::new(),
            run: run.to_owned(),
            number: 0,
        };
        for n in 0..plan.shops.div_ceil(SHOPS_OF_A_MERCHANT) {
            let merchant = token(&client, run, "merchant", n, None).await?;
            let mut shops = Vec::new();
            for _ in 0..SHOPS_OF_A_MERCHANT.min(plan.shops - town.shops.len()) {
                shops.push(make_business(&client, &merchant, town.shops.len() + shops.len()).await?);
            }
            town.devices.push(Devices::open(town.hub(n), &merchant, &shops, Then::Accept).await?);
            town.shops.extend(shops);
        }
        for n in 0..FLOODED_DEVICES {
            let device = token(&client, run, "flooded", 0, Some(format!("till-{n}"))).await?;
            if n == 0 {
                town.flooded = make_business(&client, &device, plan.shops).await?;
            }
            let flooded = [town.flooded.clone()];
            town.devices.push(Devices::open(town.hub(n), &device, &flooded, Then::Nothing).await?);
            town.flooded_devices.push(device);
        }
        Ok(town)
    }

    fn hub(&self, n: usize) -> SocketAddr {
        self.hubs[n % self.hubs.len()]
    }

    fn answers(&self) -> (u64, u64) {
        let counts = self.devices.iter().map(Devices::counts);
        counts.fold((0, 0), |(accepted, failed), (a, f)| (accepted + a, failed + f))
    }

    /// Orders at all shops in turn, by all customers in turn.
    fn orders(&mut self) -> impl FnMut(&mut Vec<u8>) -> SocketAddr + use<> {
        self.orders_at(self.shops.clone(), self.customers.clone())
    }

    /// Orders at the flooded shop.
    fn flood(&mut self) -> impl FnMut(&mut Vec<u8>) -> SocketAddr + use<> {
        self.orders_at(vec![self.flooded.clone()], self.flooders.clone())
    }

    fn orders_at(
        &mut self,
        shops: Vec<String>,
        customers: Vec<String>,
    ) -> impl FnMut(&mut Vec<u8>) -> SocketAddr + use<> {
        let (hubs, run, first) = (self.hubs.clone(), self.run.clone(), self.number);
        // No phase uses the numbers of another one.
        self.number += 1_000_000;
        let mut n = first;
        move |request| {
            let (hub, shop, customer) =
                (hubs[n % hubs.len()], &shops[n % shops.len()], &customers[n % customers.len()]);
            let body = format!(
                r#"{{"business_id":"{shop}","fulfilment":"pickup","payment":"cash","items":[{{"sku":"item-{:02}","qty":1}},{{"sku":"item-{:02}","qty":2}}],"notes":"No cinnamon, please"}}"#,
                n % MENU_ITEMS,
                (n + 1) % MENU_ITEMS
            );
            let fields = format!("Idempotency-Key: {run}-{n}\r\n");
            write_request(request, hub, ("POST", "/api/v1/orders"), customer, &fields, &body);
            n += 1;
            hub
        }
    }

    /// Reads of customers: their own orders.
    fn reads(&self) -> impl FnMut(&mut Vec<u8>) -> SocketAddr + use<> {
        reads(self.hubs.clone(), self.customers.clone(), "/api/v1/orders?limit=5".to_owned())
    }

    /// Reads of the devices of the flooded shop: the orders that wait there.
    fn flood_reads(&self) -> impl FnMut(&mut Vec<u8>) -> SocketAddr + use<> {
        let path = format!("/api/v1/orders?business_id={}&status=placed&limit=50", self.flooded);
        reads(self.hubs.clone(), self.flooded_devices.clone(), path)
    }
}

fn reads(
    hubs: Vec<SocketAddr>,
    readers: Vec<String>,
    path: String,
) -> impl FnMut(&mut Vec<u8>) -> SocketAddr {
    let mut n = 0_usize;
    move |request| {
        // Everybody reads at each hub in turn.
        let (hub, reader) = (hubs[(n + n / readers.len()) % hubs.len()], &readers[n % readers.len()]);
        write_request(request, hub, ("GET", &path), reader, "", "");
        n += 1;
        hub
    }
}

async fn people(client: &Client, run: &str, kind: &str, count: usize) -> Result<Vec<String>> {
    let mut tokens = Vec::with_capacity(count);
    for n in 0..count {
        tokens.push(token(client, run, kind, n, None).await?);
    }
    Ok(tokens)
}

/// An access token of a new account, or of a further device of an account.
async fn token(client: &Client, run: &str, kind: &str, n: usize, device: Option<String>) -> Result<String> {
    let role = if matches!(kind, "merchant" | "flooded") { "merchant" } else { "customer" };
    let email = format!("{kind}-{n}-{run}@example.org");
    let account = NewAccount { email, password: PASSWORD, role, name: format!("{kind} {n}"), device };
    let account = Account::open(client, account).await.with_context(|| format!("{kind} {n}"))?;
    Ok(account.token().await?)
}

impl Report {
    /// Whether the others felt no more of the flood than they may.
    ///
    /// # Errors
    /// When they did, or were refused anything.
    pub(crate) fn judge(&self) -> Result<()> {
        for (what, ratio) in [("orders", self.orders_ratio), ("reads", self.reads_ratio)] {
            ensure!(ratio <= MOST, "beside the flood p99 of {what} is {ratio:.2} times as long");
        }
        for figures in [&self.without.orders, &self.without.reads, &self.beside.orders, &self.beside.reads] {
            let spared = figures.refused == 0 && figures.others.is_empty() && figures.unsent == 0;
            ensure!(spared, "the others were refused something: {figures:?}");
        }
        ensure!(self.answers.1 == 0, "{} answers of devices failed", self.answers.1);
        ensure!(self.flood.orders.refused > 0, "the flood was within what customers may");
        Ok(())
    }

    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self) {
        for (felt, whose) in
            [(&self.without, "alone"), (&self.beside, "beside the flood"), (&self.flood, "of the flood")]
        {
            felt.orders.print(&format!("orders {whose}"));
            felt.reads.print(&format!("reads {whose}"));
        }
        println!(
            "p99 of orders {:.2} times, of reads {:.2} times as long; accepted by devices {}, failed {}",
            self.orders_ratio, self.reads_ratio, self.answers.0, self.answers.1
        );
    }
}

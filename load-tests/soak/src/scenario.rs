//! Accounts, businesses and menus of a run, and the state that all of its tasks share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bellhop_client::{Account, Client, ClientSettings, NewAccount, Request};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ledger::Ledger;

/// Password of every account; the hub listens on loopback only.
pub(crate) const PASSWORD: &str = "a password for the soak";

/// A long poll is answered within half a minute. Idle connections are closed sooner than by the hub, which then has none left
/// from this process at the end.
const CLIENT: ClientSettings = ClientSettings {
    answer_timeout: Duration::from_secs(45),
    patience: Duration::from_secs(30),
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_millis(500),
    idle_timeout: Duration::from_secs(10),
};

/// Owners; businesses beyond that share them.
const OWNERS: usize = 25;

/// Customers who order.
const CUSTOMERS: usize = 10;

/// Requests under way at once while the scenario is built.
const AT_ONCE: usize = 4;

/// Items of every menu.
pub(crate) const SKUS: [&str; 3] = ["nata", "tosta", "galao"];

/// A business and who owns it.
#[derive(Debug)]
pub(crate) struct Business {
    pub(crate) id: String,
    pub(crate) owner: Arc<Account>,
}

/// The state that all tasks share.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) client: Client,
    /// Businesses that take orders, and a last one for the reader that stops reading.
    pub(crate) businesses: Vec<Business>,
    pub(crate) customers: Vec<Arc<Account>>,
    ledger: Mutex<Ledger>,
    /// Cancelled when no task may begin anything new.
    pub(crate) closing: CancellationToken,
    /// Cancelled when every task has to end.
    pub(crate) over: CancellationToken,
    /// Tasks that end by themselves after `closing`: orders and short sessions.
    pub(crate) tasks: TaskTracker,
    /// Tasks that go on until `over`: devices and readers.
    pub(crate) residents: TaskTracker,
}

impl Scenario {
    /// Makes accounts, businesses and menus.
    ///
    /// # Errors
    /// When the hub refuses any of it.
    pub(crate) async fn build(address: SocketAddr, businesses: usize) -> Result<Arc<Self>> {
        let client = Client::new(address, CLIENT)?;
        let run = std::process::id();
        let (client_ref, owners) = (&client, businesses.min(OWNERS));
        let accounts: Vec<Arc<Account>> = stream::iter(0..owners + CUSTOMERS)
            .map(|n| async move {
                let role = if n < owners { "merchant" } else { "customer" };
                let account = new_account(format!("soak-{run}-{n}@example.org"), role, "Soak");
                Account::open(client_ref, account).await.map(Arc::new)
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let (owners, customers) = accounts.split_at(owners);
        let businesses = stream::iter(0..=businesses)
            .map(|n| open(n, owners[n % owners.len()].clone()))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Arc::new(Self {
            client,
            businesses,
            customers: customers.to_vec(),
            ledger: Mutex::default(),
            closing: CancellationToken::new(),
            over: CancellationToken::new(),
            tasks: TaskTracker::new(),
            residents: TaskTracker::new(),
        }))
    }

    /// The ledger. The lock is held for this call alone.
    pub(crate) fn ledger<R>(&self, change: impl FnOnce(&mut Ledger) -> R) -> R {
        change(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what went wrong and goes on.
    pub(crate) fn fault(&self, what: impl std::fmt::Display) {
        self.ledger(|ledger| ledger.fault(what.to_string()));
    }

    /// Number of businesses that take orders.
    pub(crate) fn business_count(&self) -> usize {
        self.businesses.len() - 1
    }

    /// Every order of every business, with the number of its business.
    ///
    /// # Errors
    /// When a list cannot be read.
    pub(crate) async fn every_order(&self) -> Result<Vec<(usize, Value)>> {
        let mut all = Vec::new();
        for (number, business) in self.businesses.iter().enumerate() {
            let first = format!("/orders?business_id={}&limit=50", business.id);
            let mut path = first.clone();
            loop {
                let mut page = business.owner.call(&Request::get(path)).await?;
                let items = page["items"].as_array_mut().context("a list has items")?;
                all.extend(items.drain(..).map(|order| (number, order)));
                let Some(next) = page["next_cursor"].as_str() else { break };
                path = format!("{first}&cursor={next}");
            }
        }
        Ok(all)
    }
}

/// An account of this run.
pub(crate) fn new_account(email: String, role: &'static str, name: &str) -> NewAccount {
    NewAccount { email, password: PASSWORD, role, name: name.to_owned(), device: None }
}

async fn open(n: usize, owner: Arc<Account>) -> Result<Business> {
    let business = json!({
        "name": format!("Soak {n}"), "location": {"lat": 38.71, "lng": -9.15}, "zone": "soak", "currency": "EUR",
        "tables": 12,
    });
    let created = owner.call(&Request::post("/businesses", business)).await?;
    let id = created["id"].as_str().context("a business has an id")?.to_owned();
    for sku in SKUS {
        let item = json!({"sku": sku, "name": sku, "category": "Food", "price_minor": 250});
        owner.call(&Request::post(format!("/businesses/{id}/menu/items"), item)).await?;
    }
    Ok(Business { id, owner })
}

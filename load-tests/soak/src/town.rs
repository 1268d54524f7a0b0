//! Everybody and everything there is before the load begins, and what all who take part share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Account, Api, Call};
use crate::books::Books;

/// Owners; businesses beyond that share them.
const OWNERS: usize = 25;

/// Customers who order.
const CUSTOMERS: usize = 10;

/// Requests under way at once while the town is built.
const AT_ONCE: usize = 4;

/// What is on every menu.
pub(crate) const SKUS: [&str; 3] = ["nata", "tosta", "galao"];

/// A business and who owns it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) id: String,
    pub(crate) owner: Arc<Account>,
}

/// What all who take part share.
#[derive(Debug)]
pub(crate) struct Town {
    pub(crate) api: Api,
    /// Where orders are placed; one more, the last, is for the reader that stops reading.
    pub(crate) places: Vec<Place>,
    pub(crate) customers: Vec<Arc<Account>>,
    books: Mutex<Books>,
    /// Nobody begins anything new any more.
    pub(crate) closing: CancellationToken,
    /// Everybody goes home.
    pub(crate) over: CancellationToken,
    /// Who comes to an end after `closing`: orders, and those who visit.
    pub(crate) tasks: TaskTracker,
    /// Who stays until `over`: devices and readers.
    pub(crate) residents: TaskTracker,
}

impl Town {
    /// Makes accounts, businesses and menus.
    ///
    /// # Errors
    /// When the hub refuses any of it.
    pub(crate) async fn build(address: SocketAddr, businesses: usize) -> Result<Arc<Self>> {
        let api = Api::new(address)?;
        let run = std::process::id();
        let (api_ref, owners) = (&api, businesses.min(OWNERS));
        let accounts: Vec<Arc<Account>> = stream::iter(0..owners + CUSTOMERS)
            .map(|n| async move {
                let role = if n < owners { "merchant" } else { "customer" };
                Account::enter(api_ref, &format!("soak-{run}-{n}@example.org"), role).await
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let (owners, customers) = accounts.split_at(owners);
        let places = stream::iter(0..=businesses)
            .map(|n| open(n, owners[n % owners.len()].clone()))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Arc::new(Self {
            api,
            places,
            customers: customers.to_vec(),
            books: Mutex::default(),
            closing: CancellationToken::new(),
            over: CancellationToken::new(),
            tasks: TaskTracker::new(),
            residents: TaskTracker::new(),
        }))
    }

    /// The books; nobody who holds them waits for anything.
    pub(crate) fn books<R>(&self, use_them: impl FnOnce(&mut Books) -> R) -> R {
        use_them(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what went wrong and goes on.
    pub(crate) fn fault(&self, what: impl std::fmt::Display) {
        self.books(|books| books.fault(what.to_string()));
    }

    /// How many businesses take orders.
    pub(crate) fn businesses(&self) -> usize {
        self.places.len() - 1
    }

    /// Every order of every business, with the number of its business.
    ///
    /// # Errors
    /// When a list cannot be read.
    pub(crate) async fn every_order(&self) -> Result<Vec<(usize, Value)>> {
        let mut all = Vec::new();
        for (number, place) in self.places.iter().enumerate() {
            let first = format!("/orders?business_id={}&limit=50", place.id);
            let mut path = first.clone();
            loop {
                let mut page = place.owner.call(&Call::get(path)).await?;
                let items = page["items"].as_array_mut().context("a list has items")?;
                all.extend(items.drain(..).map(|order| (number, order)));
                let Some(next) = page["next_cursor"].as_str() else { break };
                path = format!("{first}&cursor={next}");
            }
        }
        Ok(all)
    }
}

async fn open(n: usize, owner: Arc<Account>) -> Result<Place> {
    let business = json!({
        "name": format!("Soak {n}"), "location": {"lat": 38.71, "lng": -9.15}, "zone": "soak", "currency": "EUR",
        "tables": 12,
    });
    let created = owner.call(&Call::post("/businesses", business)).await?;
    let id = created["id"].as_str().context("a business has an id")?.to_owned();
    for sku in SKUS {
        let item = json!({"sku": sku, "name": sku, "category": "Food", "price_minor": 250});
        owner.call(&Call::post(format!("/businesses/{id}/menu/items"), item)).await?;
    }
    Ok(Place { id, owner })
}

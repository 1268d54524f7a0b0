//! People and businesses of a run, made through one hub.

use anyhow::{Context as _, Result};
use bellhop_client::{Account, Client, NewAccount, Request};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

/// Businesses of one owner: a hub remembers a few dozen for a person.
const BUSINESSES_OF_AN_OWNER: usize = 25;

/// Accounts that are made at once: a hub hashes few passwords at a time.
const AT_ONCE: usize = 4;

/// A business, and the token of its owner.
#[derive(Clone, Debug)]
pub(crate) struct Business {
    pub(crate) id: String,
    pub(crate) owner: String,
}

/// Everybody.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) businesses: Vec<Business>,
    /// Tokens of those who order.
    pub(crate) customers: Vec<String>,
}

impl World {
    /// Signs everybody up and makes the businesses, each with one thing to order. Limits of the hub have to be off.
    pub(crate) async fn make(client: &Client, businesses: usize, customers: usize) -> Result<Self> {
        let owners = people(client, "merchant", businesses.div_ceil(BUSINESSES_OF_AN_OWNER)).await?;
        let owners = &owners;
        let made = (0..businesses).map(|number| async move {
            let owner = owners[number / BUSINESSES_OF_AN_OWNER].clone();
            let business = json!({
                "name": format!("Load {number}"), "location": {"lat": 38.7, "lng": -9.1}, "zone": "load",
                "currency": "EUR", "timezone": "Europe/Lisbon",
            });
            let made = client.call(&Request::post("/businesses", business), Some(&owner)).await?;
            let id = made["id"].as_str().with_context(|| format!("no id in {made}"))?.to_owned();
            let item = json!({"sku": "bread", "name": "Bread", "category": "All", "price_minor": 200});
            let request = Request::post(format!("/businesses/{id}/menu/items"), item);
            client.call(&request, Some(&owner)).await?;
            anyhow::Ok(Business { id, owner })
        });
        let businesses = stream::iter(made).buffered(AT_ONCE).try_collect().await?;
        Ok(Self { businesses, customers: people(client, "customer", customers).await? })
    }
}

/// Access tokens of new accounts.
async fn people(client: &Client, role: &'static str, count: usize) -> Result<Vec<String>> {
    let sign_in = |number| async move {
        let account = NewAccount {
            email: format!("cluster-{role}-{number}@example.org"),
            password: "a password for load",
            role,
            name: "Load".to_owned(),
            device: None,
        };
        anyhow::Ok(Account::open(client, account).await?.token().await?)
    };
    stream::iter((0..count).map(sign_in)).buffered(AT_ONCE).try_collect().await
}

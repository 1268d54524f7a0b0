//! The shops, the people who work there, customers and drivers: made over HTTP before anything goes wrong.

use anyhow::{Context as _, Result};
use bellhop_client::{Account, Client, NewAccount, Request};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

const PASSWORD: &str = "a password for campaigns";

/// Requests under way at once: hubs hash few passwords at a time.
const AT_ONCE: usize = 4;

/// The zone of every shop and driver.
const ZONE: &str = "campaign";

/// What is on every menu, and its price.
pub(crate) const DISH: (&str, i64) = ("soup", 250);

/// A shop. Tokens are those of its owner and of one of its staff.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) id: String,
    pub(crate) tokens: [String; 2],
    /// Drivers of the hub bring its orders.
    pub(crate) driven: bool,
}

/// A driver of the hub.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// Everybody.
#[derive(Debug)]
pub(crate) struct Town {
    pub(crate) shops: Vec<Shop>,
    /// Tokens of the customers.
    pub(crate) customers: Vec<String>,
    pub(crate) drivers: Vec<Driver>,
}

/// How many there are of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) shops: usize,
    pub(crate) customers: usize,
    pub(crate) drivers: usize,
}

/// Makes everybody, each at the next of the hubs.
///
/// # Errors
/// When a hub refuses, or does not answer.
pub(crate) async fn build(clients: &[Client], size: Size) -> Result<Town> {
    let at = |n: usize| clients[n % clients.len()].clone();
    let shops = stream::iter(0..size.shops).map(|n| shop(at(n), n)).buffered(AT_ONCE).try_collect();
    let shops = shops.await?;
    let customers = stream::iter(0..size.customers)
        .map(|n| async move { account(&at(n), format!("customer-{n}"), "customer").await?.token().await })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let drivers =
        stream::iter(0..size.drivers).map(|n| driver(at(n), n)).buffered(AT_ONCE).try_collect().await?;
    Ok(Town { shops, customers, drivers })
}

async fn account(
    client: &Client,
    mailbox: String,
    role: &'static str,
) -> Result<Account, bellhop_client::CallError> {
    let (email, name) = (format!("{mailbox}@campaign.example"), mailbox);
    Account::open(client, NewAccount { email, password: PASSWORD, role, name, device: None }).await
}

async fn shop(client: Client, n: usize) -> Result<Shop> {
    let owner = account(&client, format!("owner-{n}"), "merchant").await?;
    let staff = account(&client, format!("staff-{n}"), "merchant").await?;
    let driven = n.is_multiple_of(2);
    let business = json!({
        "name": format!("Shop {n}"), "location": {"lat": 38.71 + n as f64 * 0.001, "lng": -9.15}, "zone": ZONE,
        "timezone": "UTC", "currency": "EUR", "prep_minutes": 15,
    });
    let id = text(&owner.call(&Request::post("/businesses", business)).await?, "id")?;
    if driven {
        let settings = json!({"delivered_by": "drivers"});
        owner.call(&Request::patch(format!("/businesses/{id}"), settings)).await?;
    }
    let (sku, price) = DISH;
    let item = json!({"sku": sku, "name": "Soup of the day", "category": "Soups", "price_minor": price});
    owner.call(&Request::post(format!("/businesses/{id}/menu/items"), item)).await?;
    let invited = json!({"email": staff.email(), "role": "staff"});
    owner.call(&Request::post(format!("/businesses/{id}/members"), invited)).await?;
    let invitations = staff.call(&Request::get("/invitations")).await?;
    for invitation in invitations["items"].as_array().context("a list of invitations")? {
        let path = format!("/invitations/{}/accept", text(invitation, "id")?);
        staff.call(&Request::post(path, json!({}))).await?;
    }
    Ok(Shop { id, tokens: [owner.token().await?, staff.token().await?], driven })
}

async fn driver(client: Client, n: usize) -> Result<Driver> {
    let account = account(&client, format!("driver-{n}"), "driver").await?;
    let profile = json!({"vehicle": "scooter", "capacity": 1 + n % 3, "zones": [ZONE], "takes_cash": true});
    let id = text(&account.call(&Request::patch("/drivers/me", profile)).await?, "id")?;
    Ok(Driver { id, token: account.token().await? })
}

/// A field that is a text.
///
/// # Errors
/// When there is none.
pub(crate) fn text(value: &Value, field: &str) -> Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {value}"))
}

//! The hub under load: the accounts, businesses and menus it needs, made once and found again by the next run.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use bellhop_client::lean::{Connection, Greeting, Socket, handshake, write_request};
use bellhop_client::{Account, CallError, Client, ClientSettings, NewAccount, Request, Rng, Tokens, metrics};
use serde_json::{Value, json};

use crate::devices::{Devices, Then};

/// Of every account made here.
pub(crate) const PASSWORD: &str = "a password for load";

/// Items on each menu, from which an order takes its lines.
pub(crate) const MENU_ITEMS: usize = 20;

/// Businesses in one page of their list, the most the hub gives.
const PAGE: usize = 50;

/// A hub that is ready to be loaded.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) address: SocketAddr,
    client: Client,
    /// Access tokens of customers, who place the orders in turn.
    pub(crate) customers: Vec<String>,
    businesses: Vec<String>,
    lines: usize,
    /// Access token of the owner of the businesses.
    merchant: String,
}

impl Hub {
    /// Signs in or up, and makes what is missing of the businesses. Limits of the hub have to be off.
    pub(crate) async fn prepare(
        address: SocketAddr,
        customers: usize,
        businesses: usize,
        lines: usize,
    ) -> Result<Self> {
        let client = Client::new(address, ClientSettings::default())?;
        let merchant = sign_in(&client, "load-merchant@example.org", "merchant").await?;
        let mut tokens = Vec::with_capacity(customers);
        for n in 0..customers {
            tokens.push(sign_in(&client, &format!("load-customer-{n}@example.org"), "customer").await?);
        }
        let mut ids = all_ids(&client, "/businesses", &merchant, usize::MAX).await?;
        while ids.len() < businesses {
            ids.push(make_business(&client, &merchant, ids.len()).await?);
        }
        ids.truncate(businesses);
        Ok(Self { address, client, customers: tokens, businesses: ids, lines, merchant })
    }

    /// Devices that answer every order, one for each business.
    pub(crate) async fn devices(&self) -> Result<Devices> {
        Devices::open(self.address, &self.merchant, &self.businesses, Then::Accept).await
    }

    /// An open socket of the owner for each business, which reads and says nothing.
    pub(crate) async fn sockets(&self) -> Result<Vec<Socket>> {
        let mut sockets = Vec::with_capacity(self.businesses.len());
        for business in &self.businesses {
            let request = handshake(self.address, &format!("/ws/notifications/{business}"), &self.merchant);
            sockets.push(Socket::open(self.address, &request, Greeting::Hello, None).await?);
        }
        Ok(sockets)
    }

    /// Writes the request that places an order: a delivery to a customer with a phone, `lines` different items of a
    /// business drawn, under a key of its own.
    pub(crate) fn write_order(&self, request: &mut Vec<u8>, rng: &mut Rng, key: &str) {
        self.write_noted_order(request, rng, key, "No cinnamon, please");
    }

    /// The same with other notes.
    pub(crate) fn write_noted_order(&self, request: &mut Vec<u8>, rng: &mut Rng, key: &str, notes: &str) {
        let business = &self.businesses[rng.below(self.businesses.len())];
        let customer = &self.customers[rng.below(self.customers.len())];
        let first = rng.below(MENU_ITEMS);
        let items: Vec<String> = (0..self.lines)
            .map(|line| {
                format!(r#"{{"sku":"item-{:02}","qty":{}}}"#, (first + line) % MENU_ITEMS, 1 + line % 2)
            })
            .collect();
        let body = format!(
            r#"{{"business_id":"{business}","fulfilment":"delivery","payment":"cash","items":[{}],"customer":{{"name":"Zoë Almeida","phone":"+351 21 000 00 00"}},"address":{{"text":"Rua Augusta 1, 3rd floor, Lisbon","lat":38.7101,"lng":-9.1366}},"notes":"{notes}"}}"#,
            items.join(",")
        );
        let fields = format!("Idempotency-Key: {key}\r\n");
        write_request(request, self.address, ("POST", "/api/v1/orders"), customer, &fields, &body);
    }

    /// Writes the request that reads the order of this customer.
    pub(crate) fn write_read(&self, request: &mut Vec<u8>, customer: usize, order: &str) {
        let path = format!("/api/v1/orders/{order}");
        write_request(request, self.address, ("GET", &path), &self.customers[customer], "", "");
    }

    /// The orders of one customer, newest first, `wanted` at most.
    pub(crate) async fn orders_of(&self, customer: usize, wanted: usize) -> Result<Vec<String>> {
        all_ids(&self.client, "/orders", &self.customers[customer], wanted).await
    }

    /// A sign-in with a wrong password for an account nobody has: it costs the hub a whole hash.
    pub(crate) fn write_login(&self, request: &mut Vec<u8>, number: u64) {
        let body = json!({"email": format!("nobody-{number}@example.org"), "password": "not the password"});
        write_request(request, self.address, ("POST", "/api/v1/auth/login"), "", "", &body.to_string());
    }

    /// The value of the series `name` of `/metrics`.
    pub(crate) async fn metric(&self, connection: &mut Connection, name: &str) -> Result<f64> {
        let mut request = Vec::new();
        write_request(&mut request, self.address, ("GET", "/metrics"), "", "", "");
        let answer = connection.ask(&request).await?;
        let text = std::str::from_utf8(answer.body)?;
        metrics::value(text, name).with_context(|| format!("/metrics has no {name}"))
    }
}

/// An access token of an account, which is made unless it exists.
async fn sign_in(client: &Client, email: &str, role: &'static str) -> Result<String> {
    match Tokens::sign_in(client, email, PASSWORD, None).await {
        Ok(tokens) => return Ok(tokens.access_token),
        Err(CallError::Refused { status: 401, .. }) => {}
        Err(error) => bail!(error),
    }
    let (email, name) = (email.to_owned(), "Load".to_owned());
    let account = NewAccount { email, password: PASSWORD, role, name, device: None };
    Ok(Account::open(client, account).await?.token().await?)
}

/// The ids of a list, page by page, `wanted` at most.
async fn all_ids(client: &Client, list: &str, token: &str, wanted: usize) -> Result<Vec<String>> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    while found.len() < wanted {
        let request = Request::get(format!("{list}?limit={PAGE}{cursor}"));
        let page = client.call(&request, Some(token)).await?;
        found.extend(ids(&page)?);
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    found.truncate(wanted);
    Ok(found)
}

pub(crate) async fn make_business(client: &Client, merchant: &str, number: usize) -> Result<String> {
    let business = json!({
        "name": format!("Load {number}"), "location": {"lat": 38.7, "lng": -9.1}, "zone": "load",
        "currency": "EUR", "timezone": "Europe/Lisbon",
    });
    let made = client.call(&Request::post("/businesses", business), Some(merchant)).await?;
    let id = text(&made, "id")?;
    for n in 0..MENU_ITEMS {
        let item = json!({
            "sku": format!("item-{n:02}"), "name": format!("Something good, number {n}"),
            "category": "Everything", "price_minor": 130 + 10 * n,
        });
        let request = Request::post(format!("/businesses/{id}/menu/items"), item);
        client.call(&request, Some(merchant)).await?;
    }
    Ok(id)
}

fn ids(page: &Value) -> Result<Vec<String>> {
    page["items"].as_array().context("a list without items")?.iter().map(|item| text(item, "id")).collect()
}

fn text(value: &Value, field: &str) -> Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {value}"))
}

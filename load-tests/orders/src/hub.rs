//! The hub under load: the accounts, businesses and menus it needs, made once and found again by the next run.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::connection::Connection;

/// Of every account made here.
const PASSWORD: &str = "a password for load";

/// Items on each menu, from which an order takes its lines.
const MENU_ITEMS: usize = 20;

/// Businesses in one page of their list, the most the hub gives.
const PAGE: usize = 50;

/// A hub that is ready to be loaded.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) address: SocketAddr,
    /// Access tokens of customers, who place the orders in turn.
    pub(crate) customers: Vec<String>,
    businesses: Vec<String>,
    lines: usize,
}

/// Numbers that look random and repeat from run to run.
#[derive(Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `bound` (splitmix64).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

impl Hub {
    /// Signs in or up, and makes what is missing of the businesses. Limits of the hub have to be off.
    pub(crate) async fn prepare(
        address: SocketAddr,
        customers: usize,
        businesses: usize,
        lines: usize,
    ) -> Result<Self> {
        let mut setup = Setup { connection: Connection::new(address) };
        let merchant = setup.sign_in("load-merchant@example.org", "merchant").await?;
        let mut tokens = Vec::with_capacity(customers);
        for n in 0..customers {
            tokens.push(setup.sign_in(&format!("load-customer-{n}@example.org"), "customer").await?);
        }
        let mut ids = setup.businesses(&merchant).await?;
        while ids.len() < businesses {
            ids.push(setup.make_business(&merchant, ids.len()).await?);
        }
        ids.truncate(businesses);
        Ok(Self { address, customers: tokens, businesses: ids, lines })
    }

    /// Writes the request that places an order: a delivery to a customer with a phone, `lines` different items of a
    /// business drawn, under a key of its own.
    pub(crate) fn write_order(&self, request: &mut Vec<u8>, draw: &mut Draw, key: &str) {
        let business = &self.businesses[draw.below(self.businesses.len())];
        let customer = &self.customers[draw.below(self.customers.len())];
        let first = draw.below(MENU_ITEMS);
        let items: Vec<String> = (0..self.lines)
            .map(|line| {
                format!(r#"{{"sku":"item-{:02}","qty":{}}}"#, (first + line) % MENU_ITEMS, 1 + line % 2)
            })
            .collect();
        let body = format!(
            r#"{{"business_id":"{business}","fulfilment":"delivery","payment":"cash","items":[{}],"customer":{{"name":"Zoë Almeida","phone":"+351 21 000 00 00"}},"address":{{"text":"Rua Augusta 1, 3rd floor, Lisbon","lat":38.7101,"lng":-9.1366}},"notes":"No cinnamon, please"}}"#,
            items.join(",")
        );
        let fields = format!("Idempotency-Key: {key}\r\n");
        write_request(request, self.address, "POST", "/api/v1/orders", customer, &fields, &body);
    }

    /// Writes the request that reads the order of this customer.
    pub(crate) fn write_read(&self, request: &mut Vec<u8>, customer: usize, order: &str) {
        let path = format!("/api/v1/orders/{order}");
        write_request(request, self.address, "GET", &path, &self.customers[customer], "", "");
    }

    /// The orders of one customer, newest first, `wanted` at most.
    pub(crate) async fn orders_of(&self, customer: usize, wanted: usize) -> Result<Vec<String>> {
        let mut setup = Setup { connection: Connection::new(self.address) };
        let (mut orders, mut cursor) = (Vec::new(), String::new());
        while orders.len() < wanted {
            let path = format!("/orders?limit={PAGE}{cursor}");
            let page = setup.ask("GET", &path, &self.customers[customer], None).await?;
            orders.extend(ids(&page)?);
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        orders.truncate(wanted);
        Ok(orders)
    }

    /// A sign-in with a wrong password for an account nobody has: it costs the hub a whole hash.
    pub(crate) fn write_login(&self, request: &mut Vec<u8>, number: u64) {
        let body = json!({"email": format!("nobody-{number}@example.org"), "password": "not the password"});
        write_request(request, self.address, "POST", "/api/v1/auth/login", "", "", &body.to_string());
    }

    /// The values of all lines of `/metrics` that begin with `name` and a space.
    pub(crate) async fn metric(&self, connection: &mut Connection, name: &str) -> Result<f64> {
        let mut request = Vec::new();
        write_request(&mut request, self.address, "GET", "/metrics", "", "", "");
        let answer = connection.ask(&request).await?;
        let text = std::str::from_utf8(answer.body)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("/metrics has no {name}"))?.parse()?)
    }
}

/// Writes one request over whatever was in `request`.
fn write_request(
    request: &mut Vec<u8>,
    address: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    fields: &str,
    body: &str,
) {
    request.clear();
    let authorization =
        if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let content = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}{fields}{content}\r\n");
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(body.as_bytes());
}

/// What is asked before the load begins.
struct Setup {
    connection: Connection,
}

impl Setup {
    async fn status(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value)> {
        let mut request = Vec::new();
        let body = body.map(Value::to_string).unwrap_or_default();
        let path = format!("/api/v1{path}");
        write_request(&mut request, self.connection.address(), method, &path, token, "", &body);
        let answer = self.connection.ask(&request).await.with_context(|| format!("{method} {path}"))?;
        let value = serde_json::from_slice(answer.body).unwrap_or(Value::Null);
        Ok((answer.status, value))
    }

    async fn ask(&mut self, method: &str, path: &str, token: &str, body: Option<&Value>) -> Result<Value> {
        let (status, value) = self.status(method, path, token, body).await?;
        ensure!((200..300).contains(&status), "{method} {path}: {status} {value}");
        Ok(value)
    }

    async fn sign_in(&mut self, email: &str, role: &str) -> Result<String> {
        let credentials = json!({"email": email, "password": PASSWORD});
        let (status, session) = self.status("POST", "/auth/login", "", Some(&credentials)).await?;
        if status == 200 {
            return text(&session, "access_token");
        }
        ensure!(status == 401, "signing in: {status} {session}");
        let account = json!({"email": email, "password": PASSWORD, "role": role, "name": "Load"});
        self.ask("POST", "/auth/signup", "", Some(&account)).await?;
        text(&self.ask("POST", "/auth/login", "", Some(&credentials)).await?, "access_token")
    }

    async fn businesses(&mut self, merchant: &str) -> Result<Vec<String>> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.ask("GET", &format!("/businesses?limit={PAGE}{cursor}"), merchant, None).await?;
            found.extend(ids(&page)?);
            let Some(next) = page["next_cursor"].as_str() else { return Ok(found) };
            cursor = format!("&cursor={next}");
        }
    }

    async fn make_business(&mut self, merchant: &str, number: usize) -> Result<String> {
        let business = json!({
            "name": format!("Load {number}"), "location": {"lat": 38.7, "lng": -9.1}, "zone": "load",
            "currency": "EUR", "timezone": "Europe/Lisbon",
        });
        let id = text(&self.ask("POST", "/businesses", merchant, Some(&business)).await?, "id")?;
        for n in 0..MENU_ITEMS {
            let item = json!({
                "sku": format!("item-{n:02}"), "name": format!("Something good, number {n}"),
                "category": "Everything", "price_minor": 130 + 10 * n,
            });
            self.ask("POST", &format!("/businesses/{id}/menu/items"), merchant, Some(&item)).await?;
        }
        Ok(id)
    }
}

fn ids(page: &Value) -> Result<Vec<String>> {
    page["items"].as_array().context("a list without items")?.iter().map(|item| text(item, "id")).collect()
}

fn text(value: &Value, field: &str) -> Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {value}"))
}

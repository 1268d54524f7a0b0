//! What a copy of the database shows, and new keys for it while the hub is used.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::watch;

use crate::support::{
    Answer, Device, Endpoint, EventStream, PASSWORD, Person, StoreKind, TestApp, order_body,
};
use crate::{login, with};

crate::on_both_stores!(
    a_copy_of_a_hub_in_use_shows_no_phone_no_address_no_token_and_no_password,
    keys_rotated_under_load_lose_nothing_and_the_old_one_is_not_needed_afterwards,
);

const PHONE: &str = "+351 (21) 555-0199";
const STREET: &str = "Travessa do Fala-Só 15, 3.º esq.";
const PLACE: [f64; 2] = [38.716_523_4, -9.141_873_2];
const HIDDEN: &str = "a note that was written in base64";

/// An order to be brought to somebody.
fn delivery(business: &str, phone: &str, street: &str) -> Value {
    let to = json!({"text": street, "lat": PLACE[0], "lng": PLACE[1]});
    let customer = json!({"name": "Zoe Zanzibar", "phone": phone});
    with(
        order_body(business),
        json!({"fulfilment": "delivery", "address": to, "customer": customer, "notes": STANDARD.encode(HIDDEN)}),
    )
}

async fn send(app: &Endpoint, who: &Person, key: &str, body: &Value) -> Answer {
    Answer::of(who.request(app, Method::POST, "/orders").header("idempotency-key", key).json(body)).await
}

/// The ways in which a copy could hold a text so that anybody can read it.
fn forms(text: &str) -> Vec<String> {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![text.to_owned(), text.to_lowercase(), hex.to_uppercase(), hex];
    // In base64 the same text looks different after one or two other bytes; what its neighbours decide is left out.
    for (before, first) in [(0, 0), (1, 2), (2, 3)] {
        let bytes = [&[0; 2][..before], text.as_bytes()].concat();
        let last = bytes.len() / 3 * 4;
        forms.extend([STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|e| e.encode(&bytes)[first..last].to_owned()));
    }
    forms
}

/// A copy as its thief reads it.
struct Copy {
    what: &'static str,
    bytes: Vec<u8>,
    text: String,
}

impl Copy {
    fn new(what: &'static str, bytes: Vec<u8>) -> Self {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Self { what, bytes, text }
    }

    fn shows(&self, text: &str) -> bool {
        forms(text).iter().any(|form| self.text.contains(form))
    }

    /// As a number is kept in a database's own format.
    fn shows_number(&self, number: f64) -> bool {
        let (big, little) = (number.to_be_bytes(), number.to_le_bytes());
        self.bytes.windows(8).any(|window| window == big || window == little)
    }
}

/// Every copy that can be made while the hub runs.
async fn copies(app: &TestApp) -> Vec<Copy> {
    let Some(url) = app.postgres_url() else {
        let mut files = Vec::new();
        for name in ["bellhop.sqlite", "bellhop.sqlite-wal", "bellhop.sqlite-shm"] {
            // By another process: to close a file gives up every lock that its process holds on it, the hub's as well.
            let thief = std::process::Command::new("cat").arg(app.data_folder().join(name)).output();
            let thief = thief.expect("it is started");
            assert!(thief.status.success(), "the hub has {name} open");
            files.extend(thief.stdout);
        }
        let file = app.data_folder().join("stolen.sqlite");
        let (done, said) = app.bellhop(&["backup", file.to_str().unwrap()]).await;
        assert!(done, "{said}");
        let backup = std::fs::read(file).unwrap();
        return vec![Copy::new("the files", files), Copy::new("the backup", backup)];
    };
    const COLUMNS: &str = "SELECT c.table_schema::text, c.table_name::text, c.column_name::text \
        FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) \
        WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')";
    let mut connection = PgConnection::connect(url).await.unwrap();
    let columns: Vec<(String, String, String)> =
        sqlx::query_as(COLUMNS).fetch_all(&mut connection).await.unwrap();
    let mut all = String::new();
    for (schema, table, column) in columns {
        let values = format!("SELECT \"{column}\"::text FROM \"{schema}\".\"{table}\"");
        let values: Vec<(Option<String>,)> =
            sqlx::query_as(AssertSqlSafe(values)).fetch_all(&mut connection).await.unwrap();
        for (value,) in values {
            all.push_str(value.as_deref().unwrap_or_default());
            all.push('\n');
        }
    }
    vec![Copy::new("every column of every table", all.into_bytes())]
}

async fn a_copy_of_a_hub_in_use_shows_no_phone_no_address_no_token_and_no_password(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, mut zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let mut secrets: BTreeSet<String> =
        [PHONE, "5550199", STREET, "Fala-Só", "38.7165234", "9.1418732", PASSWORD].map(str::to_owned).into();
    // Everything that makes somebody who they are, also when it was used up, replaced or refused.
    let mut credentials = vec![merchant.token.clone(), merchant.refresh_token.clone()];
    credentials.extend([zoe.token.clone(), zoe.refresh_token.clone()]);
    let refresh = json!({"refresh_token": zoe.refresh_token});
    let fresh = app.http.post(app.url("/api/v1/auth/refresh")).json(&refresh);
    let fresh = Answer::of(fresh).await.expect(200).json();
    for (known, name) in [(&mut zoe.token, "access_token"), (&mut zoe.refresh_token, "refresh_token")] {
        fresh[name].as_str().unwrap().clone_into(known);
        credentials.push(known.clone());
    }
    merchant.patch(&app, "/auth/me", &json!({"phone": PHONE})).await.expect(200);
    let ticket = merchant.post(&app, "/auth/ticket", &json!({})).await.expect(200).json();
    let ticket = ticket["ticket"].as_str().unwrap();
    let path = format!("/api/v1/rooms/business:{business}/stream?ticket={ticket}");
    let stream = EventStream::start(app.http.get(app.url(&path))).await.expect("the ticket opens it");
    let unused = merchant.post(&app, "/auth/ticket", &json!({})).await.expect(200).json();
    credentials.extend([ticket.to_owned(), unused["ticket"].as_str().unwrap().to_owned()]);
    let mistyped = "correct horse batteries";
    let refused = app.http.post(app.url("/api/v1/auth/login")).json(&login(&zoe.email, mistyped));
    Answer::of(refused).await.expect_problem(401, "bad_credentials");
    secrets.insert(mistyped.to_owned());
    for credential in credentials {
        // Also its signature alone: who has it has the rest.
        secrets.extend(credential.rsplit_once('.').map(|(_, signature)| signature.to_owned()));
        secrets.insert(credential);
    }
    let generated = std::fs::read_to_string(app.data_folder().join("secrets.toml")).unwrap();
    let quoted = generated.split('"').skip(1).step_by(2).map(|secret| secret.trim_start_matches("k1:"));
    secrets.extend(quoted.map(str::to_owned));

    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let body = delivery(&business, PHONE, STREET);
    let first = send(&app, &zoe, "key", &body).await.expect(201);
    assert!(first.text.contains("\"phone\":"), "the kept answer is one that shows it: {}", first.text);
    secrets.insert("\"phone\":".to_owned());
    secrets.insert(first.text.clone());
    assert_eq!(send(&app, &zoe, "key", &body).await.expect(201).text, first.text);
    let order = merchant.move_order(&app, &first.json(), "accepted").await;
    let event = device.events(1).await.remove(0);
    device.send(json!({"type": "ack", "room": event["room"], "cursor": event["cursor"]})).await;
    device.settle().await;

    let (stop, stopped) = watch::channel(());
    let load = {
        let (app, zoe) = ((*app).clone(), zoe.clone());
        tokio::spawn(async move {
            let mut placed = 0;
            while !stopped.has_changed().unwrap() {
                send(&app, &zoe, &format!("load-{placed}"), &body).await.expect(201);
                placed += 1;
            }
            placed
        })
    };
    let copies = copies(&app).await;
    stop.send(()).unwrap();
    assert!(load.await.unwrap() > 0, "it was in use");
    drop(stream);
    device.close().await;

    for copy in &copies {
        let what = copy.what;
        // The search finds what is there, in clear and in another form.
        for known in ["Soup Kitchen", &zoe.email, "Zoe Zanzibar", order["id"].as_str().unwrap(), HIDDEN] {
            assert!(copy.shows(known), "{what}: {known} is not found");
        }
        assert!(!copy.text.contains(HIDDEN) && copy.text.contains("$argon2id$"), "{what}");
        for secret in &secrets {
            assert!(!copy.shows(secret), "{what}: {secret} is readable");
        }
        for number in PLACE {
            assert!(!copy.shows_number(number), "{what}: {number} is readable");
        }
    }
    // The business's own place is no secret; on SQLite it is kept as a number.
    if kind == StoreKind::Sqlite {
        assert!(copies.iter().all(|copy| copy.shows_number(38.7)), "numbers are found as well");
    }
}

fn key(id: &str, seed: u8) -> String {
    let bytes: [u8; 32] = std::array::from_fn(|i| (i as u8).wrapping_mul(37) ^ seed);
    format!("{id}:{}", STANDARD.encode(bytes))
}

/// An order that a customer was told of.
struct Acknowledged {
    key: String,
    body: Value,
    answer: String,
}

impl Acknowledged {
    /// Places the `n`th order of somebody. A hub that is busy is asked again with the same key.
    async fn place(app: &Endpoint, who: &Person, business: &str, n: usize) -> Self {
        let body = delivery(business, &format!("+351 9{n:08}"), &format!("Rua {n}, {}", who.id));
        let key = format!("key-{n}");
        loop {
            let answer = send(app, who, &key, &body).await;
            if answer.status != 503 {
                return Self { key, body, answer: answer.expect(201).text };
            }
        }
    }

    async fn replay(&self, app: &Endpoint, who: &Person) {
        let again = send(app, who, &self.key, &self.body).await;
        if again.status != 503 {
            assert_eq!(again.expect(201).text, self.answer, "the first answer stands");
        }
    }

    fn order(&self) -> Value {
        serde_json::from_str(&self.answer).unwrap()
    }
}

/// A customer who orders and asks again, and a merchant who accepts, until they are told to stop.
async fn customer(
    app: Endpoint,
    (who, merchant): (Person, Person),
    business: String,
    mut orders: Vec<Acknowledged>,
    (placed, stopped): (Arc<AtomicUsize>, watch::Receiver<()>),
) -> (Person, Vec<Acknowledged>) {
    while !stopped.has_changed().unwrap() {
        orders.push(Acknowledged::place(&app, &who, &business, orders.len()).await);
        placed.fetch_add(1, Ordering::Relaxed);
        orders[orders.len() / 2].replay(&app, &who).await;
        let order = orders[orders.len() - 1].order();
        let path = format!("/orders/{}/status", order["id"].as_str().unwrap());
        let wish = json!({"status": "accepted", "version": order["version"]});
        let moved = merchant.patch(&app, &path, &wish).await;
        assert!(moved.status == 200 || moved.status == 503, "{}", moved.text);
    }
    (who, orders)
}

async fn keys_rotated_under_load_lose_nothing_and_the_old_one_is_not_needed_afterwards(kind: StoreKind) {
    const CUSTOMERS: usize = 5;
    const EACH: usize = 60;
    let (old, new) = (key("old", 1), key("new", 2));
    let mut app = TestApp::start_with(kind, &[("encryption.keys", &old)]).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut customers = Vec::new();
    for i in 0..CUSTOMERS {
        let who = app.person("customer", &format!("Carl{i}")).await;
        let orders = (0..EACH).map(|n| Acknowledged::place(&app, &who, &business, n));
        let orders = futures_util::future::join_all(orders).await;
        customers.push((who, orders));
    }
    // The operator's steps: the new key in front, the hub again, the rotation beside it.
    app.set("encryption.keys", &format!("{new},{old}"));
    app.restart().await;
    let (stop, stopped) = watch::channel(());
    let placed = Arc::new(AtomicUsize::new(0));
    let load: Vec<_> = customers
        .into_iter()
        .map(|(who, orders)| {
            let (people, signals) = ((who, merchant.clone()), (Arc::clone(&placed), stopped.clone()));
            tokio::spawn(customer((*app).clone(), people, business.clone(), orders, signals))
        })
        .collect();
    while placed.load(Ordering::Relaxed) < CUSTOMERS {
        tokio::task::yield_now().await;
    }
    let before = placed.load(Ordering::Relaxed);
    let (done, said) = app.bellhop(&["keys", "rotate"]).await;
    let meanwhile = placed.load(Ordering::Relaxed) - before;
    stop.send(()).unwrap();
    assert!(done, "{said}");
    assert!(meanwhile > 0, "orders were placed while it ran");
    let each = CUSTOMERS * EACH;
    let expected = format!(
        "{} values encrypted again (idempotency_keys.body {each}, orders.address {each}, orders.phone {each}); none needs",
        3 * each
    );
    assert!(said.contains(&expected), "exactly what the old key had sealed: {said}");
    let mut customers = Vec::new();
    for load in load {
        customers.push(load.await.unwrap());
    }
    app.set("encryption.keys", &new);
    app.restart().await;
    let mut ids = BTreeSet::new();
    for (who, orders) in &customers {
        for acknowledged in orders {
            let order = acknowledged.order();
            let now =
                who.get(&app, &format!("/orders/{}", order["id"].as_str().unwrap())).await.expect(200).json();
            assert_eq!(now["customer"]["phone"], acknowledged.body["customer"]["phone"]);
            assert_eq!(now["address"]["text"], acknowledged.body["address"]["text"]);
            let again = send(&app, who, &acknowledged.key, &acknowledged.body).await.expect(201);
            assert_eq!(again.text, acknowledged.answer);
            ids.insert(order["id"].to_string());
        }
        let all = who.get(&app, "/orders?page=1").await.expect(200).json();
        assert_eq!(all["total"], orders.len(), "each acknowledged order is there once");
    }
    let all: usize = customers.iter().map(|(_, orders)| orders.len()).sum();
    assert_eq!(ids.len(), all);
    let (done, said) = app.bellhop(&["keys", "rotate"]).await;
    assert!(done && said.contains("0 values encrypted again"), "{said}");
}

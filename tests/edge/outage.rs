//! A hub is stopped and another one is killed, while devices listen and customers order.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bellhop_client::{Cursor, WebSocket};
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::support::{Device, Endpoint, Person, order_body};
use super::{edge, hubs};

const BUSINESSES: u8 = 4;
const DEVICES: u8 = 8;
const PACE: Duration = Duration::from_millis(100);

/// What a device has heard: the orders in their sequence, and what its user would have noticed.
#[derive(Default)]
struct Heard {
    orders: Vec<String>,
    last: Option<Cursor>,
    holes: usize,
    repeated: usize,
    resyncs: usize,
    reconnects: usize,
    refused: usize,
    longest_away: Duration,
}

impl Heard {
    /// Takes in one frame.
    fn frame(&mut self, frame: &Value) {
        if frame["type"] == "resync" {
            self.resyncs += 1;
        }
        let Some(cursor) = frame["cursor"].as_str().filter(|_| frame["type"] == "event") else { return };
        let cursor: Cursor = cursor.parse().expect("a cursor");
        if let Some(last) = &self.last {
            match cursor.seq {
                seq if seq <= last.seq => return self.repeated += 1,
                seq if seq > last.seq + 1 => self.holes += 1,
                _ => {}
            }
        }
        self.last = Some(cursor);
        if frame["event"]["type"] == "order_created" {
            self.orders.push(frame["event"]["data"]["order_id"].as_str().expect("an id").to_owned());
        }
    }

    /// Reads a socket until it ends, or everything is over; then it is true.
    async fn read(&mut self, socket: &mut WebSocket, over: &AtomicBool) -> bool {
        loop {
            match tokio::time::timeout(PACE, socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => self.frame(&serde_json::from_str(&text).unwrap()),
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return false,
                Ok(Some(Ok(_))) | Err(_) => {}
            }
            if over.load(Relaxed) {
                return true;
            }
        }
    }
}

/// A device that opens its socket again, with its cursor, whenever it ends.
async fn listen(
    app: Endpoint,
    person: Person,
    business: String,
    from: String,
    over: Arc<AtomicBool>,
) -> Heard {
    let mut heard = Heard { last: Some(from.parse().unwrap()), ..Heard::default() };
    let mut away = Instant::now();
    loop {
        let cursor = heard.last.as_ref().unwrap().to_string();
        let path = format!("/ws/notifications/{business}?cursor={cursor}");
        let Some(mut socket) = Device::try_dial(&app, &person.token, &path).await else {
            heard.refused += 1;
            assert!(away.elapsed() < Duration::from_secs(20), "a device cannot come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        heard.longest_away = heard.longest_away.max(away.elapsed());
        if heard.read(&mut socket, &over).await {
            return heard;
        }
        heard.reconnects += 1;
        away = Instant::now();
    }
}

/// Places orders at a pace until the end, repeating each with its key until it is answered. The ids, and how often a request
/// was repeated, by the status that it got.
async fn order(
    app: Endpoint,
    zoe: Person,
    business: String,
    ended: Arc<AtomicBool>,
) -> (Vec<String>, BTreeMap<u16, usize>) {
    let (mut placed, mut repeated) = (Vec::new(), BTreeMap::new());
    while !ended.load(Relaxed) {
        let key = uuid::Uuid::new_v4().to_string();
        loop {
            let post = zoe.request(&app, Method::POST, "/orders").header("idempotency-key", &key);
            let answer = post.json(&order_body(&business)).send().await;
            let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
            if status == 201 {
                let order: Value = answer.unwrap().json().await.unwrap();
                placed.push(order["id"].as_str().unwrap().to_owned());
                break;
            }
            assert!(matches!(status, 0 | 502 | 503 | 504), "an order got {status}");
            *repeated.entry(status).or_default() += 1;
            tokio::time::sleep(PACE).await;
        }
        tokio::time::sleep(PACE).await;
    }
    (placed, repeated)
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap();
    assert!(sent.success(), "{name} to {process}");
}

#[tokio::test]
#[ignore = "needs nginx and three hubs: scripts/edge"]
async fn a_hub_that_is_taken_out_is_not_noticed_with_a_cursor() {
    let edge = edge();
    let (ended, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (mut devices, mut orders) = (Vec::new(), Vec::new());
    for business in 0..BUSINESSES {
        let app = Endpoint::new(edge.from([127, 0, 2, business + 1]).await);
        let (olga, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
        let id = olga.business(&app).await;
        let first = Device::of_business(&app, &olga, &id, None).await;
        let cursor = first.hello["rooms"][0]["cursor"].as_str().unwrap().to_owned();
        first.close().await;
        for _ in 0..DEVICES {
            devices.push((
                id.clone(),
                tokio::spawn(listen(app.clone(), olga.clone(), id.clone(), cursor.clone(), over.clone())),
            ));
        }
        orders.push((id.clone(), tokio::spawn(order(app, zoe, id, ended.clone()))));
    }
    let hubs = hubs();
    tokio::time::sleep(Duration::from_secs(4)).await;
    signal(hubs[0].process, "TERM");
    tokio::time::sleep(Duration::from_secs(10)).await;
    signal(hubs[1].process, "KILL");
    tokio::time::sleep(Duration::from_secs(6)).await;
    ended.store(true, Relaxed);

    let mut placed = BTreeMap::new();
    for (business, task) in orders {
        let (ids, repeated) = task.await.unwrap();
        println!("{} orders, repeated by status {repeated:?}", ids.len());
        placed.insert(business, ids);
    }
    // What was answered is on its way to everybody.
    tokio::time::sleep(Duration::from_secs(3)).await;
    over.store(true, Relaxed);
    let (mut reconnects, mut longest, mut refused) = (0, Duration::ZERO, 0);
    for (business, task) in devices {
        let heard = task.await.unwrap();
        assert_eq!(
            (heard.holes, heard.repeated, heard.resyncs),
            (0, 0, 0),
            "once, in order and without a hole"
        );
        assert_eq!(heard.orders, placed[&business], "exactly the orders that were confirmed, in their order");
        (reconnects, refused) = (reconnects + heard.reconnects, refused + heard.refused);
        longest = longest.max(heard.longest_away);
    }
    println!(
        "{} sockets came back {reconnects} times, {refused} attempts failed, longest away {longest:?}",
        BUSINESSES * DEVICES
    );
    assert!(reconnects > 0, "somebody was at the hubs that went");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}

//! Customers and devices of a hub that is killed under their hands.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use crate::history::{Acknowledged, DeviceLog, SeenEvent};
use crate::support::{self, Endpoint, Person, order_body, seq};

/// Paces those who ask a process that may be down.
pub(crate) fn pace() -> tokio::time::Interval {
    tokio::time::interval(Duration::from_millis(5))
}

/// What customers share.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) count: watch::Sender<usize>,
    pub(crate) retries: AtomicUsize,
    pub(crate) over: AtomicBool,
    /// Answers that no customer should get.
    pub(crate) refusals: Mutex<Vec<String>>,
}

/// So many answers that nobody should get end the run.
const MAX_REFUSALS: usize = 20;

/// Asks with one key until it is answered with 201.
async fn order_until_placed(
    hub: &Endpoint,
    person: &Person,
    business: &str,
    key: &str,
    told: &Answers,
) -> String {
    let mut pace = pace();
    loop {
        pace.tick().await;
        // What is wrong with it is in the list already; to ask on would only make the list longer.
        if told.refusals.lock().unwrap().len() >= MAX_REFUSALS {
            return String::new();
        }
        let request = person
            .request(hub, reqwest::Method::POST, "/orders")
            .header("idempotency-key", key)
            .timeout(Duration::from_secs(15))
            .json(&order_body(business));
        if let Ok(answer) = request.send().await {
            let status = answer.status().as_u16();
            match answer.text().await {
                Ok(text) if status == 201 => {
                    let order: Value = serde_json::from_str(&text).unwrap();
                    return order["id"].as_str().unwrap().to_owned();
                }
                Ok(text) if !matches!(status, 503 | 409) => {
                    told.refusals.lock().unwrap().push(format!("{key}: {status} {text}"));
                }
                // Not now, or the body broke off with the process.
                Ok(_) | Err(_) => {}
            }
        }
        told.retries.fetch_add(1, Ordering::Relaxed);
    }
}

/// Orders without a pause until it is over, then asks once more with every key.
pub(crate) async fn customer(
    hub: Endpoint,
    person: Person,
    business: String,
    told: Arc<Answers>,
) -> Vec<Acknowledged> {
    let mut placed = Vec::new();
    for n in 0.. {
        if told.over.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{}-{n}", person.id);
        let order = order_until_placed(&hub, &person, &business, &key, &told).await;
        placed.push((key, order));
        told.count.send_modify(|count| *count += 1);
    }
    let mut acknowledged = Vec::new();
    for (key, order) in placed {
        let again = order_until_placed(&hub, &person, &business, &key, &told).await;
        acknowledged.push(Acknowledged { key, order, again });
    }
    acknowledged
}

/// One device over all its sockets.
pub(crate) struct Watcher {
    pub(crate) log: DeviceLog,
    pub(crate) repeated: usize,
    pub(crate) sockets: usize,
}

/// Comes back with its cursor whenever the socket ends and drops what it has seen. Ends when it has seen everything
/// up to `until` (0 while nobody knows).
pub(crate) async fn device(
    hub: Endpoint,
    person: Person,
    log: DeviceLog,
    mut until: watch::Receiver<u64>,
) -> Watcher {
    let mut watcher = Watcher { log, repeated: 0, sockets: 0 };
    let (mut cursor, mut last) = (String::new(), 0);
    let mut pace = pace();
    loop {
        let target = *until.borrow_and_update();
        if target > 0 && last >= target {
            return watcher;
        }
        let query = if cursor.is_empty() { String::new() } else { format!("?cursor={cursor}") };
        let path = format!("/ws/notifications/{}{query}", watcher.log.business);
        let Some(mut socket) = support::Device::try_dial(&hub, &person.token, &path).await else {
            pace.tick().await;
            continue;
        };
        watcher.sockets += 1;
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                _ = until.changed() => break,
            };
            let Some(Ok(message)) = message else { break };
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            match frame["type"].as_str().unwrap() {
                "hello" if cursor.is_empty() => {
                    assert_eq!(seq(&frame["rooms"][0]), 0, "the device is there from the beginning");
                    frame["rooms"][0]["cursor"].as_str().unwrap().clone_into(&mut cursor);
                }
                "hello" => assert_eq!(frame["rooms"][0]["recovered"], true, "{frame}"),
                "event" if seq(&frame) <= last => watcher.repeated += 1,
                "event" => {
                    last = seq(&frame);
                    frame["cursor"].as_str().unwrap().clone_into(&mut cursor);
                    assert_eq!(frame["event"]["type"], "order_created");
                    let order = frame["event"]["data"]["order_id"].as_str().unwrap().to_owned();
                    watcher.log.events.push(SeenEvent { seq: last, order });
                }
                "reconnect" | "ephemeral" => {}
                _ => panic!("unexpected: {frame}"),
            }
            let target = *until.borrow();
            if target > 0 && last >= target {
                return watcher;
            }
        }
    }
}

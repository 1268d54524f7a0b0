//! Orders at a pace, repeated under their key at another node when one does not answer, and what became of each.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bellhop_client::{Request, Rng};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use crate::figures::Times;
use crate::nodes::{Nodes, Standing};
use crate::world::{Business, World};

/// Longest wait for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Time in which a request is repeated.
const PATIENCE: Duration = Duration::from_secs(40);

/// Pause before a repetition.
const PAUSE: Duration = Duration::from_millis(100);

/// One order in so many waits for long, so that it rings.
const WAITING_ONE_IN: u64 = 4;

/// The time after which an order is accepted, and one that waits.
const ACCEPTED_AFTER: Duration = Duration::from_millis(500);
const WAITING: Duration = Duration::from_secs(45);

/// Everything that came of the orders.
#[derive(Debug, Default)]
struct Tally {
    /// Key and id of every order that was answered.
    acknowledged: HashMap<String, String>,
    took: Vec<Duration>,
    /// Answers of a node that is well which are no success, by status and code; 0 for none.
    refused: BTreeMap<String, u64>,
    /// The same of a node that stops or does not run.
    refused_by_leaving: BTreeMap<String, u64>,
    unserved: u64,
    accepted: u64,
}

/// The load: goes on until it is told to end.
#[derive(Debug)]
pub(crate) struct Orders {
    shared: Rc<Shared>,
    pacing: JoinHandle<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    nodes: Rc<Nodes>,
    world: Rc<World>,
    run: String,
    tally: RefCell<Tally>,
    ends: Cell<bool>,
}

/// Figures of the orders.
#[derive(Debug, Serialize)]
pub(crate) struct Placed {
    acknowledged: usize,
    accepted: u64,
    /// From the first try to the answer.
    times: Times,
    refused: BTreeMap<String, u64>,
    refused_by_leaving: BTreeMap<String, u64>,
    /// Orders that no node took in 40 seconds.
    unserved: u64,
    /// Acknowledged orders that no list has, and orders that a list has twice.
    lost: usize,
    doubled: usize,
}

impl Orders {
    /// Orders `pace` times a second, in the name of this run.
    pub(crate) fn begin(nodes: &Rc<Nodes>, world: &Rc<World>, pace: f64, run: &str) -> Self {
        let shared = Rc::new(Shared {
            nodes: nodes.clone(),
            world: world.clone(),
            run: run.to_owned(),
            tally: RefCell::default(),
            ends: Cell::new(false),
        });
        Self { shared: shared.clone(), pacing: tokio::task::spawn_local(shared.pace(pace)) }
    }

    /// Places no more, waits for those under way, and compares what was acknowledged with the lists of the hub.
    pub(crate) async fn end(self) -> Result<Placed> {
        self.shared.ends.set(true);
        let mut under_way = self.pacing.await?;
        while let Some(ended) = under_way.join_next().await {
            ended?;
        }
        let stored = self.shared.stored().await?;
        let tally = self.shared.tally.borrow();
        let is_stored = |(key, id): &(&String, &String)| stored.get(*key).is_some_and(|ids| ids.contains(id));
        let kept = tally.acknowledged.iter().filter(is_stored).count();
        Ok(Placed {
            acknowledged: tally.acknowledged.len(),
            accepted: tally.accepted,
            times: Times::of(tally.took.iter().copied()),
            refused: tally.refused.clone(),
            refused_by_leaving: tally.refused_by_leaving.clone(),
            unserved: tally.unserved,
            lost: tally.acknowledged.len() - kept,
            doubled: stored.values().filter(|ids| ids.len() > 1).count(),
        })
    }
}

impl Placed {
    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self) {
        println!(
            "orders: {} acknowledged ({} lost, {} doubled, {} taken by no node), p50 {:.1} ms, p99 {:.1} ms, longest {:.0} ms",
            self.acknowledged,
            self.lost,
            self.doubled,
            self.unserved,
            self.times.p50_ms,
            self.times.p99_ms,
            self.times.max_ms
        );
        println!(
            "refused by nodes that are well: {:?}; by nodes that stop or are gone: {:?}",
            self.refused, self.refused_by_leaving
        );
    }

    /// Fails when a node that was well answered with an error of its own.
    pub(crate) fn judge_answers(&self) -> Result<()> {
        let errors = self.refused.keys().any(|answer| answer.starts_with('5'));
        ensure!(!errors, "nodes that did not stop answered with errors: {:?}", self.refused);
        Ok(())
    }

    /// Fails when an order was lost, doubled or taken by nobody.
    pub(crate) fn judge(&self) -> Result<()> {
        ensure!(
            self.lost == 0 && self.doubled == 0 && self.unserved == 0,
            "orders were lost, doubled or not taken"
        );
        Ok(())
    }
}

impl Shared {
    async fn pace(self: Rc<Self>, pace: f64) -> JoinSet<()> {
        let (mut under_way, mut number) = (JoinSet::new(), 0);
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / pace));
        while !self.ends.get() {
            ticks.tick().await;
            under_way.spawn_local(self.clone().life(number));
            number += 1;
            while under_way.try_join_next().is_some() {}
        }
        under_way
    }

    /// Places an order and accepts it after a while.
    async fn life(self: Rc<Self>, number: u64) {
        let mut rng = Rng::new(number + 1);
        let business = rng.pick(&self.world.businesses).clone();
        let Some(order) = self.place(number, &business, &mut rng).await else { return };
        let after = if number.is_multiple_of(WAITING_ONE_IN) { WAITING } else { ACCEPTED_AFTER };
        let waited_until = Instant::now() + after;
        while Instant::now() < waited_until && !self.ends.get() {
            tokio::time::sleep(PAUSE).await;
        }
        self.accept(&order, &business, &mut rng).await;
    }

    async fn place(&self, number: u64, business: &Business, rng: &mut Rng) -> Option<String> {
        let (key, began) = (format!("{}-{number}", self.run), Instant::now());
        let customer = rng.pick(&self.world.customers);
        let body = json!({
            "business_id": business.id, "fulfilment": "delivery", "payment": "cash",
            "items": [{"sku": "bread", "qty": 1}], "notes": key,
            "customer": {"name": "Zoë Almeida", "phone": "+351 21 000 00 00"},
            "address": {"text": "Rua Augusta 1, Lisbon", "lat": 38.7101, "lng": -9.1366},
        });
        let made = self.repeat(rng, Method::POST, "/api/v1/orders", customer, Some(&key), &body).await;
        let mut tally = self.tally.borrow_mut();
        let Some(order) = made.as_ref().and_then(|made| made["id"].as_str()) else {
            tally.unserved += 1;
            return None;
        };
        tally.took.push(began.elapsed());
        tally.acknowledged.insert(key, order.to_owned());
        Some(order.to_owned())
    }

    async fn accept(&self, order: &str, business: &Business, rng: &mut Rng) {
        let path = format!("/api/v1/orders/{order}/status");
        let body = json!({"status": "accepted", "version": 1, "prep_minutes": 15});
        if self.repeat(rng, Method::PATCH, &path, &business.owner, None, &body).await.is_some() {
            self.tally.borrow_mut().accepted += 1;
        }
    }

    /// Asks one node after the other until one serves the request; nothing when none does, or when it is refused for good.
    async fn repeat(
        &self,
        rng: &mut Rng,
        method: Method,
        path: &str,
        token: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Option<Value> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let open = |node: &usize| self.nodes.standing(*node) == Standing::Open;
            let nodes: Vec<usize> = (0..self.nodes.all.len()).filter(open).collect();
            if !nodes.is_empty() {
                let node = *rng.pick(&nodes);
                let request = self.nodes.all[node].client.raw(method.clone(), path).bearer_auth(token);
                let request = request.timeout(ANSWER_WITHIN).json(body);
                let request =
                    key.into_iter().fold(request, |request, key| request.header("Idempotency-Key", key));
                match outcome(request.send().await).await {
                    Outcome::Served(body) => return Some(body),
                    // A repeated move finds that the first one has been made.
                    Outcome::Refused(409, _) if key.is_none() => return Some(Value::Null),
                    Outcome::Refused(status, code) => {
                        self.refused(node, format!("{status} {code}"));
                        return None;
                    }
                    Outcome::Again(cause) => self.refused(node, cause),
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    fn refused(&self, node: usize, what: String) {
        let mut tally = self.tally.borrow_mut();
        let by = match self.nodes.standing(node) {
            Standing::Open => &mut tally.refused,
            Standing::Draining | Standing::Down => &mut tally.refused_by_leaving,
        };
        *by.entry(what).or_default() += 1;
    }

    /// The ids of the orders of this run that the hub lists, by key.
    async fn stored(&self) -> Result<HashMap<String, Vec<String>>> {
        let mut stored: HashMap<String, Vec<String>> = HashMap::new();
        let node = (0..self.nodes.all.len()).find(|node| self.nodes.standing(*node) == Standing::Open);
        let client = &self.nodes.all[node.unwrap_or_default()].client;
        for Business { id, owner } in &self.world.businesses {
            let mut cursor = String::new();
            loop {
                let request = Request::get(format!("/orders?business_id={id}&limit=50{cursor}"));
                let page = client.call(&request, Some(owner)).await?;
                for order in page["items"].as_array().into_iter().flatten() {
                    let (Some(key), Some(order)) = (order["notes"].as_str(), order["id"].as_str()) else {
                        continue;
                    };
                    if key.starts_with(&self.run) {
                        stored.entry(key.to_owned()).or_default().push(order.to_owned());
                    }
                }
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
        }
        Ok(stored)
    }
}

/// What became of one request.
enum Outcome {
    Served(Value),
    /// For good, with a status and a code.
    Refused(u16, String),
    /// Another node may serve it.
    Again(String),
}

async fn outcome(sent: reqwest::Result<reqwest::Response>) -> Outcome {
    let read = async {
        let answer = sent?;
        Ok::<_, reqwest::Error>((answer.status(), answer.json::<Value>().await?))
    };
    let (status, body) = match read.await {
        Ok(answer) => answer,
        Err(error) if error.is_timeout() => return Outcome::Again("no answer in time".to_owned()),
        Err(error) if error.is_connect() => return Outcome::Again("no connection".to_owned()),
        Err(_) => return Outcome::Again("broken connection".to_owned()),
    };
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    match status.as_u16() {
        200..=299 => Outcome::Served(body),
        408 | 429 | 500.. => Outcome::Again(format!("{} {code}", status.as_u16())),
        409 if code == "request_in_flight" => Outcome::Again(format!("409 {code}")),
        refused => Outcome::Refused(refused, code),
    }
}

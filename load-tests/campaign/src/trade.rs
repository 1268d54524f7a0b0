//! Customers who order and pay, and kitchens that bring every order to its end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bellhop_client::{Request, Rng, Room};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::history::{ClientLog, Confirmed, ENDS, Taken, Wish};
use crate::listener::{Follower, Habits, Tally};
use crate::nodes::Nodes;
use crate::provider::{Provider, signature};
use crate::town::{DISH, Town};

/// Orders that have not reached their end; beyond them nobody orders.
const MAX_OPEN: u64 = 300;

/// Orders that are followed by their customers at once.
const MAX_FOLLOWED: u64 = 40;

/// Pause of a kitchen that waits for somebody else.
const LOOK_AGAIN: (u64, u64) = (800, 1_800);

/// Everything that the people of a campaign share.
pub(crate) struct Run {
    pub(crate) town: Town,
    pub(crate) nodes: Rc<Nodes>,
    pub(crate) provider: Provider,
    pub(crate) tally: Rc<Tally>,
    pub(crate) wishes: RefCell<Vec<(Wish, Order)>>,
    pub(crate) confirmed: RefCell<Vec<Confirmed>>,
    pub(crate) taken: RefCell<Vec<Taken>>,
    pub(crate) logs: RefCell<Vec<Rc<RefCell<ClientLog>>>>,
    pub(crate) open: Cell<u64>,
    pub(crate) followed: Cell<u64>,
    /// True when everybody goes home.
    pub(crate) over: watch::Receiver<bool>,
}

/// The request that places one order.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    shop: usize,
    customer: usize,
    request: Request,
    online: bool,
}

/// What comes of the payment of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payment {
    Pays,
    /// The hub is told twice at once, on whichever nodes.
    SaidTwice,
    /// The hub is never told, and has to ask.
    NeverSaid,
    /// The first card is refused, the second one pays.
    FailsFirst,
    /// The same, and then the first one pays too.
    PaysTwice,
    GivesUp,
    /// Paid after the order was called off.
    PaysAfterCancel,
}

impl Payment {
    fn draw(rng: &mut Rng) -> Self {
        match rng.below(100) {
            0..55 => Self::Pays,
            55..65 => Self::SaidTwice,
            65..73 => Self::NeverSaid,
            73..81 => Self::FailsFirst,
            81..88 => Self::PaysTwice,
            88..94 => Self::GivesUp,
            _ => Self::PaysAfterCancel,
        }
    }
}

/// Places orders at random moments, `pace` a second on average, as long as it is polled.
pub(crate) async fn order_at_pace(run: &Rc<Run>, pace: f64, mut rng: Rng) {
    let mut at = Instant::now();
    for number in 0_u64.. {
        at += rng.gap(pace);
        tokio::time::sleep_until(at).await;
        if run.open.get() >= MAX_OPEN {
            continue;
        }
        run.open.set(run.open.get() + 1);
        let (order, mut rng) = (draw(run, number, &mut rng), rng.fork());
        let run = run.clone();
        tokio::task::spawn_local(async move {
            live(&run, format!("wish-{number}"), order, &mut rng).await;
            run.open.set(run.open.get() - 1);
        });
    }
}

fn draw(run: &Run, number: u64, rng: &mut Rng) -> Order {
    let (shop, customer) = (rng.below(run.town.shops.len()), rng.below(run.town.customers.len()));
    let online = rng.percent(40.0);
    let place = &run.town.shops[shop];
    let mut body = json!({
        "business_id": place.id, "items": [{"sku": DISH.0, "qty": 1 + rng.below(3)}],
        "customer": {"name": "Zoë", "phone": "+351 900 000 000"}, "notes": format!("wish-{number}"),
        "payment": if online { "online" } else { "cash" },
    });
    if place.driven || rng.percent(50.0) {
        body["fulfilment"] = json!("delivery");
        body["address"] = json!({"text": "Rua do Exemplo 1", "lat": 38.7139, "lng": -9.1394});
    } else {
        body["fulfilment"] = json!("pickup");
    }
    let request = Request::post("/orders", body).keyed(format!("wish-{number}"));
    Order { shop, customer, request, online }
}

/// One order from the wish to its end.
async fn live(run: &Rc<Run>, key: String, order: Order, rng: &mut Rng) {
    let mut wish = Wish { key, ..Wish::default() };
    let token = &run.town.customers[order.customer];
    let place = || run.nodes.ask(token, &order.request);
    let answers = if rng.percent(10.0) {
        // Tapped twice, and not on the same hub.
        let (one, other) = tokio::join!(place(), place());
        vec![one, other]
    } else {
        vec![place().await]
    };
    let mut placed = None;
    for answer in answers {
        match answer {
            Ok(answer) => {
                wish.orders.extend(answer["id"].as_str().map(str::to_owned));
                placed = Some(answer);
            }
            Err(refusal) => wish.refused = Some(refusal.code),
        }
    }
    // One of two taps may have come before a pause and the other after it; nobody answered after minutes: both refuse nothing.
    if placed.is_some() || wish.refused.as_deref() == Some("unanswered") {
        wish.refused = None;
    }
    let shop = order.shop;
    let (customer, online) = (order.customer, order.online);
    run.wishes.borrow_mut().push((wish, order));
    let Some(placed) = placed else { return };
    let Some(id) = placed["id"].as_str().map(str::to_owned) else { return };
    if run.followed.get() < MAX_FOLLOWED && rng.percent(15.0) {
        follow(run, &id, customer);
    }
    if online {
        let (run, id, mut rng) = (run.clone(), id.clone(), rng.fork());
        tokio::task::spawn_local(async move { pay(&run, &id, customer, &mut rng).await });
    } else if rng.percent(3.0) {
        cancel(run, &id, customer).await;
    }
    serve(run, shop, placed, rng).await;
}

/// The customer follows the order until they have seen its end.
fn follow(run: &Rc<Run>, order: &str, customer: usize) {
    let token = run.town.customers[customer].clone();
    let name = (format!("customer of {order}"), true);
    let follower = Follower::new(name, Room::order(order), token, (run.nodes.clone(), run.tally.clone()));
    run.logs.borrow_mut().push(follower.log.clone());
    run.followed.set(run.followed.get() + 1);
    let run = run.clone();
    tokio::task::spawn_local(async move {
        let (seen, over) = watch::channel(false);
        let log = follower.log.clone();
        let hears = move |kind: &str, data: &Value| {
            let is_end = data["status"].as_str().is_some_and(|status| ENDS.contains(&status));
            if is_end && kind.starts_with("order_") {
                // What follows, as a refund, is not waited for.
                log.borrow_mut().until_end = false;
                seen.send_replace(true);
            }
        };
        let habits = Habits { says: &Vec::new, hears: &hears };
        let mut everybody = run.over.clone();
        tokio::select! {
            () = follower.over_sockets(&habits, over) => {}
            _ = everybody.wait_for(|over| *over) => {}
        }
        run.followed.set(run.followed.get() - 1);
    });
}

async fn look(run: &Run, token: &str, order: &str) -> Option<Value> {
    run.nodes.ask(token, &Request::get(format!("/orders/{order}"))).await.ok()
}

/// Makes a move: the order as it is afterwards.
async fn push(run: &Run, token: &str, order: &Value, to: &str) -> Option<Value> {
    let id = order["id"].as_str()?;
    let mut change = json!({"status": to, "version": order["version"]});
    match to {
        "accepted" => change["prep_minutes"] = json!(15),
        "rejected" => change["reason"] = json!("Sold out"),
        _ => {}
    }
    match run.nodes.ask(token, &Request::patch(format!("/orders/{id}/status"), change)).await {
        Ok(answer) => {
            let version = answer["version"].as_i64().unwrap_or_default();
            let confirmed = Confirmed { order: id.to_owned(), version, status: to.to_owned() };
            run.confirmed.borrow_mut().push(confirmed);
            Some(answer)
        }
        // Somebody was faster, or it happened and the answer was lost.
        Err(_) => look(run, token, id).await,
    }
}

async fn cancel(run: &Run, order: &str, customer: usize) {
    let token = &run.town.customers[customer];
    if let Some(view) = look(run, token, order).await {
        push(run, token, &view, "cancelled").await;
    }
}

/// The kitchen moves an order until it has come to its end.
async fn serve(run: &Run, shop: usize, mut order: Value, rng: &mut Rng) {
    let place = &run.town.shops[shop];
    let refuses = rng.percent(4.0);
    let Some(id) = order["id"].as_str().map(str::to_owned) else { return };
    loop {
        let token = rng.pick(&place.tokens);
        let delivery = order["fulfilment"] == "delivery";
        let to = match order["status"].as_str().unwrap_or_default() {
            "placed" if refuses => "rejected",
            "placed" => "accepted",
            "accepted" => "preparing",
            "preparing" => "ready",
            "ready" if delivery && !place.driven => "picked_up",
            "ready" if !delivery => "delivered",
            "picked_up" if !place.driven => "delivered",
            status if ENDS.contains(&status) => return,
            _ => "",
        };
        let next = if to.is_empty() {
            tokio::time::sleep(rng.millis(LOOK_AGAIN.0, LOOK_AGAIN.1)).await;
            look(run, token, &id).await
        } else {
            tokio::time::sleep(rng.millis(50, 500)).await;
            push(run, token, &order, to).await
        };
        if let Some(next) = next {
            order = next;
        }
    }
}

/// A payment that was begun.
async fn begin(run: &Run, order: &str, customer: usize, key: &str) -> Option<String> {
    let request = Request::post("/payments/initiate", json!({"order_id": order}));
    let request = request.keyed(format!("{key}-{}", order.get(order.len().saturating_sub(24)..)?));
    let answer = run.nodes.ask(&run.town.customers[customer], &request).await.ok()?;
    answer["payment_id"].as_str().map(str::to_owned)
}

/// Pays an order, or does not.
async fn pay(run: &Run, order: &str, customer: usize, rng: &mut Rng) {
    tokio::time::sleep(rng.millis(20, 400)).await;
    let Some(first) = begin(run, order, customer, "first").await else { return };
    tokio::time::sleep(rng.millis(50, 800)).await;
    match Payment::draw(rng) {
        Payment::Pays => captured(run, order, &first, rng).await,
        Payment::SaidTwice => {
            if run.provider.pay(&first) {
                let body = message(order, &first, "SUCCESS", rng);
                tokio::join!(tell(run, &body), tell(run, &body));
            }
        }
        Payment::NeverSaid => _ = run.provider.pay(&first),
        course @ (Payment::FailsFirst | Payment::PaysTwice) => {
            tell(run, &message(order, &first, "FAILED", rng)).await;
            // Until the hub has worked on that, it answers with the first one.
            for n in 0..20 {
                tokio::time::sleep(rng.millis(100, 600)).await;
                match begin(run, order, customer, &format!("second-{n}")).await {
                    Some(second) if second == first => {}
                    Some(second) => {
                        captured(run, order, &second, rng).await;
                        break;
                    }
                    None => break,
                }
            }
            if course == Payment::PaysTwice {
                captured(run, order, &first, rng).await;
            }
        }
        Payment::GivesUp => tell(run, &message(order, &first, "FAILED", rng)).await,
        Payment::PaysAfterCancel => {
            cancel(run, order, customer).await;
            captured(run, order, &first, rng).await;
        }
    }
}

async fn captured(run: &Run, order: &str, payment: &str, rng: &mut Rng) {
    if run.provider.pay(payment) {
        tell(run, &message(order, payment, "SUCCESS", rng)).await;
    }
}

fn message(order: &str, payment: &str, status: &str, rng: &mut Rng) -> String {
    let event = format!("evt-{:016x}", (rng.share() * 2_f64.powi(53)) as u64);
    json!({"payment_id": payment, "order_id": order, "status": status, "event_id": event}).to_string()
}

/// The provider says it until a hub has taken it in.
async fn tell(run: &Run, body: &str) {
    for tries in 0.. {
        let request = run.nodes.any().raw(Method::POST, "/api/v1/payments/webhook");
        let request = request.header("x-signature", signature(body));
        let request = request.header("content-type", "application/json").body(body.to_owned());
        match request.send().await.map(|answer| answer.status().as_u16()) {
            Ok(200) => return,
            Ok(503 | 429) | Err(_) => {}
            Ok(status) => {
                run.nodes.note_strange(format!("{status} for a message of the provider"));
                if status < 500 {
                    return;
                }
            }
        }
        run.nodes.pause(tries).await;
    }
}

/// Asks once more with every key that was answered with an order: the answer is the same, whichever hub gives it.
pub(crate) async fn ask_again(run: &Run) -> Vec<Wish> {
    use futures_util::{StreamExt as _, stream};
    const AT_ONCE: usize = 16;
    let wishes = run.wishes.take();
    let again = stream::iter(wishes).map(|(mut wish, order)| async move {
        if !wish.orders.is_empty() {
            match run.nodes.ask(&run.town.customers[order.customer], &order.request).await {
                Ok(answer) => wish.orders.extend(answer["id"].as_str().map(str::to_owned)),
                Err(refusal) => run.nodes.note_strange(format!("{} for a key again", refusal.code)),
            }
        }
        wish
    });
    again.buffer_unordered(AT_ONCE).collect().await
}

/// Longest time that everything is waited for at the end.
pub(crate) const SETTLING: Duration = Duration::from_secs(420);

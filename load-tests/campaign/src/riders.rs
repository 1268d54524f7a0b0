//! Drivers: they hear offers over whichever hub, several of them the same one, and bring what they got.

use std::rc::Rc;

use bellhop_client::{Request, Rng, Room};
use serde_json::{Value, json};

use crate::history::Taken;
use crate::listener::{Follower, Habits};
use crate::town::Driver;
use crate::trade::Run;

/// A driver who wants offers until everybody goes home.
pub(crate) async fn ride(run: Rc<Run>, n: usize, mut rng: Rng) {
    let driver = &run.town.drivers[n];
    let (name, room) = ((format!("driver {n}"), true), Room::driver(&driver.id));
    let ways = (run.nodes.clone(), run.tally.clone());
    let follower = Follower::new(name, room, driver.token.clone(), ways);
    run.logs.borrow_mut().push(follower.log.clone());
    let says = || {
        let (north, east) = run.nodes.draw(|rng| (rng.share() * 0.004, rng.share() * 0.004));
        let location = json!({"type": "location", "lat": 38.711 + north, "lng": -9.148 + east});
        vec![r#"{"type":"status","online":true}"#.to_owned(), location.to_string()]
    };
    let rngs = std::cell::RefCell::new(rng.fork());
    let hears = |kind: &str, data: &Value| {
        let offer = data["offer_id"].as_str().filter(|_| kind == "offer_opened");
        if let Some(offer) = offer.map(str::to_owned) {
            let (run, driver, mut rng) = (run.clone(), driver.clone(), rngs.borrow_mut().fork());
            tokio::task::spawn_local(async move { answer(&run, &driver, &offer, &mut rng).await });
        }
    };
    let habits = Habits { says: &says, hears: &hears };
    follower.over_sockets(&habits, run.over.clone()).await;
}

async fn answer(run: &Run, driver: &Driver, offer: &str, rng: &mut Rng) {
    // All who were asked answer at about the same time.
    tokio::time::sleep(rng.millis(50, 250)).await;
    match rng.below(100) {
        0..8 => return,
        8..16 => {
            let decline = Request::post(format!("/offers/{offer}/decline"), json!({"reason": "Too far"}));
            // Too late is no harm.
            let _ = run.nodes.ask(&driver.token, &decline).await;
            return;
        }
        _ => {}
    }
    let accept = || async {
        let request = Request::post(format!("/offers/{offer}/accept"), json!({}));
        let answer = run.nodes.ask(&driver.token, &request).await.ok()?;
        let delivery = answer["id"].as_str()?.to_owned();
        let (driver, offer) = (driver.id.clone(), offer.to_owned());
        run.taken.borrow_mut().push(Taken { driver, offer, delivery: delivery.clone() });
        Some(delivery)
    };
    let taken = if rng.percent(20.0) {
        let (one, other) = tokio::join!(accept(), accept());
        one.or(other)
    } else {
        accept().await
    };
    let Some(delivery) = taken else { return };
    if rng.percent(8.0) {
        let path = format!("/deliveries/{delivery}/unassign");
        let _ = run.nodes.ask(&driver.token, &Request::post(path, json!({"reason": "A flat tyre"}))).await;
        return;
    }
    bring(run, driver, &delivery, rng).await;
}

async fn bring(run: &Run, driver: &Driver, delivery: &str, rng: &mut Rng) {
    for (step, percent) in
        [("at_pickup", 80.0), ("picked_up", 100.0), ("at_dropoff", 60.0), ("delivered", 100.0)]
    {
        if !rng.percent(percent) {
            continue;
        }
        tokio::time::sleep(rng.millis(200, 900)).await;
        let report = Request::post(format!("/deliveries/{delivery}/steps"), json!({"step": step}));
        if let Err(refusal) = run.nodes.ask(&driver.token, &report).await {
            // Called off, or somebody else's by now.
            if !matches!(refusal.status, 403 | 404 | 409) {
                run.nodes.note_strange(format!("{} {} for a step", refusal.status, refusal.code));
            }
            return;
        }
    }
}

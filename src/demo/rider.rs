//! Drivers: they hear offers, take them fast, slowly or not at all, bring what they have, give some of it back, and one vanishes with it.

use std::sync::Arc;
use std::time::Duration;

use bellhop_client::{
    Account, Arrival, CallError, ConnectionError, Credential, Frame, GapDetector, Request, Rng, Room, Socket,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at};

use crate::domain::delivery::Step;
use crate::domain::event::EventType;
use crate::domain::ids::{DeliveryId, OfferId};

use super::scenario::Courier;
use super::simulation::Simulation;

/// Interval in which a driver says where they are, and that they want offers.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Drivers vanish only in the beginning, so that their deliveries find another driver before the end.
const VANISH_UNTIL: Duration = Duration::from_secs(20);

/// Pause before a socket is opened again that broke or was refused.
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);

/// Tries of one step.
const MAX_TRIES: usize = 5;

/// What a driver is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Temper {
    Fast,
    /// Answers when the offer is about to end, or has.
    Slow,
    /// Declines, or gives back what they took.
    Declining,
    /// Takes one delivery early on and is not heard of again.
    Vanishing,
}

impl Temper {
    fn of(n: usize) -> Self {
        match n % 6 {
            2 | 4 => Self::Slow,
            3 => Self::Declining,
            5 => Self::Vanishing,
            _ => Self::Fast,
        }
    }
}

/// A driver.
pub(super) struct Rider {
    simulation: Arc<Simulation>,
    n: usize,
    temper: Temper,
    rng: Rng,
    gaps: GapDetector,
}

/// The reason why a driver stopped listening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Departure {
    Vanished,
    ForGood,
}

#[derive(Deserialize)]
struct OfferHeard {
    offer_id: OfferId,
}

#[derive(Deserialize)]
struct Taken {
    id: DeliveryId,
}

impl Rider {
    /// The driver number `n` of the scenario; `may_vanish` when the run is long enough for what follows.
    pub(super) fn new(simulation: Arc<Simulation>, n: usize, may_vanish: bool, rng: Rng) -> Self {
        let temper =
            if may_vanish || Temper::of(n) != Temper::Vanishing { Temper::of(n) } else { Temper::Fast };
        Self { simulation, n, temper, rng, gaps: GapDetector::default() }
    }

    fn courier(&self) -> &Courier {
        &self.simulation.scenario.couriers[self.n]
    }

    fn account(&self) -> &Arc<Account> {
        &self.courier().account
    }

    /// Listens until the run is over.
    pub(super) async fn run(mut self) {
        let simulation = self.simulation.clone();
        while !simulation.over.is_cancelled() {
            let listened = tokio::select! {
                listened = self.listen() => listened,
                () = simulation.over.cancelled() => return,
            };
            match listened {
                Ok(Departure::ForGood) => return,
                // Nothing of it comes back before the end: the hub has to find somebody else.
                Ok(Departure::Vanished) => return simulation.over.cancelled().await,
                Err(error) => {
                    simulation.ledger(|ledger| ledger.fault(format!("a driver: {error}")));
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }

    async fn listen(&mut self) -> Result<Departure, ConnectionError> {
        let simulation = self.simulation.clone();
        let room = Room::driver(&self.courier().id);
        let cursor = self.gaps.cursor();
        let mut socket = Socket::open(self.account(), &room, cursor, Credential::Ticket, None).await?;
        let mut say = interval_at(Instant::now(), SAY_EVERY);
        loop {
            tokio::select! {
                _ = say.tick() => {
                    socket.send(&json!({"type": "status", "online": true})).await?;
                    let (north, east) = (self.rng.share() * 0.006, self.rng.share() * 0.006);
                    let location = json!({"type": "location", "lat": 38.709 + north, "lng": -9.138 + east});
                    socket.send(&location).await?;
                }
                frame = socket.next() => {
                    if self.take(frame?, &mut socket).await? == Some(Departure::Vanished) {
                        return Ok(Departure::Vanished);
                    }
                }
                () = simulation.over.cancelled() => {
                    socket.close().await;
                    return Ok(Departure::ForGood);
                }
            }
        }
    }

    async fn take(
        &mut self,
        frame: Frame<Value>,
        socket: &mut Socket,
    ) -> Result<Option<Departure>, ConnectionError> {
        match frame {
            Frame::Hello { cursor } => _ = self.gaps.on_hello(cursor),
            Frame::Event { cursor, kind, data } => {
                let arrival = self.gaps.on_event(cursor);
                socket.ack(cursor).await?;
                let offer = OfferHeard::deserialize(&data).ok();
                let offer = offer.filter(|_| kind == EventType::OfferOpened.as_str());
                if let Some(OfferHeard { offer_id }) = offer.filter(|_| arrival != Arrival::Repeated) {
                    return Ok(self.consider(offer_id).await);
                }
            }
            Frame::Resync { cursor } => self.gaps.on_resync(cursor),
            Frame::TokenExpiring => {
                let token = self.account().token().await?;
                socket.refresh(&token).await?;
            }
            Frame::Refused { code } => {
                self.simulation
                    .ledger(|ledger| ledger.fault(format!("a driver's frame was refused: {code}")));
            }
            Frame::Ephemeral { .. } | Frame::Other => {}
        }
        Ok(None)
    }

    /// Answers an offer after a while, and brings what was taken.
    async fn consider(&mut self, offer: OfferId) -> Option<Departure> {
        let (simulation, account) = (self.simulation.clone(), self.account().clone());
        let (mut rng, temper) = (self.rng.fork(), self.temper);
        if temper == Temper::Vanishing && simulation.elapsed() < VANISH_UNTIL {
            let taken = accept(&simulation, &account, offer).await;
            return taken.map(|_| Departure::Vanished);
        }
        let over = simulation.over.clone();
        self.simulation.tasks.spawn(async move {
            tokio::select! {
                () = answer(&simulation, &account, offer, temper, &mut rng) => {}
                () = over.cancelled() => {}
            }
        });
        None
    }
}

async fn answer(simulation: &Simulation, account: &Account, offer: OfferId, temper: Temper, rng: &mut Rng) {
    let pause = match temper {
        Temper::Slow => rng.millis(2_500, 6_500),
        Temper::Fast | Temper::Declining | Temper::Vanishing => rng.millis(100, 700),
    };
    tokio::time::sleep(pause).await;
    if temper == Temper::Declining && rng.percent(60.0) {
        let decline = Request::post(format!("/offers/{offer}/decline"), json!({"reason": "Too far"}));
        let declined = account.call(&decline).await;
        return note(simulation, declined.map(|_| ()));
    }
    let Some(delivery) = accept(simulation, account, offer).await else { return };
    if temper == Temper::Declining && rng.percent(40.0) {
        let path = format!("/deliveries/{delivery}/unassign");
        let left = account.call(&Request::post(path, json!({"reason": "A flat tyre"}))).await;
        return note(simulation, left.map(|_| ()));
    }
    bring(simulation, account, delivery, rng).await;
}

/// The delivery, if the driver has it by that.
async fn accept(simulation: &Simulation, account: &Account, offer: OfferId) -> Option<DeliveryId> {
    let taken = account.ask::<Taken>(&Request::post(format!("/offers/{offer}/accept"), json!({}))).await;
    match taken {
        Ok(taken) => Some(taken.id),
        Err(error) => {
            note(simulation, Err(error));
            None
        }
    }
}

/// Reports the steps of a delivery in compressed time; some are left out, as drivers do.
async fn bring(simulation: &Simulation, account: &Account, delivery: DeliveryId, rng: &mut Rng) {
    let steps =
        [(Step::AtPickup, 80.0), (Step::PickedUp, 100.0), (Step::AtDropoff, 60.0), (Step::Delivered, 100.0)];
    for (step, percent) in steps {
        if !rng.percent(percent) {
            continue;
        }
        tokio::time::sleep(rng.millis(300, 1_200)).await;
        let report = Request::post(format!("/deliveries/{delivery}/steps"), json!({"step": step}));
        for attempt in 1.. {
            match account.call(&report).await {
                Ok(_) => break,
                // It was called off meanwhile.
                Err(error) if error.status() == Some(409) => return,
                // A step that is said again changes nothing.
                Err(_) if attempt < MAX_TRIES => tokio::time::sleep(RECONNECT_PAUSE).await,
                Err(error) => return note(simulation, Err(error)),
            }
        }
    }
}

/// Another driver was faster, or it was too late: that is no fault.
fn note(simulation: &Simulation, done: Result<(), CallError>) {
    if let Err(error) = done
        && error.status() != Some(409)
    {
        simulation.ledger(|ledger| ledger.fault(error.to_string()));
    }
}

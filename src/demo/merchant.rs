//! The devices of a business: they ring, acknowledge, answer, and come back with their cursor when they were away.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};

use bellhop_client::{
    Account, Arrival, CallError, ConnectionError, Credential, Cursor, Frame, GapDetector, Request, Rng, Room,
    Socket,
};

use crate::domain::ephemeral::EphemeralType;
use crate::domain::event::EventType;
use crate::domain::order::Status;

use super::business_kind::{BusinessKind, Vanishing};
use super::ledger::{BusinessChange, COUNTER, Flow, MoneyMoved, OrderEvent, OrderNudge};
use super::scenario::Business;
use super::serving::{OrderAnswer, serve};
use super::simulation::Simulation;

/// The device in the kitchen, whose connection is worse than the counter's.
const KITCHEN: usize = 1;

/// Pause before a socket is opened again that broke or was refused.
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);

/// Interval in which a device says that it can ring.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// A tablet of a business.
pub(super) struct Device {
    simulation: Arc<Simulation>,
    business: usize,
    slot: usize,
    rng: Rng,
    gaps: GapDetector,
}

/// The reason why a device stopped listening.
enum Departure {
    /// Its connection goes away for a while.
    ForAWhile,
    /// The run is over.
    ForGood,
}

impl Device {
    /// The device `slot` of a business: 0 at the counter, 1 in the kitchen.
    pub(super) fn new(simulation: Arc<Simulation>, business: usize, slot: usize, rng: Rng) -> Self {
        Self { simulation, business, slot, rng, gaps: GapDetector::default() }
    }

    fn business(&self) -> &Business {
        &self.simulation.scenario.businesses[self.business]
    }

    fn kind(&self) -> BusinessKind {
        self.business().kind
    }

    /// The name by which it tells the hub that it can ring.
    fn device_id(&self) -> String {
        let place = if self.slot == COUNTER { "counter" } else { "kitchen" };
        format!("{place}-{}", self.business + 1)
    }

    fn account(&self) -> &Arc<Account> {
        &self.business().team[self.slot]
    }

    /// Listens until the run is over, with breaks until it closes. `opened` is let go once it has a place in the room.
    pub(super) async fn run(mut self, opened: mpsc::Sender<Infallible>) {
        let mut opened = Some(opened);
        let simulation = self.simulation.clone();
        while !simulation.over.is_cancelled() {
            if let Vanishing::Away(left) = self.kind().devices_at(simulation.elapsed()) {
                self.stay_away(left).await;
            }
            let listened = tokio::select! {
                listened = self.listen(&mut opened) => listened,
                () = simulation.over.cancelled() => return,
            };
            if !matches!(listened, Ok(Departure::ForGood)) {
                simulation.ledger(|ledger| ledger.recoveries.cut());
            }
            match listened {
                Ok(Departure::ForGood) => return,
                Ok(Departure::ForAWhile) => {
                    let away = match self.slot {
                        KITCHEN => self.rng.millis(300, 2_500),
                        _ => self.rng.millis(20, 200),
                    };
                    self.stay_away(away).await;
                }
                Err(error) => {
                    simulation.ledger(|ledger| ledger.fault(error.to_string()));
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }

    /// Waits, but not longer than customers order: then every device is needed.
    async fn stay_away(&self, away: Duration) {
        tokio::select! {
            () = tokio::time::sleep(away) => {}
            () = self.simulation.closing.cancelled() => {}
        }
    }

    /// Holds one socket, going on where the last one ended.
    async fn listen(
        &mut self,
        opened: &mut Option<mpsc::Sender<Infallible>>,
    ) -> Result<Departure, ConnectionError> {
        let simulation = self.simulation.clone();
        let room = Room::business(self.business().id);
        let mut socket =
            Socket::open(self.account(), &room, self.gaps.cursor(), Credential::Ticket, None).await?;
        let stay = match self.slot {
            KITCHEN => self.rng.millis(1_000, 8_000),
            _ => self.rng.millis(8_000, 25_000),
        };
        let stay = match self.kind().devices_at(simulation.elapsed()) {
            Vanishing::There(Some(left)) => stay.min(left),
            Vanishing::There(None) | Vanishing::Away(_) => stay,
        };
        let stay = tokio::time::sleep(stay);
        tokio::pin!(stay);
        let mut say = interval_at(Instant::now() + SAY_EVERY, SAY_EVERY);
        loop {
            tokio::select! {
                _ = say.tick() => socket.can_ring(&self.device_id()).await?,
                frame = socket.next() => {
                    self.take(frame?, &mut socket).await?;
                    if self.gaps.cursor().is_some() {
                        *opened = None;
                    }
                }
                () = &mut stay, if !simulation.closing.is_cancelled() => {
                    // Half of them say good-bye, half lose the network.
                    if self.rng.percent(50.0) {
                        socket.close().await;
                    }
                    return Ok(Departure::ForAWhile);
                }
                () = simulation.over.cancelled() => {
                    socket.close().await;
                    return Ok(Departure::ForGood);
                }
            }
        }
    }

    async fn take(&mut self, frame: Frame, socket: &mut Socket) -> Result<(), ConnectionError> {
        match frame {
            Frame::Hello { cursor } => {
                if self.gaps.cursor().is_some() {
                    self.simulation.ledger(|ledger| ledger.recoveries.resumed());
                }
                let arrival = self.gaps.on_hello(cursor);
                self.note(arrival);
                socket.can_ring(&self.device_id()).await?;
            }
            Frame::Event { cursor, kind, data } => {
                let arrival = self.gaps.on_event(cursor);
                self.note(arrival);
                if arrival != Arrival::Repeated {
                    self.on_event(&kind, data, cursor, socket).await?;
                }
            }
            Frame::Resync { cursor } => {
                self.gaps.on_resync(cursor);
                self.look_up().await?;
            }
            Frame::TokenExpiring => {
                let token = self.account().token().await?;
                socket.refresh(&token).await?;
            }
            // The hub had too much to do. The order's next step silences the devices as well.
            Frame::Refused { code } if code == "mark_not_stored" => {}
            Frame::Refused { code } => {
                self.simulation
                    .ledger(|ledger| ledger.fault(format!("a device's frame was refused: {code}")));
            }
            Frame::Ephemeral { kind, data } => self.nudged(&kind, data),
            Frame::Other => {}
        }
        Ok(())
    }

    fn note(&self, arrival: Arrival) {
        if let Arrival::Missed(events) = arrival {
            self.simulation.ledger(|ledger| ledger.missed(events));
        }
    }

    /// Rings once more for an order that waits.
    fn nudged(&self, kind: &str, data: Option<Value>) {
        let ring = data.filter(|_| kind == EphemeralType::OrderRing.as_str());
        if let Some(ring) = ring.and_then(|ring| serde_json::from_value::<OrderNudge>(ring).ok()) {
            self.simulation.ledger(|ledger| ledger.rang(&ring));
        }
    }

    async fn on_event(
        &mut self,
        kind: &str,
        data: Value,
        cursor: Cursor,
        socket: &mut Socket,
    ) -> Result<(), ConnectionError> {
        if self.slot == COUNTER && kind == EventType::BusinessUpdated.as_str() {
            match serde_json::from_value::<BusinessChange>(data.clone()) {
                Ok(change) => self.simulation.ledger(|ledger| ledger.alerts.changed(self.business, &change)),
                Err(error) => self.simulation.ledger(|ledger| ledger.fault(format!("{kind}: {error}"))),
            }
        }
        self.heard_of_money(kind, &data);
        if self.slot == COUNTER {
            self.simulation.ledger(|ledger| ledger.deliveries.heard(kind, &data));
        }
        let order = serde_json::from_value::<OrderEvent>(data).ok().filter(|_| kind.starts_with("order_"));
        if let Some(order) = &order {
            self.simulation.ledger(|ledger| ledger.heard(self.slot, self.business, order));
        }
        socket.ack(cursor).await?;
        if let Some(order) = order {
            self.simulation.ledger(|ledger| ledger.acked(self.slot, self.business, &order));
            let accepted = order.status == Status::Accepted;
            if self.answer(order) && accepted {
                // It rings until somebody has looked at it, though it is accepted.
                self.simulation.ledger(|ledger| ledger.alerts.accepted_by_itself());
                socket.acted(cursor).await?;
            }
        }
        Ok(())
    }

    fn heard_of_money(&self, kind: &str, data: &Value) {
        let flow = match kind {
            kind if kind == EventType::PaymentReceived.as_str() => Flow::Received,
            kind if kind == EventType::PaymentRefunded.as_str() => Flow::Refunded,
            _ => return,
        };
        self.simulation.ledger(|ledger| match MoneyMoved::deserialize(data) {
            Ok(money) => ledger.heard_of_money(self.slot, flow, money),
            Err(error) => ledger.fault(format!("{kind}: {error}")),
        });
    }

    /// Lists what is `placed`, and where orders are accepted by themselves what is `accepted`, as a device does whose history is gone.
    async fn look_up(&mut self) -> Result<(), CallError> {
        let begins_at = self.kind().begins_at().filter(|status| *status != Status::Placed);
        for status in [Some(Status::Placed), begins_at].into_iter().flatten() {
            let path = format!("/orders?business_id={}&status={status}&limit=50", self.business().id);
            let page: Page = self.account().ask(&Request::get(path)).await?;
            for order in page.items.into_iter().map(OrderEvent::from) {
                self.simulation.ledger(|ledger| ledger.found(self.slot, self.business, &order));
                self.answer(order);
            }
        }
        Ok(())
    }

    /// Takes an order in hand where people do so in its status, unless the other device has. Whether it did.
    fn answer(&mut self, order: OrderEvent) -> bool {
        let begins = self.kind().begins_at() == Some(order.status);
        if !begins || !self.simulation.ledger(|ledger| ledger.claim(order.id)) {
            return false;
        }
        let (simulation, business) = (self.simulation.clone(), self.business);
        let (account, rng) = (self.account().clone(), self.rng.fork());
        self.simulation.tasks.spawn(async move {
            let over = simulation.over.clone();
            tokio::select! {
                () = serve(&simulation, business, &account, order, rng) => {}
                () = over.cancelled() => {}
            }
        });
        true
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<OrderAnswer>,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::domain::business::{BusinessEvent, PauseView};
    use crate::domain::cursor::{Cursor as HubCursor, Epoch};
    use crate::domain::ephemeral::{EphemeralPayload, OrderRing};
    use crate::domain::ids::OrderId;
    use crate::domain::ids::{BusinessId, EventId};
    use crate::domain::room::RoomId;
    use crate::domain::saga::{Ring, RingKind};
    use crate::domain::time::Timestamp;
    use crate::protocol::ephemeral::{EncodedEphemeral, EphemeralEvent};
    use crate::protocol::event::{EncodedEvent, EventData, RoomEvent};
    use crate::protocol::frames::{JoinedRoom, ServerFrame};

    fn room() -> RoomId {
        RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil()))
    }

    fn at(seq: u64) -> HubCursor {
        HubCursor::new(Epoch::new(1), seq)
    }

    fn seen(seq: u64) -> Cursor {
        at(seq).to_string().parse().unwrap()
    }

    /// The text of a frame the server encoded.
    fn read(frame: &Bytes) -> Frame {
        let text = std::str::from_utf8(frame).unwrap_or_else(|_| {
            let start = frame.iter().position(|byte| *byte == b'{').unwrap();
            std::str::from_utf8(&frame[start..]).unwrap()
        });
        Frame::read(&text[text.find('{').unwrap()..])
    }

    #[test]
    fn the_hubs_own_frames_are_understood() {
        let rooms = [JoinedRoom { room: room(), cursor: at(7), recovered: true }];
        let now = Timestamp::default();
        let hello = ServerFrame::Hello { connection: "soc_1", rooms: &rooms, ping_s: 25, now };
        assert_eq!(read(&hello.encode()), Frame::Hello { cursor: seen(7) });
        let resync = ServerFrame::Resync { room: room(), cursor: at(9) };
        assert_eq!(read(&resync.encode()), Frame::Resync { cursor: seen(9) });
        let error = ServerFrame::Error { code: "ack_refused", message: "…", retry_after_ms: None };
        assert_eq!(read(&error.encode()), Frame::Refused { code: "ack_refused".to_owned() });
        assert_eq!(read(&ServerFrame::TokenExpiring { in_s: 60 }.encode()), Frame::TokenExpiring);
        assert_eq!(read(&ServerFrame::Alive { now }.encode()), Frame::Other);
        let event = RoomEvent {
            room: room(),
            cursor: at(8),
            id: EventId::from_uuid(uuid::Uuid::nil()),
            kind: EventType::OrderCreated.into(),
            at: now,
            data: EventData::stored(r#"{"a":1}"#.to_owned()).unwrap(),
        };
        let expected =
            Frame::Event { cursor: seen(8), kind: "order_created".to_owned(), data: json!({"a": 1}) };
        assert_eq!(Frame::read(std::str::from_utf8(&EncodedEvent::new(&event).json()).unwrap()), expected);
    }

    #[test]
    fn a_ring_of_the_hub_names_the_order_that_waits() {
        let (order_id, now) = (OrderId::from_uuid(uuid::Uuid::nil()), Timestamp::from_micros(0));
        let ring = OrderRing::new(
            order_id,
            "007",
            Ring { kind: RingKind::Placed, ring: 2, deadline_at: Some(now) },
            now,
        );
        let event = EphemeralEvent::new(room(), now, &EphemeralPayload::OrderRing(ring));
        let frame = read(EncodedEphemeral::new(&event).frame());
        let Frame::Ephemeral { kind, data: Some(data) } = frame else { panic!("{frame:?}") };
        assert_eq!(kind, EphemeralType::OrderRing.as_str());
        assert_eq!(serde_json::from_value::<OrderNudge>(data).unwrap(), OrderNudge { order_id });
    }

    #[test]
    fn a_change_of_a_business_is_read_as_the_hub_tells_it() {
        let pause =
            PauseView { cause: "unreachable".to_owned(), since: Timestamp::from_micros(0), until: None };
        let told = BusinessEvent {
            business_id: BusinessId::from_uuid(uuid::Uuid::nil()),
            state: "open".to_owned(),
            extra_minutes: None,
            takes_orders: false,
            pauses: vec![pause.clone()],
            muted_until: None,
            version: 2,
        };
        let read: BusinessChange = serde_json::from_value(serde_json::to_value(told).unwrap()).unwrap();
        assert_eq!(read, BusinessChange { pauses: vec![pause] });
    }
}

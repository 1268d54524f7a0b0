//! The devices of a business: they ring, acknowledge, answer, and come back with their cursor when they were away.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::domain::cursor::Cursor;
use crate::domain::ids::OrderId;
use crate::domain::order::{Fulfilment, Status};

use super::chance::Chance;
use super::client::{Account, Call, CallError};
use super::ledger::OrderEvent;
use super::seed::Place;
use super::simulation::Stage;
use super::socket::{Frame, Socket, SocketError};
use super::track::{Step, Track};

/// The device in the kitchen, whose connection is worse than the counter's.
const KITCHEN: usize = 1;

/// Pause before a socket is opened again that broke or was refused.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Moves tried for one order before it is given up; four or five are enough when nobody interferes.
const MAX_TRIES: usize = 30;

/// A tablet of a business.
pub(super) struct Device {
    stage: Arc<Stage>,
    business: usize,
    slot: usize,
    chance: Chance,
    track: Track,
}

/// Why a device stopped listening.
enum Left {
    /// Its connection goes away for a while.
    ForAWhile,
    /// The run is over.
    ForGood,
}

impl Device {
    /// The device `slot` of a business: 0 at the counter, 1 in the kitchen.
    pub(super) fn new(stage: Arc<Stage>, business: usize, slot: usize, chance: Chance) -> Self {
        Self { stage, business, slot, chance, track: Track::default() }
    }

    fn place(&self) -> &Place {
        &self.stage.town.places[self.business]
    }

    fn account(&self) -> &Arc<Account> {
        &self.place().team[self.slot]
    }

    /// Listens until the run is over, with breaks until it closes. `opened` is let go once it has a place in the room.
    pub(super) async fn run(mut self, opened: mpsc::Sender<Infallible>) {
        let mut opened = Some(opened);
        let stage = self.stage.clone();
        while !stage.over.is_cancelled() {
            let listened = tokio::select! {
                listened = self.listen(&mut opened) => listened,
                () = stage.over.cancelled() => return,
            };
            if !matches!(listened, Ok(Left::ForGood)) {
                stage.books(|books| books.cut());
            }
            match listened {
                Ok(Left::ForGood) => return,
                Ok(Left::ForAWhile) => {
                    let away = match self.slot {
                        KITCHEN => self.chance.millis(300, 2_500),
                        _ => self.chance.millis(20, 200),
                    };
                    tokio::select! {
                        () = tokio::time::sleep(away) => {}
                        () = stage.closing.cancelled() => {}
                    }
                }
                Err(error) => {
                    stage.books(|books| books.fault(error.to_string()));
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Holds one socket, going on where the last one ended.
    async fn listen(&mut self, opened: &mut Option<mpsc::Sender<Infallible>>) -> Result<Left, SocketError> {
        let stage = self.stage.clone();
        let mut socket = Socket::open(self.account(), self.place().id, self.track.cursor()).await?;
        let stay = match self.slot {
            KITCHEN => self.chance.millis(1_000, 8_000),
            _ => self.chance.millis(8_000, 25_000),
        };
        let stay = tokio::time::sleep(stay);
        tokio::pin!(stay);
        loop {
            tokio::select! {
                frame = socket.next() => {
                    self.take(frame?, &mut socket).await?;
                    if self.track.cursor().is_some() {
                        *opened = None;
                    }
                }
                () = &mut stay, if !stage.closing.is_cancelled() => {
                    // Half of them say good-bye, half lose the network.
                    if self.chance.percent(50.0) {
                        socket.close().await;
                    }
                    return Ok(Left::ForAWhile);
                }
                () = stage.over.cancelled() => {
                    socket.close().await;
                    return Ok(Left::ForGood);
                }
            }
        }
    }

    async fn take(&mut self, frame: Frame, socket: &mut Socket) -> Result<(), SocketError> {
        match frame {
            Frame::Hello { cursor } => {
                if self.track.cursor().is_some() {
                    self.stage.books(|books| books.resumed());
                }
                let step = self.track.resume(cursor);
                self.note(step);
            }
            Frame::Event { cursor, kind, data } => {
                let step = self.track.take(cursor);
                self.note(step);
                if step != Step::Seen {
                    self.hear(&kind, data, cursor, socket).await?;
                }
            }
            Frame::Resync { cursor } => {
                self.track.reset(cursor);
                self.look_up().await?;
            }
            Frame::TokenExpiring => {
                let token = self.account().token().await?;
                socket.refresh(&token).await?;
            }
            Frame::Refused { code } => {
                self.stage.books(|books| books.fault(format!("a device's frame was refused: {code}")));
            }
            Frame::Other => {}
        }
        Ok(())
    }

    fn note(&self, step: Step) {
        if let Step::Missed(events) = step {
            self.stage.books(|books| books.missed(events));
        }
    }

    async fn hear(
        &mut self,
        kind: &str,
        data: Value,
        cursor: Cursor,
        socket: &mut Socket,
    ) -> Result<(), SocketError> {
        let order = serde_json::from_value::<OrderEvent>(data).ok().filter(|_| kind.starts_with("order_"));
        if let Some(order) = &order {
            self.stage.books(|books| books.heard(self.slot, self.business, order));
        }
        socket.ack(cursor).await?;
        if let Some(order) = order {
            self.stage.books(|books| books.acked(self.slot, self.business, &order));
            self.answer(order);
        }
        Ok(())
    }

    /// Lists what is `placed`, as a device does whose history is gone.
    async fn look_up(&mut self) -> Result<(), CallError> {
        let path = format!("/orders?business_id={}&status=placed&limit=50", self.place().id);
        let page: Page = self.account().ask(&Call::get(path)).await?;
        for order in page.items.into_iter().map(OrderEvent::from) {
            self.stage.books(|books| books.found(self.slot, self.business, &order));
            self.answer(order);
        }
        Ok(())
    }

    /// Takes a ringing order in hand unless the other device has.
    fn answer(&mut self, order: OrderEvent) {
        if order.status != Status::Placed || !self.stage.books(|books| books.claim(order.id)) {
            return;
        }
        let (stage, business) = (self.stage.clone(), self.business);
        let (account, chance) = (self.account().clone(), self.chance.fork());
        self.stage.tasks.spawn(async move {
            let over = stage.over.clone();
            tokio::select! {
                () = serve(&stage, business, &account, order, chance) => {}
                () = over.cancelled() => {}
            }
        });
    }
}

/// How the merchant means to deal with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Serve,
    Refuse,
    CallOff,
}

impl Course {
    fn draw(chance: &mut Chance) -> Self {
        match chance.below(100) {
            0..3 => Self::Refuse,
            3..5 => Self::CallOff,
            _ => Self::Serve,
        }
    }

    /// Where the order goes from `status`; `None` at its end, and where merchants have nothing to do.
    fn next(self, status: Status, fulfilment: Fulfilment) -> Option<Status> {
        Some(match (status, fulfilment, self) {
            (Status::Placed, _, Self::Refuse) => Status::Rejected,
            (Status::Placed, ..) => Status::Accepted,
            (Status::Accepted, _, Self::CallOff) => Status::Cancelled,
            (Status::Accepted, ..) => Status::Preparing,
            (Status::Preparing, ..) => Status::Ready,
            (Status::Ready, Fulfilment::Delivery, _) => Status::PickedUp,
            (Status::Ready | Status::PickedUp, ..) => Status::Delivered,
            _ => return None,
        })
    }
}

/// Moves an order to its end in compressed time, adopting whatever somebody else did to it meanwhile.
async fn serve(stage: &Stage, business: usize, account: &Account, mut order: OrderEvent, mut chance: Chance) {
    let course = Course::draw(&mut chance);
    for _ in 0..MAX_TRIES {
        let Some(to) = course.next(order.status, order.fulfilment) else { return };
        let (least, most) = if order.status == Status::Placed { (100, 600) } else { (100, 700) };
        tokio::time::sleep(chance.millis(least, most)).await;
        match push(account, &order, to).await {
            Ok(moved) => {
                order = moved;
                stage.books(|books| books.moved(business, &order));
            }
            Err(error) => {
                stage.books(|books| books.fault(error.to_string()));
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

/// Makes one move; a refused one gives the order as it is.
async fn push(account: &Account, order: &OrderEvent, to: Status) -> Result<OrderEvent, CallError> {
    let mut change = json!({"status": to, "version": order.version});
    match to {
        Status::Accepted => change["prep_minutes"] = json!(15),
        Status::Rejected => change["reason"] = json!("Sold out"),
        Status::Cancelled => change["reason"] = json!("The oven broke"),
        _ => {}
    }
    let moved: Result<View, _> =
        account.ask(&Call::patch(format!("/orders/{}/status", order.id), change)).await;
    match moved {
        Ok(view) => Ok(view.into()),
        // Somebody else was faster: a customer who cancelled, or a visitor.
        Err(error) if error.status() == Some(409) => {
            account.ask::<View>(&Call::get(format!("/orders/{}", order.id))).await.map(OrderEvent::from)
        }
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<View>,
}

/// An order as answers show it.
#[derive(Deserialize)]
pub(super) struct View {
    id: OrderId,
    order_number: String,
    status: Status,
    version: i64,
    fulfilment: Fulfilment,
}

impl From<View> for OrderEvent {
    fn from(view: View) -> Self {
        let View { id, order_number, status, version, fulfilment } = view;
        Self { id, order_number, status, version, fulfilment }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::DeliveredBy;
    use crate::domain::order::table::verdict;
    use crate::domain::order::{Party, Verdict, Way};

    #[test]
    fn every_course_is_allowed_by_the_state_table_and_leads_to_an_end() {
        for course in [Course::Serve, Course::Refuse, Course::CallOff] {
            for fulfilment in Fulfilment::ALL {
                let mut status = Status::Placed;
                while let Some(next) = course.next(status, fulfilment) {
                    let way = Way::of(fulfilment, DeliveredBy::Business);
                    let allowed = verdict(status, next, way, Party::Member);
                    assert!(
                        matches!(allowed, Verdict::Allowed(_)),
                        "{course:?} {fulfilment:?} {status:?} to {next:?}"
                    );
                    status = next;
                }
                assert!(status.is_end(), "{course:?} {fulfilment:?} stops at {status:?}");
            }
        }
    }

    #[test]
    fn most_orders_are_served_and_some_are_not() {
        let mut chance = Chance::new(1);
        let courses: Vec<Course> = (0..1_000).map(|_| Course::draw(&mut chance)).collect();
        let count = |course| courses.iter().filter(|drawn| **drawn == course).count();
        assert!(count(Course::Serve) > 900 && count(Course::Refuse) > 10 && count(Course::CallOff) > 5);
    }
}

//! Calls and messages between the hub and the payment provider, each on its way for a while.

use std::collections::BTreeSet;
use std::time::Duration;

use bellhop::domain::ids::{PaymentId, RefundId};
use bellhop::domain::payment::{NewsRefusal, NewsStatus, PaymentNews, RefundAnswer, may_be_opening};
use bellhop::domain::time::Timestamp;

use crate::owed;
use crate::provider::{Call, HeldRefund, Provider, Stand, Way};
use crate::random::Random;
use crate::streets::Ride;
use crate::world::World;

/// A call that ends without an answer.
const TIME_OUT: Duration = Duration::from_secs(10);

/// A message of the provider. It is sent until the hub has taken it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) key: String,
    pub(crate) news: Result<PaymentNews, NewsRefusal>,
    /// The payment that it names.
    pub(crate) payment: Option<PaymentId>,
    /// Whether its signature is right.
    pub(crate) is_signed: bool,
}

/// Something that is on its way.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// The call that opens a payment arrives at the provider.
    Open { order: usize, payment: PaymentId, amount_minor: i64 },
    /// The answer to it arrives.
    Opened { order: usize, payment: PaymentId },
    /// The customer pays, or tries to.
    Pay { payment: PaymentId, amount_minor: i64, is_told: bool },
    /// The customer's card is refused. Whether the payment is closed by that.
    Decline { payment: PaymentId, closes: bool },
    /// A message arrives at the hub.
    Message(Message),
    /// The call that closes a payment arrives.
    Close { order: usize, payment: PaymentId },
    /// The answer to it arrives, or there is none.
    Closed { order: usize, payment: PaymentId, stand: Option<Option<Stand>> },
    /// The question how a refund stands arrives; whether it is sent again when it has failed.
    Look { order: usize, call: Call, attempt: u32, again: bool },
    /// The answer to it arrives, or there is none.
    Looked { order: usize, call: Call, attempt: u32, again: bool, state: Option<Option<RefundAnswer>> },
    /// The call that sends a refund arrives.
    Send { order: usize, call: Call, attempt: u32 },
    /// The answer to it arrives, or there is none.
    Answered { order: usize, refund: RefundId, attempt: u32, answer: RefundAnswer },
    /// A refund at the provider ends, or ends otherwise.
    Turn { payment: PaymentId, index: usize, way: Way },
    /// Something about a delivery.
    Ride(Ride),
}

impl Happening {
    /// Whether a node waits for it in memory: it is lost with the node.
    fn is_of_a_node(&self) -> bool {
        if let Self::Ride(ride) = self {
            return ride.is_of_a_node();
        }
        matches!(
            self,
            Self::Opened { .. } | Self::Closed { .. } | Self::Looked { .. } | Self::Answered { .. }
        )
    }
}

/// What is on its way, and the two ends of it.
pub(crate) struct Traffic {
    pub(crate) provider: Provider,
    planned: Vec<(Timestamp, Happening)>,
    /// Payments about which a node asks at present.
    pub(crate) asking: BTreeSet<PaymentId>,
    events: u64,
}

impl Traffic {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self { provider: Provider::new(random), planned: Vec::new(), asking: BTreeSet::new(), events: 0 }
    }

    pub(crate) fn plan(&mut self, at: Timestamp, happening: Happening) {
        self.planned.push((at, happening));
    }

    /// When the next thing arrives.
    pub(crate) fn next(&self) -> Option<(Timestamp, usize)> {
        self.planned.iter().enumerate().map(|(n, (at, _))| (*at, n)).min()
    }

    /// Payments about which a message is on its way.
    pub(crate) fn on_the_way(&self) -> impl Iterator<Item = PaymentId> {
        self.planned.iter().filter_map(|(_, happening)| match happening {
            Happening::Message(message) => message.payment,
            _ => None,
        })
    }

    pub(crate) fn take(&mut self, n: usize) -> Happening {
        self.planned.remove(n).1
    }

    /// A node is gone, and with it what it waited for.
    pub(crate) fn crash(&mut self) {
        self.planned.retain(|(_, happening)| !happening.is_of_a_node());
        self.asking.clear();
    }

    /// The key by which a repetition of a message is known.
    pub(crate) fn key(&mut self, news: &PaymentNews, has_id: bool) -> String {
        self.events += 1;
        if has_id || self.provider.has_event_ids {
            return format!("event {}", self.events);
        }
        format!("{} {} {:?}", news.payment, news.status, news.refund)
    }
}

fn seconds(random: &mut Random, low: u64, high: u64) -> Duration {
    Duration::from_secs(random.between(low, high))
}

impl World {
    pub(crate) fn plan(&mut self, after: Duration, happening: Happening) {
        self.traffic.plan(self.now.plus(after), happening);
    }

    /// Something arrives where it goes.
    pub(crate) fn happen(&mut self, happening: Happening, random: &mut Random) {
        self.note(|| format!("{happening:?}"));
        match happening {
            Happening::Open { order, payment, amount_minor } => {
                self.traffic.provider.open(payment, order, amount_minor);
                if !self.traffic.provider.loses_answer(random, self.now) {
                    let after = seconds(random, 0, 3);
                    self.plan(after, Happening::Opened { order, payment });
                }
            }
            Happening::Opened { order, payment } => self.opened(order, payment, random),
            Happening::Pay { payment, amount_minor, is_told } => {
                self.pay(payment, amount_minor, is_told, random);
            }
            Happening::Decline { payment, closes } => self.decline(payment, closes, random),
            Happening::Message(message) => self.deliver(message, random),
            Happening::Close { order, payment } => {
                let stand = Some(self.traffic.provider.close(payment));
                // Until the call that opens it cannot come any more, it proves nothing that the provider does not know it.
                let begun_at = self.orders[order].money.payment(payment).map(|payment| payment.updated_at);
                let may_come = begun_at.is_some_and(|begun| may_be_opening(begun, self.now));
                let stand = stand.filter(|stand| stand.is_some() || !may_come);
                let (after, stand) = self.reply(stand, random);
                self.plan(after, Happening::Closed { order, payment, stand });
            }
            Happening::Closed { order, payment, stand } => self.closed(order, payment, stand, random),
            Happening::Look { order, call, attempt, again } => {
                let state = Some(self.traffic.provider.refund_state(call.payment, call.refund));
                let (after, state) = self.reply(state, random);
                self.plan(after, Happening::Looked { order, call, attempt, again, state });
            }
            Happening::Looked { order, call, attempt, again, state } => {
                let answer = match state {
                    None => RefundAnswer::NoAnswer,
                    Some(None) => return self.send(order, call, attempt, random),
                    Some(Some(RefundAnswer::Refused)) if again => {
                        return self.send(order, call, attempt, random);
                    }
                    Some(Some(answer)) => answer,
                };
                self.refund_answered(order, call.refund, attempt, &answer);
            }
            Happening::Send { order, call, attempt } => self.sent(order, call, attempt, random),
            Happening::Answered { order, refund, attempt, answer } => {
                self.refund_answered(order, refund, attempt, &answer);
            }
            Happening::Turn { payment, index, way } => self.turn(payment, index, way, random),
            Happening::Ride(ride) => self.ride_on(ride, random),
        }
    }

    /// An answer on its way back: when it is there, and whether at all.
    fn reply<T>(&self, answer: Option<T>, random: &mut Random) -> (Duration, Option<T>) {
        if self.traffic.provider.loses_answer(random, self.now) {
            (TIME_OUT, None)
        } else {
            (seconds(random, 0, 4), answer)
        }
    }

    fn send(&mut self, order: usize, call: Call, attempt: u32, random: &mut Random) {
        let after = seconds(random, 0, 4);
        self.plan(after, Happening::Send { order, call, attempt });
    }

    /// A refund arrives at the provider.
    fn sent(&mut self, order: usize, call: Call, attempt: u32, random: &mut Random) {
        let of = |provider: &Provider| provider.payment(call.payment).map_or(0, |one| one.refunds.len());
        let before = of(&self.traffic.provider);
        owed::is_a_new_call(&call, self.traffic.provider.payment(call.payment));
        let answer = self.traffic.provider.refund(&call, random, self.now);
        if of(&self.traffic.provider) > before {
            self.plan_turns(call.payment, before, &answer, random);
        }
        let (after, answer) = self.reply(Some(answer), random);
        let answer = answer.unwrap_or(RefundAnswer::NoAnswer);
        self.plan(after, Happening::Answered { order, refund: call.refund, attempt, answer });
    }

    /// What becomes of a new refund at the provider later.
    fn plan_turns(&mut self, payment: PaymentId, index: usize, answer: &RefundAnswer, random: &mut Random) {
        let is_calm = self.traffic.provider.is_calm;
        if *answer == RefundAnswer::Refused || random.chance(50) {
            self.tell_of_refund(payment, index, random);
        }
        if matches!(answer, RefundAnswer::Pending { .. }) {
            let way = if is_calm || random.chance(75) { Way::Done } else { Way::Failed };
            let after = seconds(random, 60, 3 * 3600);
            self.plan(after, Happening::Turn { payment, index, way });
        }
        // Hours or days later the customer's bank sends it back.
        if !is_calm && *answer != RefundAnswer::Refused && random.chance(12) {
            let hours = if random.chance(40) { 3 } else { 72 };
            let after = seconds(random, 600, hours * 3600);
            self.plan(after, Happening::Turn { payment, index, way: Way::Failed });
        }
    }

    fn turn(&mut self, payment: PaymentId, index: usize, way: Way, random: &mut Random) {
        let bounces = self.traffic.provider.payment(payment).and_then(|one| one.refunds.get(index));
        let bounces = bounces.is_some_and(|refund| refund.way == Way::Done);
        if self.traffic.provider.turn(payment, index, way).is_none() {
            return;
        }
        self.seen.bounced += u64::from(bounces);
        // Nobody looks at a refund that is done: of its end otherwise the hub is told for certain.
        if bounces || random.chance(85) {
            self.tell_of_refund(payment, index, random);
        }
    }

    /// The message about a refund as it stands.
    fn tell_of_refund(&mut self, payment: PaymentId, index: usize, random: &mut Random) {
        let Some(held) = self.traffic.provider.payment(payment).cloned() else { return };
        let HeldRefund { refund, amount_minor, way, .. } = held.refunds[index].clone();
        let status = match way {
            Way::Pending => return,
            Way::Done => NewsStatus::Refunded,
            Way::Failed => NewsStatus::RefundFailed,
        };
        let refund = refund.filter(|_| self.traffic.provider.names_refunds);
        let is_of_the_hub = held.refunds[index].refund.is_some();
        let is_silent = is_of_the_hub && random.chance(30);
        let news = PaymentNews {
            payment,
            order: self.orders[held.order].order.id,
            status,
            amount_minor: (!is_silent).then_some(amount_minor),
            currency: None,
            refund,
            is_foreign: false,
        };
        // What the hub cannot find out by asking has a name of its own.
        let has_id = !is_of_the_hub || way == Way::Failed;
        self.tell(news, has_id, random);
    }

    /// The provider sends a message, perhaps after some time, perhaps twice.
    pub(crate) fn tell(&mut self, news: PaymentNews, has_id: bool, random: &mut Random) {
        let key = self.traffic.key(&news, has_id);
        let is_signed = random.chance(95);
        let message = Message { key, payment: Some(news.payment), news: Ok(news), is_signed };
        let after = delay(random);
        self.plan(after, Happening::Message(message.clone()));
        if random.chance(15) {
            let after = delay(random);
            self.plan(after, Happening::Message(message));
        }
    }

    fn deliver(&mut self, mut message: Message, random: &mut Random) {
        let again = seconds(random, 10, 1800);
        if !self.up {
            return self.plan(again, Happening::Message(message));
        }
        if !message.is_signed {
            // The provider signs anew.
            message.is_signed = true;
            return self.plan(again, Happening::Message(message));
        }
        self.receive(&message);
        if random.chance(10) {
            // The answer was lost.
            self.plan(again, Happening::Message(message));
        }
    }

    fn pay(&mut self, payment: PaymentId, amount_minor: i64, is_told: bool, random: &mut Random) {
        if !self.traffic.provider.pay(payment, amount_minor) {
            return;
        }
        self.seen.captured += 1;
        let held = self.traffic.provider.payment(payment).expect("it was paid").clone();
        // Nobody asks about a payment that is said to have failed: of its end otherwise the hub is told for certain.
        if is_told || held.has_failed {
            let says = held.amount_minor != amount_minor || random.chance(40);
            let news = PaymentNews {
                payment,
                order: self.orders[held.order].order.id,
                status: NewsStatus::Success,
                amount_minor: says.then_some(amount_minor),
                currency: random.chance(30).then(|| self.orders[held.order].order.currency),
                refund: None,
                is_foreign: false,
            };
            self.tell(news, false, random);
        }
    }

    fn decline(&mut self, payment: PaymentId, closes: bool, random: &mut Random) {
        let Some(held) = self.traffic.provider.payment(payment).cloned() else { return };
        if held.stand != Stand::Open {
            return;
        }
        if closes {
            self.traffic.provider.close(payment);
        }
        if let Some(held) = self.traffic.provider.payment_mut(payment) {
            held.has_failed = true;
        }
        let news = PaymentNews {
            payment,
            order: self.orders[held.order].order.id,
            status: NewsStatus::Failed,
            amount_minor: None,
            currency: None,
            refund: None,
            is_foreign: false,
        };
        self.tell(news, false, random);
    }

    /// Money goes back by somebody else's hand, where messages about refunds of the hub name them: elsewhere an amount that one of those has
    /// too cannot be told apart from it.
    pub(crate) fn give_back_outside(&mut self, payment: PaymentId, amount_minor: i64, random: &mut Random) {
        let Some(held) = self.traffic.provider.payment(payment) else { return };
        let amount_minor = amount_minor.min(held.left());
        let order = &self.orders[held.order];
        // Whoever gives money back there looks first whether somebody here has.
        let is_handed = order.till.by_hand_out.iter().any(|(id, ..)| *id == payment);
        if is_handed || !self.traffic.provider.names_refunds {
            return;
        }
        if self.traffic.provider.give_back(payment, amount_minor, self.now).is_some() {
            self.seen.outside += 1;
            let index = self.traffic.provider.payment(payment).map_or(0, |held| held.refunds.len() - 1);
            self.tell_of_refund(payment, index, random);
        }
    }
}

/// How long a message is on its way: mostly short.
fn delay(random: &mut Random) -> Duration {
    match random.below(100) {
        0..60 => seconds(random, 0, 5),
        60..88 => seconds(random, 5, 300),
        88..97 => seconds(random, 300, 7_200),
        _ => seconds(random, 7_200, 200_000),
    }
}

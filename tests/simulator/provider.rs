//! The payment provider: where the money really is. It answers late, twice or not at all, forgets keys, and changes its mind.

use std::collections::BTreeSet;
use std::time::Duration;

use bellhop::domain::ids::{PaymentId, RefundId};
use bellhop::domain::payment::RefundAnswer;
use bellhop::domain::time::Timestamp;

use crate::random::Random;

/// How a payment stands at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// The customer can still pay.
    Open,
    /// Nobody can pay it any more.
    Closed,
    /// So much was captured.
    Captured(i64),
}

/// How a refund stands at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Pending,
    Done,
    Failed,
}

/// Money on its way back.
#[derive(Clone, Debug)]
pub(crate) struct HeldRefund {
    /// The hub's id; `None` for one that the hub did not ask for.
    pub(crate) refund: Option<RefundId>,
    key: Option<String>,
    pub(crate) since: Timestamp,
    pub(crate) amount_minor: i64,
    pub(crate) way: Way,
}

impl HeldRefund {
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.key.as_deref() == Some(key)
    }
}

/// A payment, and what went back of it.
#[derive(Clone, Debug)]
pub(crate) struct HeldPayment {
    pub(crate) id: PaymentId,
    pub(crate) order: usize,
    pub(crate) amount_minor: i64,
    pub(crate) stand: Stand,
    /// Whether it was said to have failed.
    pub(crate) has_failed: bool,
    pub(crate) refunds: Vec<HeldRefund>,
}

impl HeldPayment {
    pub(crate) fn captured(&self) -> i64 {
        if let Stand::Captured(amount) = self.stand { amount } else { 0 }
    }

    /// What has gone back.
    pub(crate) fn returned(&self) -> i64 {
        self.sum(|refund| refund.way == Way::Done)
    }

    /// What has gone back and the hub did not ask for.
    pub(crate) fn returned_outside(&self) -> i64 {
        self.sum(|refund| refund.way == Way::Done && refund.refund.is_none())
    }

    /// What can still go back.
    pub(crate) fn left(&self) -> i64 {
        self.captured() - self.sum(|refund| refund.way != Way::Failed)
    }

    fn sum(&self, counts: impl Fn(&HeldRefund) -> bool) -> i64 {
        self.refunds.iter().filter(|refund| counts(refund)).map(|refund| refund.amount_minor).sum()
    }
}

/// A call that sends a refund.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) payment: PaymentId,
    pub(crate) refund: RefundId,
    pub(crate) amount_minor: i64,
    pub(crate) key: String,
}

/// The provider of one evening, with its habits.
pub(crate) struct Provider {
    pub(crate) payments: Vec<HeldPayment>,
    /// Payments that were closed before they were opened: it did not know them.
    closed_before: BTreeSet<PaymentId>,
    /// How long it knows that a call with a key was made before.
    keys_for: Duration,
    /// Whether its messages name the refund that they are about.
    pub(crate) names_refunds: bool,
    /// Whether its messages have ids of their own.
    pub(crate) has_event_ids: bool,
    /// Answers that are lost, percent.
    pub(crate) loses: u64,
    /// Every answer is lost until then.
    pub(crate) silent_until: Option<Timestamp>,
    /// It does as it should from now on.
    pub(crate) is_calm: bool,
}

impl Provider {
    pub(crate) fn new(random: &mut Random) -> Self {
        let minutes = *random.pick(&[10, 60, 24 * 60, 24 * 60]).expect("there are four");
        Self {
            payments: Vec::new(),
            closed_before: BTreeSet::new(),
            keys_for: Duration::from_secs(60 * minutes),
            names_refunds: random.chance(75),
            has_event_ids: random.chance(75),
            loses: *random.pick(&[0, 5, 30]).expect("there are three"),
            silent_until: None,
            is_calm: false,
        }
    }

    /// Whether the answer to a call made now does not arrive.
    pub(crate) fn loses_answer(&self, random: &mut Random, now: Timestamp) -> bool {
        !self.is_calm && (self.silent_until.is_some_and(|until| now < until) || random.chance(self.loses))
    }

    pub(crate) fn payment(&self, id: PaymentId) -> Option<&HeldPayment> {
        self.payments.iter().find(|payment| payment.id == id)
    }

    pub(crate) fn payment_mut(&mut self, id: PaymentId) -> Option<&mut HeldPayment> {
        self.payments.iter_mut().find(|payment| payment.id == id)
    }

    /// Opens a payment; a second call changes nothing.
    pub(crate) fn open(&mut self, id: PaymentId, order: usize, amount_minor: i64) {
        if self.payment(id).is_none() {
            let (stand, refunds) = (Stand::Open, Vec::new());
            // Nobody asks about it again: of what becomes of it the hub is told for certain.
            let has_failed = self.closed_before.contains(&id);
            self.payments.push(HeldPayment { id, order, amount_minor, stand, has_failed, refunds });
        }
    }

    /// The customer pays. Whether that was still possible.
    pub(crate) fn pay(&mut self, id: PaymentId, amount_minor: i64) -> bool {
        let open = self.payment_mut(id).filter(|payment| payment.stand == Stand::Open);
        open.map(|payment| payment.stand = Stand::Captured(amount_minor)).is_some()
    }

    /// Nobody can pay it any more. How it stands then; `None`: it is not known.
    pub(crate) fn close(&mut self, id: PaymentId) -> Option<Stand> {
        if self.payment(id).is_none() {
            self.closed_before.insert(id);
        }
        let payment = self.payment_mut(id)?;
        if payment.stand == Stand::Open {
            payment.stand = Stand::Closed;
        }
        Some(payment.stand)
    }

    /// Whether it certainly knows the keys of that time, as the hub's setting has it: somewhat less than it does.
    pub(crate) fn knows_keys_of(&self, at: Timestamp, now: Timestamp) -> bool {
        now.since(at) < self.keys_for * 9 / 10
    }

    /// Takes in a call. A call with a key that is remembered is the same one again.
    pub(crate) fn refund(&mut self, call: &Call, random: &mut Random, now: Timestamp) -> RefundAnswer {
        let (keys_for, is_calm) = (self.keys_for, self.is_calm);
        let Some(payment) = self.payment_mut(call.payment) else { return RefundAnswer::Refused };
        let remembered =
            |refund: &&HeldRefund| refund.has_key(&call.key) && now.since(refund.since) < keys_for;
        if let Some(refund) = payment.refunds.iter().find(remembered) {
            return answer(refund.way);
        }
        if call.amount_minor > payment.left() {
            return RefundAnswer::Refused;
        }
        let way = match random.below(100) {
            0..50 => Way::Done,
            50..88 => Way::Pending,
            _ if is_calm => Way::Done,
            _ => Way::Failed,
        };
        payment.refunds.push(HeldRefund {
            refund: Some(call.refund),
            key: Some(call.key.clone()),
            since: now,
            amount_minor: call.amount_minor,
            way,
        });
        answer(way)
    }

    /// How a refund stands: the last one that was asked for under this id. `None`: it is not known.
    pub(crate) fn refund_state(&self, payment: PaymentId, id: RefundId) -> Option<RefundAnswer> {
        let refunds = &self.payment(payment)?.refunds;
        refunds.iter().rev().find(|refund| refund.refund == Some(id)).map(|refund| answer(refund.way))
    }

    /// Somebody gives money back in the provider's console, or a bank takes it back. How much that was.
    pub(crate) fn give_back(&mut self, id: PaymentId, amount_minor: i64, now: Timestamp) -> Option<i64> {
        let payment = self.payment_mut(id)?;
        let amount_minor = amount_minor.min(payment.left());
        if amount_minor <= 0 {
            return None;
        }
        payment.refunds.push(HeldRefund {
            refund: None,
            key: None,
            since: now,
            amount_minor,
            way: Way::Done,
        });
        Some(amount_minor)
    }

    /// A refund that was under way or done ends otherwise. Whether that changed it.
    pub(crate) fn turn(&mut self, id: PaymentId, index: usize, way: Way) -> Option<HeldRefund> {
        let refund = self.payment_mut(id)?.refunds.get_mut(index)?;
        let follows = match (refund.way, way) {
            (Way::Pending, Way::Done | Way::Failed) => true,
            (Way::Done, Way::Failed) => refund.refund.is_some(),
            _ => false,
        };
        follows.then(|| {
            refund.way = way;
            refund.clone()
        })
    }
}

fn answer(way: Way) -> RefundAnswer {
    match way {
        Way::Pending => RefundAnswer::Pending { reference: None },
        Way::Done => RefundAnswer::Done { reference: Some("receipt".to_owned()) },
        Way::Failed => RefundAnswer::Refused,
    }
}

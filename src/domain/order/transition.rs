//! Moving an order along the table.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::business::Acceptance;
use crate::domain::delivery::DeliveredBy;
use crate::domain::time::Timestamp;

use super::ended::{EndedCode, EndedReason};
use super::failure::FailureReason;
use super::model::{Order, PaymentMethod, PaymentStatus};
use super::status::{Fulfilment, Party, Status};
use super::table::{self, CORRECTION_WITHIN, FollowUp, NO_SHOW_AFTER, Row, Verdict, When};

/// Why an order was not moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveRefusal {
    /// The order has changed since the version named.
    #[serde(rename = "move_stale")]
    Stale {
        /// Its version now.
        current: i64,
        /// Where it stands now.
        status: Status,
    },
    /// This party may never make this move.
    NotTheirMove,
    /// Not from here.
    #[serde(rename = "move_forbidden")]
    Forbidden {
        /// Where it stands.
        from: Status,
        /// What this party may do instead.
        allowed: Vec<Status>,
    },
}

/// The outcome of a move that was not refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Moved {
    /// It is somewhere else now; the follow-ups are due.
    Changed(&'static [FollowUp]),
    /// It was there already.
    Unchanged,
}

/// A transition that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveRequest {
    /// The capacity in which they ask.
    pub party: Party,
    /// The status wanted.
    pub to: Status,
    /// The version it was decided on.
    pub version: i64,
    /// What the merchant promises on accepting.
    pub prep_minutes: Option<u16>,
    /// Who is to bring it, said on accepting where it is not who usually does.
    pub delivered_by: Option<DeliveredBy>,
}

impl Order {
    /// Makes the move on this order if anybody ever makes it, it is theirs to make, was made on the present version and stands
    /// in the table, in that order of answers. A refusal changes nothing. `because` is why, in the mover's words, as [`Row::reason`] wants it; `terms` are
    /// those of the business at `now`, which an order gets that is accepted.
    pub fn apply(
        &mut self,
        request: MoveRequest,
        because: Option<&str>,
        terms: Option<Acceptance>,
        now: Timestamp,
    ) -> Result<Moved, MoveRefusal> {
        let verdict = table::verdict(self.status, request.to, self.way(), request.party);
        match verdict {
            Verdict::NobodysMove { allowed } => {
                return Err(MoveRefusal::Forbidden { from: self.status, allowed });
            }
            Verdict::NotTheirMove => return Err(MoveRefusal::NotTheirMove),
            Verdict::AlreadyThere | Verdict::Forbidden { .. } | Verdict::Allowed(_) => {}
        }
        if request.version != self.version {
            return Err(MoveRefusal::Stale { current: self.version, status: self.status });
        }
        match verdict {
            Verdict::AlreadyThere => Ok(Moved::Unchanged),
            Verdict::NobodysMove { allowed } | Verdict::Forbidden { allowed } => {
                Err(MoveRefusal::Forbidden { from: self.status, allowed })
            }
            Verdict::NotTheirMove => Err(MoveRefusal::NotTheirMove),
            Verdict::Allowed(row) if !self.is_time_for(row.when, now) => {
                let allowed = table::allowed(self.status, self.way(), request.party);
                let allowed =
                    allowed.filter(|row| self.is_time_for(row.when, now)).map(|row| row.to).collect();
                Err(MoveRefusal::Forbidden { from: self.status, allowed })
            }
            Verdict::Allowed(row) => {
                self.follow(row, request, because, terms, now);
                Ok(Moved::Changed(row.follows))
            }
        }
    }

    /// Whether a transition that holds for a time can be made at `now`.
    fn is_time_for(&self, when: When, now: Timestamp) -> bool {
        match when {
            When::Always => true,
            When::CustomerIsLate => now >= self.ready_at.unwrap_or(self.updated_at).plus(NO_SHOW_AFTER),
            When::EndIsRecent => now < self.updated_at.plus(CORRECTION_WITHIN),
        }
    }

    /// Goes where a row of the table leads, with everything that follows for the order itself.
    fn follow(
        &mut self,
        row: &Row,
        request: MoveRequest,
        because: Option<&str>,
        terms: Option<Acceptance>,
        now: Timestamp,
    ) {
        let (delivery, payment) = (self.delivery_status(), self.payment_status);
        self.status = row.to;
        self.version += 1;
        self.updated_at = now;
        if row.to == Status::Accepted {
            self.accept(request, terms, now);
        }
        if row.to.is_end_without_delivery() {
            let code = EndedCode::of(request.party, row.from);
            self.ended_reason = Some(EndedReason { code, text: because.map(str::to_owned) });
        }
        for follow in row.follows {
            self.follow_up(*follow, because);
        }
        self.delivery_version += i64::from(self.delivery_status() != delivery);
        self.payment_version += i64::from(self.payment_status != payment);
    }

    /// Makes a transition by the hub's own hand, and gives what follows; `None` when the table has no such transition from the present
    /// status, or the order has it already.
    pub fn apply_by_system(
        &mut self,
        to: Status,
        terms: Option<Acceptance>,
        now: Timestamp,
    ) -> Option<&'static [FollowUp]> {
        let request = MoveRequest {
            party: Party::System,
            to,
            version: self.version,
            prep_minutes: None,
            delivered_by: None,
        };
        match self.apply(request, None, terms, now) {
            Ok(Moved::Changed(follows)) => Some(follows),
            Ok(Moved::Unchanged) | Err(_) => None,
        }
    }

    fn accept(&mut self, request: MoveRequest, terms: Option<Acceptance>, now: Timestamp) {
        self.prep_minutes = request.prep_minutes.or(terms.map(|terms| terms.prep_minutes));
        self.ready_at =
            self.prep_minutes.map(|minutes| now.plus(Duration::from_secs(60 * u64::from(minutes))));
        if self.fulfilment == Fulfilment::Delivery {
            let usual = terms.map(|terms| terms.delivered_by).unwrap_or_default();
            self.delivered_by = Some(request.delivered_by.unwrap_or(usual));
        }
    }

    /// The part of a consequence that changes the order itself.
    fn follow_up(&mut self, follow: FollowUp, because: Option<&str>) {
        let cash = self.payment_method == PaymentMethod::Cash;
        match follow {
            // What was paid before and has gone back since is not taken again.
            FollowUp::TakeCash if cash && self.payment_status != PaymentStatus::Refunded => {
                self.payment_status = PaymentStatus::Paid;
            }
            FollowUp::LeaveCash if cash && self.payment_status == PaymentStatus::Pending => {
                self.payment_status = PaymentStatus::Uncollected;
            }
            FollowUp::Refund => self.owe(),
            FollowUp::RefundFault => {
                let reason = because.and_then(|reason| reason.parse::<FailureReason>().ok());
                if reason.is_some_and(FailureReason::refunds) {
                    self.owe();
                }
            }
            FollowUp::Passes(statuses) => {
                self.version += i64::try_from(statuses.len()).expect("an order has ten statuses");
            }
            // Nothing is to be taken.
            FollowUp::TakeCash | FollowUp::LeaveCash => {}
            // Told to the rooms by `OrderChange::announce`, and rung by the alert of the order.
            FollowUp::StartAlert | FollowUp::StopAlert | FollowUp::RingOn | FollowUp::RingEnd => {}
        }
    }

    /// Owes the customer what was paid before the hand-over: online, or as a person recorded it.
    fn owe(&mut self) {
        if self.payment_status == PaymentStatus::Paid {
            self.payment_status = PaymentStatus::RefundDue;
        }
    }

    /// Whether it may owe money once it has ended: nobody has paid what is paid at hand-over and was not yet.
    pub fn may_owe(&self) -> bool {
        self.payment_method == PaymentMethod::Online || self.payment_status == PaymentStatus::Paid
    }

    /// Whether its money has to be looked at after a move: something is owed, or a payment is open that nobody waits for any more.
    pub fn has_money_to_settle(&self) -> bool {
        match self.payment_status {
            PaymentStatus::RefundDue => true,
            PaymentStatus::Pending => self.payment_method == PaymentMethod::Online && self.status.is_end(),
            PaymentStatus::Paid | PaymentStatus::Refunded | PaymentStatus::Uncollected => false,
        }
    }

    /// Says how the money of the order stands; another state counts as a change of its payment.
    pub fn set_payment(&mut self, status: PaymentStatus) {
        self.payment_version += i64::from(self.payment_status != status);
        self.payment_status = status;
    }
}

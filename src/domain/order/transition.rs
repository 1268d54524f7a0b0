//! Moving an order along the table.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::business::Acceptance;
use crate::domain::delivery::DeliveredBy;
use crate::domain::time::Timestamp;

use super::ended::{EndedCode, EndedReason};
use super::model::{Order, PaymentMethod, PaymentStatus};
use super::status::{Fulfilment, Party, Status};
use super::table::{self, FollowUp, Verdict};

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
    /// in the table, in that order of answers. A refusal changes nothing. `because` is why, in the mover's words; `terms` are
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
            Verdict::Allowed(row) => {
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
                self.follow_up(row.follows);
                self.delivery_version += i64::from(self.delivery_status() != delivery);
                self.payment_version += i64::from(self.payment_status != payment);
                Ok(Moved::Changed(row.follows))
            }
        }
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

    /// The part of what follows that changes the order itself.
    fn follow_up(&mut self, follows: &[FollowUp]) {
        let cash = self.payment_method == PaymentMethod::Cash;
        for follow in follows {
            match follow {
                FollowUp::TakeCash if cash => self.payment_status = PaymentStatus::Paid,
                FollowUp::Refund if !cash && self.payment_status == PaymentStatus::Paid => {
                    self.payment_status = PaymentStatus::RefundDue;
                }
                // Nothing was taken, or nothing is to be taken.
                FollowUp::TakeCash | FollowUp::Refund => {}
                // Told to the rooms by `OrderChange::announce`.
                FollowUp::StartAlert | FollowUp::StopAlert => {}
            }
        }
    }
}

//! Steps of drivers, and changes of hands.

use serde::{Deserialize, Serialize};

use crate::domain::dispatch::{DispatchRules, Driver};
use crate::domain::ids::UserId;
use crate::domain::order::{FailureReason, Order, Party, PaymentMethod, PaymentStatus, Status};
use crate::domain::time::Timestamp;

use super::course::{DeliveryEffect, OrderDelivery};
use super::model::{MAX_CODE_TRIES, Proof, ProofRule};
use super::status::{DeliveryStatus, Step};
use super::table::DeliveryStep;

/// What somebody says of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// The step that was made.
    pub step: Step,
    /// The time that the device gives. It is kept, and what counts lies between the assignment and now.
    pub said_at: Option<Timestamp>,
    /// The customer's code.
    pub code: Option<String>,
    /// A reference to a photo.
    pub photo: Option<String>,
    /// Whether it was left at the door of somebody who could not be reached.
    pub left_at_door: bool,
    /// Why it failed.
    pub reason: Option<FailureReason>,
    /// Cash that was taken, in minor units; what the order costs unless given.
    pub collected_minor: Option<i64>,
}

impl StepReport {
    /// A step of which nothing more is said.
    pub const fn of(step: Step) -> Self {
        Self {
            step,
            said_at: None,
            code: None,
            photo: None,
            left_at_door: false,
            reason: None,
            collected_minor: None,
        }
    }
}

/// The outcome of a step that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It counts now.
    Done {
        /// When it happened: what the device said, between the assignment and now.
        at: Timestamp,
        /// The status that the order is moved to by it.
        order: Option<Status>,
        /// Cash that differs from what was due: what was taken less what was due.
        difference_minor: i64,
        /// What follows from it.
        effects: Vec<DeliveryEffect>,
    },
    /// It was said before.
    Already,
    /// The driver has the delivery no more: it is kept for operators and changes nothing.
    Late,
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepRefusal {
    /// No such delivery of this driver.
    NoSuchDelivery,
    /// Not from here.
    Forbidden {
        /// Where the delivery stands.
        from: DeliveryStatus,
        /// What may be reported now.
        allowed: Vec<Step>,
    },
    /// The code is another one.
    WrongCode {
        /// How often it can still be tried.
        tries_left: u8,
    },
    /// A proof is needed that is not there.
    ProofNeeded {
        /// The proof that is missing.
        proof: ProofRule,
    },
    /// The customer has more time.
    TooEarly {
        /// When the time is over.
        #[serde(with = "crate::domain::time::micros")]
        until: Timestamp,
    },
    /// A failure needs its reason, and this step none of this kind.
    ReasonNeeded,
}

impl Step {
    /// The status of the order that goes with it.
    const fn moves_order_to(self) -> Option<Status> {
        match self {
            Self::PickedUp => Some(Status::PickedUp),
            Self::Delivered => Some(Status::Delivered),
            Self::Failed => Some(Status::Failed),
            Self::AtPickup | Self::AtDropoff | Self::Returned => None,
        }
    }
}

impl OrderDelivery {
    /// Takes a step that its driver or an operator reports. `due_at` is when the customer was to have it.
    ///
    /// # Errors
    /// The step does not follow from where the delivery stands, or something is missing. Only a wrong code is counted.
    pub fn report(
        &mut self,
        report: &StepReport,
        (party, user): (Party, UserId),
        order: &Order,
        driver: Option<&mut Driver>,
        rules: &DispatchRules,
        now: Timestamp,
    ) -> Result<StepOutcome, StepRefusal> {
        if party == Party::Driver && self.delivery.driver != Some(user) {
            let had = self.was_of(user);
            return if had { Ok(StepOutcome::Late) } else { Err(StepRefusal::NoSuchDelivery) };
        }
        if self.is_done(report.step) {
            return Ok(StepOutcome::Already);
        }
        if party == Party::Driver && self.is_over_for_driver(report.step) {
            return Ok(StepOutcome::Late);
        }
        let forbidden =
            StepRefusal::Forbidden { from: self.delivery.status, allowed: self.reportable(party) };
        let row = super::table::find(self.delivery.status, DeliveryStep::Report(report.step), party);
        let row = row.ok_or(forbidden)?;
        let since = self.delivery.assigned_at.unwrap_or(self.delivery.created_at);
        let at = report.said_at.unwrap_or(now).clamp(since.min(now), now);
        if party == Party::Driver {
            self.check(report, rules, now)?;
        }
        // Whether money goes back depends on it.
        if report.step == Step::Failed && report.reason.is_none() {
            return Err(StepRefusal::ReasonNeeded);
        }
        let difference_minor = self.take(report, order, driver, rules, (at, now));
        self.set_status(row.to, now);
        let order = report.step.moves_order_to();
        Ok(StepOutcome::Done { at, order, difference_minor, effects: vec![DeliveryEffect::Updated] })
    }

    /// Whether its driver, who may not have heard so yet, has nothing more to do for this step: the order was cancelled, or an operator
    /// has said that it failed while the driver brought it.
    fn is_over_for_driver(&self, step: Step) -> bool {
        let brings = matches!(step, Step::PickedUp | Step::AtDropoff | Step::Delivered);
        match self.delivery.status {
            DeliveryStatus::Cancelled => true,
            DeliveryStatus::Failed | DeliveryStatus::Returned => brings,
            _ => false,
        }
    }

    /// Notes a step that happened at `at`, and gives what was taken in cash less what was due.
    fn take(
        &mut self,
        report: &StepReport,
        order: &Order,
        driver: Option<&mut Driver>,
        rules: &DispatchRules,
        (at, now): (Timestamp, Timestamp),
    ) -> i64 {
        match report.step {
            Step::AtPickup => self.delivery.at_pickup_at = Some(at),
            Step::PickedUp => self.delivery.picked_up_at = Some(at),
            Step::AtDropoff => self.delivery.at_dropoff_at = Some(at),
            Step::Delivered => return self.deliver(report, order, driver, rules, at, now),
            Step::Failed => self.release(driver, now),
            Step::Returned => {}
        }
        0
    }

    /// Whether a step was taken before, and nothing has taken it back.
    fn is_done(&self, step: Step) -> bool {
        let delivery = &self.delivery;
        let is_there = match step {
            Step::AtPickup => delivery.at_pickup_at.is_some(),
            Step::PickedUp => delivery.picked_up_at.is_some(),
            Step::AtDropoff => {
                delivery.at_dropoff_at.is_some() && !matches!(delivery.status, DeliveryStatus::PickedUp)
            }
            Step::Delivered => delivery.status == DeliveryStatus::Delivered,
            Step::Failed => matches!(delivery.status, DeliveryStatus::Failed | DeliveryStatus::Returned),
            Step::Returned => delivery.status == DeliveryStatus::Returned,
        };
        is_there && !delivery.status.is_searched()
    }

    /// What a driver has to bring along for a step.
    fn check(
        &mut self,
        report: &StepReport,
        rules: &DispatchRules,
        now: Timestamp,
    ) -> Result<(), StepRefusal> {
        let waited_until = self.delivery.at_dropoff_at.map(|at| at.plus(rules.unreachable));
        let has_waited = || match waited_until {
            Some(until) if now >= until => Ok(()),
            until => Err(StepRefusal::TooEarly { until: until.unwrap_or(now.plus(rules.unreachable)) }),
        };
        match (report.step, report.reason) {
            (Step::Failed, Some(FailureReason::CustomerUnreachable)) => has_waited(),
            (Step::Failed, Some(reason)) if FailureReason::ON_THE_WAY.contains(&reason) => Ok(()),
            (Step::Failed, _) | (_, Some(_)) => Err(StepRefusal::ReasonNeeded),
            (Step::Delivered, None) if report.left_at_door => {
                let proof = ProofRule::Photo;
                report.photo.as_ref().map(|_| ()).ok_or(StepRefusal::ProofNeeded { proof })?;
                has_waited()
            }
            (Step::Delivered, None) => self.check_proof(report, rules.proof),
            _ => Ok(()),
        }
    }

    fn check_proof(&mut self, report: &StepReport, rule: ProofRule) -> Result<(), StepRefusal> {
        let has_photo = report.photo.is_some();
        let takes_photo = matches!(rule, ProofRule::None | ProofRule::Photo | ProofRule::Either)
            || self.delivery.code_tries >= MAX_CODE_TRIES;
        match &report.code {
            Some(_) if self.delivery.code_tries >= MAX_CODE_TRIES && !has_photo => {
                Err(StepRefusal::WrongCode { tries_left: 0 })
            }
            Some(code) if self.delivery.code_tries < MAX_CODE_TRIES => {
                if *code == self.delivery.code {
                    return Ok(());
                }
                self.delivery.code_tries += 1;
                Err(StepRefusal::WrongCode { tries_left: MAX_CODE_TRIES - self.delivery.code_tries })
            }
            _ if rule == ProofRule::None || (has_photo && takes_photo) => Ok(()),
            _ => Err(StepRefusal::ProofNeeded { proof: rule }),
        }
    }

    fn deliver(
        &mut self,
        report: &StepReport,
        order: &Order,
        driver: Option<&mut Driver>,
        rules: &DispatchRules,
        at: Timestamp,
        now: Timestamp,
    ) -> i64 {
        self.delivery.proof = match (&report.photo, &report.code) {
            (Some(photo), _) => Some(Proof::Photo(photo.clone())),
            (None, Some(_)) => Some(Proof::Code),
            (None, None) => None,
        };
        let takes_cash =
            order.payment_method == PaymentMethod::Cash && order.payment_status == PaymentStatus::Pending;
        let collected = takes_cash.then(|| report.collected_minor.unwrap_or(order.total_minor));
        self.delivery.collected_minor = collected;
        let began = self.delivery.picked_up_at.unwrap_or(at).max(order.ready_at.unwrap_or(at));
        let is_in_time = at.since(began) <= rules.late_under_way;
        if let Some(driver) = driver {
            driver.ended_one(is_in_time);
            self.release(Some(driver), now);
        }
        collected.map_or(0, |collected| collected - order.total_minor)
    }
}

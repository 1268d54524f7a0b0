//! Everything a commit sets in motion: cached copies, rooms, metrics, revoked tokens and open sockets of this node, and the
//! messages to other nodes.
//!
//! A new outcome does not compile until it has an arm here.
#![deny(clippy::wildcard_enum_match_arm)]
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::sync::Arc;
use std::time::Instant;

use crate::auth::revocations::Revocations;
use crate::bus::{Bus, BusMessage};
use crate::domain::control::ControlChange;
use crate::domain::ids::LoginSessionId;
use crate::domain::order::{Order, Status};
use crate::domain::payment::{NewsRefusal, NewsStatus, PaymentState};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::ephemeral::EphemeralEvent;
use crate::protocol::event::RoomEvent;
use crate::storage::cache::CachedReads;
use crate::storage::commands::{
    Command, Committed, EndSession, FireOutcome, InitiateOutcome, MoveOrder, NewsOutcome, Outcome,
    PlaceOutcome, RecordOutcome, Rotation, Write,
};
use crate::telemetry::Metrics;

use super::control::{ControlListener, ControlRoom};
use super::driver_lives::DriverLives;
use super::order_lives::OrderLives;
use super::persistence::CommitListener;
use super::room::Rooms;
use super::worker::Workers;

/// Tells every part of the node that a commit concerns, in the lane that made it and before the callers are answered. Nothing
/// here waits or is lost: what cannot be delivered is found by the rooms' watermark and the workers' list of changes.
pub struct CommitFanout {
    reads: CachedReads,
    rooms: Rooms,
    lives: OrderLives,
    drivers: DriverLives,
    revocations: Revocations,
    metrics: Metrics,
    bus: Arc<dyn Bus>,
    workers: Workers,
    control: ControlRoom,
}

impl CommitFanout {
    /// A fan-out to these parts.
    #[expect(clippy::too_many_arguments, reason = "each is another part of the hub, named once")]
    pub fn new(
        reads: CachedReads,
        rooms: Rooms,
        lives: OrderLives,
        drivers: DriverLives,
        revocations: Revocations,
        workers: Workers,
        metrics: Metrics,
        bus: Arc<dyn Bus>,
    ) -> Self {
        let control = ControlRoom::default();
        // Before the follower reads the room's head, so that nothing is committed unheard between the two.
        bus.subscribe(RoomId::Control);
        Self { reads, rooms, lives, drivers, revocations, workers, metrics, bus, control }
    }

    /// Refuses the tokens of a login session from now on and closes its sockets (4001).
    pub fn end_session(&self, session: LoginSessionId) {
        self.revocations.insert(session, Instant::now(), Timestamp::now());
        self.workers.end_session(session);
    }

    /// Messages of other nodes were lost.
    pub(super) fn messages_were_lost(&self) {
        self.control.doubt();
    }

    /// An event of the control room, of this node or of another.
    fn heard_control(&self, event: &RoomEvent) {
        self.act_on(event);
        self.control.heard(event);
    }

    fn after(&self, write: &Write, outcome: &Outcome) {
        match outcome {
            Outcome::Placed(placed) => match placed {
                PlaceOutcome::Placed(order) => self.order_placed(order),
                PlaceOutcome::Replayed(_) | PlaceOutcome::KeyReused | PlaceOutcome::Refused(_) => {}
            },
            Outcome::Moved(moved) => {
                if let (Write::MoveOrder(wanted), Ok(order)) = (write, moved) {
                    self.order_moved(wanted, order);
                }
            }
            Outcome::Fired(fired) => self.deadline_fired(fired),
            Outcome::Rotated(Rotation::Reused { .. }) => {
                self.metrics.security_events_total.with_label_values(&["refresh_reuse"]).inc();
            }
            Outcome::NewsApplied(news) => {
                if let NewsOutcome::Dead { refusal: NewsRefusal::WrongOrder } = news {
                    self.metrics.security_events_total.with_label_values(&["payment_of_another_order"]).inc();
                }
                self.count_payment(write, outcome);
            }
            Outcome::Done => self.done(write),
            Outcome::PaymentInitiated(_) | Outcome::PaymentRecorded(_) => self.count_payment(write, outcome),
            Outcome::Removed(_)
            | Outcome::SessionsEnded(_)
            | Outcome::Rotated(Rotation::Continued { .. } | Rotation::Refused)
            | Outcome::Changed(_)
            | Outcome::RingOrdered(_)
            | Outcome::MessageReceived(_)
            | Outcome::RefundChanged(_)
            | Outcome::RefundBegun(_)
            | Outcome::Replayed(_)
            | Outcome::DriverChanged(_)
            | Outcome::WaveOpened(_)
            | Outcome::OfferAnswered(_)
            | Outcome::StepReported(_)
            | Outcome::DriverAssigned(_)
            | Outcome::DeliveryLeft(_)
            | Outcome::WayChanged(_)
            | Outcome::UserCreated(_)
            | Outcome::UserChanged(_)
            | Outcome::TicketRedeemed(_)
            | Outcome::Repeated(_)
            | Outcome::BusinessUpdated(_)
            | Outcome::ItemAdded(_)
            | Outcome::ItemUpdated(_)
            | Outcome::MemberPut(_)
            | Outcome::InvitationAnswered(_)
            | Outcome::Purged(_)
            | Outcome::NotificationRead(_)
            | Outcome::Resealed(_)
            | Outcome::Advanced(_)
            | Outcome::AcksLeft
            | Outcome::LeasesRenewed(_)
            | Outcome::IntentBegun(_)
            | Outcome::QuotaEra(_)
            | Outcome::JobClaimed(_)
            | Outcome::JobLost
            | Outcome::RoomRotated(_) => {}
        }
    }

    /// Another node told an event of a room.
    pub(super) fn told(&self, event: &RoomEvent) {
        if event.room == RoomId::Control {
            return self.heard_control(event);
        }
        self.reads.told(event);
        self.drivers.told(event);
        self.rooms.publish(std::slice::from_ref(event));
    }

    /// Another node told an ephemeral event.
    pub(super) fn heard(&self, event: &EphemeralEvent) {
        self.drivers.heard(event);
    }

    fn done(&self, write: &Write) {
        if let Write::PostNotification(_) = write {
            self.metrics.notifications_sent_total.with_label_values(&["CUSTOM"]).inc();
        }
        if let Write::RefundAnswered(answered) = write {
            self.metrics.refunds_total.with_label_values(&[answered.answer.as_str()]).inc();
        }
    }

    fn count_payment(&self, write: &Write, outcome: &Outcome) {
        let state = match (write, outcome) {
            (_, Outcome::PaymentInitiated(InitiateOutcome::Open { is_new: true, .. })) => {
                Some(PaymentState::Initiated)
            }
            (_, Outcome::PaymentRecorded(RecordOutcome::Recorded(_))) => Some(PaymentState::Succeeded),
            (Write::ApplyNews(applied), Outcome::NewsApplied(NewsOutcome::Applied)) => match &applied.news {
                Ok(news) if news.status == NewsStatus::Success => Some(PaymentState::Succeeded),
                Ok(news) if news.status == NewsStatus::Failed => Some(PaymentState::Failed),
                Ok(_) | Err(_) => None,
            },
            (_, _) => None,
        };
        if let Some(state) = state {
            self.metrics.payments_total.with_label_values(&[state.as_str()]).inc();
        }
    }

    fn order_placed(&self, order: &Order) {
        self.metrics.orders_created_total.inc();
        if order.status == Status::Placed {
            self.metrics.notifications_sent_total.with_label_values(&["NEW_ORDER"]).inc();
        }
    }

    fn order_moved(&self, wanted: &MoveOrder, order: &Order) {
        // A move to the status that the order had already leaves its version as it was.
        if order.version <= wanted.request.version {
            return;
        }
        self.lives.moved(order);
        self.count_status(order);
    }

    fn deadline_fired(&self, fired: &FireOutcome) {
        self.lives.fired(fired);
        if let Some(order) = &fired.moved {
            self.count_status(order);
        }
    }

    fn count_status(&self, order: &Order) {
        self.metrics.orders_processed_total.with_label_values(&[order.status.as_str()]).inc();
        if order.status == Status::Delivered {
            let total = u64::try_from(order.total_minor).unwrap_or(0);
            self.metrics.revenue_total_amount.with_label_values(&[order.currency.as_str()]).inc_by(total);
        }
    }
}

impl ControlListener for CommitFanout {
    fn control(&self) -> &ControlRoom {
        &self.control
    }

    /// What the event concerns is read again, tokens of an ended login session are refused, and sockets leave what is lost.
    fn act_on(&self, event: &RoomEvent) {
        let Some(change) = event.control_change() else { return };
        self.metrics.control_events_total.with_label_values(&[change.kind().as_str()]).inc();
        self.reads.changed_anywhere(change);
        match change {
            ControlChange::SessionEnded(session) if self.revocations.contains(session) => {}
            ControlChange::SessionEnded(session) => self.end_session(session),
            ControlChange::MembershipsChanged(user)
            | ControlChange::AccountChanged(user)
            | ControlChange::DriverLeft { driver: user, .. } => self.workers.recheck_access(user),
            ControlChange::BusinessChanged(_) | ControlChange::MenuChanged(_) => {}
        }
    }

    fn trust_nothing(&self) {
        self.reads.forget_all();
        self.workers.recheck_everybody();
    }

    fn missed(&self) {
        self.metrics.control_resyncs_total.inc();
    }

    fn heard_all(&self, until: Instant) {
        self.reads.neighbours().heard_all(until);
    }

    fn looked(&self, now: Instant) {
        let age = self.reads.neighbours().heard_ago(now).unwrap_or_default();
        self.metrics.control_age_seconds.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }
}

impl CommitListener for CommitFanout {
    fn committed(&self, commands: &[Command], committed: &mut Committed) {
        committed.outcomes.iter().for_each(|outcome| outcome.reach(["offer_committed", "accept_committed"]));
        self.reads.committed(commands, &committed.outcomes);
        let events = std::mem::take(&mut committed.events);
        events.iter().for_each(|event| self.reads.told(event));
        events
            .iter()
            .filter(|event| event.room == RoomId::Control)
            .for_each(|event| self.heard_control(event));
        self.rooms.publish(&events);
        for (command, outcome) in commands.iter().zip(&committed.outcomes) {
            self.after(command.write.unkeyed(), outcome);
        }
        self.lives.committed(committed);
        self.drivers.committed(commands, committed, &events);
        events.into_iter().for_each(|event| self.bus.publish(BusMessage::Event(event)));
        committed.outcomes.iter().for_each(|outcome| outcome.reach(["offer_announced", "accept_announced"]));
    }

    fn commit_unknown(&self, commands: &[Command]) {
        self.reads.commit_unknown(commands);
        for command in commands {
            // The lane tries it until it has happened; its caller need not wait for that.
            if let Write::EndSession(EndSession { session }) = command.write {
                self.end_session(session);
            }
        }
    }
}

//! The effects of a session's state, as its actor performs them: rooms, history, acknowledgements, tokens.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::time::{Duration, Instant};

use actix::prelude::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use crate::actors::reachability::RingSource;
use crate::actors::room::RoomUnavailable;
use crate::actors::room::live_event::History;
use crate::actors::subscription::Requested;
use crate::auth::authorization::{RoomAccess, room_access};
use crate::domain::cursor::Cursor;
use crate::domain::ids::UserId;
use crate::domain::private::Private;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::close::CloseReason;
use crate::storage::StoreError;
use crate::storage::commands::{DeviceMark, ScopedAck};

use super::actor::SessionActor;
use super::messages::{Price, SessionEffect};
use super::ringing::RingWord;

/// Most events of history read at once.
const HISTORY_PAGE: usize = 128;

/// How long a session waits before it asks a room again that did not answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

impl SessionActor {
    /// Performs an effect that a frame asked for, if its user has a frame left for it.
    pub(super) fn perform_for_client(
        &mut self,
        effect: SessionEffect,
        now: Instant,
        ctx: &mut Context<Self>,
    ) {
        let price = effect.price();
        if price != Price::Free
            && let Err(wait) = self.consume_frame(now)
            && price == Price::Frame
        {
            return self.state(|s| s.refuse_effect(&effect, wait));
        }
        self.perform(effect, ctx);
    }

    pub(super) fn perform(&mut self, effect: SessionEffect, ctx: &mut Context<Self>) {
        match effect {
            SessionEffect::Authorize(room, cursor) => self.authorize(room, cursor, ctx),
            SessionEffect::Join(room, cursor) => self.join(room, cursor, ctx),
            SessionEffect::ReadHistory(room, after) => self.read_history(room, after, ctx),
            SessionEffect::Leave(room) => {
                self.connection.worker.unsubscribe(room, self.key);
                self.tell_ring();
            }
            SessionEffect::TellRing => self.tell_ring(),
            SessionEffect::Ack(ack, alerts) => self.store_ack(ack, &alerts),
            SessionEffect::Mark(mark) => self.store_mark(mark, ctx),
            SessionEffect::SetOnline(driver, online) => self.set_online(driver, online, ctx),
            SessionEffect::Moved(driver, location, at) => {
                let moved = self.connection.worker.deps.drivers.moved(driver, location, at);
                if moved.is_err() {
                    self.state(|s| s.error("unavailable", "This node has no place for one more driver."));
                }
            }
            SessionEffect::CheckToken(token) => self.check_token(&token),
        }
    }

    /// Consumes one of the frames that the user has over all their sockets.
    fn consume_frame(&self, now: Instant) -> Result<(), Duration> {
        self.connection.worker.deps.frame_quota.consume(self.state(|s| s.principal.user), now)
    }

    fn authorize(&self, room: RoomId, cursor: Option<String>, ctx: &mut Context<Self>) {
        let reads = self.connection.worker.deps.reads.clone();
        let who = self.state(|s| s.principal);
        let checked = async move { room_access(&reads, who, room).await };
        self.then(ctx, checked, move |session, access, ctx| match access {
            Ok(RoomAccess::Granted) => {
                if let Some(effect) = session.state(|s| s.admitted(room, cursor)) {
                    session.perform(effect, ctx);
                }
            }
            Ok(RoomAccess::NoSuchRoom) => session.state(|s| s.deny_join(room)),
            Err(error) => {
                tracing::warn!(%room, %error, "a socket could not be given one more room");
                session.state(|s| s.room_unavailable(room));
            }
        });
    }

    fn join(&self, room: RoomId, cursor: Option<String>, ctx: &mut Context<Self>) {
        let worker = self.connection.worker.clone();
        worker.subscribe(room, self.key);
        let requested = Requested::parse(cursor.as_deref());
        let joined = async move { worker.join(room, requested).await };
        self.then(ctx, joined, move |session, joined, ctx| match joined {
            Ok(head) => {
                let settings = session.connection.worker.deps.settings.clone();
                let now = session.connection.worker.deps.reads.now();
                let effect = session.state(|s| s.joined(room, head, cursor, now, &settings));
                if let Some(effect) = effect {
                    session.perform(effect, ctx);
                }
            }
            Err(error) => {
                tracing::warn!(%room, %error, "a socket could not join");
                session.connection.worker.unsubscribe(room, session.key);
                let reason = match &error {
                    RoomUnavailable::Store(error) => reason_of(error),
                    RoomUnavailable::Busy => CloseReason::Overloaded,
                };
                session.state(|s| s.could_not_join(room, reason));
            }
        });
    }

    /// Tells the node for which businesses the device can ring now.
    fn tell_ring(&self) {
        let (id, word) = self.state(|s| (s.id, s.ring_word()));
        let source = RingSource::Socket(id);
        let reachability = &self.connection.worker.deps.reachability;
        match word {
            Some(RingWord { device, businesses, at }) => {
                if let Err(error) = reachability.said(source, device, businesses, at) {
                    tracing::warn!(%error, "a device on a socket does not count as one that can ring");
                }
            }
            None => reachability.silent(&source),
        }
    }

    fn store_ack(&self, ack: ScopedAck, alerts: &[Option<Instant>]) {
        let worker = &self.connection.worker;
        for committed_at in alerts.iter().flatten() {
            worker.deps.metrics.event_ack_seconds.observe(committed_at.elapsed().as_secs_f64());
        }
        // Without a frame left it waits for the flush, like those that cover no order.
        if alerts.is_empty() || self.consume_frame(Instant::now()).is_err() {
            worker.keep_ack(ack);
        } else {
            worker.store_ack_soon(ack);
        }
    }

    fn store_mark(&self, mark: DeviceMark, ctx: &mut Context<Self>) {
        let key = (mark.room, mark.cursor, mark.kind);
        let persistence = self.connection.worker.deps.persistence.clone();
        let stored = async move { persistence.store_mark(mark).await };
        self.then(ctx, stored, move |session, stored, _| {
            session.state(|s| s.mark_stored(key, stored.map_err(drop)));
        });
    }

    fn set_online(&self, driver: UserId, online: bool, ctx: &mut Context<Self>) {
        let drivers = self.connection.worker.deps.drivers.clone();
        let set = async move { drivers.set_online(driver, online).await };
        self.then(ctx, set, move |session, set, _| session.state(|s| s.online_set(online, set)));
    }

    fn check_token(&self, token: &Private<String>) {
        let now = Timestamp::now();
        let checked = self.connection.worker.deps.authenticator.check(&token.0, now);
        self.state(|s| s.token_checked(checked, now, Instant::now()));
    }

    /// Runs `work` beside the driver and then `act` on its outcome; the driver is woken to write the answer.
    fn then<T: 'static>(
        &self,
        ctx: &mut Context<Self>,
        work: impl Future<Output = T> + 'static,
        act: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        ctx.spawn(work.into_actor(self).map(move |outcome, session: &mut Self, ctx| {
            act(session, outcome, ctx);
            session.connection.wake();
        }));
    }

    fn read_history(&mut self, room: RoomId, after: Cursor, ctx: &mut Context<Self>) {
        if self.reading_history {
            return;
        }
        self.reading_history = true;
        let rooms = self.connection.worker.deps.rooms.clone();
        let read = async move {
            let read = rooms.history(room, after, HISTORY_PAGE).await;
            if read.is_err() {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            read
        };
        self.then(ctx, read, move |session, read, _| {
            session.reading_history = false;
            let deps = &session.connection.worker.deps;
            match read {
                Ok(History::Events(events)) => {
                    let queued = session.state(|s| s.history_read(room, &events, &deps.settings));
                    deps.history_deliveries.inc_by(queued as u64);
                }
                Ok(History::Gone(head) | History::InStore(head)) => {
                    session.state(|s| s.history_gone(room, after, head));
                }
                Err(error) => tracing::warn!(%room, %error, "history could not be read; asking again"),
            }
        });
    }

    /// Checks again whether the user may be in each room of this session.
    pub(super) fn recheck_access(&self, ctx: &mut Context<Self>) {
        let (who, rooms) = self.state(|s| (s.principal, s.rooms().collect::<Vec<_>>()));
        let reads = self.connection.worker.deps.reads.clone();
        let checked = async move {
            let mut denied = Vec::new();
            for room in rooms {
                if room_access(&reads, who, room).await? == RoomAccess::NoSuchRoom {
                    denied.push(room);
                }
            }
            Ok(denied)
        };
        self.then(ctx, checked, |session, denied: Result<_, StoreError>, _| match denied {
            Ok(denied) => denied.into_iter().for_each(|room| session.state(|s| s.deny(room))),
            Err(error) => {
                tracing::warn!(%error, "the rooms of a socket could not be checked");
                session.state(|s| s.close(reason_of(&error)));
            }
        });
    }
}

/// The close reason for a store that failed: with a transient error the client comes back.
fn reason_of(error: &StoreError) -> CloseReason {
    if error.is_transient() { CloseReason::Overloaded } else { CloseReason::Internal }
}

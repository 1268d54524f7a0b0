//! The subscribing connection: kept, probed, made anew, and told what is wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::{FromRedisValue as _, PushInfo, PushKind, RedisError, Value, cmd};
use tokio::sync::Notify;

use crate::domain::room::RoomId;
use crate::redis_client::{Backoff, RedisClient, RedisLink};

use super::super::inbox::InboxSender;
use super::channels::{Channel, Channels};
use super::envelope::{Envelopes, Told, Unread};
use super::outgoing::Outgoing;
use super::probe::NextStep;
use super::shared::Shared;

/// Rooms in one command.
const BATCH: usize = 512;

/// Longest wait for an answer on this connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Hears Redis for one node.
pub(super) struct Subscriber {
    client: RedisClient,
    hearing: Arc<Hearing>,
    outgoing: Outgoing,
}

/// What is done with what Redis sends, on the task of the connection: never waits.
struct Hearing {
    channels: Arc<Channels>,
    envelopes: Arc<Envelopes>,
    shared: Arc<Shared>,
    inbox: InboxSender,
}

/// One connection, from its begin to its end.
#[derive(Default)]
struct Connected {
    ended: AtomicBool,
    broken: Notify,
}

impl Subscriber {
    pub(super) fn new(
        client: RedisClient,
        channels: Arc<Channels>,
        envelopes: Arc<Envelopes>,
        shared: Arc<Shared>,
        inbox: InboxSender,
        outgoing: Outgoing,
    ) -> Self {
        let hearing = Arc::new(Hearing { channels, envelopes, shared, inbox });
        Self { client, hearing, outgoing }
    }

    /// Runs until nobody receives any more.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::default();
        while !self.hearing.inbox.is_closed() {
            // Without it no probe is sent.
            self.client.connected().await;
            let connected = Arc::<Connected>::default();
            let (hearing, current) = (self.hearing.clone(), connected.clone());
            let pushes = move |push: PushInfo| -> Result<(), ()> {
                hearing.on_push(push, &current);
                Ok(())
            };
            match self.client.connect(pushes).await {
                Ok(mut link) => {
                    let ended = self.serve(&mut link, &connected).await;
                    if self.hearing.shared.is_green() {
                        backoff = Backoff::default();
                    }
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection of the bus failed");
                    }
                    tracing::warn!(
                        "the bus is interrupted: events of other nodes come by the database until it is back"
                    );
                }
                Err(error) => tracing::debug!(%error, "the bus waits for Redis"),
            }
            connected.ended.store(true, Ordering::Release);
            self.hearing.shared.restart();
            tokio::time::sleep(backoff.next(crate::redis_client::random())).await;
        }
    }

    /// Returns when the connection is to be made anew.
    async fn serve(&self, link: &mut RedisLink, connected: &Connected) -> Result<(), RedisError> {
        let (shared, channels) = (&self.hearing.shared, &self.hearing.channels);
        let was_wanted = shared.restart();
        answered(link.subscribe(&channels.always())).await?;
        self.join(link).await?;
        if was_wanted {
            // What was published before that moment did not arrive.
            self.hearing.inbox.note_loss();
        }
        loop {
            let wait_until = match shared.next_step(Instant::now()) {
                NextStep::Send(number) => {
                    self.outgoing.probe(number);
                    self.leave(link).await?;
                    answered(cmd("PING").exec_async(link)).await?;
                    continue;
                }
                NextStep::Wait(until) => until,
                NextStep::GiveUp => {
                    tracing::warn!("Redis takes messages and delivers none: connecting anew");
                    return Ok(());
                }
            };
            tokio::select! {
                () = connected.broken.notified() => return Ok(()),
                () = shared.more.notified() => self.join(link).await?,
                () = tokio::time::sleep_until(wait_until.into()) => {}
            }
            if self.hearing.inbox.is_closed() {
                return Ok(());
            }
        }
    }

    /// Subscribes to everything that is wanted.
    async fn join(&self, link: &mut RedisLink) -> Result<(), RedisError> {
        let shared = &self.hearing.shared;
        loop {
            let rooms = shared.wanted().take_joining(BATCH);
            if rooms.is_empty() {
                return Ok(());
            }
            answered(link.subscribe(&self.hearing.channels.rooms(&rooms))).await?;
            shared.confirmed(rooms.len());
        }
    }

    /// Leaves what is not wanted any more: seldom, since a room often comes back.
    async fn leave(&self, link: &mut RedisLink) -> Result<(), RedisError> {
        loop {
            let rooms: Vec<RoomId> = self.hearing.shared.wanted().take_leaving(BATCH);
            if rooms.is_empty() {
                return Ok(());
            }
            answered(link.unsubscribe(&self.hearing.channels.rooms(&rooms))).await?;
        }
    }
}

/// The answer within its time limit: a command to a connection that hangs would wait for ever.
async fn answered(command: impl Future<Output = Result<(), RedisError>>) -> Result<(), RedisError> {
    match tokio::time::timeout(ANSWER_WITHIN, command).await {
        Ok(answer) => answer,
        Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
    }
}

impl Hearing {
    fn on_push(&self, push: PushInfo, connected: &Connected) {
        if connected.ended.load(Ordering::Acquire) {
            return;
        }
        match push.kind {
            PushKind::Message | PushKind::SMessage => self.on_message(&push.data),
            PushKind::Disconnection => connected.broken.notify_one(),
            // A slot that moves takes its subscriptions with it.
            PushKind::SUnsubscribe | PushKind::Unsubscribe if self.is_asked(&push.data) => {
                connected.broken.notify_one();
            }
            _ => {}
        }
    }

    fn is_asked(&self, data: &[Value]) -> bool {
        let name = data.first().and_then(|name| String::from_redis_value_ref(name).ok());
        match name.and_then(|name| self.channels.parse(&name)) {
            Some(Channel::Room(room)) => self.shared.wanted().is_asked(&room),
            Some(Channel::Control | Channel::Probe(_)) => true,
            None => false,
        }
    }

    fn on_message(&self, data: &[Value]) {
        let [Value::BulkString(channel), Value::BulkString(bytes)] = data else { return };
        let Ok(channel) = std::str::from_utf8(channel) else { return };
        let counted =
            |result: &str| self.shared.metrics.bus_messages_total.with_label_values(&[result]).inc();
        match (self.channels.parse(channel), self.envelopes.read(channel, bytes)) {
            (Some(Channel::Probe(which)), Ok(Some(Told::Probe(number)))) => {
                self.shared.probe_arrived(number, which, Instant::now());
            }
            (Some(Channel::Room(room)), Ok(Some(Told::Message(message)))) => {
                if message.room() == Some(room) && self.shared.wanted().is_wanted(&room) {
                    counted("received");
                    self.inbox.deliver(message);
                }
            }
            (Some(Channel::Control), Ok(Some(Told::Message(message)))) if message.room().is_none() => {
                counted("received");
                self.inbox.deliver(message);
            }
            // This node's own.
            (_, Ok(None)) => {}
            (_, Err(Unread::Forged)) => counted("refused"),
            (_, Err(Unread::Unknown) | Ok(Some(_))) => counted("unknown"),
        }
    }
}

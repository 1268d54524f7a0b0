//! Messages on their way to Redis: a bounded queue, and the task that sends what has gathered with one write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{TryStreamExt as _, stream};
use redis::{RedisError, cmd, pipe};
use tokio::sync::mpsc;

use crate::redis_client::{RedisClient, RedisLink};
use crate::telemetry::Metrics;

use super::super::message::BusMessage;
use super::channels::Channels;
use super::envelope::{Envelopes, Told};

/// Messages and bytes that wait to be sent; further ones are dropped, and other nodes find the events in the store.
const QUEUE: usize = 4096;
const QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// Most messages in one write.
const BATCH: usize = 256;

/// Channels of a cluster that are written to at once.
const AT_ONCE: usize = 64;

/// Longest wait for Redis to take a batch. What was not taken by then is not sent again: it is old.
const SEND_WITHIN: Duration = Duration::from_secs(1);

/// A message with the bytes that it costs.
pub(super) struct Waiting {
    told: ToSend,
    cost: usize,
}

enum ToSend {
    Message(BusMessage),
    /// By number, to every probe channel.
    Probe(u64),
}

/// The end of the queue that messages are put into. Cheap to clone; never waits.
#[derive(Clone)]
pub(super) struct Outgoing {
    queue: mpsc::Sender<Waiting>,
    bytes: Arc<AtomicUsize>,
    metrics: Metrics,
}

/// The end of the queue that messages are taken from.
pub(super) struct Queue {
    waiting: mpsc::Receiver<Waiting>,
    bytes: Arc<AtomicUsize>,
}

impl Outgoing {
    pub(super) fn new(metrics: Metrics) -> (Self, Queue) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let bytes = Arc::<AtomicUsize>::default();
        (Self { queue, bytes: bytes.clone(), metrics }, Queue { waiting, bytes })
    }

    pub(super) fn send(&self, message: BusMessage) {
        let data = match &message {
            BusMessage::Event(event) => event.data.as_str().len(),
            BusMessage::Ephemeral(event) => event.data.as_str().len(),
            BusMessage::Control(_) => 0,
        };
        self.put(ToSend::Message(message), size_of::<Waiting>() + data);
    }

    pub(super) fn probe(&self, number: u64) {
        self.put(ToSend::Probe(number), size_of::<Waiting>());
    }

    fn put(&self, told: ToSend, cost: usize) {
        let before = self.bytes.fetch_add(cost, Ordering::Relaxed);
        if before + cost > QUEUE_BYTES || self.queue.try_send(Waiting { told, cost }).is_err() {
            self.bytes.fetch_sub(cost, Ordering::Relaxed);
            self.metrics.bus_messages_total.with_label_values(&["dropped"]).inc();
        }
    }
}

/// Sends what is in the queue, in its order for each channel.
pub(super) struct Publisher {
    client: RedisClient,
    channels: Arc<Channels>,
    envelopes: Arc<Envelopes>,
    metrics: Metrics,
}

impl Publisher {
    pub(super) const fn new(
        client: RedisClient,
        channels: Arc<Channels>,
        envelopes: Arc<Envelopes>,
        metrics: Metrics,
    ) -> Self {
        Self { client, channels, envelopes, metrics }
    }

    /// Runs until the last sender is gone.
    pub(super) async fn run(self, mut queue: Queue) {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.waiting.recv_many(&mut batch, BATCH).await > 0 {
            let cost: usize = batch.iter().map(|waiting| waiting.cost).sum();
            queue.bytes.fetch_sub(cost, Ordering::Relaxed);
            let written = self.write(&mut batch);
            let count = written.len() as u64;
            let sent = self.client.run(SEND_WITHIN, async |link| publish(link, written).await).await;
            let result = if sent.is_ok() { "sent" } else { "dropped" };
            self.metrics.bus_messages_total.with_label_values(&[result]).inc_by(count);
            if let Err(error) = sent {
                tracing::debug!(%error, count, "messages to other nodes were dropped");
            }
        }
    }

    fn write(&self, batch: &mut Vec<Waiting>) -> Vec<(String, Vec<u8>)> {
        let mut written = Vec::with_capacity(batch.len());
        let mut add = |channel: String, told: &Told| match self.envelopes.write(&channel, told) {
            Some(bytes) => written.push((channel, bytes)),
            None => {
                tracing::warn!(
                    channel,
                    "a message is too large for the bus; other nodes find it in the store"
                );
                self.metrics.bus_messages_total.with_label_values(&["dropped"]).inc();
            }
        };
        for Waiting { told, .. } in batch.drain(..) {
            match told {
                ToSend::Message(message) => add(self.channels.of(&message), &Told::Message(message)),
                ToSend::Probe(number) => {
                    self.channels
                        .probes()
                        .iter()
                        .for_each(|channel| add(channel.clone(), &Told::Probe(number)));
                }
            }
        }
        written
    }
}

async fn publish(link: RedisLink, written: Vec<(String, Vec<u8>)>) -> Result<(), RedisError> {
    if let RedisLink::Single(mut single) = link {
        let mut commands = pipe();
        for (channel, bytes) in &written {
            commands.cmd("PUBLISH").arg(channel).arg(bytes).ignore();
        }
        return commands.exec_async(&mut single).await;
    }
    // Channels of a cluster are in many places; messages of one channel keep their order.
    let mut written = written;
    written.sort_by(|(a, _), (b, _)| a.cmp(b));
    let of_one_channel =
        written.chunk_by(|(a, _), (b, _)| a == b).map(|messages| Ok((link.clone(), messages)));
    stream::iter(of_one_channel)
        .try_for_each_concurrent(AT_ONCE, async |(mut link, messages)| {
            for (channel, bytes) in messages {
                cmd("SPUBLISH").arg(channel).arg(bytes).exec_async(&mut link).await?;
            }
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::ControlMessage;
    use crate::domain::ids::UserId;

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_and_never_waits() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new(folder.path());
        let (outgoing, queue) = Outgoing::new(metrics.clone());
        let message = BusMessage::Control(ControlMessage::MembershipsChanged(UserId::generate()));
        (0..QUEUE + 5).for_each(|_| outgoing.send(message.clone()));
        assert_eq!(metrics.bus_messages_total.with_label_values(&["dropped"]).get(), 5);
        assert_eq!(queue.waiting.len(), QUEUE);
        assert_eq!(queue.bytes.load(Ordering::Relaxed), QUEUE * size_of::<Waiting>());
    }
}

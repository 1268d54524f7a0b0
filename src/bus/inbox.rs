//! The receiving end of the bus, the same for every implementation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, mpsc};

use super::message::BusMessage;

/// Most messages that wait for one node; further ones are dropped and told as [`Received::Lost`].
pub const INBOX_MESSAGES: usize = 4096;

/// The next thing a node is told by the bus.
#[derive(Clone, Debug)]
pub enum Received {
    /// A message of another node.
    Message(BusMessage),
    /// One or more messages did not arrive: every room of this node may lack events.
    Lost,
}

/// The messages that have arrived for one node, [`INBOX_MESSAGES`] at most.
#[derive(Debug)]
pub struct BusInbox {
    messages: mpsc::Receiver<BusMessage>,
    /// Arrived behind a loss that has to be told first.
    held: Option<BusMessage>,
    loss: Arc<Loss>,
}

/// The end of an inbox that an implementation of the bus puts messages into.
#[derive(Clone, Debug)]
pub struct InboxSender {
    messages: mpsc::Sender<BusMessage>,
    loss: Arc<Loss>,
}

#[derive(Debug, Default)]
struct Loss {
    noted: AtomicBool,
    wake: Notify,
}

impl Loss {
    fn take(&self) -> bool {
        self.noted.swap(false, Ordering::AcqRel)
    }
}

/// An empty inbox.
pub fn inbox() -> (InboxSender, BusInbox) {
    let (sender, messages) = mpsc::channel(INBOX_MESSAGES);
    let loss = Arc::<Loss>::default();
    (InboxSender { messages: sender, loss: loss.clone() }, BusInbox { messages, held: None, loss })
}

impl InboxSender {
    /// Puts a message in, or notes that one was lost. Never waits.
    pub fn deliver(&self, message: BusMessage) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.messages.try_send(message) {
            self.note_loss();
        }
    }

    /// Whether nobody receives any more.
    pub fn is_closed(&self) -> bool {
        self.messages.is_closed()
    }

    /// Notes that messages may not have arrived, as after a broken connection.
    pub fn note_loss(&self) {
        self.loss.noted.store(true, Ordering::Release);
        self.loss.wake.notify_one();
    }
}

impl BusInbox {
    /// Waits for the next message, or for the news that some were lost; `None` when the connection has ended. Can be dropped and
    /// called again without losing anything.
    pub async fn next(&mut self) -> Option<Received> {
        loop {
            if self.loss.take() {
                return Some(Received::Lost);
            }
            if let Some(message) = self.held.take() {
                return Some(Received::Message(message));
            }
            tokio::select! {
                () = self.loss.wake.notified() => {}
                message = self.messages.recv() => self.held = Some(message?),
            }
        }
    }
}

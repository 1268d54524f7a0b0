//! The bus: the port through which messages leave this node for the other nodes of the hub, and arrive from them.
//!
//! It makes things fast and nothing true: the store is the truth, and every message on the bus is either found there by itself
//! when it is lost (events by the rooms' watermark, those of the control room by its follower) or not worth finding
//! (ephemeral events). So the port promises little, and each implementation has to keep all of it
//! (`tests/bus_contract.rs`):
//!
//! 1. **At most once.** A message arrives once or not at all. A receiver that the bus knows to have missed something is given
//!    [`Received::Lost`], no later than the first message published after the missed one.
//! 2. **No echo.** A node never receives its own messages.
//! 3. **Order of one sender.** Messages of one node about one room arrive in the order in which they were published; so do its
//!    control messages. Nothing is promised between senders, rooms and kinds: receivers order events by their cursors.
//! 4. **By subscription.** Events and ephemeral events reach the nodes that were subscribed to their room when they were
//!    published; control messages reach every node.
//! 5. **Nobody waits.** Publishing and subscribing return at once, from any thread. What does not fit into a receiver's inbox
//!    ([`INBOX_MESSAGES`]) is dropped for that receiver alone.
//! 6. **Only nodes speak.** A message that arrives was published by a node of this hub, unchanged.
//! 7. **Health is what arrives.** [`Bus::health`] tells what was really delivered lately, not whether a connection is open.

mod in_process;
mod inbox;
mod keys;
mod message;
mod port;
mod redis;
mod settings;

pub use in_process::InProcessBus;
pub use inbox::{BusInbox, INBOX_MESSAGES, InboxSender, Received, inbox};
pub use keys::BusKeys;
pub use message::{BusMessage, ControlMessage};
pub use port::{Bus, BusHealth};
pub use redis::RedisBus;
pub use settings::{BusSettings, Settings};

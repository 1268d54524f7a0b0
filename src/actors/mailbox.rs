//! The one place that touches an actor's address. actix's `do_send` queues without bound, and drops silently once
//! the actor is gone; here both have a name.

use actix::dev::ToEnvelope;
use actix::prelude::{Actor, Addr, Context, Handler, Message, SendError};

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The mailbox has no room now.
    #[error("the mailbox is full")]
    Full,
    /// The actor is gone.
    #[error("the actor has stopped")]
    Gone,
}

/// An actor's mailbox, bounded by the capacity its context was started with.
pub(crate) struct Mailbox<A: Actor<Context = Context<A>>>(Addr<A>);

impl<A: Actor<Context = Context<A>>> Mailbox<A> {
    pub(crate) const fn new(addr: Addr<A>) -> Self {
        Self(addr)
    }

    /// Puts a message into the mailbox if there is room, and says so if there is none. Messages of one sender keep
    /// their order.
    pub(crate) fn offer<M>(&self, message: M) -> Result<(), NotTaken>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.0.try_send(message).map_err(|e| match e {
            SendError::Full(_) => NotTaken::Full,
            SendError::Closed(_) => NotTaken::Gone,
        })
    }

    /// Whether the actor still runs.
    pub(crate) fn is_open(&self) -> bool {
        self.0.connected()
    }
}

impl<A: Actor<Context = Context<A>>> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

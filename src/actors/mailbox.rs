//! Mailboxes of actors: the only file that holds an actor's address. actix's `do_send` queues without bound, and drops
//! silently once the actor has stopped; here both are errors.
#![expect(clippy::disallowed_methods, reason = "actors are started here")]

use std::sync::Arc;

use actix::dev::{ToEnvelope, channel};
use actix::prelude::{Actor, Addr, ArbiterHandle, Context, Handler, Message};

/// The reason a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The mailbox is at its capacity.
    #[error("the mailbox is full")]
    Full,
    /// The actor has stopped.
    #[error("the actor has stopped")]
    Closed,
}

/// An actor's mailbox, bounded by the capacity its context was started with and a message more. Clones share one address:
/// each address of its own may send one beyond the capacity before actix refuses, so that a fresh one is never refused.
pub(crate) struct Mailbox<A: Actor<Context = Context<A>>>(Arc<Addr<A>>);

impl<A: Actor<Context = Context<A>>> Mailbox<A> {
    pub(crate) fn new(addr: Addr<A>) -> Self {
        Self(Arc::new(addr))
    }

    /// Starts an actor on another thread. Its mailbox has this capacity from the first message on; actix's own way to start one
    /// there has sixteen places until that thread gets to it.
    pub(crate) fn start_in(arbiter: &ArbiterHandle, capacity: usize, actor: A) -> Self
    where
        A: Send,
    {
        let (sender, receiver) = channel::channel(capacity);
        // On a thread that is stopping, the receiver is dropped with the work, and the mailbox says that it is gone.
        let _ = arbiter.spawn_fn(move || {
            actix::spawn(Context::with_receiver(receiver).into_future(actor));
        });
        Self::new(Addr::new(sender))
    }

    /// Puts a message into the mailbox if there is room, and says so if there is none. Messages of one sender keep
    /// their order.
    pub(crate) fn offer<M>(&self, message: M) -> Result<(), SendError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.0.try_send(message).map_err(|e| match e {
            actix::prelude::SendError::Full(_) => SendError::Full,
            actix::prelude::SendError::Closed(_) => SendError::Closed,
        })
    }

    /// Whether the actor still runs.
    pub(crate) fn is_open(&self) -> bool {
        self.0.connected()
    }
}

impl<A: Actor<Context = Context<A>>> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use actix::prelude::WrapFuture as _;
    use actix::{ContextFutureSpawner as _, System};

    use super::*;

    struct Busy;

    impl Actor for Busy {
        type Context = Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            std::future::pending::<()>().into_actor(self).wait(ctx);
        }
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Work;

    impl Handler<Work> for Busy {
        type Result = ();

        fn handle(&mut self, _: Work, _: &mut Self::Context) {}
    }

    #[test]
    fn an_actor_on_a_busy_thread_has_its_whole_mailbox_before_it_has_begun() {
        System::new().block_on(async {
            let arbiter = actix::Arbiter::new();
            let (free, busy) = std::sync::mpsc::channel::<()>();
            arbiter.spawn_fn(move || assert!(busy.recv().is_err(), "it is let go"));
            let mailbox = Mailbox::start_in(&arbiter.handle(), 100, Busy);
            let taken = (0..1000).filter(|_| mailbox.clone().offer(Work).is_ok()).count();
            assert!((100..=101).contains(&taken), "{taken}");
            drop(free);
            arbiter.stop();
        });
    }

    #[test]
    fn a_full_mailbox_refuses_every_clone() {
        System::new().block_on(async {
            let mailbox = Mailbox::new(Busy::create(|ctx| {
                ctx.set_mailbox_capacity(4);
                Busy
            }));
            let taken = (0..100).filter(|_| mailbox.clone().offer(Work).is_ok()).count();
            assert!((4..=5).contains(&taken), "{taken}");
            assert_eq!(mailbox.clone().offer(Work), Err(SendError::Full));
        });
    }
}

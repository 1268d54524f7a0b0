//! Actors of which a node needs one: started again when they have panicked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::{Actor, ArbiterHandle, Context, Handler, Message};

use super::mailbox::{Mailbox, SendError};

/// Pause between looks at whether the actor still runs.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The mailbox of an actor that is made anew within a second after a panic, with nothing of what it knew. Cheap to clone.
pub(super) struct Kept<A: Actor<Context = Context<A>>>(Arc<Shared<A>>);

struct Shared<A: Actor<Context = Context<A>>> {
    mailbox: RwLock<Mailbox<A>>,
    stopped: AtomicBool,
}

impl<A: Actor<Context = Context<A>> + Send> Kept<A> {
    /// Starts the actor that `make` makes; `what` names it in the log.
    pub(super) fn start(
        arbiter: &ArbiterHandle,
        capacity: usize,
        what: &'static str,
        make: impl Fn() -> A + Send + 'static,
    ) -> Self {
        let mailbox = RwLock::new(Mailbox::start_in(arbiter, capacity, make()));
        let kept = Self(Arc::new(Shared { mailbox, stopped: AtomicBool::new(false) }));
        let (watched, on) = (kept.clone(), arbiter.clone());
        // On a thread that is stopping nothing is watched any more.
        let _ = arbiter.spawn(async move {
            while !watched.0.stopped.load(Ordering::Relaxed) {
                if !watched.mailbox().is_open() {
                    tracing::error!(what, "an actor panicked and begins again");
                    let again = Mailbox::start_in(&on, capacity, make());
                    *watched.0.mailbox.write().unwrap_or_else(PoisonError::into_inner) = again;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        kept
    }
}

impl<A: Actor<Context = Context<A>>> Kept<A> {
    fn mailbox(&self) -> Mailbox<A> {
        self.0.mailbox.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a message into the mailbox, as [`Mailbox::offer`] does.
    pub(super) fn offer<M>(&self, message: M) -> Result<(), SendError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.mailbox().offer(message)
    }

    /// Lets the actor end for good; it is to be told to.
    pub(super) fn let_go(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}

impl<A: Actor<Context = Context<A>>> Clone for Kept<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use actix::{Arbiter, System};

    use super::*;

    struct Fragile;

    impl Actor for Fragile {
        type Context = Context<Self>;
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Break;

    impl Handler<Break> for Fragile {
        type Result = ();

        fn handle(&mut self, _: Break, _: &mut Self::Context) {
            panic!("on purpose");
        }
    }

    #[test]
    fn an_actor_that_panics_is_made_anew() {
        System::new().block_on(async {
            let (arbiter, made) = (Arbiter::new(), Arc::new(AtomicU32::new(0)));
            let counted = made.clone();
            let kept = Kept::start(&arbiter.handle(), 4, "a fragile actor", move || {
                counted.fetch_add(1, Ordering::SeqCst);
                Fragile
            });
            kept.offer(Break).unwrap();
            let mut looks = tokio::time::interval(Duration::from_millis(5));
            let again = async {
                while made.load(Ordering::SeqCst) < 2 {
                    looks.tick().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), again).await.expect("it is made again");
            kept.let_go();
            arbiter.stop();
        });
    }
}

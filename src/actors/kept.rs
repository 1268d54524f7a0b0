//! Actors of which a node needs one: started again when they have panicked, or stand still.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::{Actor, ArbiterHandle, Context, Handler, Message};

use crate::telemetry::Metrics;

use super::mailbox::{Mailbox, SendError};
use super::pulse::{Pulse, Silence};

/// How an actor is watched.
#[derive(Clone, Copy, Debug)]
struct Watch {
    /// Pause between looks at whether it still runs.
    look_every: Duration,
    /// Looks without a sign of life after which it is made anew.
    hung_after: u32,
}

/// Two minutes are longer than anything that an actor waits for may take.
const WATCH: Watch = Watch { look_every: Duration::from_secs(1), hung_after: 120 };

/// The mailbox of an actor that is made anew within a second after a panic, or when it has given no sign of life for two minutes,
/// with nothing of what it knew. Cheap to clone.
pub(super) struct Kept<A: Actor<Context = Context<A>>>(Arc<Shared<A>>);

struct Shared<A: Actor<Context = Context<A>>> {
    mailbox: RwLock<Mailbox<A>>,
    stopped: AtomicBool,
}

impl<A: Actor<Context = Context<A>> + Send> Kept<A> {
    /// Starts the actor that `make` makes, which beats whenever it waits for nothing, if it beats at all; `what` names it in
    /// the log.
    pub(super) fn start(
        arbiter: &ArbiterHandle,
        capacity: usize,
        what: &'static str,
        metrics: Metrics,
        make: impl Fn(Pulse) -> A + Send + 'static,
    ) -> Self {
        Self::start_watched(arbiter, capacity, what, WATCH, metrics, make)
    }

    fn start_watched(
        arbiter: &ArbiterHandle,
        capacity: usize,
        what: &'static str,
        watch: Watch,
        metrics: Metrics,
        make: impl Fn(Pulse) -> A + Send + 'static,
    ) -> Self {
        let (mut pulse, mut silence) = (Pulse::default(), Silence::default());
        let mailbox = RwLock::new(Mailbox::start_in(arbiter, capacity, make(pulse.clone())));
        let kept = Self(Arc::new(Shared { mailbox, stopped: AtomicBool::new(false) }));
        let (watched, on) = (kept.clone(), arbiter.clone());
        // On a thread that is stopping nothing is watched any more.
        let _ = arbiter.spawn(async move {
            while !watched.0.stopped.load(Ordering::Relaxed) {
                let is_hung = silence.look(&pulse) >= watch.hung_after;
                if is_hung {
                    tracing::error!(actor = what, "an actor stands still: another one takes its place");
                    metrics.actors_hung_total.with_label_values(&[what]).inc();
                } else if !watched.mailbox().is_open() {
                    tracing::error!(actor = what, "an actor panicked and begins again");
                } else {
                    tokio::time::sleep(watch.look_every).await;
                    continue;
                }
                pulse.replace();
                (pulse, silence) = (Pulse::default(), Silence::default());
                let again = Mailbox::start_in(&on, capacity, make(pulse.clone()));
                *watched.0.mailbox.write().unwrap_or_else(PoisonError::into_inner) = again;
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

    /// Beats once and waits for ever; ends when it is told that it was replaced.
    struct Hanging(Pulse);

    impl Actor for Hanging {
        type Context = Context<Self>;

        fn started(&mut self, _: &mut Self::Context) {
            self.0.beat();
        }
    }

    #[test]
    fn an_actor_that_gives_no_sign_of_life_is_replaced_and_told_so() {
        System::new().block_on(async {
            let (arbiter, folder) = (Arbiter::new(), tempfile::tempdir().unwrap());
            let metrics = Metrics::new(folder.path());
            let watch = Watch { look_every: Duration::from_millis(5), hung_after: 3 };
            let (made, mut pulses) = tokio::sync::mpsc::channel(8);
            let make = move |pulse: Pulse| {
                let _ = made.try_send(pulse.clone());
                Hanging(pulse)
            };
            let (handle, counted) = (arbiter.handle(), metrics.clone());
            let kept = Kept::start_watched(&handle, 4, "an actor that hangs", watch, counted, make);
            let first = pulses.recv().await.unwrap();
            let again = tokio::time::timeout(Duration::from_secs(20), pulses.recv()).await;
            again.expect("another one is made").unwrap();
            assert!(first.is_replaced());
            assert!(metrics.actors_hung_total.with_label_values(&["an actor that hangs"]).get() > 0);
            kept.let_go();
            arbiter.stop();
        });
    }

    #[test]
    fn an_actor_that_panics_is_made_anew() {
        System::new().block_on(async {
            let (arbiter, made) = (Arbiter::new(), Arc::new(AtomicU32::new(0)));
            let counted = made.clone();
            let folder = tempfile::tempdir().unwrap();
            let metrics = Metrics::new(folder.path());
            let kept = Kept::start(&arbiter.handle(), 4, "a fragile actor", metrics, move |_| {
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

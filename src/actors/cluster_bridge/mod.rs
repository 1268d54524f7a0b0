//! The bridge from the bus to this node: what other nodes publish reaches the rooms, caches and sockets here.

mod actor;
mod effects;
mod messages;
mod settings;
mod state;

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::ArbiterHandle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::bus::{BusInbox, Received};

use super::mailbox::Mailbox;
use actor::BridgeActor;
use messages::Hear;
use settings::BridgeSettings;
use state::{AfterPanic, BridgeState};

pub use effects::{BusEffects, BusListener};

/// Messages in the actor's mailbox: it is given the next one when it is done with the one before. The others wait in the inbox.
const MAILBOX: usize = 1;

/// Obeys the messages of other nodes one after the other. Made anew after a panic, with all rooms compared; after several in a short time
/// it stays off, and the hub runs as without a bus.
pub struct ClusterBridge {
    inbox: BusInbox,
    arbiter: ArbiterHandle,
    listener: Arc<dyn BusListener>,
    state: BridgeState,
}

impl ClusterBridge {
    /// Runs on this arbiter until it is stopped or the bus has ended.
    pub fn start(
        arbiter: &ArbiterHandle,
        inbox: BusInbox,
        listener: Arc<dyn BusListener>,
        stop: CancellationToken,
    ) {
        let state = BridgeState::new(BridgeSettings::default());
        let bridge = Self { inbox, arbiter: arbiter.clone(), listener, state };
        // On a thread that is stopping nothing is heard any more.
        let _ = arbiter.spawn(async move {
            stop.run_until_cancelled(bridge.run()).await;
        });
    }

    async fn run(mut self) {
        let mut actor = self.make();
        while let Some(received) = self.inbox.next().await {
            if hand_over(&actor, received).await {
                continue;
            }
            match self.state.on_panic(Instant::now()) {
                AfterPanic::Rebuild => tracing::error!("the bridge to other nodes panicked and begins again"),
                AfterPanic::StayOff => {
                    tracing::error!(
                        "the bridge to other nodes panicked again and stays off: events of other nodes come by the database"
                    );
                    self.listener.lost();
                    return;
                }
            }
            actor = self.make();
            self.listener.lost();
        }
    }

    fn make(&self) -> Mailbox<BridgeActor> {
        Mailbox::start_in(&self.arbiter, MAILBOX, BridgeActor::new(self.listener.clone()))
    }
}

/// Whether the actor has done what it was given; it has not when it panicked.
async fn hand_over(actor: &Mailbox<BridgeActor>, received: Received) -> bool {
    let (done, answer) = oneshot::channel();
    actor.offer(Hear { received, done }).is_ok() && answer.await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use actix::{Arbiter, System};

    use super::*;
    use crate::bus::{BusMessage, ControlMessage, inbox};
    use crate::domain::ids::UserId;

    /// Panics at each message.
    #[derive(Default)]
    struct Fragile {
        heard: AtomicU32,
        lost: AtomicU32,
    }

    impl BusListener for Fragile {
        fn obey(&self, _: BusMessage) {
            self.heard.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose");
        }

        fn lost(&self) {
            self.lost.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_bridge_that_panics_compares_all_rooms_and_the_third_time_stays_off() {
        System::new().block_on(async {
            let (sender, receiver) = inbox();
            let listener = Arc::<Fragile>::default();
            ClusterBridge::start(&Arbiter::current(), receiver, listener.clone(), CancellationToken::new());
            let message = BusMessage::Control(ControlMessage::MembershipsChanged(UserId::generate()));
            (0..9).for_each(|_| sender.deliver(message.clone()));
            let off = async {
                while !sender.is_closed() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), off).await.expect("it stays off");
            assert_eq!((listener.heard.load(Ordering::SeqCst), listener.lost.load(Ordering::SeqCst)), (3, 3));
        });
    }
}

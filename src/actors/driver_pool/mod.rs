//! Pools of drivers: one actor for each zone in which a driver was wanted lately. A pool knows who is on, where, and what they carry, and
//! proposes whom to ask. Whatever it believes can be wrong or lost: offers are opened by the rows of the store, and a look that comes to
//! nothing comes again.

mod actor;
mod member;
mod messages;
mod settings;
mod state;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use actix::prelude::ArbiterHandle;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::domain::dispatch::{DispatchRules, Position};
use crate::domain::ids::UserId;
use crate::storage::Store;
use crate::storage::commands::{Committed, LookAgain, LookDue};

use super::mailbox::{Mailbox, SendError};
use super::persistence::Persistence;
use actor::{PoolActor, PoolDeps};
use messages::PoolMessage;
use settings::{LOOKS_AGAIN_AT_ONCE, MAILBOX, MAX_POOLS};

pub use settings::{DispatchSettings, rules};
pub use watch::PoolWatch;

/// The handle to the pools of this node. Cheap to clone, safe to use from any thread; nothing here waits. It is silent until it is started.
#[derive(Clone)]
pub struct DriverPools(Arc<Shared>);

struct Shared {
    pools: Mutex<HashMap<String, Pool>>,
    running: OnceLock<Running>,
    /// Notified when rows of drivers are to be read.
    changed: Notify,
    looks_again: Arc<Semaphore>,
    stopped: CancellationToken,
}

struct Running {
    arbiter: ArbiterHandle,
    deps: PoolDeps,
}

struct Pool {
    mailbox: Mailbox<PoolActor>,
    /// Counts the looks of all pools: the least is the pool that was wanted least recently.
    wanted: u64,
}

impl Default for DriverPools {
    fn default() -> Self {
        Self(Arc::new(Shared {
            pools: Mutex::default(),
            running: OnceLock::new(),
            changed: Notify::new(),
            looks_again: Arc::new(Semaphore::new(LOOKS_AGAIN_AT_ONCE)),
            stopped: CancellationToken::new(),
        }))
    }
}

impl DriverPools {
    /// Lets pools start on this arbiter; a second call changes nothing.
    pub fn start(
        &self,
        arbiter: &ArbiterHandle,
        store: Arc<dyn Store>,
        persistence: Persistence,
        bus: Arc<dyn Bus>,
        rules: DispatchRules,
    ) {
        let deps = PoolDeps { store, persistence, bus, rules: Arc::new(rules) };
        let _ = self.0.running.set(Running { arbiter: arbiter.clone(), deps });
    }

    /// Ends all pools.
    pub fn stop(&self) {
        self.0.stopped.cancel();
        for (_, pool) in self.pools().drain() {
            let _ = pool.mailbox.offer(PoolMessage::Stop);
        }
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<String, Pool>> {
        self.0.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pools of this node.
    pub fn count(&self) -> usize {
        self.pools().len()
    }

    /// Passes on what a commit of this node has left to do for drivers.
    pub(in crate::actors) fn committed(&self, committed: &Committed) {
        for written in &committed.drivers {
            self.tell_all(&written.driver.zones, || PoolMessage::Now(Box::new(written.clone())));
        }
        if !committed.drivers.is_empty() {
            self.0.changed.notify_one();
        }
        for look in &committed.looks {
            self.look(look.clone());
        }
        for again in &committed.look_again {
            self.look_again(*again);
        }
    }

    /// An offer to a driver was opened by a commit of this node. Every pool hears it: the event names the driver alone, whose zones this node
    /// may not know, and to a pool that has no such driver it costs one look into a map.
    pub(in crate::actors) fn asked(&self, driver: UserId) {
        self.tell_every(|| PoolMessage::Asked(driver));
    }

    /// An offer to a driver is over.
    pub(in crate::actors) fn unasked(&self, driver: UserId) {
        self.tell_every(|| PoolMessage::Unasked(driver));
    }

    /// A driver is somewhere else.
    pub(in crate::actors) fn moved(&self, driver: UserId, position: Position, zones: &[String]) {
        self.tell_all(zones, || PoolMessage::Moved(driver, position));
    }

    fn tell_all(&self, zones: &[String], message: impl Fn() -> PoolMessage) {
        let pools = self.pools();
        for (zone, pool) in zones.iter().filter_map(|zone| pools.get_key_value(zone)) {
            log_lost(zone, pool.mailbox.offer(message()));
        }
    }

    fn tell_every(&self, message: impl Fn() -> PoolMessage) {
        for (zone, pool) in self.pools().iter() {
            log_lost(zone, pool.mailbox.offer(message()));
        }
    }

    /// Asks the pool of the zone, which is started if there is none.
    fn look(&self, look: LookDue) {
        let Some(running) = self.0.running.get() else { return };
        let (zone, mut pools) = (look.zone.clone(), self.pools());
        let wanted = pools.values().map(|pool| pool.wanted).max().unwrap_or(0) + 1;
        if !pools.get(&zone).is_some_and(|pool| pool.mailbox.is_open()) {
            make_room(&mut pools);
            let actor = PoolActor::new(zone.clone(), running.deps.clone());
            let mailbox = Mailbox::start_in(&running.arbiter, MAILBOX, actor);
            pools.insert(zone.clone(), Pool { mailbox, wanted });
        }
        if let Some(pool) = pools.get_mut(&zone) {
            pool.wanted = wanted;
            // The look comes again in ten seconds.
            log_lost(&zone, pool.mailbox.offer(PoolMessage::Look(Box::new(look))));
        }
    }

    /// Writes that a search is to look at once. One beyond the bound is left to the end of its offers.
    fn look_again(&self, again: LookAgain) {
        let Some(running) = self.0.running.get() else { return };
        let Ok(permit) = self.0.looks_again.clone().try_acquire_owned() else { return };
        let persistence = running.deps.persistence.clone();
        let _ = running.arbiter.spawn(async move {
            if let Err(error) = persistence.write(again).await {
                tracing::debug!(%error, order = %again.order, "a search goes on when its offers end");
            }
            drop(permit);
        });
    }
}

/// The pool that was wanted least recently makes room.
fn make_room(pools: &mut HashMap<String, Pool>) {
    pools.retain(|_, pool| pool.mailbox.is_open());
    if pools.len() < MAX_POOLS {
        return;
    }
    let oldest = pools.iter().min_by_key(|(_, pool)| pool.wanted).map(|(zone, _)| zone.clone());
    if let Some(pool) = oldest.and_then(|zone| pools.remove(&zone)) {
        let _ = pool.mailbox.offer(PoolMessage::Stop);
    }
}

fn log_lost(zone: &str, sent: Result<(), SendError>) {
    if let Err(error) = sent {
        tracing::debug!(zone, %error, "a message to the pool of a zone was lost");
    }
}

#[cfg(test)]
mod tests;

//! What acts on orders when their time has come: sagas, the sweep, the dispatcher of intents, the worker of money, and the pools of drivers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::actors::FatalSignal;
use crate::actors::deadlines::Deadlines;
use crate::actors::driver_pool::{DriverPools, PoolWatch};
use crate::actors::intents::Intents;
use crate::actors::money::Money;
use crate::actors::order_lives::OrderLives;
use crate::actors::order_saga::OrderSagas;
use crate::actors::persistence::Persistence;
use crate::actors::room::Rooms;
use crate::actors::settings::{SagaSettings, clocks, dispatch_rules};
use crate::actors::sweep::DeadlineSweep;
use crate::bus::Bus;
use crate::config::Settings;
use crate::domain::dispatch::DispatchRules;
use crate::domain::saga::Clocks;
use crate::domain::time::Timestamp;
use crate::outbound::{Channels, Payments};
use crate::storage::Store;
use crate::storage::cache::CurrentHolds;
use crate::telemetry::Metrics;

/// The timers of a hub. Cheap to clone.
#[derive(Clone)]
pub struct OrderTimers {
    store: Arc<dyn Store>,
    deadlines: Deadlines,
    sagas: OrderSagas,
    intents: Intents,
    money: Money,
    pools: DriverPools,
    sweep: Arc<OnceLock<DeadlineSweep>>,
}

impl OrderTimers {
    /// Timers that wait for the writers.
    pub(super) fn new(store: Arc<dyn Store>, settings: &SagaSettings) -> Self {
        let deadlines = Deadlines::new(store.clone());
        let sagas = OrderSagas::start(deadlines.clone(), settings);
        let (intents, money, pools) = (Intents::default(), Money::default(), DriverPools::default());
        Self { store, deadlines, sagas, intents, money, pools, sweep: Arc::default() }
    }

    /// What the writers tell of their commits.
    pub(super) fn lives(&self, rooms: Rooms, metrics: Metrics) -> OrderLives {
        OrderLives::new(self.sagas.clone(), self.intents.clone(), self.money.clone(), rooms, metrics)
    }

    /// The pools of drivers.
    pub(super) fn pools(&self) -> DriverPools {
        self.pools.clone()
    }

    /// Begins to search for drivers, by these writers.
    pub(super) fn start_pools(
        &self,
        persistence: &Persistence,
        bus: Arc<dyn Bus>,
        rules: DispatchRules,
        metrics: Metrics,
    ) {
        let (arbiter, store) = (self.sagas.arbiter(), self.store.clone());
        self.pools.start(&arbiter, store.clone(), persistence.clone(), bus, rules);
        // On a thread that is stopping nothing is watched any more.
        let _ = arbiter.spawn(PoolWatch::new(self.pools.clone(), store, metrics).run());
    }

    /// Begins to act, by these writers.
    pub(super) fn start(
        &self,
        persistence: &Persistence,
        channels: Channels,
        payments: Payments,
        holds: CurrentHolds,
        metrics: Metrics,
    ) {
        let arbiter = self.sagas.arbiter();
        self.deadlines.write_through(persistence.clone());
        self.sweep.get_or_init(|| DeadlineSweep::start(&arbiter, self.deadlines.clone(), metrics.clone()));
        self.intents.start(&arbiter, self.store.clone(), persistence.clone(), channels, metrics.clone());
        self.money.start(&arbiter, self.store.clone(), persistence.clone(), payments, holds, metrics);
    }

    /// Lets their thread give signs of life.
    pub(super) fn give_signs_of_life(&self, fatal: &FatalSignal) {
        // A thread that is stopping need not.
        let _ = self.sagas.arbiter().spawn(fatal.pulse("the thread of sagas").of_this_thread());
    }

    /// Ends them; what is due stays so in the store.
    pub(super) fn stop(&self) {
        if let Some(sweep) = self.sweep.get() {
            sweep.stop();
        }
        self.pools.stop();
        self.money.stop();
        self.intents.stop();
        self.sagas.stop();
    }

    /// Sagas that wait for a deadline on this node.
    pub fn sagas(&self) -> usize {
        self.sagas.count()
    }

    /// The store's time.
    pub fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    /// Moves the store's clock ahead, for tests, and lets what is due by then be fired. Time without a commit is an outage, as it would
    /// be if it had gone by.
    pub fn advance(&self, by: Duration) {
        self.store.clock().advance(by);
        self.sagas.clock_moved(by);
        self.money.due();
        if let Some(sweep) = self.sweep.get() {
            sweep.now();
        }
    }
}

/// The clocks by which orders live.
pub(super) fn order_clocks(settings: &Settings) -> Clocks {
    let unpaid = Duration::from_secs(settings.outbound.payments.unpaid_s);
    let dispatch = dispatch_rules(&settings.actors.dispatch, settings.http.drivers.max_capacity);
    Clocks { dispatch, ..clocks(&settings.actors.alerts, &settings.actors.sagas, unpaid) }
}

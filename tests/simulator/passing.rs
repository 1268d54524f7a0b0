//! Time that passes: what happens by itself in it, the ends and starts of the hub, and the rest at the end.

use std::time::Duration;

use bellhop::domain::time::Timestamp;

use crate::money::Work;
use crate::owed;
use crate::random::Random;
use crate::world::{Timer, World};

/// Half days after an evening until money has come to rest at the latest.
const MOST_DAYS: u32 = 20;

/// Something that happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// What was on its way is there.
    Arrives(usize),
    /// A deadline of an order has come.
    Fires(usize),
    /// The worker has something to do.
    Works(Work),
}

impl World {
    /// Lets time pass: what is on its way arrives, and while the hub is up its clocks fire and its worker works, a little late.
    pub(crate) fn wait(&mut self, time: Duration, random: &mut Random) {
        let until = self.now.plus(time);
        while let Some((due, next)) = self.next_event().filter(|(due, _)| *due <= until) {
            let late = Duration::from_millis(random.between(0, 1500));
            self.now = self.now.max(due.plus(if self.up { late } else { Duration::ZERO }));
            if self.up {
                // In between the hub showed signs of life.
                self.breathe();
            }
            match next {
                Event::Arrives(n) => {
                    let happening = self.traffic.take(n);
                    self.happen(happening, random);
                }
                Event::Fires(order) => {
                    let attempt = self.orders[order].row.attempt;
                    self.fire(Timer { order, attempt });
                    if random.chance(5) {
                        self.fire(Timer { order, attempt });
                    }
                }
                Event::Works(work) => self.work(work, random),
            }
        }
        self.now = self.now.max(until);
        if self.up {
            self.breathe();
        }
        self.timers.retain(|_| random.chance(80));
    }

    /// What happens next by itself, and when.
    fn next_event(&self) -> Option<(Timestamp, Event)> {
        let arrives = self.traffic.next().map(|(at, n)| (at, Event::Arrives(n)));
        if !self.up {
            return arrives;
        }
        let rows = self.orders.iter().enumerate();
        let fires = rows.filter_map(|(n, live)| Some((live.row.due_at?, Event::Fires(n)))).min();
        let works = self.next_work().map(|(at, work)| (at, Event::Works(work)));
        [arrives, fires, works].into_iter().flatten().min()
    }

    /// The hub is gone, and with it everything that it had in memory.
    pub(crate) fn crash(&mut self) {
        self.note(|| "the hub is away".to_owned());
        self.up = false;
        self.timers.clear();
        self.pool = None;
        self.traffic.crash();
        self.seen.crashes += 1;
    }

    /// The heartbeat that a hub had that was up all the time.
    fn breathe(&mut self) {
        let before = self.now.minus(Duration::from_secs(5));
        self.committed_at = self.committed_at.max(before);
        self.life.alive_at = self.life.alive_at.max(Some(before));
        self.hear_riders();
    }

    /// The hub comes back, and fires what is overdue.
    pub(crate) fn start(&mut self) {
        (self.up, self.up_since) = (true, self.now);
        self.commit();
        for order in 0..self.orders.len() {
            let row = &self.orders[order].row;
            if row.due_at.is_some_and(|due| due <= self.now) {
                let attempt = row.attempt;
                self.fire(Timer { order, attempt });
            }
        }
    }

    /// Nobody begins anything for some hours, and nothing goes wrong.
    pub(crate) fn rest(&mut self, random: &mut Random) {
        self.be_calm(random);
        self.wait(Duration::from_secs(6 * 3600), random);
        owed::check_rest(self, false);
        self.traffic.provider.is_calm = false;
        self.seen.rests += 1;
    }

    fn be_calm(&mut self, random: &mut Random) {
        self.ended.clear();
        self.traffic.provider.is_calm = true;
        self.traffic.provider.silent_until = None;
        for shop in &mut self.shops {
            shop.holds.clear();
        }
        if !self.up {
            self.start();
        }
        self.wait(Duration::ZERO, random);
    }

    /// Nobody does anything any more, until every clock has run out and every refund has arrived or was given by hand.
    pub(crate) fn run_out(&mut self, random: &mut Random) {
        self.be_calm(random);
        self.clear_up(random);
        self.clear_up_deliveries(random);
        self.wait(Duration::from_secs(6 * 3600), random);
        for half_days in 0..MOST_DAYS {
            let is_over = |n: usize| self.orders[n].row.due_at.is_none() && self.is_at_rest(n);
            // Once more at least: messages that came in the wrong order wait for an operator.
            if half_days > 0 && self.traffic.next().is_none() && (0..self.orders.len()).all(is_over) {
                break;
            }
            self.clear_up(random);
            self.clear_up_deliveries(random);
            self.wait(Duration::from_secs(12 * 3600), random);
        }
    }
}

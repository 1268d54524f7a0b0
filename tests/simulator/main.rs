//! The life of orders under a clock that the test owns: people who answer late, twice or never, devices that come and go, clocks
//! that are set, holds, pauses, crashes between any two steps, and outages of minutes. Of their deliveries: drivers who race, decline, sleep,
//! vanish and come back with steps of an hour ago, looks that are lost and waves that come late or twice, and operators who take and give.
//! And of their money: messages of a payment provider
//! that come twice, late or never, a provider that times out, forgets keys and changes its mind days later, two tabs, a till, and
//! people who give money back by hand and elsewhere. After each step every promise is looked at again, and whenever everything has
//! come to rest the sum: what was captured and has not gone back is what the order owes.
//!
//! `BELLHOP_SEED=<n>` replays one evening and prints its steps; `BELLHOP_SEEDS=<n>` plays as many.

mod carried;
mod counted;
mod driving;
mod firing;
mod hands;
mod inbox;
mod invariants;
mod money;
mod owed;
mod passing;
mod pausing;
mod payers;
mod people;
mod provider;
mod random;
mod refunding;
mod riders;
mod riding;
mod shop;
mod streets;
mod traffic;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use counted::Counted;
use invariants::Watch;
use random::Random;
use world::World;

/// Evenings of an ordinary run; it takes some seconds.
const SEEDS: u64 = 600;

/// Steps of one evening.
const STEPS: u64 = 120;

/// Threads that play evenings.
const THREADS: u64 = 2;

/// Evenings of 100 in which everything comes to rest in between too.
const RESTS: u64 = 30;

/// Plays one evening to its end.
fn play(seed: u64, traced: bool, counted: &Counted) {
    let mut random = Random::new(seed);
    let mut world = World::new(&mut random, traced);
    let mut watch = Watch::new(&world);
    let rests_at = random.chance(RESTS).then(|| random.below(STEPS));
    for step in 0..STEPS {
        people::step(&mut world, &mut random);
        watch.check(&world);
        if rests_at == Some(step) {
            world.rest(&mut random);
            watch.check(&world);
        }
    }
    world.run_out(&mut random);
    watch.check(&world);
    invariants::check_end(&world);
    owed::check_rest(&world, true);
    counted.add(&world);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn orders_live_by_themselves_whatever_happens() {
    let counted = Counted::default();
    if let Some(seed) = number("BELLHOP_SEED") {
        play(seed, true, &counted);
        return;
    }
    let seeds = number("BELLHOP_SEEDS").unwrap_or(SEEDS);
    let (next, began) = (AtomicU64::new(0), Instant::now());
    let failed = AtomicU64::new(u64::MAX);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while failed.load(Ordering::Relaxed) == u64::MAX {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    if catch_unwind(AssertUnwindSafe(|| play(seed, false, &counted))).is_err() {
                        failed.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    if failed != u64::MAX {
        println!("seed {failed} fails; its steps:");
        play(failed, true, &counted);
        panic!("seed {failed} failed and does not fail again: replay it with BELLHOP_SEED={failed}");
    }
    println!("{seeds} seeds in {:.1} s: {counted}", began.elapsed().as_secs_f64());
    let never = counted.never(seeds);
    assert!(never.is_empty(), "never happened: {never:?}");
}

#[test]
fn a_seed_plays_the_same_evening_again() {
    let evening = |seed| {
        let mut random = Random::new(seed);
        let mut world = World::new(&mut random, true);
        for _ in 0..STEPS {
            people::step(&mut world, &mut random);
        }
        world.steps
    };
    assert_eq!(evening(7), evening(7));
    assert_ne!(evening(7), evening(8));
}

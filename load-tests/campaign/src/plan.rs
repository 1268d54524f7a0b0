//! The faults of a campaign: what goes wrong, when and for how long, as it follows from the seed.

use std::fmt;
use std::time::Duration;

use bellhop_client::Rng;

/// What goes wrong on the way between one hub and a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetworkFault {
    /// Everything is late by this much.
    Delay(Duration),
    /// Connections are made and nothing passes, nothing is lost.
    BlackHole,
    /// Every connection is reset, also every new one.
    Refuse,
    /// Connections that are open now are reset; new ones are served.
    Cut,
    /// Connections that are open now say nothing any more and look alive; new ones are served.
    HalfOpen,
    /// Every second COMMIT happens and its answer is lost.
    CommitAnswersLost,
    /// Every second COMMIT is lost before the server has heard of it.
    CommitsLost,
    /// Messages of subscriptions are lost, everything else passes.
    SwallowMessages,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Postgres(usize, NetworkFault),
    Redis(usize, NetworkFault),
    /// The hub is ended without a word, and started again afterwards.
    Kill(usize),
    /// The hub is told to stop, and started again afterwards.
    Stop(usize),
    /// The hub stands still, keeps all its connections, and goes on afterwards.
    Freeze(usize),
    /// Redis forgets everything.
    RedisFlushed,
    /// Redis ends for every hub: its connections are reset and none is accepted.
    RedisAway,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(node, fault) => write!(f, "hub {node}, Postgres: {fault:?}"),
            Self::Redis(node, fault) => write!(f, "hub {node}, Redis: {fault:?}"),
            Self::Kill(node) => write!(f, "hub {node}: killed"),
            Self::Stop(node) => write!(f, "hub {node}: stopped"),
            Self::Freeze(node) => write!(f, "hub {node}: frozen"),
            Self::RedisFlushed => f.write_str("Redis flushed"),
            Self::RedisAway => f.write_str("Redis away for every hub"),
        }
    }
}

/// A fault and its time, from the beginning of the campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

/// Circumstances that faults are drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    pub(crate) nodes: usize,
    pub(crate) redis: bool,
    /// No fault begins or lasts beyond this.
    pub(crate) length: Duration,
}

/// The faults of a campaign by their time. Networks and processes fail independently of each other, so that two hubs may be in trouble at
/// once; the same seed gives the same faults.
pub(crate) fn draw(stage: Stage, rng: &mut Rng) -> Vec<Planned> {
    let mut networks = rng.fork();
    let mut processes = rng.fork();
    let mut all = track(stage, &mut networks, network);
    all.extend(track(stage, &mut processes, process));
    all.sort_by_key(|planned| planned.at);
    all
}

type Draw = fn(Stage, &mut Rng) -> (Fault, Duration);

/// One fault after the other, with a few seconds of rest between them.
fn track(stage: Stage, rng: &mut Rng, draw: Draw) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut at = rng.millis(2_000, 5_000);
    loop {
        let (fault, lasts) = draw(stage, rng);
        if at + lasts > stage.length {
            return planned;
        }
        planned.push(Planned { at, lasts, fault });
        at += lasts + rng.millis(1_500, 6_000);
    }
}

fn network(stage: Stage, rng: &mut Rng) -> (Fault, Duration) {
    let node = rng.below(stage.nodes);
    if stage.redis && rng.percent(45.0) {
        let (fault, lasts) = match rng.below(12) {
            0..4 => (Fault::Redis(node, NetworkFault::SwallowMessages), rng.millis(3_000, 15_000)),
            4 => (Fault::Redis(node, NetworkFault::Delay(rng.millis(20, 400))), rng.millis(3_000, 12_000)),
            5 => (Fault::Redis(node, NetworkFault::BlackHole), rng.millis(2_000, 12_000)),
            6 => (Fault::Redis(node, NetworkFault::Cut), rng.millis(500, 1_000)),
            7 => (Fault::Redis(node, NetworkFault::HalfOpen), rng.millis(2_000, 15_000)),
            8 => (Fault::Redis(node, NetworkFault::Refuse), rng.millis(1_000, 10_000)),
            9 | 10 => (Fault::RedisAway, rng.millis(3_000, 20_000)),
            _ => (Fault::RedisFlushed, rng.millis(500, 1_000)),
        };
        return (fault, lasts);
    }
    let (fault, lasts) = match rng.below(10) {
        0 | 1 => (NetworkFault::CommitAnswersLost, rng.millis(2_000, 6_000)),
        2 => (NetworkFault::CommitsLost, rng.millis(2_000, 6_000)),
        3 | 4 => (NetworkFault::Delay(rng.millis(5, 120)), rng.millis(3_000, 10_000)),
        5 | 6 => (NetworkFault::BlackHole, rng.millis(1_000, 8_000)),
        7 => (NetworkFault::Cut, rng.millis(500, 1_000)),
        8 => (NetworkFault::HalfOpen, rng.millis(1_000, 6_000)),
        _ => (NetworkFault::Refuse, rng.millis(1_000, 6_000)),
    };
    (Fault::Postgres(node, fault), lasts)
}

fn process(stage: Stage, rng: &mut Rng) -> (Fault, Duration) {
    let node = rng.below(stage.nodes);
    match rng.below(5) {
        0 | 1 => (Fault::Kill(node), rng.millis(200, 8_000)),
        2 | 3 => (Fault::Stop(node), rng.millis(6_000, 14_000)),
        _ => (Fault::Freeze(node), rng.millis(1_000, 20_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: Stage = Stage { nodes: 3, redis: true, length: Duration::from_secs(600) };

    #[test]
    fn a_seed_gives_the_same_faults_again_and_another_seed_others() {
        let of = |seed| draw(STAGE, &mut Rng::new(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn ten_minutes_have_every_kind_of_fault_in_order_and_in_time() {
        let planned: Vec<Planned> = (1..=3).flat_map(|seed| draw(STAGE, &mut Rng::new(seed))).collect();
        let has =
            |is_it: &dyn Fn(&Fault) -> bool| assert!(planned.iter().any(|planned| is_it(&planned.fault)));
        for kind in [
            NetworkFault::BlackHole,
            NetworkFault::Refuse,
            NetworkFault::Cut,
            NetworkFault::HalfOpen,
            NetworkFault::CommitAnswersLost,
            NetworkFault::CommitsLost,
        ] {
            has(&|fault| matches!(fault, Fault::Postgres(_, found) if *found == kind));
        }
        has(&|fault| matches!(fault, Fault::Redis(_, NetworkFault::SwallowMessages)));
        has(&|fault| matches!(fault, Fault::Redis(_, NetworkFault::HalfOpen)));
        has(&|fault| matches!(fault, Fault::Kill(_)));
        has(&|fault| matches!(fault, Fault::Stop(_)));
        has(&|fault| matches!(fault, Fault::Freeze(_)));
        has(&|fault| matches!(fault, Fault::RedisFlushed));
        has(&|fault| matches!(fault, Fault::RedisAway));
        let one = draw(STAGE, &mut Rng::new(1));
        assert!(one.is_sorted_by_key(|planned| planned.at) && one.len() > 60, "{}", one.len());
        assert!(one.iter().all(|planned| planned.at + planned.lasts <= STAGE.length));
    }

    #[test]
    fn without_redis_no_fault_needs_it() {
        let planned = draw(Stage { redis: false, ..STAGE }, &mut Rng::new(1));
        let needs =
            |fault: &Fault| matches!(fault, Fault::Redis(..) | Fault::RedisFlushed | Fault::RedisAway);
        assert!(!planned.iter().any(|planned| needs(&planned.fault)));
    }
}

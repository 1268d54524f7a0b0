//! Everything that drivers do, and what operators and businesses do about deliveries.

use std::time::Duration;

use bellhop::domain::delivery::{Step, StepOutcome, StepRefusal, StepReport, Wave};
use bellhop::domain::dispatch::GiveUp;
use bellhop::domain::hold::{HeldAction, Hold, HoldScope};
use bellhop::domain::ids::OfferId;
use bellhop::domain::order::{FailureReason, MoveRequest, Party, Status};
use bellhop::domain::time::Timestamp;

use crate::driving::Look;
use crate::random::Random;
use crate::riders::Temper;
use crate::traffic::Happening;
use crate::world::World;

/// Something about a delivery that is on its way.
#[derive(Clone, Debug)]
pub(crate) enum Ride {
    /// A look arrives at the pool.
    Look(Look),
    /// What the pool proposes arrives at the lane.
    Wave { order: usize, wave: Wave },
    /// The answer of a driver arrives.
    Answer { order: usize, offer: OfferId, rider: usize, accepts: bool },
    /// A driver makes a step, and says so as soon as the telephone works.
    Step { order: usize, rider: usize, step: Step, said_at: Timestamp },
    /// A telephone works again.
    Return { rider: usize },
}

impl Ride {
    /// Whether a node has it in memory: it is lost with the node.
    pub(crate) fn is_of_a_node(&self) -> bool {
        matches!(self, Self::Look(_) | Self::Wave { .. })
    }
}

fn seconds(random: &mut Random, low: u64, high: u64) -> Duration {
    Duration::from_secs(random.between(low, high))
}

/// One thing about deliveries happens.
pub(crate) fn step(world: &mut World, random: &mut Random) {
    let rider = random.below(world.riders.len() as u64) as usize;
    match random.below(104) {
        0..22 => world.set_online(rider, random.chance(75)),
        22..30 => {
            world.telephone(rider, false);
            let after = seconds(random, 30, 3_600);
            world.ride(after, Ride::Return { rider });
        }
        30..34 => world.old_position(rider, random),
        34..44 => operate(world, rider, random),
        44..52 => give_back(world, random),
        52..56 => other_way(world, random),
        56..60 => extend(world, random),
        60..68 => operators_step(world, random),
        68..78 => world.end_silent(),
        78..82 => change_rider(world, rider, random),
        82..88 => correct(world, random),
        88..91 => hold(world, random),
        91..95 => old_answer(world, random),
        95..97 => crash_while_asking(world),
        97..98 => world.suspend(rider, random.chance(20)),
        98..100 => (0..world.riders.len()).for_each(|rider| world.restore(rider)),
        _ => world.pool = None,
    }
}

fn driven(world: &World, is: impl Fn(&World, usize) -> bool) -> Vec<usize> {
    (0..world.orders.len()).filter(|n| world.orders[*n].delivery.is_some() && is(world, *n)).collect()
}

fn operate(world: &mut World, rider: usize, random: &mut Random) {
    let any = driven(world, |world, n| !world.orders[n].order.status.is_end() || n % 4 == 0);
    let Some(order) = random.pick(&any).copied() else { return };
    if world.assign(order, rider) {
        world.begin_ride(order, rider, random);
    }
}

/// A driver gives back what they have, or an operator takes it.
fn give_back(world: &mut World, random: &mut Random) {
    let held = driven(world, |world, n| world.orders[n].bag.holder.is_some());
    let Some(order) = random.pick(&held).copied() else { return };
    let holder = world.orders[order].bag.holder.expect("somebody has it");
    let other = random.below(world.riders.len() as u64) as usize;
    let rider = if random.chance(80) { holder } else { other };
    let user = world.riders[rider].driver.user;
    let by = if random.chance(50) { (Party::Admin, None) } else { (Party::Driver, Some(user)) };
    let left = world.leave_now(order, by, by.0 == Party::Driver);
    assert!(!left || by.0 == Party::Admin || rider == holder, "a driver gives back what another has");
}

fn other_way(world: &mut World, random: &mut Random) {
    let searched = driven(world, |world, n| world.orders[n].bag.holder.is_none());
    if let Some(order) = random.pick(&searched).copied() {
        world.change_way(order, random.chance(50));
    }
}

fn extend(world: &mut World, random: &mut Random) {
    let searched = driven(world, |world, n| world.orders[n].bag.holder.is_none());
    if let Some(order) = random.pick(&searched).copied() {
        let by = seconds(random, 60, 7_200);
        world.extend(order, by);
    }
}

fn operators_step(world: &mut World, random: &mut Random) {
    let any = driven(world, |_, _| true);
    if let (Some(order), Some(step)) = (random.pick(&any), random.pick(&Step::ALL)) {
        world.operator_step(*order, *step);
    }
}

fn change_rider(world: &mut World, rider: usize, random: &mut Random) {
    use bellhop::domain::dispatch::{DriverChange, DriverRefusal, Sharing};
    world.commit();
    let now = world.now;
    let capacity = random.chance(60).then(|| random.below(5) as u8);
    let change = DriverChange { capacity, takes_cash: Some(random.chance(85)), ..DriverChange::default() };
    let driver = &mut world.riders[rider].driver;
    let before = driver.clone();
    let changed = driver.change(change, Sharing::Approved, &world.clocks.dispatch, now);
    if let Err(refusal) = changed {
        assert!(matches!(refusal, DriverRefusal::Capacity { .. }));
        assert_eq!(*driver, before, "a refusal changes nothing");
    }
    world.full(rider, usize::MAX);
}

/// An operator takes back that it was delivered.
fn correct(world: &mut World, random: &mut Random) {
    let ended = driven(world, |world, n| world.orders[n].order.status == Status::Delivered);
    let Some(order) = random.pick(&ended).copied() else { return };
    let to = if random.chance(70) { Status::PickedUp } else { Status::Failed };
    let version = world.orders[order].order.version;
    let request = MoveRequest { party: Party::Admin, to, version, prep_minutes: None, delivered_by: None };
    world.move_order(order, request, Some("damaged"));
}

fn hold(world: &mut World, random: &mut Random) {
    let until = world.now.plus(seconds(random, 60, 1_800));
    let what = HeldAction::Dispatch;
    let hold = Hold { what, scope: HoldScope::All, until, reason: "a test".to_owned() };
    world.note(|| "dispatch is held".to_owned());
    for shop in &mut world.shops {
        shop.holds.push(hold.clone());
    }
}

/// An offer of some time ago is answered, or one of another driver.
fn old_answer(world: &mut World, random: &mut Random) {
    let any = driven(world, |world, n| !world.orders[n].bag.offers.is_empty());
    let Some(order) = random.pick(&any).copied() else { return };
    let asked = *random.pick(&world.orders[order].bag.offers).expect("there is one");
    let other = random.below(world.riders.len() as u64) as usize;
    let rider = if random.chance(70) { asked.rider } else { other };
    let accepts = random.chance(70);
    if world.answer(order, asked.id, rider, accepts) {
        world.begin_ride(order, rider, random);
    }
}

/// The hub dies while drivers are asked.
fn crash_while_asking(world: &mut World) {
    if !world.asked(None).is_empty() {
        world.crash();
    }
}

impl World {
    pub(crate) fn ride(&mut self, after: Duration, ride: Ride) {
        self.plan(after, Happening::Ride(ride));
    }

    pub(crate) fn ride_on(&mut self, ride: Ride, random: &mut Random) {
        match ride {
            Ride::Look(look) => self.look(&look, random),
            Ride::Wave { order, wave } => {
                let opened = self.open_wave(order, &wave);
                for (offer, user) in opened {
                    let rider = self.rider_of(user);
                    self.think(order, offer, rider, random);
                }
            }
            Ride::Return { rider } => self.telephone(rider, true),
            Ride::Answer { order, offer, rider, accepts } => {
                if !self.up || self.riders[rider].quiet_since.is_some() {
                    let after = seconds(random, 5, 60);
                    return self.ride(after, Ride::Answer { order, offer, rider, accepts });
                }
                if self.answer(order, offer, rider, accepts) {
                    self.begin_ride(order, rider, random);
                }
            }
            Ride::Step { order, rider, step, said_at } => {
                if !self.up || self.riders[rider].quiet_since.is_some() {
                    let after = seconds(random, 30, 120);
                    return self.ride(after, Ride::Step { order, rider, step, said_at });
                }
                self.rider_steps(order, rider, step, said_at, random);
            }
        }
    }

    /// The pool is told to look. Now and then that is lost, and what it proposes comes late or twice.
    fn look(&mut self, look: &Look, random: &mut Random) {
        let is_calm = self.traffic.provider.is_calm;
        if !is_calm && random.chance(8) {
            self.seen.lost_looks += 1;
            return;
        }
        if self.may_crash(random) {
            return;
        }
        let Some(wave) = self.rank(look, random) else { return };
        let after = if is_calm || random.chance(85) { 0 } else { random.between(1, 90) };
        let order = look.order;
        if random.chance(10) {
            let again = seconds(random, 0, 60);
            self.ride(again, Ride::Wave { order, wave: wave.clone() });
        }
        self.ride(Duration::from_secs(after), Ride::Wave { order, wave });
    }

    /// A driver hears an offer, and does something about it.
    fn think(&mut self, order: usize, offer: OfferId, rider: usize, random: &mut Random) {
        let (after, accepts) = match self.riders[rider].temper {
            Temper::Fast | Temper::Vanishing if random.chance(90) => (seconds(random, 0, 20), true),
            Temper::Slow => (seconds(random, 20, 60), true),
            Temper::Declining if random.chance(70) => (seconds(random, 1, 50), false),
            Temper::Deaf if random.chance(80) => return,
            _ => (seconds(random, 0, 50), random.chance(60)),
        };
        self.ride(after, Ride::Answer { order, offer, rider, accepts });
        if random.chance(25) {
            let again = after + seconds(random, 0, 30);
            let accepts = accepts ^ random.chance(10);
            self.ride(again, Ride::Answer { order, offer, rider, accepts });
        }
    }

    /// A driver has it now, and rides to the business, or is never seen again.
    pub(crate) fn begin_ride(&mut self, order: usize, rider: usize, random: &mut Random) {
        let (now, pickup) = (self.now, self.pickup(order));
        let vanishes = self.riders[rider].temper == Temper::Vanishing;
        let way = self.riders[rider].ride_to(pickup, now);
        if vanishes && random.chance(40) {
            if random.chance(60) {
                self.telephone(rider, false);
                let after = seconds(random, 60, 7_200);
                self.ride(after, Ride::Return { rider });
            } else {
                self.riders[rider].stop(now);
            }
            return;
        }
        if self.orders[order].order.status == Status::PickedUp {
            return self.plan_step(order, rider, Step::Delivered, way + seconds(random, 60, 900));
        }
        if random.chance(20) {
            return self.plan_step(order, rider, Step::PickedUp, way + seconds(random, 0, 900));
        }
        self.plan_step(order, rider, Step::AtPickup, way);
    }

    fn plan_step(&mut self, order: usize, rider: usize, step: Step, after: Duration) {
        let said_at = self.now.plus(after);
        self.ride(after, Ride::Step { order, rider, step, said_at });
    }

    fn rider_steps(
        &mut self,
        order: usize,
        rider: usize,
        step: Step,
        said_at: Timestamp,
        random: &mut Random,
    ) {
        let user = self.riders[rider].driver.user;
        let reason = random.pick(FailureReason::ON_THE_WAY).copied().filter(|_| step == Step::Failed);
        let said_at = match random.below(10) {
            0 => Some(self.now.plus(Duration::from_secs(86_400))),
            1 => Some(self.now.minus(Duration::from_secs(86_400))),
            2..6 => None,
            _ => Some(said_at),
        };
        let brings = step == Step::Delivered;
        let code = if random.chance(80) { "1234" } else { "4321" };
        let report = StepReport {
            said_at,
            code: (brings && random.chance(60)).then(|| code.to_owned()),
            photo: (brings && random.chance(40)).then(|| "photo-1".to_owned()),
            left_at_door: brings && random.chance(10),
            reason,
            collected_minor: (brings && random.chance(20)).then_some(100),
            ..StepReport::of(step)
        };
        let taken = self.step(order, (Party::Driver, user), &report);
        match taken {
            Ok(StepOutcome::Done { .. }) => self.next_step(order, rider, step, random),
            Ok(StepOutcome::Late) => self.seen.late_steps += 1,
            Err(StepRefusal::TooEarly { until }) => {
                let after = until.since(self.now).min(Duration::from_secs(600));
                self.plan_step(order, rider, step, after);
            }
            Err(StepRefusal::WrongCode { .. } | StepRefusal::ProofNeeded { .. }) => {
                self.plan_step(order, rider, step, Duration::from_secs(10));
            }
            Ok(StepOutcome::Already) | Err(_) => {}
        }
    }

    fn next_step(&mut self, order: usize, rider: usize, step: Step, random: &mut Random) {
        let (now, dropoff) = (self.now, self.dropoff(order));
        let vanishes = self.riders[rider].temper == Temper::Vanishing && random.chance(30);
        if vanishes {
            self.telephone(rider, false);
            let after = seconds(random, 60, 7_200);
            self.ride(after, Ride::Return { rider });
        }
        let arrives = |random: &mut Random| if random.chance(85) { Step::Delivered } else { Step::Failed };
        match step {
            Step::AtPickup => {
                let wait = seconds(random, 0, 1_200);
                self.plan_step(order, rider, Step::PickedUp, wait);
            }
            Step::PickedUp => {
                let way = self.riders[rider].ride_to(dropoff, now);
                let next = if random.chance(70) { Step::AtDropoff } else { arrives(random) };
                self.plan_step(order, rider, next, way);
            }
            Step::AtDropoff => {
                let next = arrives(random);
                let after = seconds(random, 10, 400);
                self.plan_step(order, rider, next, after);
            }
            Step::Failed if random.chance(50) => {
                let pickup = self.pickup(order);
                let way = self.riders[rider].ride_to(pickup, now);
                self.plan_step(order, rider, Step::Returned, way);
            }
            Step::Failed | Step::Delivered | Step::Returned => {}
        }
    }

    /// The end of an evening for operators: what is under way ends, and nobody waits for what will not come.
    pub(crate) fn clear_up_deliveries(&mut self, random: &mut Random) {
        for rider in 0..self.riders.len() {
            self.telephone(rider, true);
        }
        for order in driven(self, |world, n| !world.orders[n].order.status.is_end()) {
            let live = &self.orders[order].order;
            let (is_under_way, version) = (live.status == Status::PickedUp, live.version);
            let is_old = live.ready_at.is_some_and(|at| self.now.since(at) > Duration::from_secs(5 * 3600));
            if is_under_way {
                let step = if random.chance(60) { Step::Delivered } else { Step::Failed };
                self.operator_step(order, step);
            } else if is_old || self.clocks.dispatch.on_give_up == GiveUp::Hold {
                let to = Status::Cancelled;
                let request =
                    MoveRequest { party: Party::Admin, to, version, prep_minutes: None, delivered_by: None };
                self.move_order(order, request, Some("nobody brings it"));
            }
        }
    }
}

//! The state of a pool: the drivers of a zone as this node believes them to be, and whom it proposes for a delivery. It only ranks; the
//! transaction that opens offers, and the one that accepts, decide by the rows.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::domain::delivery::{Candidate, Wave};
use crate::domain::dispatch::{DispatchRules, DriverStand, Job, Position, rank};
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::storage::PoolDriver;
use crate::storage::commands::{DriverNow, LookDue, OpenWave};

use super::member::{Asked, Member};
use super::settings::{MAX_WAITING, RESERVE};

/// Work for the actor.
#[derive(Debug, PartialEq)]
pub(super) enum PoolAction {
    /// Read the drivers of the zone.
    Load,
    /// Write the wave; its outcome goes to `opened`.
    Open(Box<Proposal>),
}

/// A wave that is proposed, and the look it answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Proposal {
    pub(super) wave: OpenWave,
    look: LookDue,
    /// It was proposed after the drivers had been read anew: nobody is proposed again for this look.
    is_second: bool,
}

/// The drivers of a zone who are on.
pub(super) struct PoolState {
    zone: String,
    rules: Arc<DispatchRules>,
    members: HashMap<UserId, Member>,
    /// Looks that wait until the drivers are read, and whether it is for the second time.
    waiting: VecDeque<(LookDue, bool)>,
    is_loading: bool,
    is_loaded: bool,
}

impl PoolState {
    /// A pool that knows nobody yet.
    pub(super) fn new(zone: String, rules: Arc<DispatchRules>) -> Self {
        let (members, waiting) = (HashMap::new(), VecDeque::new());
        Self { zone, rules, members, waiting, is_loading: false, is_loaded: false }
    }

    /// The drivers are to be read (again), unless they are just being read.
    pub(super) fn load(&mut self) -> Option<PoolAction> {
        (!std::mem::replace(&mut self.is_loading, true)).then_some(PoolAction::Load)
    }

    /// The drivers of the zone as the store has them; `None`: it did not answer, and looks wait for the next time.
    pub(super) fn loaded(&mut self, drivers: Option<Vec<PoolDriver>>, now: Timestamp) -> Vec<PoolAction> {
        self.is_loading = false;
        let Some(drivers) = drivers else { return Vec::new() };
        self.is_loaded = true;
        let mut before = std::mem::take(&mut self.members);
        for read in drivers {
            let user = read.driver.user;
            let known = before.remove(&user);
            if let Some(member) = self.member(read, known, now) {
                self.members.insert(user, member);
            }
        }
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().filter_map(|(look, is_second)| self.propose(look, is_second, now)).collect()
    }

    /// A driver by their row, if they are on in this zone.
    fn member(&self, read: PoolDriver, known: Option<Member>, now: Timestamp) -> Option<Member> {
        Member::of(read, known, &self.zone, &self.rules, now)
    }

    /// Rows that have changed, by whichever node. One that is older than what is known changes nothing.
    pub(super) fn changed(&mut self, drivers: &[PoolDriver], now: Timestamp) {
        for read in drivers {
            let user = read.driver.user;
            let known = self.members.remove(&user);
            let member = match known {
                Some(known) if known.updated_at > read.driver.updated_at => Some(known),
                known => self.member(read.clone(), known, now),
            };
            self.members.extend(member.map(|member| (user, member)));
        }
    }

    /// A commit of this node wrote the row of a driver; what they carry is read soon after.
    pub(super) fn written(&mut self, written: &DriverNow, now: Timestamp) {
        let user = written.driver.user;
        let known = self.members.remove(&user);
        if known.as_ref().is_some_and(|known| known.updated_at > written.driver.updated_at) {
            self.members.extend(known.map(|known| (user, known)));
            return;
        }
        let jobs = known.as_ref().map(|known| known.stand.jobs.clone()).unwrap_or_default();
        let read =
            PoolDriver { driver: written.driver.clone(), jobs: Vec::new(), is_asked: written.is_asked };
        if let Some(mut member) = self.member(read, known, now) {
            member.stand.jobs = jobs.into_iter().take(usize::from(member.active)).collect();
            let asked = if written.is_asked { Asked::now(&self.rules, now) } else { Asked::not(now) };
            self.members.insert(user, member.with(Some(asked)));
        }
    }

    /// A driver is asked.
    pub(super) fn asked(&mut self, driver: UserId, now: Timestamp) {
        self.hear(driver, Asked::now(&self.rules, now));
    }

    /// A driver is asked no more.
    pub(super) fn unasked(&mut self, driver: UserId, now: Timestamp) {
        self.hear(driver, Asked::not(now));
    }

    fn hear(&mut self, driver: UserId, asked: Asked) {
        if let Some(member) = self.members.get_mut(&driver) {
            (member.stand.is_asked, member.asked) = (asked.until.is_some(), asked);
        }
    }

    /// A driver is somewhere else, which is a sign of life.
    pub(super) fn moved(&mut self, driver: UserId, position: Position, now: Timestamp) {
        if let Some(member) = self.members.get_mut(&driver)
            && member.stand.position.is_none_or(|last| last.at < position.at)
        {
            (member.stand.position, member.alive_at) = (Some(position), Some(now));
        }
    }

    /// Somebody is wanted for a delivery. Before the drivers are known it waits; one for which there is no place is lost, and comes again
    /// by itself.
    pub(super) fn look(&mut self, look: LookDue, now: Timestamp) -> Option<PoolAction> {
        if self.is_loaded {
            return self.propose(look, false, now);
        }
        self.wait(look, false);
        self.load()
    }

    fn wait(&mut self, look: LookDue, is_second: bool) {
        self.waiting.retain(|(waiting, _)| waiting.order != look.order);
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back((look, is_second));
        }
    }

    /// Proposes a wave, if somebody is there.
    fn propose(&mut self, look: LookDue, is_second: bool, now: Timestamp) -> Option<PoolAction> {
        for member in self.members.values_mut() {
            if member.asked.until.take_if(|until| *until <= now).is_some() {
                member.stand.is_asked = false;
            }
        }
        let (number, candidates) = self.first_wave(&look, now)?;
        // The others are in reserve, for those whom the store knows to be asked or off.
        let size = self.rules.size_of(number);
        for candidate in candidates.iter().take(size) {
            self.asked(candidate.driver, now);
            if let Some(member) = self.members.get_mut(&candidate.driver) {
                member.asked.proposed_for = Some(look.order);
            }
        }
        let wave = Wave {
            number,
            attempt: look.attempt,
            candidates,
            payout_minor: look.payout_minor,
            is_cash: look.job.is_cash,
        };
        let wave = OpenWave { order: look.order, business: look.business, wave };
        Some(PoolAction::Open(Box::new(Proposal { wave, look, is_second })))
    }

    /// The first wave from the one that is due whose radius has somebody who was not asked in vain; else the first that has anybody.
    fn first_wave(&self, look: &LookDue, now: Timestamp) -> Option<(u32, Vec<Candidate>)> {
        let (mut number, mut any) = (look.wave.max(1), None);
        loop {
            let candidates = self.candidates(&look.job, number, now);
            if candidates.first().is_some_and(|best| !look.job.after.contains(&best.driver)) {
                return Some((number, candidates));
            }
            if !candidates.is_empty() {
                any = any.or(Some((number, candidates)));
            }
            if self.rules.is_widest(number) {
                return any;
            }
            number += 1;
        }
    }

    fn candidates(&self, job: &Job, number: u32, now: Timestamp) -> Vec<Candidate> {
        let rules = &self.rules;
        let most = rules.size_of(number) + RESERVE;
        let job = Job { radius_m: rules.radius_of(number), most, ..job.clone() };
        let is_there = |member: &&Member| {
            member.active < member.stand.capacity
                && member.alive_at.is_some_and(|alive| now.since(alive) <= rules.alive)
        };
        let members = self.members.values().filter(is_there);
        if !rules.is_broadcast(number) {
            return rank(&job, members.map(|member| &member.stand), rules.speed_mps, now);
        }
        // In a broadcast a driver may have several open offers.
        let unasked: Vec<DriverStand> =
            members.map(|member| DriverStand { is_asked: false, ..member.stand.clone() }).collect();
        rank(&job, unasked.iter(), rules.speed_mps, now)
    }

    /// A proposed wave was written: how many are asked; `None`: the store did not take it, and the look comes again by itself. When nobody
    /// could be asked the drivers are not as they are believed to be here, and are read before it is tried once more.
    pub(super) fn opened(
        &mut self,
        made: Proposal,
        asked: Option<u32>,
        now: Timestamp,
    ) -> Option<PoolAction> {
        let Proposal { wave: OpenWave { wave, order, .. }, look, is_second } = made;
        // Of each offer that was opened the commit has told.
        for Candidate { driver, .. } in wave.candidates {
            if self.members.get(&driver).is_some_and(|member| member.asked.proposed_for == Some(order)) {
                self.unasked(driver, now);
            }
        }
        if asked != Some(0) || is_second {
            return None;
        }
        self.wait(look, true);
        self.load()
    }
}

#[cfg(test)]
mod tests;

//! Pauses that the hub begins and ends.

use bellhop::domain::business::{BrakeVerdict, Pause, PauseCause, PauseEnd, Unreachables};
use bellhop::domain::hold::HeldAction;

use crate::shop::Shop;
use crate::world::World;

impl World {
    /// Pauses shops without a device, as every node asks for every few seconds.
    pub(crate) fn pause_unreachable(&mut self) {
        self.commit();
        let (now, limit) = (self.now, self.clocks.unreachable);
        for shop in self.shops.iter_mut().filter(|shop| shop.devices > 0) {
            shop.reachable_at = Some(now);
        }
        let is_candidate = |shop: &Shop| {
            shop.devices == 0
                && shop.business.alerts.can_ring_since.is_some()
                && shop.reachable_at.is_some_and(|at| now.since(at) >= limit)
                && shop.read().takes_orders(now).is_ok()
                && !shop.holds(HeldAction::AutoPause, now)
        };
        let candidates: Vec<usize> =
            (0..self.shops.len()).filter(|n| is_candidate(&self.shops[*n])).collect();
        let open = self.shops.iter().filter(|shop| shop.read().takes_orders(now).is_ok()).count();
        let recent = self.machine_pauses.iter().filter(|at| now.since(**at) < limit).count();
        let small = |n: usize| u32::try_from(n).expect("a few shops");
        let unreachables = Unreachables {
            open: small(open),
            candidates: small(candidates.len()),
            recent: small(recent),
            in_doubt: now.since(self.leases_since) < limit,
        };
        let verdict = unreachables.verdict(&self.clocks);
        if verdict == BrakeVerdict::Brake {
            self.seen.braked += 1;
        }
        if verdict != BrakeVerdict::Pause {
            return;
        }
        for n in candidates {
            self.shops[n].pause(Pause { cause: PauseCause::Unreachable, since: now, until: None });
            self.machine_pauses.push(now);
            self.seen.paused += 1;
            self.note(|| format!("shop {n} is paused as unreachable"));
        }
    }

    /// Ends a pause, if its cause ends so.
    pub(crate) fn end_pause(&mut self, shop: usize, cause: PauseCause, end: PauseEnd) {
        self.commit();
        let mut pauses = self.shops[shop].stored_pauses();
        let held = pauses.of(cause, self.now).is_some();
        let ended = pauses.end(cause, end, self.now);
        self.shops[shop].write_pauses(&pauses);
        if held && ended {
            self.seen.resumed += 1;
            self.ended.push((shop, cause, end));
        }
        self.note(|| format!("shop {shop}: {end:?} ends {cause}: {ended}"));
    }
}

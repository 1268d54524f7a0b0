//! Rows of the store that a worker works on, some at a time, and those it leaves alone for a while. Pure: the time is passed in.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use crate::domain::time::Timestamp;

/// What could not be written is left alone for this long.
const PASS_FOR: Duration = Duration::from_secs(5);

/// Bounds of one kind of work.
#[derive(Clone, Copy, Debug)]
pub(in crate::actors) struct Bounds {
    /// Worked on at a time.
    pub(in crate::actors) at_once: usize,
    /// Rows read at once.
    pub(in crate::actors) page: u32,
    /// Rows read at once when a page held only what is left alone.
    pub(in crate::actors) largest_page: u32,
}

/// Most rows that are left alone; beyond it they are tried at every look.
const MAX_PASSED: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    No,
    Yes,
    /// Something became due meanwhile.
    Again,
}

/// One kind of work: rows of the store that are due, oldest first. A row that is left alone holds up none behind it.
#[derive(Debug)]
pub(in crate::actors) struct WorkList<K> {
    bounds: Bounds,
    working: HashSet<K>,
    passed: HashMap<K, Timestamp>,
    reading: Reading,
    /// There was more than what is worked on.
    more: bool,
    page: u32,
}

impl<K: Copy + Eq + Hash> WorkList<K> {
    /// Nothing is worked on.
    pub(in crate::actors) fn new(bounds: Bounds) -> Self {
        let (working, passed) = (HashSet::new(), HashMap::new());
        Self { bounds, working, passed, reading: Reading::No, more: false, page: bounds.page }
    }

    /// Something may be due: how many rows the actor has to read now, if any.
    pub(in crate::actors) fn on_due(&mut self) -> Option<u32> {
        match self.reading {
            Reading::No if self.working.len() < self.bounds.at_once => {
                self.reading = Reading::Yes;
                Some(self.page)
            }
            Reading::No => {
                self.more = true;
                None
            }
            Reading::Yes | Reading::Again => {
                self.reading = Reading::Again;
                None
            }
        }
    }

    /// What is due was read, `None` when the store did not answer: what is to be worked on now. A row for which `is_held` is left in
    /// the store.
    pub(in crate::actors) fn on_page<R>(
        &mut self,
        page: Option<Vec<R>>,
        key: impl Fn(&R) -> K,
        is_held: impl Fn(&R) -> bool,
        now: Timestamp,
    ) -> Vec<R> {
        let again = self.reading == Reading::Again;
        self.reading = Reading::No;
        self.passed.retain(|_, until| *until > now);
        let Some(page) = page else { return Vec::new() };
        let is_full = page.len() >= self.page as usize;
        let mut taken = Vec::new();
        let mut is_cut = false;
        for row in page {
            let id = key(&row);
            if self.working.contains(&id) || self.passed.contains_key(&id) || is_held(&row) {
                continue;
            }
            if self.working.len() >= self.bounds.at_once {
                is_cut = true;
                break;
            }
            self.working.insert(id);
            taken.push(row);
        }
        // A page of nothing but what is left alone may hide what is behind it.
        self.page = match is_full && taken.is_empty() && !is_cut {
            true => self.page.saturating_mul(2).min(self.bounds.largest_page),
            false => self.bounds.page,
        };
        self.more = again || is_cut || (is_full && !taken.is_empty());
        taken
    }

    /// The row says what came of it: how many rows the actor has to read now, if any.
    pub(in crate::actors) fn on_done(&mut self, id: K) -> Option<u32> {
        self.working.remove(&id);
        // Half of the places at a time, so that a long list is not read once for each of its rows.
        if self.more && self.working.len() <= self.bounds.at_once / 2 { self.on_due() } else { None }
    }

    /// The row could not be written: it stays due, and is left alone for a while.
    pub(in crate::actors) fn on_left(&mut self, id: K, now: Timestamp) {
        self.working.remove(&id);
        if self.passed.len() < MAX_PASSED {
            self.passed.insert(id, now.plus(PASS_FOR));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);
    const BOUNDS: Bounds = Bounds { at_once: 2, page: 3, largest_page: 12 };

    fn take(list: &mut WorkList<u32>, page: &[u32], now: Timestamp) -> Vec<u32> {
        list.on_page(Some(page.to_vec()), |row| *row, |_| false, now)
    }

    #[test]
    fn no_row_is_worked_on_twice_at_a_time_and_none_is_beyond_the_places() {
        let mut list = WorkList::new(BOUNDS);
        assert_eq!(list.on_due(), Some(3));
        assert_eq!(take(&mut list, &[1, 2, 3], NOW), [1, 2]);
        assert_eq!(list.on_due(), None, "there is no place");
        assert_eq!(list.on_done(1), Some(3), "there is, and more is due");
        assert_eq!(take(&mut list, &[2, 3], NOW), [3]);
        assert_eq!(list.on_done(2), None, "nothing more was due");
        assert_eq!(list.on_done(3), None);
    }

    #[test]
    fn what_becomes_due_during_a_read_is_read_after_it() {
        let mut list = WorkList::new(BOUNDS);
        assert_eq!((list.on_due(), list.on_due()), (Some(3), None));
        assert_eq!(take(&mut list, &[1], NOW), [1]);
        assert_eq!(list.on_done(1), Some(3));
    }

    #[test]
    fn a_row_that_could_not_be_written_is_left_alone_for_a_while_and_tried_again() {
        let mut list = WorkList::new(BOUNDS);
        assert!(list.on_due().is_some());
        assert_eq!(take(&mut list, &[1], NOW), [1]);
        list.on_left(1, NOW);
        assert!(list.on_due().is_some());
        assert!(take(&mut list, &[1], NOW).is_empty());
        assert!(list.on_due().is_some());
        assert_eq!(take(&mut list, &[1], NOW.plus(PASS_FOR)), [1]);
    }

    #[test]
    fn rows_that_are_held_hold_up_none_behind_them() {
        let mut list = WorkList::new(BOUNDS);
        let held = |row: &u32| *row < 10;
        let all: Vec<u32> = (0..11).collect();
        let read = |list: &mut WorkList<u32>| {
            let limit = list.on_due().unwrap() as usize;
            list.on_page(Some(all[..limit.min(all.len())].to_vec()), |row| *row, held, NOW)
        };
        assert_eq!((read(&mut list), read(&mut list)), (vec![], vec![]));
        assert_eq!(read(&mut list), [10], "pages grow until one is found");
    }

    #[test]
    fn a_store_that_does_not_answer_is_asked_again_at_the_next_look() {
        let mut list = WorkList::<u32>::new(BOUNDS);
        assert!(list.on_due().is_some());
        assert_eq!(list.on_page(None, |row: &u32| *row, |_| false, NOW), Vec::<u32>::new());
        assert!(list.on_due().is_some());
        assert_eq!(take(&mut list, &[1], NOW.plus(Duration::from_secs(1))), [1]);
    }
}

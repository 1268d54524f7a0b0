//! Bytes that wait for the subscribers of one worker thread. They are counted where they are queued: a subscriber never
//! leaves its thread, so the sum needs no lock and no memory that other threads write to.

use std::cell::Cell;

thread_local! {
    static QUEUED: Cell<usize> = const { Cell::new(0) };
}

/// Bytes that wait in one queue; part of its thread's sum until dropped.
#[derive(Debug, Default)]
pub(in crate::actors) struct QueuedBytes(usize);

impl QueuedBytes {
    pub(in crate::actors) const fn get(&self) -> usize {
        self.0
    }

    pub(in crate::actors) fn add(&mut self, bytes: usize) {
        self.0 += bytes;
        QUEUED.set(QUEUED.get() + bytes);
    }

    pub(in crate::actors) fn sub(&mut self, bytes: usize) {
        self.0 -= bytes;
        QUEUED.set(QUEUED.get().saturating_sub(bytes));
    }

    /// Bytes in all queues of this thread.
    pub(in crate::actors) fn of_thread() -> usize {
        QUEUED.get()
    }
}

impl Drop for QueuedBytes {
    fn drop(&mut self) {
        // A queue may go when its thread's sum has gone already.
        let _ = QUEUED.try_with(|queued| queued.set(queued.get().saturating_sub(self.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_counts_what_waits_in_all_its_queues_until_they_are_gone() {
        std::thread::spawn(|| {
            let (mut one, mut two) = (QueuedBytes::default(), QueuedBytes::default());
            one.add(5);
            two.add(7);
            assert_eq!(QueuedBytes::of_thread(), 12);
            one.sub(2);
            assert_eq!((one.get(), QueuedBytes::of_thread()), (3, 10));
            drop(two);
            assert_eq!(QueuedBytes::of_thread(), 3);
        })
        .join()
        .unwrap();
    }
}

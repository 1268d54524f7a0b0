//! A batch that is being taken from a queue.

use std::collections::{HashMap, VecDeque};

use super::queued_command::{FairnessKey, Waiting};

/// The commands taken so far, within the bounds of one batch.
pub(super) struct BatchBuilder<T> {
    most: usize,
    most_bytes: usize,
    bytes: usize,
    pub(super) commands: Vec<Waiting<T>>,
}

impl<T> BatchBuilder<T> {
    /// Nothing yet, of at most so many commands and bytes.
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self { most, most_bytes, bytes: 0, commands: Vec::new() }
    }

    /// Bytes taken so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes from a queue, each key in order and with at most `of_key` commands while others wait.
    pub(super) fn fill_from(&mut self, queue: &mut VecDeque<Waiting<T>>, of_key: usize) {
        let mut passed_over = VecDeque::new();
        let mut per_key: HashMap<FairnessKey, usize> = HashMap::new();
        while let Some(waiting) = queue.pop_front() {
            let taken = per_key.entry(waiting.key).or_default();
            if *taken >= of_key {
                passed_over.push_back(waiting);
                continue;
            }
            *taken += 1;
            if let Some(back) = self.add(waiting) {
                queue.push_front(back);
                break;
            }
        }
        // No one else waits, so what was passed over for fairness may fill the rest.
        if queue.is_empty() {
            while let Some(waiting) = passed_over.pop_front() {
                if let Some(back) = self.add(waiting) {
                    passed_over.push_front(back);
                    break;
                }
            }
        }
        while let Some(waiting) = passed_over.pop_back() {
            queue.push_front(waiting);
        }
    }

    /// Adds a command, or gives back one that does not fit any more. The first one always fits.
    fn add(&mut self, waiting: Waiting<T>) -> Option<Waiting<T>> {
        let full = self.commands.len() >= self.most
            || (!self.commands.is_empty() && self.bytes + waiting.bytes > self.most_bytes);
        if full {
            return Some(waiting);
        }
        self.bytes += waiting.bytes;
        self.commands.push(waiting);
        None
    }
}

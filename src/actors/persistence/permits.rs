//! The bound of each class on commands that are queued or under way.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::limits::QueueLimits;
use super::queued_command::Class;

/// Commands of acknowledgements that are queued or under way, for each lane.
const ACKS_A_LANE: usize = 64;

/// A share of the queue for each class, so that none can keep another out.
#[derive(Clone)]
pub(super) struct Permits {
    new_work: Arc<Semaphore>,
    finishing: Arc<Semaphore>,
    acknowledging: Arc<Semaphore>,
    alerting: Arc<Semaphore>,
    total: usize,
}

impl Permits {
    /// For so many lanes with these bounds each.
    pub(super) fn new(limits: &QueueLimits, lanes: usize) -> Self {
        let new_work = (limits.new_work_commands() + limits.batch_commands) * lanes;
        let finishing = (limits.queue_commands - limits.new_work_commands()).max(1) * lanes;
        let acknowledging = ACKS_A_LANE * lanes;
        let alerting = limits.alerts() * lanes;
        let of = |count| Arc::new(Semaphore::new(count));
        Self {
            new_work: of(new_work),
            finishing: of(finishing),
            acknowledging: of(acknowledging),
            alerting: of(alerting),
            total: new_work + finishing + acknowledging + alerting,
        }
    }

    /// All classes together.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Those of one class.
    pub(super) fn of(&self, class: Class) -> &Arc<Semaphore> {
        match class {
            Class::NewWork => &self.new_work,
            Class::Finishing => &self.finishing,
            Class::Acknowledging => &self.acknowledging,
            Class::Alerting => &self.alerting,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_class_takes_the_permits_of_another() {
        let limits = QueueLimits {
            batch_commands: 64,
            batch_bytes: 1 << 20,
            queue_commands: 4096,
            queue_bytes: 1 << 24,
            max_wait: Duration::from_millis(250),
        };
        let permits = Permits::new(&limits, 2);
        let classes = [Class::Acknowledging, Class::Alerting, Class::NewWork, Class::Finishing];
        let mut taken = Vec::new();
        for (place, class) in classes.into_iter().enumerate() {
            while let Ok(permit) = permits.of(class).clone().try_acquire_owned() {
                taken.push(permit);
            }
            for other in &classes[place + 1..] {
                assert!(permits.of(*other).available_permits() > 0, "{class:?} took those of {other:?}");
            }
        }
        assert_eq!(taken.len(), permits.total());
    }
}

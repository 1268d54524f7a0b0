//! The watchdog: a part that runs and gives no sign of life any more is as good as dead, and ends the process as if it had died.

use std::time::Duration;

use crate::telemetry::Metrics;

use super::fatal::FatalSignal;

/// Time between two looks at all parts; each of them gives a sign of life at least as often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks without a sign of life after which it is said, and after which the process is told to end.
const SAID_AFTER: u32 = 5;
const ENDED_AFTER: u32 = 20;

/// Looks after which the process is ended without asking anybody, since whoever should end it may be what stands still: longer
/// than a drain.
const KILLED_AFTER: u32 = 60;

/// Starts the watchdog on a thread of its own, for as long as `fatal` is there. A part that stands still raises it; if that does not
/// end the process, `kill` has to.
pub fn watch(fatal: &FatalSignal, metrics: Metrics, kill: impl Fn() + Send + 'static) {
    let watched = fatal.downgrade();
    let looking = move || {
        loop {
            std::thread::sleep(LOOK_EVERY);
            let Some(fatal) = watched.upgrade() else { return };
            for (what, silent_looks) in fatal.look_at_parts() {
                judge(what, silent_looks, &fatal, &metrics, &kill);
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("watchdog".to_owned()).spawn(looking) {
        tracing::error!(%error, "there is no thread for the watchdog: nobody notices parts that stand still");
    }
}

fn judge(what: &'static str, silent_looks: u32, fatal: &FatalSignal, metrics: &Metrics, kill: &impl Fn()) {
    match silent_looks {
        SAID_AFTER => {
            tracing::error!(actor = what, "it has stood still for {SAID_AFTER} s");
            metrics.actors_hung_total.with_label_values(&[what]).inc();
        }
        ENDED_AFTER => {
            tracing::error!(actor = what, "it has stood still for {ENDED_AFTER} s: the process ends");
            fatal.raise(what);
        }
        KILLED_AFTER => kill(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_stands_still_is_said_once_then_ends_the_process_and_is_killed_at_last() {
        let (fatal, folder) = (FatalSignal::new(), tempfile::tempdir().unwrap());
        let (metrics, killed) = (Metrics::new(folder.path()), Cell::new(false));
        let seen = |looks| {
            judge("a part", looks, &fatal, &metrics, &|| killed.set(true));
            (metrics.actors_hung_total.with_label_values(&["a part"]).get(), fatal.is_raised(), killed.get())
        };
        let all: Vec<_> = (1..=KILLED_AFTER).map(seen).collect();
        let at = |looks: u32| all[looks as usize - 1];
        assert_eq!([at(1), at(SAID_AFTER - 1)], [(0, false, false); 2]);
        assert_eq!([at(SAID_AFTER), at(ENDED_AFTER - 1)], [(1, false, false); 2]);
        assert_eq!([at(ENDED_AFTER), at(KILLED_AFTER - 1)], [(1, true, false); 2]);
        assert_eq!(at(KILLED_AFTER), (1, true, true));
    }

    #[test]
    fn a_part_that_stands_still_is_seen_until_it_ends_well() {
        let fatal = FatalSignal::new();
        assert_eq!(fatal.look_at_parts(), []);
        let guard = fatal.guard("a writer");
        guard.beat();
        assert_eq!(fatal.look_at_parts(), [("a writer", 0)]);
        assert_eq!(fatal.look_at_parts(), [("a writer", 1)]);
        guard.beat();
        assert_eq!(fatal.look_at_parts(), [("a writer", 0)]);
        guard.disarm();
        assert_eq!(fatal.look_at_parts(), []);
        assert!(!fatal.is_raised());
    }

    #[test]
    fn a_thread_that_is_blocked_gives_no_sign_of_life() {
        actix::System::new().block_on(async {
            let (fatal, arbiter) = (FatalSignal::new(), actix::Arbiter::new());
            arbiter.spawn(fatal.pulse("a thread").of_this_thread());
            let (free, blocked) = std::sync::mpsc::sync_channel::<()>(0);
            let (reached, begun) = tokio::sync::oneshot::channel();
            arbiter.spawn(async move {
                reached.send(()).unwrap();
                assert!(blocked.recv().is_err(), "it is let go");
            });
            begun.await.unwrap();
            let looks = [(); 4].map(|()| fatal.look_at_parts());
            assert_eq!(looks[3], [("a thread", 3)], "{looks:?}");
            drop(free);
            arbiter.stop();
        });
    }
}

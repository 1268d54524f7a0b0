//! Readiness of the node for new work, and the shared probe of its database.
#![expect(clippy::disallowed_methods, reason = "this file owns the tasks that it starts")]

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Time for which the answer of a probe is given again.
const PROBE_TTL: Duration = Duration::from_secs(1);

/// The stage of the node's life, which decides whether it takes new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Some parts do not run yet.
    Starting,
    /// New work is taken.
    Ready,
    /// The hub is shutting down.
    Draining,
}

impl Phase {
    /// The word clients are told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "not_ready",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// The present [`Phase`], shared by all its clones. Begins as starting.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// Enters a phase.
    pub fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    /// The present phase.
    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }
}

/// A probe of the database that all callers share: at most one runs at a time, and none within a second after an answer.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct DatabaseProbe(Arc<Mutex<ProbeState>>);

#[derive(Debug, Default)]
enum ProbeState {
    #[default]
    Never,
    /// Under way; its result is sent to every caller that waits.
    Running(watch::Receiver<Option<bool>>),
    Done(Instant, bool),
}

impl DatabaseProbe {
    /// The last answer if it is fresh, else that of `probe`, which runs on when its caller goes away.
    pub(in crate::http) async fn answers<F>(&self, probe: impl FnOnce() -> F) -> bool
    where
        F: Future<Output = bool> + 'static,
    {
        let mut running = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &*state {
                ProbeState::Done(at, answers) if at.elapsed() < PROBE_TTL => return *answers,
                // An error here means that the worker thread of the probe has ended.
                ProbeState::Running(running) if running.has_changed().is_ok() => running.clone(),
                ProbeState::Never | ProbeState::Running(_) | ProbeState::Done(..) => {
                    let (sender, running) = watch::channel(None);
                    *state = ProbeState::Running(running.clone());
                    let (shared, probe) = (self.clone(), probe());
                    // A task of its own: the request that started it may be dropped.
                    actix_web::rt::spawn(async move {
                        let answers = probe.await;
                        *shared.0.lock().unwrap_or_else(PoisonError::into_inner) =
                            ProbeState::Done(Instant::now(), answers);
                        sender.send_replace(Some(answers));
                    });
                    running
                }
            }
        };
        running.wait_for(Option::is_some).await.is_ok_and(|answers| *answers == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn everybody_sees_the_same_phase() {
        let readiness = Readiness::default();
        assert_eq!(readiness.get(), Phase::Starting);
        for phase in [Phase::Ready, Phase::Draining] {
            readiness.clone().set(phase);
            assert_eq!(readiness.get(), phase);
        }
    }

    #[test]
    fn however_many_ask_one_question_is_under_way_and_its_answer_is_kept_for_a_second() {
        actix_rt::System::new().block_on(async {
            let (probe, asked) = (DatabaseProbe::default(), Arc::new(AtomicUsize::new(0)));
            let (answer, answered) = watch::channel(false);
            let ask = || {
                let (asked, mut answered) = (asked.clone(), answered.clone());
                probe.answers(move || async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    answered.wait_for(|answered| *answered).await.is_ok()
                })
            };
            let many = futures_util::future::join_all((0..100).map(|_| ask()));
            let (answers, ()) = futures_util::future::join(many, async {
                tokio::task::yield_now().await;
                // Whoever asked first may leave.
                drop(ask());
                answer.send_replace(true);
            })
            .await;
            assert_eq!((answers, asked.load(Ordering::Relaxed)), (vec![true; 100], 1));
            assert!(ask().await);
            assert_eq!(asked.load(Ordering::Relaxed), 1);
            let long_ago = Instant::now().checked_sub(PROBE_TTL).expect("a machine runs for a second");
            *probe.0.lock().unwrap() = ProbeState::Done(long_ago, true);
            assert!(ask().await);
            assert_eq!(asked.load(Ordering::Relaxed), 2);
        });
    }
}

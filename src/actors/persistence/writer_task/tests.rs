use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};

use super::*;
use crate::actors::persistence::messages::Waiter;
use crate::domain::ids::{CommandId, LoginSessionId};
use crate::domain::time::Timestamp;
use crate::storage::commands::{EndSession, Removal, Write};

/// A store that fails as it is told, and whose poison command fails every batch it is in.
#[derive(Default)]
struct FaultyLane {
    faults: VecDeque<Fault>,
    poison: Option<CommandId>,
    /// The poison takes too long, and is not refused.
    slow: bool,
    /// How long the store takes until it says that something takes too long.
    limit: Duration,
    happened: Arc<Mutex<Vec<CommandId>>>,
    attempts: Arc<Mutex<Vec<Attempt>>>,
}

#[derive(Clone, Copy)]
enum Fault {
    /// A time limit of the hub's own.
    TooSlow,
    Unavailable,
    /// COMMIT happens and its answer is lost.
    AnswerLost,
    /// The connection dies before COMMIT takes hold, and nobody knows.
    CommitLost,
    /// The database answers with an error of its own.
    Refused,
}

#[async_trait]
impl Lane for FaultyLane {
    async fn run(&mut self, commands: &[Command], attempt: Attempt) -> Result<Committed, StoreError> {
        self.attempts.lock().unwrap().push(attempt);
        if commands.iter().any(|c| Some(c.id) == self.poison) {
            if self.slow {
                tokio::time::advance(self.limit).await;
                return Err(StoreError::TooSlow("a statement time-out".to_owned()));
            }
            return Err(StoreError::NotHappened("poison".to_owned()));
        }
        let fault = self.faults.pop_front();
        match fault {
            Some(Fault::TooSlow) => return Err(StoreError::TooSlow("a lock time-out".to_owned())),
            Some(Fault::Unavailable) => return Err(StoreError::Unavailable("away".to_owned())),
            Some(Fault::Refused) => return Err(StoreError::NotHappened("an error".to_owned())),
            _ => {}
        }
        if !matches!(fault, Some(Fault::CommitLost)) {
            let mut happened = self.happened.lock().unwrap();
            for command in commands {
                let again = happened.contains(&command.id);
                assert!(
                    !again || attempt == Attempt::AfterUnknown,
                    "a command ran twice without being claimed"
                );
                if !again {
                    happened.push(command.id);
                }
            }
        }
        match fault {
            Some(_) => Err(StoreError::OutcomeUnknown("the connection was lost".to_owned())),
            None => Ok(Committed {
                outcomes: commands.iter().map(|_| Outcome::Removed(Removal::Removed)).collect(),
                ..Committed::default()
            }),
        }
    }
}

#[derive(Default)]
struct CommitRecorder {
    committed: Mutex<Vec<CommandId>>,
    commit_unknown: Mutex<Vec<CommandId>>,
}

impl CommitListener for CommitRecorder {
    fn committed(&self, commands: &[Command], _: &mut Committed) {
        self.committed.lock().unwrap().extend(commands.iter().map(|c| c.id));
    }

    fn commit_unknown(&self, commands: &[Command]) {
        self.commit_unknown.lock().unwrap().extend(commands.iter().map(|c| c.id));
    }
}

struct Run {
    ids: Vec<CommandId>,
    given_up: u64,
    answers: Vec<Result<(), SubmitError>>,
    recorder: CommitRecorder,
}

async fn run_batch_of(count: usize, mut lane: FaultyLane, poison: Option<usize>) -> Run {
    let permits = Arc::new(Semaphore::new(count));
    let (mut jobs, mut receivers, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let command = Command {
            id: CommandId::generate(),
            at: Timestamp::default(),
            write: Write::EndSession(EndSession { session: LoginSessionId::generate() }),
        };
        let (reply, receiver) = oneshot::channel();
        let permit = permits.clone().try_acquire_owned().unwrap();
        ids.push(command.id);
        receivers.push(receiver);
        jobs.push(Job { command, waiter: Waiter { reply, permit } });
    }
    lane.poison = poison.map(|index| ids[index]);
    let recorder = CommitRecorder::default();
    let metrics = Metrics::new(std::path::Path::new("."));
    super::run_batch(&mut lane, jobs, &recorder, &metrics).await;
    let mut answers = Vec::new();
    for receiver in receivers {
        answers.push(receiver.await.expect("every command is answered").map(drop));
    }
    assert_eq!(permits.available_permits(), count, "every share of the queue is given back");
    Run { ids, given_up: metrics.persistence_too_slow_total.get(), answers, recorder }
}

#[tokio::test]
async fn a_poison_command_is_answered_alone_and_the_others_commit() {
    let run = run_batch_of(9, FaultyLane::default(), Some(4)).await;
    for (index, answer) in run.answers.iter().enumerate() {
        assert_eq!(*answer, if index == 4 { Err(SubmitError::Refused) } else { Ok(()) });
    }
    let mut others = run.ids.clone();
    others.remove(4);
    assert_eq!(*run.recorder.committed.lock().unwrap(), others, "in their order");
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_asked_about_until_it_is_known() {
    for fault in [Fault::AnswerLost, Fault::CommitLost] {
        let lane = FaultyLane { faults: [fault, Fault::Unavailable, fault].into(), ..FaultyLane::default() };
        let (happened, attempts) = (lane.happened.clone(), lane.attempts.clone());
        let run = run_batch_of(3, lane, None).await;
        assert_eq!(run.answers, [Ok(()), Ok(()), Ok(())]);
        assert_eq!(*happened.lock().unwrap(), run.ids, "each once");
        let attempts = attempts.lock().unwrap();
        assert_eq!(attempts[0], Attempt::First);
        assert!(attempts[1..].iter().all(|a| *a == Attempt::AfterUnknown) && attempts.len() == 4);
        assert_eq!(
            *run.recorder.commit_unknown.lock().unwrap(),
            run.ids,
            "caches hear once that nobody knows"
        );
        assert_eq!(*run.recorder.committed.lock().unwrap(), run.ids, "the rooms hear of it once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_commit_without_an_answer_is_asked_about_piece_by_piece_and_never_said_to_be_nothing()
 {
    let lane = FaultyLane { faults: [Fault::AnswerLost, Fault::Refused].into(), ..FaultyLane::default() };
    let (happened, attempts) = (lane.happened.clone(), lane.attempts.clone());
    let run = run_batch_of(4, lane, None).await;
    assert_eq!(run.answers, vec![Ok(()); 4]);
    assert_eq!(*happened.lock().unwrap(), run.ids, "each once");
    assert!(attempts.lock().unwrap()[1..].iter().all(|a| *a == Attempt::AfterUnknown));
    let lane = FaultyLane { faults: [Fault::AnswerLost, Fault::Refused].into(), ..FaultyLane::default() };
    assert_eq!(run_batch_of(1, lane, None).await.answers, [Err(SubmitError::OutcomeUnknown)]);
}

#[tokio::test]
async fn a_store_that_is_away_is_said_so_and_nothing_has_happened() {
    let lane = FaultyLane { faults: [Fault::Unavailable].into(), ..FaultyLane::default() };
    let happened = lane.happened.clone();
    let run = run_batch_of(2, lane, None).await;
    assert_eq!(run.answers, [Err(SubmitError::Unavailable), Err(SubmitError::Unavailable)]);
    assert!(happened.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_command_that_meets_a_time_limit_alone_twice_is_given_up_and_the_others_commit() {
    let lane = FaultyLane { slow: true, limit: Duration::from_millis(100), ..FaultyLane::default() };
    let run = run_batch_of(9, lane, Some(4)).await;
    for (index, answer) in run.answers.iter().enumerate() {
        assert_eq!(*answer, if index == 4 { Err(SubmitError::TooSlow) } else { Ok(()) });
    }
    assert_eq!(run.given_up, 1);
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_that_is_met_once_costs_nobody_anything() {
    let lane = FaultyLane { faults: [Fault::TooSlow, Fault::TooSlow].into(), ..FaultyLane::default() };
    let run = run_batch_of(2, lane, None).await;
    assert_eq!(run.answers, [Ok(()), Ok(())]);
    assert_eq!((run.given_up, run.recorder.committed.lock().unwrap().len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_commit_without_an_answer_is_asked_about_however_long_that_takes() {
    let faults = [Fault::CommitLost, Fault::TooSlow, Fault::TooSlow, Fault::TooSlow].into();
    let run = run_batch_of(1, FaultyLane { faults, ..FaultyLane::default() }, None).await;
    assert_eq!(run.answers, [Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_goes_on_being_slow_is_given_up_in_time_with_nothing_tried_in_vain() {
    let lane = FaultyLane { slow: true, limit: Duration::from_secs(2), ..FaultyLane::default() };
    let happened = lane.happened.clone();
    let run = run_batch_of(64, lane, Some(63)).await;
    let committed = run.answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(committed >= 48, "{committed}");
    assert_eq!(happened.lock().unwrap().len(), committed);
    assert!(run.answers.iter().all(|answer| matches!(answer, Ok(()) | Err(SubmitError::Unavailable))));
}

#[test]
fn what_can_wait_is_divided_from_what_somebody_waits_for() {
    let permits = Arc::new(Semaphore::new(8));
    let job = |action| Job {
        command: Command { id: CommandId::generate(), at: Timestamp::default(), write: action },
        waiter: Waiter { reply: oneshot::channel().0, permit: permits.clone().try_acquire_owned().unwrap() },
    };
    let acks = || job(Write::StoreAcks([].into()));
    let end = || job(Write::EndSession(EndSession { session: LoginSessionId::generate() }));
    let count = |jobs| {
        let (first, second) = divided(jobs);
        let later = |jobs: &[Job]| jobs.iter().filter(|job| job.command.write.can_wait()).count();
        [(first.len(), later(&first)), (second.len(), later(&second))]
    };
    assert_eq!(count(vec![acks(), end(), acks()]), [(1, 0), (2, 2)]);
    assert_eq!(count(vec![acks(), acks(), acks()]), [(1, 1), (2, 2)]);
    assert_eq!(count(vec![end(), end()]), [(1, 0), (1, 0)]);
}

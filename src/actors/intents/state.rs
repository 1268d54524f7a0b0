//! The state of the dispatcher of intents: which ones it works on, and what becomes of each.

use std::collections::HashSet;
use std::time::Duration;

use crate::domain::ids::IntentId;
use crate::domain::saga::Channel;
use crate::domain::time::Timestamp;
use crate::outbound::CallError;
use crate::storage::DueIntent;
use crate::storage::commands::IntentResult;

/// Pause after the first call that did not work; doubles with each further one, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// What the actor does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IntentStep {
    /// Call, and say what came of it.
    Call(DueIntent),
    /// Store that it has ended, without a call.
    End(DueIntent, IntentResult),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    No,
    Yes,
    /// Something became due meanwhile.
    Again,
}

/// The intents of this node that are being worked on.
#[derive(Debug)]
pub(super) struct IntentsState {
    at_once: usize,
    working: HashSet<IntentId>,
    reading: Reading,
    /// The last page was full, or had more than there were places.
    more: bool,
}

impl IntentsState {
    /// Nothing is worked on, and at most so many intents will be at a time.
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once, working: HashSet::new(), reading: Reading::No, more: false }
    }

    /// Something may be due: whether the actor has to read now.
    pub(super) fn on_due(&mut self) -> bool {
        match self.reading {
            Reading::No if self.working.len() < self.at_once => {
                self.reading = Reading::Yes;
                true
            }
            Reading::No => {
                self.more = true;
                false
            }
            Reading::Yes | Reading::Again => {
                self.reading = Reading::Again;
                false
            }
        }
    }

    /// What is due was read, `None` when the store did not answer, by a read of at most `limit`.
    pub(super) fn on_page(
        &mut self,
        page: Option<Vec<DueIntent>>,
        limit: usize,
        now: Timestamp,
        is_configured: impl Fn(Channel) -> bool,
    ) -> Vec<IntentStep> {
        let again = self.reading == Reading::Again;
        self.reading = Reading::No;
        let page = page.unwrap_or_default();
        self.more = again || page.len() >= limit;
        let mut steps = Vec::new();
        for intent in page {
            if self.working.contains(&intent.id) {
                continue;
            }
            if self.working.len() >= self.at_once {
                self.more = true;
                break;
            }
            self.working.insert(intent.id);
            steps.push(step(intent, now, &is_configured));
        }
        steps
    }

    /// The row of an intent says what came of it: whether the actor has to read now.
    pub(super) fn on_ended(&mut self, intent: IntentId) -> bool {
        self.working.remove(&intent);
        // Half of the places at a time, so that a long list is not read once for each of its intents.
        self.more && self.working.len() <= self.at_once / 2 && self.on_due()
    }

    /// The row of an intent could not be written: it is found again at a later tick.
    pub(super) fn on_left(&mut self, intent: IntentId) {
        self.working.remove(&intent);
        self.more = false;
    }
}

fn step(intent: DueIntent, now: Timestamp, is_configured: impl Fn(Channel) -> bool) -> IntentStep {
    if !is_configured(intent.channel) {
        IntentStep::End(intent, IntentResult::NotConfigured)
    } else if !intent.is_needed {
        IntentStep::End(intent, IntentResult::Cancelled)
    } else if intent.expires_at <= now {
        IntentStep::End(intent, IntentResult::Failed)
    } else {
        IntentStep::Call(intent)
    }
}

/// The result of a call that was answered so at `now`.
pub(super) fn result(intent: &DueIntent, answer: &Result<(), CallError>, now: Timestamp) -> IntentResult {
    match answer {
        Ok(()) => IntentResult::Sent,
        Err(CallError::Refused(_)) => IntentResult::Failed,
        Err(CallError::Unavailable(_)) => {
            let pause = FIRST_PAUSE.saturating_mul(1 << intent.attempts.min(8)).min(MAX_PAUSE);
            let again = now.plus(pause);
            if again < intent.expires_at { IntentResult::Retry(again) } else { IntentResult::Failed }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{BusinessId, OrderId};
    use crate::domain::saga::Rung;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn intent() -> DueIntent {
        DueIntent {
            id: IntentId::generate(),
            channel: Channel::Mail,
            rung: Rung::Mail,
            business: BusinessId::generate(),
            order: OrderId::generate(),
            is_needed: true,
            waiting: 1,
            attempts: 0,
            due_at: NOW,
            expires_at: NOW.plus(s(600)),
        }
    }

    #[test]
    fn an_intent_without_a_channel_ends_at_once_and_one_whose_time_is_over_is_not_sent() {
        let mut state = IntentsState::new(8);
        let (current, late) = (intent(), DueIntent { expires_at: NOW, ..intent() });
        assert!(state.on_due());
        let steps = state.on_page(Some(vec![current]), 8, NOW, |_| false);
        assert_eq!(steps, [IntentStep::End(current, IntentResult::NotConfigured)]);
        assert!(state.on_due());
        let steps = state.on_page(Some(vec![late, intent()]), 8, NOW, |_| true);
        assert_eq!(steps[0], IntentStep::End(late, IntentResult::Failed));
        assert!(matches!(steps[1], IntentStep::Call(_)));
    }

    #[test]
    fn an_intent_that_nobody_needs_any_more_ends_without_a_call() {
        let mut state = IntentsState::new(8);
        let answered = DueIntent { is_needed: false, attempts: 3, ..intent() };
        assert!(state.on_due());
        let steps = state.on_page(Some(vec![answered]), 8, NOW, |_| true);
        assert_eq!(steps, [IntentStep::End(answered, IntentResult::Cancelled)]);
    }

    #[test]
    fn no_intent_is_worked_on_twice_at_a_time_and_none_is_beyond_the_places() {
        let mut state = IntentsState::new(2);
        let all = [intent(), intent(), intent()];
        assert!(state.on_due());
        let steps = state.on_page(Some(all.to_vec()), 8, NOW, |_| true);
        assert_eq!(steps, [IntentStep::Call(all[0]), IntentStep::Call(all[1])]);
        assert!(!state.on_due(), "there is no place");
        assert!(state.on_ended(all[0].id), "there is, and more is due");
        let steps = state.on_page(Some(vec![all[1], all[2]]), 8, NOW, |_| true);
        assert_eq!(steps, [IntentStep::Call(all[2])]);
        assert!(!state.on_ended(all[1].id), "nothing more was due");
    }

    #[test]
    fn what_becomes_due_during_a_read_is_read_after_it() {
        let mut state = IntentsState::new(2);
        assert!(state.on_due());
        assert!(!state.on_due());
        let one = intent();
        let steps = state.on_page(Some(vec![one]), 8, NOW, |_| true);
        assert_eq!(steps.len(), 1);
        assert!(state.on_ended(one.id));
        assert_eq!(
            state.on_page(None, 8, NOW, |_| true),
            [],
            "a store that is away is asked at the next tick"
        );
        assert!(state.on_due());
    }

    #[test]
    fn a_call_that_does_not_work_is_made_again_later_and_not_after_its_time() {
        let away = Err(CallError::Unavailable("away".to_owned()));
        let of = |attempts| result(&DueIntent { attempts, ..intent() }, &away, NOW);
        assert_eq!(of(0), IntentResult::Retry(NOW.plus(s(5))));
        assert_eq!(of(2), IntentResult::Retry(NOW.plus(s(20))));
        assert_eq!(of(40), IntentResult::Retry(NOW.plus(s(60))));
        let last = DueIntent { expires_at: NOW.plus(s(5)), ..intent() };
        assert_eq!(result(&last, &away, NOW), IntentResult::Failed);
        let refused = Err(CallError::Refused("no such number".to_owned()));
        assert_eq!(result(&intent(), &refused, NOW), IntentResult::Failed);
        assert_eq!(result(&intent(), &Ok(()), NOW), IntentResult::Sent);
    }
}

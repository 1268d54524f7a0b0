//! The state of the dispatcher of intents: which ones it works on, and what becomes of each.

use std::time::Duration;

use crate::actors::work_list::{Bounds, WorkList};
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

/// The intents of this node that are being worked on.
#[derive(Debug)]
pub(super) struct IntentsState {
    list: WorkList<IntentId>,
}

impl IntentsState {
    /// Nothing is worked on.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { list: WorkList::new(bounds) }
    }

    /// Something may be due: how many the actor has to read now, if any.
    pub(super) fn on_due(&mut self) -> Option<u32> {
        self.list.on_due()
    }

    /// What is due was read, `None` when the store did not answer.
    pub(super) fn on_page(
        &mut self,
        page: Option<Vec<DueIntent>>,
        now: Timestamp,
        is_configured: impl Fn(Channel) -> bool,
    ) -> Vec<IntentStep> {
        let taken = self.list.on_page(page, |intent| intent.id, |_| false, now);
        taken.into_iter().map(|intent| step(intent, now, &is_configured)).collect()
    }

    /// The row of an intent says what came of it: how many the actor has to read now, if any.
    pub(super) fn on_ended(&mut self, intent: IntentId) -> Option<u32> {
        self.list.on_done(intent)
    }

    /// The row of an intent could not be written: it is found again at a later tick.
    pub(super) fn on_left(&mut self, intent: IntentId, now: Timestamp) {
        self.list.on_left(intent, now);
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

    const BOUNDS: Bounds = Bounds { at_once: 8, page: 8, largest_page: 8 };
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
        let mut state = IntentsState::new(BOUNDS);
        let (current, late) = (intent(), DueIntent { expires_at: NOW, ..intent() });
        assert_eq!(state.on_due(), Some(8));
        let steps = state.on_page(Some(vec![current]), NOW, |_| false);
        assert_eq!(steps, [IntentStep::End(current, IntentResult::NotConfigured)]);
        assert_eq!(state.on_due(), Some(8));
        let steps = state.on_page(Some(vec![late, intent()]), NOW, |_| true);
        assert_eq!(steps[0], IntentStep::End(late, IntentResult::Failed));
        assert!(matches!(steps[1], IntentStep::Call(_)));
    }

    #[test]
    fn an_intent_that_nobody_needs_any_more_ends_without_a_call() {
        let mut state = IntentsState::new(BOUNDS);
        let answered = DueIntent { is_needed: false, attempts: 3, ..intent() };
        assert_eq!(state.on_due(), Some(8));
        let steps = state.on_page(Some(vec![answered]), NOW, |_| true);
        assert_eq!(steps, [IntentStep::End(answered, IntentResult::Cancelled)]);
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

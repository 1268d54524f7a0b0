//! The state of a business: one word with the details that belong to it.

use std::time::Duration;

use crate::domain::business::BusinessState;
use crate::domain::time::Timestamp;
use crate::http::input::{FromText, one_of};
use crate::http::response::problem::ApiError;
use crate::protocol::problem::FieldError;

/// The longest pause; a business that rests longer is closed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 86_400);

/// Whether a business takes orders, without the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateWord {
    /// Takes orders.
    Open,
    /// Takes orders and needs longer; with `extra_minutes`.
    Busy,
    /// Takes none for now; with `paused_until`.
    Paused,
    /// Takes none.
    Closed,
}

impl StateWord {
    const ALL: [Self; 4] = [Self::Open, Self::Busy, Self::Paused, Self::Closed];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Busy => "busy",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

impl FromText for StateWord {
    const EXAMPLE: &'static str = "open";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(&Self::ALL, Self::as_str, text)
    }

    fn words() -> Option<Vec<&'static str>> {
        Some(Self::ALL.iter().map(|word| word.as_str()).collect())
    }
}

/// The three fields of a state as one.
///
/// # Errors
/// 422 for a detail without its state or a state without its detail.
pub(super) fn state_of(
    word: Option<StateWord>,
    extra_minutes: Option<i64>,
    paused_until: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<BusinessState>, ApiError> {
    let mut wrong = Vec::new();
    let mut refuse = |field: &str, message: &str| {
        wrong.push(FieldError { field: field.to_owned(), message: message.to_owned() });
    };
    if extra_minutes.is_some() && word != Some(StateWord::Busy) {
        refuse("extra_minutes", "goes with the state busy only");
    }
    if paused_until.is_some() && word != Some(StateWord::Paused) {
        refuse("paused_until", "goes with the state paused only");
    }
    let state = match (word, extra_minutes, paused_until) {
        (Some(StateWord::Busy), None, _) => {
            refuse("extra_minutes", "is required with the state busy");
            None
        }
        (Some(StateWord::Paused), _, None) => {
            refuse("paused_until", "is required with the state paused");
            None
        }
        (Some(StateWord::Paused), _, Some(until)) if until <= now || until > now.plus(LONGEST_PAUSE) => {
            refuse("paused_until", "must lie ahead, by at most 30 days");
            None
        }
        (Some(StateWord::Paused), _, Some(until)) => Some(BusinessState::Paused { until }),
        (Some(StateWord::Busy), Some(minutes), _) => {
            Some(BusinessState::Busy { extra_minutes: bounded(minutes) })
        }
        (Some(StateWord::Open), ..) => Some(BusinessState::Open),
        (Some(StateWord::Closed), ..) => Some(BusinessState::Closed),
        (None, ..) => None,
    };
    if wrong.is_empty() { Ok(state) } else { Err(ApiError::invalid(wrong)) }
}

/// A number whose range was checked with its field.
pub(super) fn bounded(number: i64) -> u16 {
    u16::try_from(number).expect("the range of the field lies within 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(result: Result<Option<BusinessState>, ApiError>) -> Vec<String> {
        result.unwrap_err().problem().errors.iter().map(|e| e.field.clone()).collect()
    }

    #[test]
    fn a_state_and_its_detail_come_together() {
        let now = Timestamp::from_unix_seconds(1_000);
        let soon = now.plus(Duration::from_secs(60));
        let parse = |word, minutes, until| state_of(word, minutes, until, now);
        assert_eq!(parse(None, None, None).unwrap(), None);
        assert_eq!(
            parse(Some(StateWord::Busy), Some(10), None).unwrap(),
            Some(BusinessState::Busy { extra_minutes: 10 })
        );
        assert_eq!(
            parse(Some(StateWord::Paused), None, Some(soon)).unwrap(),
            Some(BusinessState::Paused { until: soon })
        );
        assert_eq!(fields(parse(Some(StateWord::Busy), None, None)), ["extra_minutes"]);
        assert_eq!(fields(parse(Some(StateWord::Paused), None, None)), ["paused_until"]);
        assert_eq!(
            fields(parse(Some(StateWord::Open), Some(5), Some(soon))),
            ["extra_minutes", "paused_until"]
        );
        assert_eq!(fields(parse(None, Some(5), None)), ["extra_minutes"]);
    }

    #[test]
    fn a_pause_lies_ahead_by_at_most_thirty_days() {
        let now = Timestamp::from_unix_seconds(1_000);
        let parse = |until| state_of(Some(StateWord::Paused), None, Some(until), now);
        assert!(parse(now.plus(LONGEST_PAUSE)).is_ok());
        assert_eq!(fields(parse(now)), ["paused_until"]);
        assert_eq!(fields(parse(now.plus(LONGEST_PAUSE + Duration::from_secs(1)))), ["paused_until"]);
    }
}

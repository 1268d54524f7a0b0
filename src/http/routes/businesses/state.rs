//! The state of a business: one word with the details that belong to it.

use std::time::Duration;

use crate::domain::business::{Hand, TradingChange, TradingWord};
use crate::domain::time::Timestamp;
use crate::http::input::{FromText, one_of};
use crate::http::response::problem::ApiError;
use crate::protocol::problem::FieldError;

/// The longest pause; a business that rests longer is closed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 86_400);

impl FromText for TradingWord {
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
pub(super) fn trading_of(
    word: Option<TradingWord>,
    extra_minutes: Option<i64>,
    paused_until: Option<Timestamp>,
    hand: Hand,
    now: Timestamp,
) -> Result<Option<TradingChange>, ApiError> {
    let mut wrong = Vec::new();
    let mut refuse = |field: &str, message: &str| {
        wrong.push(FieldError { field: field.to_owned(), message: message.to_owned() });
    };
    if extra_minutes.is_some() && word != Some(TradingWord::Busy) {
        refuse("extra_minutes", "goes with the state busy only");
    }
    if paused_until.is_some() && word != Some(TradingWord::Paused) {
        refuse("paused_until", "goes with the state paused only");
    }
    let state = match (word, extra_minutes, paused_until) {
        (Some(TradingWord::Busy), None, _) => {
            refuse("extra_minutes", "is required with the state busy");
            None
        }
        (Some(TradingWord::Paused), _, until) => match check_pause(until, hand, now) {
            Ok(()) => Some(TradingChange::Paused { until }),
            Err(message) => {
                refuse("paused_until", message);
                None
            }
        },
        (Some(TradingWord::Busy), Some(minutes), _) => {
            Some(TradingChange::Busy { extra_minutes: bounded(minutes) })
        }
        (Some(TradingWord::Open), ..) => Some(TradingChange::Open),
        (Some(TradingWord::Closed), ..) => Some(TradingChange::Closed),
        (None, ..) => None,
    };
    if wrong.is_empty() { Ok(state) } else { Err(ApiError::invalid(wrong)) }
}

/// Checks the end of a pause. Operators pause for as long as it takes; a member who forgets the time would lose an evening.
fn check_pause(until: Option<Timestamp>, hand: Hand, now: Timestamp) -> Result<(), &'static str> {
    match until {
        None if hand == Hand::Member => Err("is required with the state paused"),
        Some(until) if until <= now || until > now.plus(LONGEST_PAUSE) => {
            Err("must lie ahead, by at most 30 days")
        }
        None | Some(_) => Ok(()),
    }
}

/// A number whose range was checked with its field.
pub(super) fn bounded(number: i64) -> u16 {
    u16::try_from(number).expect("the range of the field lies within 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(result: Result<Option<TradingChange>, ApiError>) -> Vec<String> {
        result.unwrap_err().problem().errors.iter().map(|e| e.field.clone()).collect()
    }

    #[test]
    fn a_state_and_its_detail_come_together() {
        let now = Timestamp::from_unix_seconds(1_000);
        let soon = now.plus(Duration::from_secs(60));
        let parse = |word, minutes, until| trading_of(word, minutes, until, Hand::Member, now);
        assert_eq!(parse(None, None, None).unwrap(), None);
        assert_eq!(
            parse(Some(TradingWord::Busy), Some(10), None).unwrap(),
            Some(TradingChange::Busy { extra_minutes: 10 })
        );
        assert_eq!(
            parse(Some(TradingWord::Paused), None, Some(soon)).unwrap(),
            Some(TradingChange::Paused { until: Some(soon) })
        );
        assert_eq!(fields(parse(Some(TradingWord::Busy), None, None)), ["extra_minutes"]);
        assert_eq!(fields(parse(Some(TradingWord::Paused), None, None)), ["paused_until"]);
        assert_eq!(
            fields(parse(Some(TradingWord::Open), Some(5), Some(soon))),
            ["extra_minutes", "paused_until"]
        );
        assert_eq!(fields(parse(None, Some(5), None)), ["extra_minutes"]);
        let endless = trading_of(Some(TradingWord::Paused), None, None, Hand::Operator, now).unwrap();
        assert_eq!(endless, Some(TradingChange::Paused { until: None }));
    }

    #[test]
    fn a_pause_lies_ahead_by_at_most_thirty_days() {
        let now = Timestamp::from_unix_seconds(1_000);
        let parse = |until| trading_of(Some(TradingWord::Paused), None, Some(until), Hand::Member, now);
        assert!(parse(now.plus(LONGEST_PAUSE)).is_ok());
        assert_eq!(fields(parse(now)), ["paused_until"]);
        assert_eq!(fields(parse(now.plus(LONGEST_PAUSE + Duration::from_secs(1)))), ["paused_until"]);
    }
}

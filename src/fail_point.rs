//! Named steps at which a test lets the process die, to see what the next one makes of what is left.
//!
//! In debug builds, `BELLHOP_FAIL_POINT=name` ends the process at that step, at once and without any clean-up; `name:3` at the third time it
//! is reached. In release builds a step is nothing.

/// The variable that names a step.
#[cfg(debug_assertions)]
const VARIABLE: &str = "BELLHOP_FAIL_POINT";

/// Every step of money, in the order in which a payment and a refund reach them.
pub const STEPS: &[&str] = &[
    "payment_initiated",
    "provider_opened",
    "payment_opened",
    "message_received",
    "message_stored",
    "message_read",
    "message_applied",
    "void_asked",
    "void_answered",
    "void_applied",
    "refund_due",
    "refund_begun",
    "refund_asked",
    "refund_sent",
    "refund_answered",
];

/// Every step of a search for a driver, in the order in which it reaches them.
pub const DISPATCH_STEPS: &[&str] = &[
    "wave_ranked",
    "offer_written",
    "offer_committed",
    "offer_announced",
    "answer_received",
    "accept_written",
    "accept_committed",
    "accept_announced",
];

/// A step is reached: the process ends here if a test wants it to.
#[cfg(debug_assertions)]
pub fn reach(step: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static REACHED: AtomicU32 = AtomicU32::new(0);
    let is_known = STEPS.contains(&step) || DISPATCH_STEPS.contains(&step);
    debug_assert!(is_known, "{step} is in none of the lists of steps");
    let wanted = WANTED.get_or_init(|| std::env::var(VARIABLE).ok().and_then(|text| parse(&text)));
    if let Some((name, time)) = wanted
        && name == step
        && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *time
    {
        std::process::abort();
    }
}

/// A step is reached.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn reach(_: &str) {}

/// A step and the time at which it ends the process.
#[cfg(debug_assertions)]
fn parse(text: &str) -> Option<(String, u32)> {
    let (name, time) = text.split_once(':').unwrap_or((text, "1"));
    Some((name.to_owned(), time.parse().ok().filter(|time| *time > 0)?))
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_named_with_the_time_it_is_meant() {
        assert_eq!(parse("refund_sent"), Some(("refund_sent".to_owned(), 1)));
        assert_eq!(parse("refund_sent:3"), Some(("refund_sent".to_owned(), 3)));
        assert_eq!((parse("refund_sent:0"), parse("refund_sent:x")), (None, None));
    }
}

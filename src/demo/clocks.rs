//! The clocks of the demo's hub: short ones, so that a minute shows what takes a quarter of an hour elsewhere.

use crate::config::Sources;

/// Seconds of each clock.
const SECONDS: [(&str, u64); 11] = [
    ("alerts.undelivered_s", 2),
    ("alerts.mail_s", 3),
    ("alerts.ring_every_s", RING_EVERY),
    ("alerts.escalate_s", ESCALATE),
    ("alerts.call_s", 6),
    ("alerts.call_every_s", 10),
    ("alerts.accept_s", ACCEPT),
    ("alerts.unreachable_s", UNREACHABLE),
    ("payments.unpaid_s", UNPAID),
    ("dispatch.offer_s", OFFER),
    ("dispatch.silent_s", SILENT),
];

const RING_EVERY: u64 = 2;
const ESCALATE: u64 = 4;
const ACCEPT: u64 = 8;
const UNREACHABLE: u64 = 6;
const UNPAID: u64 = 5;
const OFFER: u64 = 5;
const SILENT: u64 = 30;

/// These settings with the demo's clocks.
pub(super) fn shortened(sources: Sources) -> Sources {
    SECONDS.iter().fold(sources, |sources, (key, seconds)| sources.with(key, seconds.to_string()))
}

/// What the demo says of its clocks.
pub(super) fn told() -> String {
    format!(
        "Clocks are short here: an order without an answer rings again every {RING_EVERY} s, goes to other channels after \
         {ESCALATE} s\nand is cancelled after {ACCEPT} s, one that is to be paid online and is not after {UNPAID} s; a business without a \
         device is paused after {UNREACHABLE} s. By default it is 15 s, 1 min, 8 min, 15 min and 5 min. A driver has {OFFER} s for an offer and is \
         asked\nafter {SILENT} s of silence, by default 45 s and 2 min.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::domain::saga::Clocks;

    #[test]
    fn the_clocks_are_valid_settings_and_the_words_name_their_values_and_the_defaults() {
        let data = tempfile::tempdir().unwrap();
        let settings = Settings::load(&shortened(Sources::bare(data.path()))).unwrap();
        let alerts = &settings.actors.alerts;
        let short = [alerts.ring_every_s, alerts.escalate_s, alerts.accept_s, alerts.unreachable_s];
        assert_eq!(short, [RING_EVERY, ESCALATE, ACCEPT, UNREACHABLE]);
        assert_eq!((alerts.undelivered_s, alerts.call_every_s), (2, 10));
        assert_eq!(settings.outbound.payments.unpaid_s, UNPAID);
        let Clocks { dispatch, .. } = Clocks::default();
        assert_eq!([dispatch.offer, dispatch.silent].map(|clock| clock.as_secs()), [45, 120]);
        let Clocks { ring_every, escalate, accept, unpaid, unreachable, .. } = Clocks::default();
        let usual = [ring_every, escalate, accept, unpaid, unreachable].map(|clock| clock.as_secs());
        assert_eq!(usual, [15, 60, 8 * 60, 15 * 60, 5 * 60], "the words name the defaults");
    }
}

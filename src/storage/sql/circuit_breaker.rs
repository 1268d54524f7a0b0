//! When a database that does not answer is no longer asked, and when it is asked again. Time is passed in.

use std::time::{Duration, Instant};

use crate::storage::ports::Circuit;

/// So many silences one after the other open the circuit; one can be a connection that broke, three are an outage.
const OPENS_AFTER: u32 = 3;

/// How long a probe waits while reads pass: some of them wait as well, so that it has to be known soon.
const PROBE_WITHIN: Duration = Duration::from_secs(1);

/// How long it waits while the circuit is open: nobody waits for it, and a server that has just started is asked for many
/// new connections at once. Two such probes fit into the 5 s in which writes resume.
const OPEN_PROBE_WITHIN: Duration = Duration::from_secs(2);

/// Every so many probes one may take as long as a read, for a database that answers, but never so soon.
const PATIENT_EVERY: u32 = 4;

/// What a question to the database showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Probe {
    /// It is there, whatever it said.
    Answer,
    /// Nobody answered: no connection, or no word in time.
    Silence,
}

/// The circuit turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum CircuitChange {
    /// From now on reads are refused.
    Opened,
    /// From now on reads pass again; they were refused for so long.
    Closed(Duration),
}

/// The breaker's mind. Reads never wait for a probe: whoever asks while the circuit is open is refused at once, and the
/// probes, one at a time, find out when the database is back. What began before the last silence was counted is part of
/// that silence, so that connections which break together count as one.
#[derive(Debug, Default)]
pub(in crate::storage) struct CircuitBreaker {
    opened: Option<Instant>,
    silences: u32,
    last_silence: Option<Instant>,
    suspected: bool,
    prober: Prober,
    probes: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Prober {
    #[default]
    Idle,
    Running,
    /// The pool is closed; nobody asks any more.
    Retired,
}

impl CircuitBreaker {
    pub(in crate::storage) fn circuit(&self) -> Circuit {
        if self.opened.is_some() { Circuit::Open } else { Circuit::Closed }
    }

    /// What was asked at `began` has come to this by `now`.
    pub(in crate::storage) fn record(
        &mut self,
        probe: Probe,
        began: Instant,
        now: Instant,
    ) -> Option<CircuitChange> {
        match probe {
            Probe::Ok => {
                (self.silences, self.last_silence, self.suspected) = (0, None, false);
                self.opened.take().map(|opened| CircuitChange::Closed(now.saturating_duration_since(opened)))
            }
            Probe::NoResponse if self.last_silence.is_some_and(|last| began < last) => None,
            Probe::NoResponse => {
                self.silences = self.silences.saturating_add(1);
                self.last_silence = Some(now);
                if self.opened.is_some() || self.silences < OPENS_AFTER {
                    return None;
                }
                self.opened = Some(now);
                Some(CircuitChange::Opened)
            }
        }
    }

    /// A read waits for long. That alone opens nothing, but it is worth a probe.
    pub(in crate::storage) fn suspect(&mut self) {
        self.suspected = true;
    }

    /// Whether a prober has to be started now; whoever is told so starts it.
    pub(in crate::storage) fn start_prober(&mut self) -> bool {
        let starts = self.prober == Prober::Idle && self.is_unsure();
        if starts {
            (self.prober, self.probes) = (Prober::Running, 0);
        }
        starts
    }

    /// How long the next probe may take, at most `patience`; `None` ends the prober.
    pub(in crate::storage) fn next_probe(&mut self, patience: Duration) -> Option<Duration> {
        if self.prober != Prober::Running {
            return None;
        }
        if !self.is_unsure() {
            self.prober = Prober::Idle;
            return None;
        }
        self.probes = self.probes.wrapping_add(1);
        let patient = self.probes.is_multiple_of(PATIENT_EVERY);
        let usual = if self.opened.is_some() { OPEN_PROBE_WITHIN } else { PROBE_WITHIN };
        Some(if patient { patience } else { usual.min(patience) })
    }

    /// No more probes.
    pub(in crate::storage) fn retire(&mut self) {
        self.prober = Prober::Retired;
    }

    fn is_unsure(&self) -> bool {
        self.opened.is_some() || self.silences > 0 || self.suspected
    }
}

#[cfg(test)]
mod tests;

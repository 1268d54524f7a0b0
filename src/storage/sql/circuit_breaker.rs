//! Circuit breaker for reads of a database that does not answer. Pure: time is passed in.

use std::time::{Duration, Instant};

use crate::storage::ports::Circuit;

/// Number of reads in a row without a response that opens the circuit: one can be a broken connection, three are an outage.
const OPENS_AFTER: u32 = 3;

/// Limit of a probe while the circuit is closed: reads wait as well, so the result has to be known soon.
const PROBE_WITHIN: Duration = Duration::from_secs(1);

/// Limit of a probe while the circuit is open: no read waits for it, and a server that has just started is asked for many new
/// connections at once. Two such probes fit into the 5 s in which writes resume.
const OPEN_PROBE_WITHIN: Duration = Duration::from_secs(2);

/// One of so many probes may take as long as a read, for a database that answers, but slowly.
const PATIENT_EVERY: u32 = 4;

/// Result of a read or a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// The database answered, be it with an error.
    Ok,
    /// No connection, or no answer in time.
    NoResponse,
}

/// Change of the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CircuitChange {
    /// Reads are refused from now on.
    Opened,
    /// Reads pass from now on; they were refused for this long.
    Closed(Duration),
}

/// Reads never wait for a probe: while the circuit is open they are refused at once, and probes, one at a time, find out when the
/// database is back. A read that began before the last failure was counted is part of that failure, so that connections which
/// break together count as one.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
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
    /// The pool is closed.
    Retired,
}

impl CircuitBreaker {
    pub(super) fn circuit(&self) -> Circuit {
        if self.opened.is_some() { Circuit::Open } else { Circuit::Closed }
    }

    /// Records the result at `now` of a read or probe that began at `began`.
    pub(super) fn record(&mut self, probe: Probe, began: Instant, now: Instant) -> Option<CircuitChange> {
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

    /// Asks for a probe because a read waits for long; that alone does not open the circuit.
    pub(super) fn suspect(&mut self) {
        self.suspected = true;
    }

    /// Whether the caller has to start a prober now.
    pub(super) fn start_prober(&mut self) -> bool {
        let starts = self.prober == Prober::Idle && self.is_unsure();
        if starts {
            (self.prober, self.probes) = (Prober::Running, 0);
        }
        starts
    }

    /// Limit of the next probe, at most `patience`; `None` ends the prober.
    pub(super) fn next_probe(&mut self, patience: Duration) -> Option<Duration> {
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
    pub(super) fn retire(&mut self) {
        self.prober = Prober::Retired;
    }

    fn is_unsure(&self) -> bool {
        self.opened.is_some() || self.silences > 0 || self.suspected
    }
}

#[cfg(test)]
mod tests;

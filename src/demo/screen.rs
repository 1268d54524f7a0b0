//! The live summary: one screen redrawn in place on a terminal, a line a second elsewhere.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::telemetry::Metrics;

use super::ledger::{Ledger, Recent, Totals};
use super::report::{Quantiles, millis};

/// How often a terminal is redrawn.
const REDRAW_EVERY: Duration = Duration::from_millis(250);

/// How often a line is written where nothing can be redrawn.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Over how long the pace is averaged.
const PACE_OVER: Duration = Duration::from_secs(5);

/// Lines stay within the narrowest usual terminal: a wrapped line would spoil the redrawing.
const WIDTH: usize = 78;

/// Moves up so many lines and clears what follows.
fn rewind(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") }
}

/// What one drawing shows.
#[derive(Clone, Debug)]
struct Snapshot {
    elapsed: Duration,
    pace: f64,
    totals: Totals,
    sockets: i64,
    latency: Option<Quantiles>,
    recent: Vec<Recent>,
}

impl Snapshot {
    fn latency(&self) -> String {
        match self.latency {
            Some(Quantiles { p50, p99, .. }) => format!("p50 {}, p99 {}", millis(p50), millis(p99)),
            None => "none yet".to_owned(),
        }
    }

    fn open(&self) -> u64 {
        self.totals.placed - self.totals.completed
    }

    fn line(&self) -> String {
        let Totals { placed, rung, acked, completed, .. } = self.totals;
        format!(
            "{:>5.0} s  {:>5.1} orders/s  placed {placed}  rung {rung}  acked {acked}  completed {completed}  open {}  \
             sockets {}  commit to ack {}",
            self.elapsed.as_secs_f64(),
            self.pace,
            self.open(),
            self.sockets,
            self.latency(),
        )
    }

    fn screen(&self, businesses: &[String]) -> Vec<String> {
        let Totals { placed, rung, acked, completed, .. } = self.totals;
        let mut lines = vec![
            String::new(),
            format!(
                "  {:>6.1} s   {:>5.1} orders/s   {:>4} open   {:>4} sockets",
                self.elapsed.as_secs_f64(),
                self.pace,
                self.open(),
                self.sockets
            ),
            format!("  placed {placed:>7}   rung {rung:>7}   acked {acked:>7}   completed {completed:>7}"),
            format!("  commit to acknowledgement: {}", self.latency()),
            String::new(),
        ];
        for Recent { number, business, status } in &self.recent {
            let name = businesses.get(*business).map_or("", String::as_str);
            lines.push(format!("  #{number:<6} {name:<28} {}", status.as_str()));
        }
        lines.iter().map(|line| line.chars().take(WIDTH).collect()).collect()
    }
}

/// Shows the run on a thread of its own, so that a stalled terminal holds up nobody. Dropping it stops the drawing too.
#[derive(Debug)]
pub(super) struct Screen {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Screen {
    /// Starts drawing on standard output.
    pub(super) fn start(
        ledger: Arc<Mutex<Ledger>>,
        metrics: Metrics,
        businesses: Vec<String>,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let smart = io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let work = move || {
            draw(&ledger, &metrics, &businesses, if smart { Style::Redrawn } else { Style::Lines }, &stopped)
        };
        let thread = std::thread::Builder::new().name("screen".to_owned()).spawn(work)?;
        Ok(Self { stop, thread })
    }

    /// Draws a last time and ends.
    pub(super) fn finish(self) {
        drop(self.stop);
        // A drawing that panicked has nothing left to say.
        let _ = self.thread.join();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Redrawn,
    Lines,
}

fn draw(
    ledger: &Mutex<Ledger>,
    metrics: &Metrics,
    businesses: &[String],
    style: Style,
    stopped: &Receiver<()>,
) {
    let began = Instant::now();
    let mut pace = Pace::default();
    let mut drawn = 0;
    let every = if style == Style::Redrawn { REDRAW_EVERY } else { LINE_EVERY };
    loop {
        let last = matches!(stopped.recv_timeout(every), Ok(()) | Err(RecvTimeoutError::Disconnected));
        let elapsed = began.elapsed();
        let (totals, recent) = {
            let books = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            (books.totals(), books.recent())
        };
        let shown = Snapshot {
            elapsed,
            pace: pace.of(elapsed, totals.placed),
            totals,
            sockets: metrics.websocket_connections_active.get(),
            latency: Quantiles::commit_to_ack(metrics),
            recent,
        };
        let text = if style == Style::Redrawn {
            let lines = shown.screen(businesses);
            let text = format!("{}{}\n", rewind(drawn), lines.join("\n"));
            drawn = lines.len();
            text
        } else {
            format!("{}\n", shown.line())
        };
        let mut out = io::stdout().lock();
        // Nobody reads any more: go on in silence.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if last {
            return;
        }
    }
}

/// Orders a second over the last seconds.
#[derive(Debug, Default)]
struct Pace(VecDeque<(Duration, u64)>);

impl Pace {
    fn of(&mut self, elapsed: Duration, placed: u64) -> f64 {
        self.0.push_back((elapsed, placed));
        while self.0.len() > 2 && self.0.get(1).is_some_and(|(at, _)| elapsed - *at >= PACE_OVER) {
            self.0.pop_front();
        }
        let (since, before) = self.0.front().copied().unwrap_or_default();
        let over = (elapsed - since).as_secs_f64();
        if over > 0.0 { (placed - before) as f64 / over } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::Status;

    fn snapshot() -> Snapshot {
        let recent = Recent { number: "007".to_owned(), business: 0, status: Status::Preparing };
        Snapshot {
            elapsed: Duration::from_secs(3),
            pace: 19.5,
            totals: Totals { placed: 60, rung: 59, acked: 58, completed: 40, settled: 40 },
            sockets: 40,
            latency: None,
            recent: vec![recent; 6],
        }
    }

    #[test]
    fn the_screen_has_as_many_lines_as_are_rewound_and_none_wraps() {
        let lines = snapshot().screen(&["A very long name ".repeat(10)]);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH && !line.contains('\n')), "{lines:?}");
        assert_eq!(rewind(0), "");
        assert_eq!(rewind(lines.len()), "\x1b[11A\x1b[J");
    }

    #[test]
    fn a_line_tells_it_all_at_once() {
        let line = snapshot().line();
        assert!(
            line.contains("placed 60") && line.contains("open 20") && line.contains("sockets 40"),
            "{line}"
        );
        assert!(!line.contains('\n') && !line.contains('\x1b'));
    }

    #[test]
    fn the_pace_is_that_of_the_last_seconds() {
        let mut pace = Pace::default();
        let second = Duration::from_secs;
        assert!(pace.of(second(0), 0).abs() < 0.001);
        assert!((pace.of(second(2), 20) - 10.0).abs() < 0.001);
        for n in 3..20 {
            pace.of(second(n), 20);
        }
        assert!(pace.of(second(20), 20).abs() < 0.001);
        assert!(pace.0.len() <= 7);
    }
}

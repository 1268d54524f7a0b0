//! The live summary: one screen redrawn in place on a terminal, a line a second elsewhere.

mod tracked_orders;

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use super::figures::{Quantiles, millis};
use super::ledger::{Alerts, Ledger, Recoveries, Totals};
use tracked_orders::TrackedOrders;

/// Interval of redrawing a terminal.
const REDRAW_EVERY: Duration = Duration::from_millis(250);

/// Interval of lines where nothing can be redrawn.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Over how long the pace is averaged.
const PACE_OVER: Duration = Duration::from_secs(5);

/// The size of a terminal that does not say.
const DEFAULT_SIZE: Size = Size { columns: 80, rows: 24 };

/// Lines of the terminal that stay free below and above the drawing.
const MARGIN: usize = 2;

#[derive(Clone, Copy, Debug)]
struct Size {
    columns: usize,
    rows: usize,
}

impl Size {
    /// As the terminal is now.
    fn present() -> Self {
        match rustix::termios::tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Self { columns: size.ws_col.into(), rows: size.ws_row.into() }
            }
            Ok(_) | Err(_) => DEFAULT_SIZE,
        }
    }
}

/// Moves up so many lines and clears what follows.
fn rewind(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") }
}

/// The content of one drawing.
#[derive(Clone, Debug)]
struct Snapshot {
    elapsed: Duration,
    pace: f64,
    totals: Totals,
    sockets: i64,
    latency: Option<Quantiles>,
    recoveries: Recoveries,
    alerts: Alerts,
    caught_up: u64,
    /// Whether no more is ordered.
    closing: bool,
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
        let Totals { placed, rung, acked, completed, unanswered, rang_again, .. } = self.totals;
        let Recoveries { cut, resumed, repeated, same } = self.recoveries;
        let Alerts { paused, resumed: open_again, .. } = self.alerts;
        format!(
            "{:>5.0} s  {:>5.1} orders/s  placed {placed}  rung {rung}  acked {acked}  completed {completed}  open {}  \
             sockets {}  commit to ack {}  cut {cut}  resumed {resumed}  caught up {}  repeated {repeated}  same {same}  \
             rung again {rang_again}  unanswered {unanswered}  paused {paused}  open again {open_again}",
            self.elapsed.as_secs_f64(),
            self.pace,
            self.open(),
            self.sockets,
            self.latency(),
            self.caught_up,
        )
    }

    /// The line that is shown once no more is ordered.
    fn closing_line(&self) -> String {
        format!("no new orders; {} open, another Ctrl-C leaves now", self.open())
    }

    fn screen(&self, followed: Vec<String>, size: Size) -> Vec<String> {
        let Recoveries { cut, resumed, repeated, same } = self.recoveries;
        let Totals { placed, rung, acked, completed, unanswered, rang_again, .. } = self.totals;
        let Alerts { paused, resumed: open_again, refused_by_pause, .. } = self.alerts;
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
            format!("  connections cut {cut}, resumed {resumed}, events caught up {}", self.caught_up),
            format!("  orders sent again {repeated}, answered with the first {same}"),
            format!("  rung again {rang_again}, cancelled without an answer {unanswered}"),
            format!(
                "  businesses paused {paused}, open again {open_again}; orders refused there {refused_by_pause}"
            ),
            if self.closing { format!("  {}", self.closing_line()) } else { String::new() },
        ];
        lines.extend(followed);
        lines.truncate(size.rows.saturating_sub(MARGIN).max(1));
        // A wrapped line would spoil the redrawing.
        lines.iter().map(|line| line.chars().take(size.columns.saturating_sub(1)).collect()).collect()
    }
}

/// Shows the run on a thread of its own, so that a stalled terminal holds up nobody. Dropping it stops the drawing too.
#[derive(Debug)]
pub(super) struct Dashboard {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Dashboard {
    /// Starts drawing on standard output.
    pub(super) fn start(
        ledger: Arc<Mutex<Ledger>>,
        counts: Counts,
        businesses: Vec<String>,
        closing: CancellationToken,
    ) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let smart = io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let work = move || {
            let style = if smart { Style::Redrawn } else { Style::Lines };
            draw(&ledger, &counts, &businesses, style, &closing, &stopped)
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
    counts: &Counts,
    businesses: &[String],
    style: Style,
    closing: &CancellationToken,
    stopped: &Receiver<()>,
) {
    let began = Instant::now();
    let mut pace = Pace::default();
    let mut tracked = TrackedOrders::default();
    let mut output = Output { style, drawn: 0, said_closing: false };
    let every = if style == Style::Redrawn { REDRAW_EVERY } else { LINE_EVERY };
    loop {
        let last = matches!(stopped.recv_timeout(every), Ok(()) | Err(RecvTimeoutError::Disconnected));
        let elapsed = began.elapsed();
        let (totals, recoveries, alerts) = {
            let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            tracked.update(elapsed, &ledger);
            (ledger.totals(), ledger.recoveries, ledger.alerts.counts())
        };
        let shown = Snapshot {
            elapsed,
            pace: pace.of(elapsed, totals.placed),
            totals,
            sockets: counts.sockets(),
            latency: counts.commit_to_ack(),
            recoveries,
            alerts,
            caught_up: counts.caught_up(),
            closing: closing.is_cancelled() && !last,
        };
        output.show(&shown, || tracked.lines(businesses));
        if last {
            return;
        }
    }
}

/// Standard output, and what it shows already.
struct Output {
    style: Style,
    /// Lines of the last drawing.
    drawn: usize,
    said_closing: bool,
}

impl Output {
    fn show(&mut self, shown: &Snapshot, tracked: impl FnOnce() -> Vec<String>) {
        let text = if self.style == Style::Redrawn {
            let lines = shown.screen(tracked(), Size::present());
            let text = format!("{}{}\n", rewind(self.drawn), lines.join("\n"));
            self.drawn = lines.len();
            text
        } else {
            let says_closing = shown.closing && !self.said_closing;
            self.said_closing |= shown.closing;
            let closing = if says_closing { shown.closing_line() + "\n" } else { String::new() };
            format!("{closing}{}\n", shown.line())
        };
        let mut out = io::stdout().lock();
        // Nobody reads any more: go on in silence.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// Orders a second over the last seconds.
#[derive(Debug)]
struct Pace(VecDeque<(Duration, u64)>);

impl Default for Pace {
    fn default() -> Self {
        Self(VecDeque::from([(Duration::ZERO, 0)]))
    }
}

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

    fn snapshot() -> Snapshot {
        Snapshot {
            elapsed: Duration::from_secs(3),
            pace: 19.5,
            totals: Totals {
                placed: 60,
                rung: 59,
                acked: 58,
                completed: 40,
                settled: 40,
                rang_again: 5,
                unanswered: 3,
                never_placed: 1,
            },
            sockets: 40,
            latency: None,
            recoveries: Recoveries { cut: 214, resumed: 213, repeated: 96, same: 95 },
            alerts: Alerts { paused: 2, resumed: 1, refused_by_pause: 17, ..Alerts::default() },
            caught_up: 1_203,
            closing: true,
        }
    }

    #[test]
    fn the_screen_has_as_many_lines_as_are_rewound_and_none_wraps() {
        let followed = || vec!["A very long name ".repeat(10); 6];
        for (columns, rows, drawn) in [(80, 24, 15), (40, 24, 15), (60, 12, 10), (20, 5, 3)] {
            let lines = snapshot().screen(followed(), Size { columns, rows });
            assert!(
                lines.iter().all(|line| line.chars().count() < columns && !line.contains('\n')),
                "{lines:?}"
            );
            assert_eq!(lines.len(), drawn, "{columns} by {rows}");
        }
        let lines = snapshot().screen(followed(), DEFAULT_SIZE);
        assert_eq!(rewind(0), "");
        assert_eq!(rewind(lines.len()), "\x1b[15A\x1b[J");
        let text = lines.join("\n");
        for part in [
            "cut 214, resumed 213, events caught up 1203",
            "no new orders; 20 open",
            "sent again 96",
            "rung again 5, cancelled without an answer 3",
            "paused 2, open again 1; orders refused there 17",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn a_line_tells_it_all_at_once() {
        let line = snapshot().line();
        assert!(
            line.contains("placed 60")
                && line.contains("unanswered 3")
                && line.contains("open 20")
                && line.contains("sockets 40"),
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
        assert!((Pace::default().of(second(1), 15) - 15.0).abs() < 0.001, "the first second counts");
    }
}

//! The queue of log lines, with a thread that writes them. Logging never waits for the reader of the log and never fails: a line that
//! finds the queue full or cannot be written is dropped and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use tracing_subscriber::fmt::MakeWriter;

/// Most bytes of lines in the queue: some seconds of the log of a busy hub.
const MAX_BYTES: usize = 4 << 20;

/// Most lines in the queue, a bound on the memory around short lines.
const MAX_LINES: usize = 32_768;

/// Lines that the writer takes from the queue at once.
const CHUNK: usize = 256;

/// The shortest time between two notices in the log that lines were dropped.
const NOTICE_EVERY: Duration = Duration::from_secs(10);

/// Lines dropped since the start of the process: the queue was full, or a write failed.
pub(super) static DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    IntCounter::new("log_lines_dropped_total", "Lines of the log that could not be written.")
        .expect("the name is one that Prometheus takes")
});

/// The queue: bounded, and adding a line never waits for the writer. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct LogQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled when a line is added to an empty queue.
    filled: Condvar,
    /// Signalled when every line is written or dropped.
    emptied: Condvar,
    max_bytes: usize,
    max_lines: usize,
    dropped: IntCounter,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    writing: bool,
}

impl LogQueue {
    /// A queue with a thread that writes its lines to `out` until the process ends.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        Self::bounded(out, MAX_BYTES, MAX_LINES, DROPPED.clone())
    }

    fn bounded(
        out: impl Write + Send + 'static,
        max_bytes: usize,
        max_lines: usize,
        dropped: IntCounter,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            max_bytes,
            max_lines,
            dropped,
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_lines(out))?;
        Ok(Self(shared))
    }

    fn push(&self, line: &[u8]) {
        let shared = &self.0;
        let mut state = shared.state();
        if state.lines.len() >= shared.max_lines || state.bytes + line.len() > shared.max_bytes {
            drop(state);
            shared.dropped.inc();
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.into());
        if state.lines.len() == 1 {
            shared.filled.notify_one();
        }
    }

    /// Waits until every line so far is written or dropped, at most `within`.
    pub(super) fn flush(&self, within: Duration) {
        let state = self.0.state();
        let busy = |state: &mut State| state.writing || !state.lines.is_empty();
        let _ = self.0.emptied.wait_timeout_while(state, within, busy);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lines(&self, mut out: impl Write) {
        let (mut reported, mut reported_at) = (self.dropped.get(), None::<Instant>);
        loop {
            let mut state = self.state();
            state.writing = false;
            if state.lines.is_empty() {
                self.emptied.notify_all();
            }
            state = self
                .filled
                .wait_while(state, |state| state.lines.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            let until = state.lines.len().min(CHUNK);
            let chunk: Vec<Box<[u8]>> = state.lines.drain(..until).collect();
            state.bytes -= chunk.iter().map(|line| line.len()).sum::<usize>();
            state.writing = true;
            drop(state);
            let failed = chunk.iter().filter(|line| out.write_all(line).is_err()).count();
            self.dropped.inc_by(u64::try_from(failed).unwrap_or(u64::MAX));
            let missing = self.dropped.get() - reported;
            if failed == 0 && missing > 0 && reported_at.is_none_or(|at| at.elapsed() >= NOTICE_EVERY) {
                (reported, reported_at) = (reported + missing, Some(Instant::now()));
                tracing::warn!(lines = missing, "log lines were dropped here");
            }
        }
    }
}

/// The writer of one line into the queue.
#[derive(Debug)]
pub(super) struct QueuedLine<'a>(&'a LogQueue);

impl Write for QueuedLine<'_> {
    /// Takes a whole line, as the formatter writes it. Never fails: a dropped line is counted.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = QueuedLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        QueuedLine(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn counter() -> IntCounter {
        IntCounter::new("dropped", "dropped").unwrap()
    }

    /// Hands each line to the test, and writes only what the test lets it.
    struct Scripted {
        began: mpsc::Sender<Vec<u8>>,
        results: mpsc::Receiver<io::Result<()>>,
    }

    impl Write for Scripted {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.began.send(line.to_vec());
            self.results.recv().unwrap_or(Ok(())).map(|()| line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn scripted() -> (Scripted, mpsc::Receiver<Vec<u8>>, mpsc::Sender<io::Result<()>>) {
        let ((began, lines), (sender, results)) = (mpsc::channel(), mpsc::channel());
        (Scripted { began, results }, lines, sender)
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_nobodys_time() {
        let (out, began, results) = scripted();
        let dropped = counter();
        let queue = LogQueue::bounded(out, 100, 5, dropped.clone()).unwrap();
        queue.push(b"stuck\n");
        assert_eq!(began.recv_timeout(SOON).unwrap(), b"stuck\n");
        (0..8).for_each(|_| queue.push(b"waits\n"));
        assert_eq!(dropped.get(), 3, "five fit");
        queue.push(&[b'x'; 200]);
        assert_eq!(dropped.get(), 4, "more bytes than fit");
        let began_to_wait = Instant::now();
        queue.flush(Duration::from_millis(50));
        assert!(began_to_wait.elapsed() < SOON, "the wait is bounded");
        drop(results);
        queue.flush(SOON);
        assert_eq!(began.try_iter().count(), 5);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_the_next_one_is_tried() {
        let (out, began, results) = scripted();
        let dropped = counter();
        let queue = LogQueue::bounded(out, 1000, 10, dropped.clone()).unwrap();
        for result in [Err(io::ErrorKind::BrokenPipe.into()), Err(io::ErrorKind::StorageFull.into()), Ok(())]
        {
            results.send(result).unwrap();
            queue.push(b"line\n");
            assert_eq!(began.recv_timeout(SOON).unwrap(), b"line\n");
        }
        queue.flush(SOON);
        assert_eq!(dropped.get(), 2);
    }

    #[test]
    fn what_was_logged_before_a_flush_is_written_after_it() {
        let (out, began, results) = scripted();
        drop(results);
        let queue = LogQueue::bounded(out, 1 << 20, 10_000, counter()).unwrap();
        (0..1000).for_each(|n| queue.push(format!("{n}\n").as_bytes()));
        queue.flush(SOON);
        assert_eq!(began.try_iter().count(), 1000);
    }
}

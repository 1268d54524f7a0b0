//! Logging to standard error. Standard output is for the results of commands alone.

use std::backtrace::BacktraceStatus;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd as _;
use std::time::Duration;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, fmt};

use super::log_queue::LogQueue;
use super::settings::{LogFormat, LogSettings};

/// Logging could not be started.
#[derive(Debug, Error)]
pub enum LogError {
    /// `log.level` is neither a level nor a filter. The settings are checked before, so this does not happen after loading them.
    #[error("log.level '{level}' is not a level or filter")]
    Filter {
        /// The value of the setting.
        level: String,
        /// The error of the filter's parser.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The writer thread could not be started.
    #[error("the thread that writes the log could not be started: {0}")]
    Thread(#[from] io::Error),
    /// The process has a log already.
    #[error("logging was already started")]
    Started(#[from] TryInitError),
}

/// The longest wait for the last lines at the end of the process.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// A guard for the log. When it is dropped, it waits for the lines logged before, for one second at most.
#[derive(Debug)]
#[must_use]
pub struct Logging(LogQueue);

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.flush(FLUSH_WITHIN);
    }
}

/// Starts logging for the whole process, once. Lines and panics go through a bounded queue to a thread that writes to standard error:
/// logging never waits for the reader of the log, and a line that cannot be written is dropped and counted in
/// `log_lines_dropped_total`.
///
/// # Errors
/// [`LogError`] for an invalid level, and when logging was started before.
pub fn init(settings: &LogSettings) -> Result<Logging, LogError> {
    let colour = if io::stderr().is_terminal() { Colour::Terminal } else { Colour::None };
    // A descriptor of its own: while a reader stands still, the lock of the library's standard error would be held, and every
    // other writer would wait for it.
    let out: Box<dyn io::Write + Send> = match io::stderr().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(io::sink()),
    };
    let queue = LogQueue::start(out)?;
    match settings.format {
        LogFormat::Pretty => pretty(settings, colour, queue.clone())?.try_init()?,
        LogFormat::Json => json(settings, queue.clone())?.try_init()?,
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(Logging(queue))
}

/// Logs a panic. The standard library's own hook would wait for the reader of standard error and fail with it.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(
        thread = thread.name().unwrap_or("unnamed"),
        place = panic.location().map(tracing::field::display),
        cause = panic.payload_as_str().unwrap_or("no message"),
        backtrace =
            (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(&backtrace)),
        "a thread panicked"
    );
}

enum Colour {
    Terminal,
    None,
}

/// Filter directives for the HTTP library. It logs every unreadable request as an error, and any client can send thousands of them; at
/// its start it repeats what the hub logs. Directives of the operator come later and win.
const QUIET: &str = "actix_http::h1::dispatcher=off,actix_server=warn";

fn filter(settings: &LogSettings) -> Result<EnvFilter, LogError> {
    let level = &settings.level;
    EnvFilter::try_new(format!("{QUIET},{level}"))
        .map_err(|source| LogError::Filter { level: level.clone(), source })
}

fn pretty<W>(
    settings: &LogSettings,
    colour: Colour,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = fmt().with_env_filter(filter(settings)?).with_writer(writer).log_internal_errors(false);
    // Colour is never forced on, so that NO_COLOR works.
    Ok(match colour {
        Colour::Terminal => builder.finish(),
        Colour::None => builder.with_ansi(false).finish(),
    })
}

/// JSON, one object a line: the fields of the event beside time, level and target, those of its innermost span under `span`.
fn json<W>(settings: &LogSettings, writer: W) -> Result<impl Subscriber + Send + Sync, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder =
        fmt().with_env_filter(filter(settings)?).with_writer(writer).log_internal_errors(false).json();
    Ok(builder.flatten_event(true).with_span_list(false).finish())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        fn writer(&self) -> impl for<'w> MakeWriter<'w> + Send + Sync + 'static {
            let captured = self.clone();
            move || captured.clone()
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn settings(level: &str) -> LogSettings {
        LogSettings { level: level.to_owned(), ..Default::default() }
    }

    #[test]
    fn a_json_line_holds_the_fields_of_the_event_and_of_its_span() {
        let captured = Captured::default();
        let subscriber = json(&settings("info"), captured.writer()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("request", request_id = "r1").entered();
            tracing::info!(status = 201, "done");
        });
        let line: serde_json::Value = serde_json::from_str(&captured.text()).unwrap();
        assert_eq!(line["message"], "done");
        assert_eq!(line["status"], 201);
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["span"]["request_id"], "r1");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn the_filter_works_by_target() {
        let captured = Captured::default();
        let subscriber = pretty(&settings("warn,loud=debug"), Colour::None, captured.writer()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("not shown");
            tracing::debug!(target: "loud", "shown");
            tracing::warn!("also shown");
        });
        let text = captured.text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains("not shown") && !text.contains('\u{1b}'));
    }

    #[test]
    fn a_broken_filter_is_named() {
        assert!(matches!(filter(&settings("info,bellhop=loudest")), Err(LogError::Filter { .. })));
    }
}

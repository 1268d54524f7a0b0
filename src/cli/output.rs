//! Output of commands on standard output and standard error.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// The longest wait for the reader of standard error at the end of the process.
const ERROR_TIMEOUT: Duration = Duration::from_secs(1);

/// Writes one line to standard output. A closed pipe is not an error.
pub(super) fn print_line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Writes the output of a command. A closed pipe is not an error; a full disk is one.
pub(super) fn print_output(bytes: &[u8]) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            print_error(&io::Error::new(error.kind(), format!("the output could not be written: {error}")));
            ExitCode::FAILURE
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Writes an error with all its causes to standard error, in one line.
pub(super) fn print_error(error: &dyn std::error::Error) {
    let mut line = format!("bellhop: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors contain the text of their cause.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    // A thread of its own, because a reader that stands still must not prevent the process from ending.
    let (done, written) = mpsc::sync_channel(1);
    let started = std::thread::Builder::new().spawn(move || {
        let _ = writeln!(io::stderr(), "{line}");
        let _ = done.send(());
    });
    if started.is_ok() {
        let _ = written.recv_timeout(ERROR_TIMEOUT);
    }
}

/// Writes an error and returns the exit status of a failure.
pub(super) fn fail(error: &dyn std::error::Error) -> ExitCode {
    print_error(error);
    ExitCode::FAILURE
}

//! The limit of open files: each socket, connection and database connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files a node is expected to have open at most: 10,000 sockets, as many requests again at a busy moment, and the rest.
/// Below it a warning is logged at the start, since a hub that has no file left takes no connection.
const EXPECTED: u64 = 16_384;

/// Raises the limit as far as the system lets the process, and logs where it stands. `None` is no limit.
pub(super) fn raise_limit() {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    let Some(limit) = getrlimit(Resource::Nofile).current else { return };
    if limit < EXPECTED {
        tracing::warn!(
            limit,
            expected = EXPECTED,
            "few files may be open: beyond that connections are not taken; raise the hard limit (ulimit -Hn, LimitNOFILE)"
        );
    } else {
        tracing::info!(limit, "open files");
    }
}

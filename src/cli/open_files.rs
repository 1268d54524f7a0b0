//! The limit of open files. Each connection of a client or to the database is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of open files that a busy node needs: 10,000 WebSockets and about 6,000 requests. A lower limit is logged as a warning at
/// the start, because a hub without a free file accepts no connection.
const EXPECTED: u64 = 16_384;

/// Raises the soft limit to the hard limit and logs the result.
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
            "few files may be open: beyond the limit no connection is accepted; raise the hard limit (ulimit -Hn, LimitNOFILE)"
        );
    } else {
        tracing::info!(limit, "limit of open files");
    }
}

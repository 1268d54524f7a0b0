//! The Redis of the tests.

use uuid::Uuid;

/// The URL of a single Redis, or of a Redis Cluster; none, with a word, where there is none.
pub fn redis_url(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        eprintln!("skipped: {variable} is not set; ./scripts/test starts a Redis and sets it");
    }
    url
}

/// A prefix of one test's own: all tests share one server.
pub fn own_prefix() -> String {
    format!("test-{}", Uuid::new_v4().simple())
}

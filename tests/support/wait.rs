//! Waiting for the thing itself.

use std::time::Duration;

/// Waits until something holds, looking 50 times a second, 20 s at most; `what` says what did not come.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let wait = async {
        while !holds() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("{what}"));
}

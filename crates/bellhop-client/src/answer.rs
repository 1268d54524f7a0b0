//! Answers of the hub, read to their end.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

/// An HTTP answer with its whole body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// Every header field.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

/// The fields of `application/problem+json` that clients act upon.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) detail: String,
}

impl Answer {
    /// Reads the body of `response` to its end.
    ///
    /// # Errors
    /// When the connection breaks before that.
    pub async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Self { status, headers, text: response.text().await? })
    }

    /// `Retry-After`, if it says a number of seconds.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// The problem in the body; one without a code when the body holds none.
    pub(crate) fn problem(&self) -> Problem {
        let unreadable = || Problem { code: String::new(), detail: "no problem body".to_owned() };
        serde_json::from_str(&self.text).unwrap_or_else(|_| unreadable())
    }
}

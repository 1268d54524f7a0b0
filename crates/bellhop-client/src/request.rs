//! Requests as data, so that one can be sent again.

use reqwest::Method;
use serde_json::Value;

/// The rule by which a request may be sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// After broken connections, 503, 429, and while the first request with its key is under way: the request has a key, or
    /// does the same when it is done twice.
    Freely,
    /// Only after a 503 that says when to come again and that nothing happened, and only when that moment is within the
    /// client's patience.
    IfNotDone,
}

/// A request to the hub.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Body,
    pub(crate) key: Option<String>,
    pub(crate) repeat: Repeat,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    None,
    Json(Value),
    Text(String),
}

impl Request {
    fn api(method: Method, path: &str, body: Body) -> Self {
        Self { method, path: format!("/api/v1{path}"), body, key: None, repeat: Repeat::Freely }
    }

    /// A GET of a path below `/api/v1`.
    pub fn get(path: impl AsRef<str>) -> Self {
        Self::api(Method::GET, path.as_ref(), Body::None)
    }

    /// A POST of JSON to a path below `/api/v1`.
    pub fn post(path: impl AsRef<str>, body: Value) -> Self {
        Self::api(Method::POST, path.as_ref(), Body::Json(body))
    }

    /// A PATCH with JSON of a path below `/api/v1`.
    pub fn patch(path: impl AsRef<str>, body: Value) -> Self {
        Self::api(Method::PATCH, path.as_ref(), Body::Json(body))
    }

    /// A DELETE of a path below `/api/v1`.
    pub fn delete(path: impl AsRef<str>) -> Self {
        Self::api(Method::DELETE, path.as_ref(), Body::None)
    }

    /// A POST of text to a whole path, for servers that are no hub.
    pub fn post_text(path: impl Into<String>, text: String) -> Self {
        let (method, path) = (Method::POST, path.into());
        Self { method, path, body: Body::Text(text), key: None, repeat: Repeat::Freely }
    }

    /// Sends an idempotency key along.
    pub fn keyed(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }

    /// Says when it may be sent again; [`Repeat::Freely`] unless said.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Method and path, for messages.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

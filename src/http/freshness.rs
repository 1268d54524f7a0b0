//! How an answer says that it was made of copies whose time is over, because the store is away: by `Cache-Status`
//! (RFC 9211), which says for how long, and the word `stale`.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::storage::cache::{Cached, Freshness};

/// The header of an answer that may be out of date; others do not have it.
pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What an answer is made of so far: as old as the oldest part.
#[derive(Debug)]
pub(super) struct Parts(Freshness);

impl Parts {
    pub(super) fn new() -> Self {
        Self(Freshness::Fresh)
    }

    /// Takes one more part.
    pub(super) fn take<T>(&mut self, part: Cached<T>) -> T {
        self.0 = self.0.max(part.freshness);
        part.value
    }

    /// Marks the answer that was made of them.
    pub(super) fn mark(&self, response: &mut HttpResponse) {
        if let Freshness::Stale(past) = self.0 {
            let text = format!("bellhop; hit; ttl=-{}; detail=stale", past.as_secs());
            let value = HeaderValue::from_str(&text).expect("digits and words are a header value");
            response.headers_mut().insert(CACHE_STATUS, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_is_as_old_as_its_oldest_part() {
        let answer = |ages: &[Option<u64>]| {
            let mut parts = Parts::new();
            for age in ages {
                let freshness =
                    age.map_or(Freshness::Fresh, |age| Freshness::Stale(Duration::from_secs(age)));
                parts.take(Cached { value: (), freshness });
            }
            let mut response = HttpResponse::Ok().finish();
            parts.mark(&mut response);
            response.headers().get(CACHE_STATUS).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(answer(&[]), None);
        assert_eq!(answer(&[None, None]), None);
        let stale = Some("bellhop; hit; ttl=-40; detail=stale".to_owned());
        assert_eq!(answer(&[Some(7), Some(40), None]), stale);
    }
}

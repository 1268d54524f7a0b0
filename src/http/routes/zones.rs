//! Names of zones in bodies.

use garde::Validate;
use serde::Deserialize;

use crate::domain::text;
use crate::http::input::List;

/// Most zones of a driver.
pub(super) const MOST_ZONES: usize = 16;

/// Most characters of the name of a zone, as of a business.
pub(super) const MAX_ZONE: usize = 64;

/// The name of a zone: one line.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Zone(String);

impl Validate for Zone {
    type Context = ();

    fn validate_into(&self, (): &(), parent: &mut dyn FnMut() -> garde::Path, report: &mut garde::Report) {
        if let Err(error) = text::check_line(&self.0, MAX_ZONE) {
            report.append(parent(), garde::Error::new(error));
        }
    }
}

/// The names, each once, in the order of the alphabet.
pub(super) fn names_of(zones: List<Zone, 0, MOST_ZONES>) -> Vec<String> {
    let mut names: Vec<String> = zones.into_inner().into_iter().map(|zone| zone.0).collect();
    names.sort_unstable();
    names.dedup();
    names
}

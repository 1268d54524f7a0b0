//! Points on the map.

use serde::{Deserialize, Serialize};

/// A point on the map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// Degrees north, −90 to 90.
    pub lat: f64,
    /// Degrees east, −180 to 180.
    pub lng: f64,
}

impl Location {
    /// Whether there is such a point.
    pub fn is_on_the_map(self) -> bool {
        (-90.0..=90.0).contains(&self.lat) && (-180.0..=180.0).contains(&self.lng)
    }

    /// The distance to another point as the crow flies, metres: on a sphere, so some per mille off.
    pub fn metres_to(self, other: Self) -> f64 {
        const EARTH_RADIUS_M: f64 = 6_371_000.0;
        let (from, to) = (self.lat.to_radians(), other.lat.to_radians());
        let half_lat = ((to - from) / 2.0).sin();
        let half_lng = ((other.lng - self.lng).to_radians() / 2.0).sin();
        let chord = half_lat * half_lat + from.cos() * to.cos() * half_lng * half_lng;
        2.0 * EARTH_RADIUS_M * chord.clamp(0.0, 1.0).sqrt().asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_that_on_a_sphere() {
        let at = |lat, lng| Location { lat, lng };
        for (from, to, metres) in [
            (at(38.7, -9.1), at(38.7, -9.1), 0.0),
            (at(38.7, -9.1), at(38.8, -9.1), 11_119.0),
            (at(0.0, 179.95), at(0.0, -179.95), 11_119.0),
            (at(60.0, 10.0), at(60.0, 10.1), 5_560.0),
            (at(90.0, 0.0), at(-90.0, 0.0), 20_015_087.0),
        ] {
            let found = from.metres_to(to);
            assert!((found - metres).abs() < 2.0, "{from:?} to {to:?}: {found}");
            assert!((found - to.metres_to(from)).abs() < 1e-6);
        }
    }
}

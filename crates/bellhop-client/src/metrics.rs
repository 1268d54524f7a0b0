//! Readings of the hub's `/metrics`.

use std::collections::BTreeMap;

/// The value of a series without labels; none where the hub does not have it.
pub fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Sockets that the hub has closed, by the reason's word.
pub fn closes(text: &str) -> BTreeMap<String, u64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("websocket_closes_total{reason=\""));
    let counts = lines.filter_map(|line| line.split_once("\"} "));
    counts.filter_map(|(reason, count)| Some((reason.to_owned(), count.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_found_by_its_whole_name_and_closes_by_their_reason() {
        let text = "# TYPE a gauge\nab 3\na 2.5\nwebsocket_closes_total{reason=\"too_slow\"} 4\n";
        assert_eq!((value(text, "a"), value(text, "b")), (Some(2.5), None));
        assert_eq!(closes(text), BTreeMap::from([("too_slow".to_owned(), 4)]));
    }
}

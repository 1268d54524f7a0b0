//! Samples of the hub's metrics and of the size of its files, every few seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bellhop_client::{Client, metrics};
use reqwest::Method;

/// Gauges that are not the hub's own, or never change.
const LEFT_OUT: [&str; 3] = ["process_max_fds", "process_start_time_seconds", "system_"];

/// The database file, where there is one.
pub(crate) const DATABASE: &str = "sqlite_file_bytes";

/// Its write-ahead log.
pub(crate) const WAL: &str = "sqlite_wal_bytes";

/// CPU time of the hub.
pub(crate) const CPU: &str = "process_cpu_seconds_total";

/// One look: seconds since the start, and every gauge by its name with its labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) at: f64,
    pub(crate) values: BTreeMap<String, f64>,
}

impl Sample {
    /// The value of a series; no number where it was not sampled.
    pub(crate) fn of(&self, series: &str) -> f64 {
        self.values.get(series).copied().unwrap_or(f64::NAN)
    }
}

/// Looks at a hub.
#[derive(Debug)]
pub(crate) struct Sampler {
    client: Client,
    sqlite: Option<PathBuf>,
}

impl Sampler {
    pub(crate) fn new(client: Client, sqlite: Option<PathBuf>) -> Self {
        Self { client, sqlite }
    }

    /// Everything as it is now.
    ///
    /// # Errors
    /// When the hub does not answer within ten seconds, or its database file is gone.
    pub(crate) async fn look(&self, at: Duration) -> Result<Sample> {
        let answer = self.metrics().await?;
        let mut values = gauges(&answer);
        if let Some(file) = &self.sqlite {
            let size = std::fs::metadata(file).with_context(|| format!("{}", file.display()))?.len();
            values.insert(DATABASE.to_owned(), size as f64);
            let wal = std::fs::metadata(file.with_extension("sqlite-wal")).map_or(0, |file| file.len());
            values.insert(WAL.to_owned(), wal as f64);
        }
        Ok(Sample { at: at.as_secs_f64(), values })
    }

    /// Sockets closed so far, by reason.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub(crate) async fn closes(&self) -> Result<BTreeMap<String, u64>> {
        Ok(metrics::closes(&self.metrics().await?))
    }

    async fn metrics(&self) -> Result<String> {
        let request = self.client.raw(Method::GET, "/metrics").timeout(Duration::from_secs(10));
        Ok(request.send().await?.error_for_status()?.text().await?)
    }
}

/// Every gauge of the text, and the CPU time.
fn gauges(text: &str) -> BTreeMap<String, f64> {
    let typed = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge"));
    let gauges: BTreeSet<&str> =
        typed.filter(|name| !LEFT_OUT.iter().any(|out| name.starts_with(out))).chain([CPU]).collect();
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    lines
        .filter(|(series, _)| gauges.contains(series.split('{').next().unwrap_or_default()))
        .filter_map(|(series, value)| Some((series.replace('"', ""), value.parse().ok()?)))
        .collect()
}

/// Every series that occurs, in order.
pub(crate) fn series(samples: &[Sample]) -> BTreeSet<&str> {
    samples.iter().flat_map(|sample| sample.values.keys().map(String::as_str)).collect()
}

/// Seconds and values of one series.
pub(crate) fn points(samples: &[Sample], series: &str) -> Vec<(f64, f64)> {
    samples.iter().filter_map(|sample| Some((sample.at, *sample.values.get(series)?))).collect()
}

/// A line for each look; a series that was not there yet is empty.
pub(crate) fn csv(samples: &[Sample]) -> String {
    let columns = series(samples);
    let mut text = "seconds".to_owned();
    for column in &columns {
        let _ = write!(text, ",{}", column.replace(',', ";"));
    }
    for sample in samples {
        let _ = write!(text, "\n{:.1}", sample.at);
        for column in &columns {
            let cell = sample.values.get(*column).map_or_else(String::new, f64::to_string);
            let _ = write!(text, ",{cell}");
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_taken_with_their_labels_and_nothing_else() {
        let text = "# TYPE mailbox_depth gauge\nmailbox_depth{actor=\"worker_0\"} 3\n\
                    # TYPE a_total counter\na_total 5\n\
                    # TYPE process_open_fds gauge\nprocess_open_fds 12\n\
                    # TYPE process_max_fds gauge\nprocess_max_fds 9\n\
                    # TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1.5\n";
        let found = gauges(text);
        let found: Vec<(&str, f64)> = found.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(found, [("mailbox_depth{actor=worker_0}", 3.0), (CPU, 1.5), ("process_open_fds", 12.0)]);
    }

    #[test]
    fn a_series_that_appears_later_leaves_its_cells_empty_before() {
        let sample = |at, values: &[(&str, f64)]| Sample {
            at,
            values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        };
        let samples = [sample(0.0, &[("a", 1.0)]), sample(5.0, &[("a", 2.0), ("b", 3.0)])];
        assert_eq!(csv(&samples), "seconds,a,b\n0.0,1,\n5.0,2,3\n");
        assert_eq!(points(&samples, "b"), [(5.0, 3.0)]);
    }
}

//! The metrics of a hub and the registry that holds them. `docs/metrics.md` explains each of them to operators.

mod families;
mod register;

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prometheus::{Encoder, Registry, TextEncoder};

use self::register::Register;

pub use families::Families;
pub use register::Description;

/// The metrics of one hub. Cheap to clone; all clones count into the same registry.
#[derive(Clone)]
pub struct Metrics(Arc<Registered>);

struct Registered {
    families: Families,
    registry: Registry,
    descriptions: Vec<Description>,
    /// The data folder; its filesystem is the one watched.
    data: PathBuf,
}

impl Metrics {
    /// Every metric in a registry of its own, with figures of the process and the machine. Disk usage is that of the filesystem
    /// that holds `data`.
    pub fn new(data: &Path) -> Self {
        // The names are constants; the tests show that no two are the same.
        let registered = Registered::new(data).expect("every metric has a valid name of its own");
        Self(Arc::new(registered))
    }

    /// Every metric in the Prometheus text format. Reads a few small files of the kernel: some tens of microseconds.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.0.registry.gather(), &mut text)
            .expect("writing to memory does not fail");
        String::from_utf8(text).expect("names, labels and help are UTF-8")
    }

    /// The description of every metric, including those that have counted nothing yet.
    pub fn descriptions(&self) -> &[Description] {
        &self.0.descriptions
    }

    /// The used share of the filesystem that holds the data folder, 0 to 100; `None` where the system does not say.
    pub fn disk_usage_percent(&self) -> Option<f64> {
        super::system::disk_usage_percent(&self.0.data)
    }

    /// The `Content-Type` of [`Metrics::render`].
    pub fn content_type() -> &'static str {
        prometheus::TEXT_FORMAT
    }
}

impl Registered {
    fn new(data: &Path) -> prometheus::Result<Self> {
        let mut register = Register::default();
        #[cfg(target_os = "linux")]
        register.collector(prometheus::process_collector::ProcessCollector::for_self(), "gauge")?;
        register.collector(super::system::SystemCollector::new(data)?, "gauge")?;
        // One log belongs to the process, however many hubs run in it.
        register.collector(super::log_queue::DROPPED.clone(), "counter")?;
        let families = Families::new(&mut register)?;
        families.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let (registry, descriptions) = register.into_parts();
        Ok(Self { families, registry, descriptions, data: data.to_path_buf() })
    }
}

impl Deref for Metrics {
    type Target = Families;

    fn deref(&self) -> &Families {
        &self.0.families
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(&std::env::temp_dir())
    }

    /// The rows of the table in the documentation: name, kind, labels.
    fn documented() -> BTreeSet<(String, String, Vec<String>)> {
        let rows = include_str!("../../../docs/metrics.md").lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let labels = cells[3].split(", ").map(|label| label.trim_matches('`').to_owned());
            let labels = labels.filter(|label| !label.is_empty()).collect();
            (cells[1].trim_matches('`').to_owned(), cells[2].to_owned(), labels)
        })
        .collect()
    }

    #[test]
    fn the_documentation_lists_every_metric_with_its_kind_and_labels_and_no_other() {
        let metrics = metrics();
        let registered = metrics.descriptions().iter().cloned();
        let registered: BTreeSet<_> =
            registered.map(|metric| (metric.name, metric.kind.to_owned(), metric.labels)).collect();
        let documented = documented();
        assert_eq!(
            registered.difference(&documented).collect::<Vec<_>>(),
            Vec::<&_>::new(),
            "not documented"
        );
        assert_eq!(
            documented.difference(&registered).collect::<Vec<_>>(),
            Vec::<&_>::new(),
            "not registered"
        );
    }

    #[test]
    fn what_any_clone_counts_is_rendered_under_the_name_of_the_contract() {
        let metrics = metrics();
        metrics.clone().http_requests_total.with_label_values(&["GET", "/health", "200"]).inc();
        metrics.clone().websocket_connections_active.set(7);
        let text = metrics.render();
        assert!(
            text.contains("\nhttp_requests_total{endpoint=\"/health\",method=\"GET\",status=\"200\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("\nwebsocket_connections_active 7\n"), "{text}");
    }

    #[test]
    fn the_figures_of_process_and_machine_are_rendered() {
        let text = metrics().render();
        for name in
            ["process_resident_memory_bytes ", "system_memory_usage_bytes ", "system_disk_usage_percent "]
        {
            assert!(text.contains(&format!("\n{name}")), "{name} is missing");
        }
    }

    #[test]
    fn two_hubs_in_one_process_do_not_share_metrics() {
        let (one, other) = (metrics(), metrics());
        one.orders_created_total.inc();
        assert_eq!(other.orders_created_total.get(), 0);
    }
}

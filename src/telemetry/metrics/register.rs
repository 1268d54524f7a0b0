//! Making and registering metrics, with a description of each.

use prometheus::core::{Collector, Desc};
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, Result,
};

/// The name of a metric and how it is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Description {
    /// The name on `/metrics`.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// The help text on `/metrics`.
    pub help: String,
}

impl Description {
    fn new(desc: &Desc, kind: &'static str) -> Self {
        // The process collector mixes one counter with its gauges; by convention the suffix tells them apart.
        let kind = if desc.fq_name.ends_with("_total") { "counter" } else { kind };
        Self {
            name: desc.fq_name.clone(),
            kind,
            labels: desc.variable_labels.clone(),
            help: desc.help.clone(),
        }
    }
}

/// Makes metrics in a new registry and keeps the description of each.
#[derive(Default)]
pub(super) struct Register {
    registry: Registry,
    descriptions: Vec<Description>,
}

impl Register {
    pub(super) fn collector(
        &mut self,
        collector: impl Collector + 'static,
        kind: &'static str,
    ) -> Result<()> {
        self.descriptions.extend(collector.desc().into_iter().map(|desc| Description::new(desc, kind)));
        self.registry.register(Box::new(collector))
    }

    pub(super) fn counter(&mut self, name: &str, help: &str) -> Result<IntCounter> {
        self.family(IntCounter::new(name, help)?, "counter")
    }

    pub(super) fn counters(&mut self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.family(IntCounterVec::new(Opts::new(name, help), labels)?, "counter")
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Result<IntGauge> {
        self.family(IntGauge::new(name, help)?, "gauge")
    }

    pub(super) fn gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.family(IntGaugeVec::new(Opts::new(name, help), labels)?, "gauge")
    }

    pub(super) fn float_gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
        self.family(GaugeVec::new(Opts::new(name, help), labels)?, "gauge")
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, bounds: &[f64]) -> Result<Histogram> {
        self.family(
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec()))?,
            "histogram",
        )
    }

    pub(super) fn histograms(
        &mut self,
        name: &str,
        help: &str,
        bounds: &[f64],
        labels: &[&str],
    ) -> Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.family(HistogramVec::new(opts, labels)?, "histogram")
    }

    pub(super) fn into_parts(self) -> (Registry, Vec<Description>) {
        (self.registry, self.descriptions)
    }

    fn family<C: Collector + Clone + 'static>(&mut self, family: C, kind: &'static str) -> Result<C> {
        self.collector(family.clone(), kind)?;
        Ok(family)
    }
}

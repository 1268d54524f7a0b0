//! The nodes that this one has heard of with its last sign of life.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::ids::NodeId;

/// The nodes that take new work, as of five seconds ago at most while the store answers, else as of the last answer. Cheap to clone;
/// nothing here waits for another node.
#[derive(Clone, Debug)]
pub struct KnownNodes(Arc<Known>);

#[derive(Debug)]
struct Known {
    own: NodeId,
    ready: RwLock<Arc<[NodeId]>>,
    quota_era: AtomicI64,
    /// 0 before the first look.
    schema: AtomicI64,
}

impl KnownNodes {
    /// Only this node is known.
    pub fn new(own: NodeId) -> Self {
        let ready = RwLock::new(Arc::from([own]));
        Self(Arc::new(Known { own, ready, quota_era: AtomicI64::new(0), schema: AtomicI64::new(0) }))
    }

    /// This node.
    pub fn own(&self) -> NodeId {
        self.0.own
    }

    /// How many there are, with this one.
    pub fn count(&self) -> u32 {
        let ready = self.0.ready.read().unwrap_or_else(PoisonError::into_inner);
        u32::try_from(ready.len()).unwrap_or(u32::MAX)
    }

    /// All of them, with this one.
    pub fn ready(&self) -> Arc<[NodeId]> {
        Arc::clone(&self.0.ready.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// These were there just now. This node counts even while it drains: its clients have not gone yet.
    pub fn seen(&self, mut nodes: Vec<NodeId>) {
        if !nodes.contains(&self.0.own) {
            nodes.push(self.0.own);
        }
        *self.0.ready.write().unwrap_or_else(PoisonError::into_inner) = nodes.into();
    }

    /// The newest change of the schema that the database has; `None` before the first look.
    pub fn schema(&self) -> Option<i64> {
        Some(self.0.schema.load(Ordering::Acquire)).filter(|schema| *schema > 0)
    }

    /// This is the newest change of the schema that the database has.
    pub fn schema_seen(&self, schema: i64) {
        self.0.schema.store(schema, Ordering::Release);
    }

    /// The number of times that everybody was given their quotas back.
    pub fn quota_era(&self) -> i64 {
        self.0.quota_era.load(Ordering::Acquire)
    }

    /// Everybody was given their quotas back so often. Whether that is news.
    pub fn quotas_reset(&self, era: i64) -> bool {
        self.0.quota_era.fetch_max(era, Ordering::AcqRel) < era
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_always_counts_itself() {
        let own = NodeId::generate();
        let known = KnownNodes::new(own);
        assert_eq!(known.count(), 1);
        known.seen(vec![NodeId::generate(), NodeId::generate()]);
        assert_eq!((known.count(), known.ready().contains(&own)), (3, true));
        known.seen(vec![own]);
        assert_eq!(known.count(), 1);
    }

    #[test]
    fn only_a_later_reset_of_the_quotas_is_news() {
        let known = KnownNodes::new(NodeId::generate());
        assert!(known.quotas_reset(2));
        assert!(!known.quotas_reset(2) && !known.quotas_reset(1));
        assert_eq!(known.quota_era(), 2);
    }
}

//! The channels of this hub.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::saga::Channel;

use super::channel::OutboundChannel;

/// The channels that are configured, at most one of each kind. Cheap to clone.
#[derive(Clone, Default)]
pub struct Channels(Arc<BTreeMap<Channel, Arc<dyn OutboundChannel>>>);

impl Channels {
    /// These channels and no others.
    pub fn new(channels: impl IntoIterator<Item = (Channel, Arc<dyn OutboundChannel>)>) -> Self {
        Self(Arc::new(channels.into_iter().collect()))
    }

    /// The channel of a kind; `None` when it is not configured.
    pub fn get(&self, channel: Channel) -> Option<Arc<dyn OutboundChannel>> {
        self.0.get(&channel).cloned()
    }
}

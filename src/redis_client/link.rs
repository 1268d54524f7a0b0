//! One connection to Redis, single or cluster.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, Value};

/// Subscriptions on a cluster that are made at once.
const AT_ONCE: usize = 64;

/// A connection that many tasks share: commands are written in the order in which they are begun. Cheap to clone; the last clone
/// closes it.
#[derive(Clone)]
pub enum RedisLink {
    /// To one server.
    Single(MultiplexedConnection),
    /// To all masters of a cluster.
    Cluster(ClusterConnection),
}

impl RedisLink {
    /// Subscribes to channels; on a cluster to sharded ones, each where its slot is. May wait for ever while Redis is away.
    ///
    /// # Errors
    /// When Redis refuses or the connection is lost; some channels may be subscribed then.
    pub async fn subscribe(&mut self, channels: &[String]) -> Result<(), RedisError> {
        match self {
            Self::Single(link) => link.subscribe(channels).await,
            // One command holds channels of one slot only.
            Self::Cluster(link) => {
                let each = channels.iter().map(|channel| (link.clone(), channel));
                let each = stream::iter(each).map(Ok);
                each.try_for_each_concurrent(AT_ONCE, async |(mut link, channel)| {
                    link.ssubscribe(channel).await
                })
                .await
            }
        }
    }

    /// Takes subscriptions back.
    ///
    /// # Errors
    /// As for [`RedisLink::subscribe`].
    pub async fn unsubscribe(&mut self, channels: &[String]) -> Result<(), RedisError> {
        match self {
            Self::Single(link) => link.unsubscribe(channels).await,
            Self::Cluster(link) => {
                let each = channels.iter().map(|channel| (link.clone(), channel));
                let each = stream::iter(each).map(Ok);
                each.try_for_each_concurrent(AT_ONCE, async |(mut link, channel)| {
                    link.sunsubscribe(channel).await
                })
                .await
            }
        }
    }
}

impl ConnectionLike for RedisLink {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(link) => link.req_packed_command(command),
            Self::Cluster(link) => link.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(link) => link.req_packed_commands(pipeline, offset, count),
            Self::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(link) => link.get_db(),
            Self::Cluster(link) => link.get_db(),
        }
    }
}

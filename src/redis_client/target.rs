//! The place of Redis: how to connect to it, for commands and for subscriptions.

use std::time::Duration;

use redis::aio::AsyncPushSender;
use redis::cluster::ClusterClientBuilder;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, RedisError,
    TlsCertificates,
};

use super::link::RedisLink;
use super::settings::RedisSettings;

/// A peer that acknowledges nothing for so long is gone.
const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause before and between the probes of an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Attempts at a command on a cluster whose slots are moving; the time limit of the command holds for all of them.
const CLUSTER_RETRIES: u32 = 3;

/// Commands that wait for being written to one connection.
const PIPELINE: usize = 256;

/// The addresses of one Redis, and how it is spoken to. `Debug` shows neither addresses nor passwords.
pub struct RedisTarget {
    addresses: Vec<ConnectionInfo>,
    cluster: bool,
    certificates: Option<Vec<u8>>,
    connect_within: Duration,
}

impl std::fmt::Debug for RedisTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisTarget").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl RedisTarget {
    /// The place that the settings name; none when they name none.
    ///
    /// # Errors
    /// A sentence without secrets, when an address or the file with certificates cannot be used.
    pub(super) fn new(settings: &RedisSettings) -> Result<Option<Self>, String> {
        let urls = settings.urls();
        if urls.is_empty() {
            return Ok(None);
        }
        let certificates = match settings.ca_file.as_str() {
            "" => None,
            path => Some(
                std::fs::read(path)
                    .map_err(|error| format!("redis.ca_file: {path} cannot be read: {error}"))?,
            ),
        };
        let cluster = settings.cluster || urls.len() > 1;
        let addresses: Result<Vec<_>, _> = urls.iter().map(|url| address(url)).collect();
        let addresses = addresses.map_err(|error| format!("redis.url: {error}"))?;
        let connect_within = Duration::from_millis(settings.connect_timeout_ms);
        Ok(Some(Self { addresses, cluster, certificates, connect_within }))
    }

    /// Whether it is a Redis Cluster, where keys and channels have slots.
    pub const fn is_cluster(&self) -> bool {
        self.cluster
    }

    /// Where it is, for people: hosts and ports, no passwords.
    pub fn place(&self) -> String {
        let places: Vec<String> = self.addresses.iter().map(|address| address.addr().to_string()).collect();
        places.join(", ")
    }

    /// A new connection. What Redis sends by itself is passed to `pushes`, which must not wait.
    ///
    /// # Errors
    /// When it does not answer within the time limit, or refuses.
    pub async fn connect(&self, pushes: Option<impl AsyncPushSender>) -> Result<RedisLink, RedisError> {
        let connecting = async {
            if self.cluster { self.connect_cluster(pushes).await } else { self.connect_single(pushes).await }
        };
        match tokio::time::timeout(self.connect_within, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    }

    async fn connect_single(&self, pushes: Option<impl AsyncPushSender>) -> Result<RedisLink, RedisError> {
        let Some(address) = self.addresses.first().cloned() else {
            return Err(RedisError::from((redis::ErrorKind::InvalidClientConfig, "no address")));
        };
        let client = match &self.certificates {
            Some(own) => Client::build_with_tls(address, trusting(own))?,
            None => Client::open(address)?,
        };
        // Time limits are this module's own: each command may have another one.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_within))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE);
        let config = match pushes {
            Some(pushes) => config.set_push_sender(pushes),
            None => config,
        };
        Ok(RedisLink::Single(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    async fn connect_cluster(&self, pushes: Option<impl AsyncPushSender>) -> Result<RedisLink, RedisError> {
        let mut builder = ClusterClientBuilder::new(self.addresses.clone())
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(self.connect_within)
            .response_timeout(self.connect_within)
            .retries(CLUSTER_RETRIES)
            .tcp_settings(tcp());
        if let Some(own) = &self.certificates {
            builder = builder.certs(trusting(own));
        }
        if let Some(pushes) = pushes {
            builder = builder.push_sender(pushes);
        }
        Ok(RedisLink::Cluster(builder.build()?.get_async_connection().await?))
    }
}

fn address(url: &str) -> Result<ConnectionInfo, RedisError> {
    let address = url.into_connection_info()?;
    let redis = address.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(address.set_redis_settings(redis).set_tcp_settings(tcp()))
}

fn tcp() -> TcpSettings {
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
    TcpSettings::default().set_nodelay(true).set_keepalive(keep_alive).set_user_timeout(USER_TIMEOUT)
}

fn trusting(certificates: &[u8]) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: Some(certificates.to_vec()) }
}

//! The hubs with their proxies, and the faults that happen to them.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::hub_process::{HubProcess, Recipe};
use crate::plan::{Fault, NetworkFault, Planned};
use crate::proxy::Proxy;
use crate::wire::Wire;

/// A hub that was told to stop is gone after this.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// A hub that was started is ready after this, when nothing is in its way.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Interval of the look for hubs that ended by themselves.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// Pause before a hub that ended by itself is started again, as a supervisor does.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The address and the credentials in a URL of a server.
#[derive(Clone, Debug)]
pub(crate) struct ServerUrl {
    scheme: String,
    credentials: String,
    pub(crate) address: SocketAddr,
    /// What follows the address.
    rest: String,
}

impl ServerUrl {
    /// Takes a URL apart whose server speaks without TLS.
    ///
    /// # Errors
    /// When it is none, or its host is not known.
    pub(crate) async fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").context("a URL has ://")?;
        let (credentials, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (host, rest) = place.split_once('/').unwrap_or((place, ""));
        let address = tokio::net::lookup_host(host).await?.next().context("the host has no address")?;
        let [scheme, credentials, rest] = [scheme, credentials, rest].map(str::to_owned);
        Ok(Self { scheme, credentials, address, rest })
    }

    /// The URL with another address and another end.
    pub(crate) fn at(&self, address: SocketAddr, rest: &str) -> String {
        let Self { scheme, credentials, .. } = self;
        if credentials.is_empty() {
            return format!("{scheme}://{address}/{rest}");
        }
        format!("{scheme}://{credentials}@{address}/{rest}")
    }

    /// The URL as it was.
    pub(crate) fn whole(&self) -> String {
        self.at(self.address, &self.rest)
    }
}

/// How a hub that was told to stop came to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped {
    pub(crate) took: Duration,
    /// It ended by itself, and said that nothing was wrong.
    pub(crate) clean: bool,
}

/// One hub and its ways to the servers.
#[derive(Debug)]
struct Node {
    process: HubProcess,
    address: SocketAddr,
    postgres: Proxy,
    redis: Option<Proxy>,
    /// Nobody starts it again: a fault has it.
    is_down: bool,
    ended_at: Option<Instant>,
}

/// All hubs.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    redis: Option<ServerUrl>,
    pub(crate) stops: Vec<Stopped>,
    /// Hubs that ended by themselves, and what they said.
    pub(crate) ended: Vec<String>,
}

impl Cluster {
    /// Starts so many hubs on one database and one Redis, each behind proxies of its own, and waits until all are ready.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(crate) async fn start(
        (count, program): (usize, &Path),
        (postgres, database): (&ServerUrl, &str),
        redis: Option<&ServerUrl>,
        (folder, settings): (&Path, &[(String, String)]),
    ) -> Result<Self> {
        let mut nodes: Vec<Node> = Vec::new();
        for n in 0..count {
            let to_postgres = Proxy::before(postgres.address, Wire::Postgres)?;
            let to_redis = redis.map(|redis| Proxy::before(redis.address, Wire::Redis)).transpose()?;
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let mut environment = settings.to_vec();
            let url = postgres.at(to_postgres.address(), &format!("{database}?sslmode=disable"));
            environment.push(("DATABASE_URL".to_owned(), url));
            if let (Some(proxy), Some(redis)) = (&to_redis, redis) {
                environment.push(("REDIS_URL".to_owned(), redis.at(proxy.address(), &redis.rest)));
            }
            let folder = folder.join(format!("hub-{n}"));
            let recipe = Recipe { program: program.to_owned(), port, folder, environment };
            let process = HubProcess::start(recipe)?;
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            nodes.push(Node {
                process,
                address,
                postgres: to_postgres,
                redis: to_redis,
                is_down: false,
                ended_at: None,
            });
        }
        let cluster = Self { nodes, redis: redis.cloned(), stops: Vec::new(), ended: Vec::new() };
        cluster.until_ready().await?;
        Ok(cluster)
    }

    /// Where the hubs listen.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// Messages and COMMITs that were lost.
    pub(crate) fn lost(&self) -> [u64; 2] {
        let postgres = self.nodes.iter().map(|node| node.postgres.lost()).sum();
        let redis = self.nodes.iter().filter_map(|node| node.redis.as_ref()).map(Proxy::lost).sum();
        [postgres, redis]
    }

    /// Waits until every hub says that it is ready.
    ///
    /// # Errors
    /// When one does not for a minute.
    pub(crate) async fn until_ready(&self) -> Result<()> {
        let began = Instant::now();
        for (n, node) in self.nodes.iter().enumerate() {
            while !is_ready(node.address).await {
                if began.elapsed() > READY_WITHIN {
                    bail!("hub {n} is not ready; its log says why");
                }
                tokio::time::sleep(WATCH_EVERY).await;
            }
        }
        Ok(())
    }

    /// Lets the faults happen at their times. `say` is told of each.
    ///
    /// # Errors
    /// When a process cannot be started or signalled.
    pub(crate) async fn suffer(&mut self, plan: &[Planned], say: &dyn Fn(&str)) -> Result<()> {
        let began = Instant::now();
        // Every beginning and every end by its time; ends first, so that faults of one track do not meet.
        let mut moments: Vec<(Duration, bool, Planned)> = Vec::new();
        for planned in plan {
            moments.push((planned.at, true, *planned));
            moments.push((planned.at + planned.lasts, false, *planned));
        }
        moments.sort_by_key(|(at, begins, _)| (*at, *begins));
        for (at, begins, planned) in moments {
            while began.elapsed() < at {
                let left = at.saturating_sub(began.elapsed());
                tokio::time::sleep(left.min(WATCH_EVERY)).await;
                self.watch()?;
            }
            if begins {
                say(&format!(
                    "{:6.1} s  {} for {:.1} s",
                    at.as_secs_f64(),
                    planned.fault,
                    planned.lasts.as_secs_f64()
                ));
                self.begin(planned.fault).await?;
            } else {
                self.end(planned.fault)?;
            }
        }
        Ok(())
    }

    async fn begin(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Postgres(n, fault) => self.nodes[n].postgres.set(Some(fault)),
            Fault::Redis(n, fault) => self.set_redis(n, Some(fault)),
            Fault::RedisAway => self.all_redis(Some(NetworkFault::Refuse)),
            Fault::RedisFlushed => {
                if let Some(redis) = &self.redis {
                    // A Redis that is not there has nothing to forget.
                    let _ = flush(redis).await;
                }
            }
            Fault::Kill(n) => {
                self.nodes[n].is_down = true;
                self.nodes[n].process.kill()?;
            }
            Fault::Stop(n) => {
                self.nodes[n].is_down = true;
                self.stop(n).await?;
            }
            Fault::Freeze(n) => self.nodes[n].process.freeze()?,
        }
        Ok(())
    }

    async fn stop(&mut self, n: usize) -> Result<()> {
        let (took, status) = self.nodes[n].process.stop(STOP_WITHIN).await?;
        self.stops.push(Stopped { took, clean: status.is_some_and(|status| status.success()) });
        Ok(())
    }

    fn end(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Postgres(n, _) => self.nodes[n].postgres.set(None),
            Fault::Redis(n, _) => self.set_redis(n, None),
            Fault::RedisAway => self.all_redis(None),
            Fault::RedisFlushed => {}
            Fault::Kill(n) | Fault::Stop(n) => {
                self.nodes[n].is_down = false;
                self.nodes[n].process.start_again()?;
            }
            Fault::Freeze(n) => self.nodes[n].process.thaw()?,
        }
        Ok(())
    }

    fn set_redis(&self, n: usize, fault: Option<NetworkFault>) {
        if let Some(proxy) = &self.nodes[n].redis {
            proxy.set(fault);
        }
    }

    fn all_redis(&self, fault: Option<NetworkFault>) {
        (0..self.nodes.len()).for_each(|n| self.set_redis(n, fault));
    }

    /// Starts hubs again that ended by themselves.
    ///
    /// # Errors
    /// When one cannot be started.
    pub(crate) fn watch(&mut self) -> Result<()> {
        for (n, node) in self.nodes.iter_mut().enumerate().filter(|(_, node)| !node.is_down) {
            if let Some(status) = node.process.ended()? {
                self.ended.push(format!("hub {n}: {status}"));
                node.ended_at = Some(Instant::now());
            }
            if node.ended_at.is_some_and(|at| at.elapsed() > START_AGAIN_AFTER) {
                node.ended_at = None;
                node.process.start_again()?;
            }
        }
        Ok(())
    }

    /// Lines in the logs of hubs that tell of a panic.
    pub(crate) fn panics(&self) -> Vec<String> {
        let logs = self.nodes.iter().filter_map(|node| std::fs::read_to_string(node.process.log()).ok());
        let is_panic = |line: &&str| line.contains("panicked");
        logs.flat_map(|log| log.lines().filter(is_panic).map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Stops all hubs, one after the other.
    ///
    /// # Errors
    /// When one cannot be signalled.
    pub(crate) async fn stop_all(&mut self) -> Result<()> {
        for n in 0..self.nodes.len() {
            self.stop(n).await?;
        }
        Ok(())
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.ends_with(b"200"))
    };
    let asked = tokio::time::timeout(Duration::from_secs(5), asked).await;
    asked.is_ok_and(|answer| answer.is_ok_and(|ready| ready))
}

/// Redis forgets everything. It has to be nobody else's.
async fn flush(redis: &ServerUrl) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(redis.address).await?;
    let (user, password) = redis.credentials.split_once(':').unwrap_or_default();
    let login = match (user, password) {
        (_, "") => String::new(),
        ("", password) => format!("AUTH {password}\r\n"),
        (user, password) => format!("AUTH {user} {password}\r\n"),
    };
    stream.write_all(format!("{login}FLUSHALL\r\nQUIT\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_keeps_its_credentials_and_its_end_when_its_server_is_another() {
        let url = ServerUrl::parse("redis://default:secret@127.0.0.1:6379/3").await.unwrap();
        let other = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(url.at(other, &url.rest), "redis://default:secret@127.0.0.1:1/3");
        assert_eq!(url.whole(), "redis://default:secret@127.0.0.1:6379/3");
        let url = ServerUrl::parse("redis://127.0.0.1:6379").await.unwrap();
        assert_eq!(url.at(other, &url.rest), "redis://127.0.0.1:1/");
        assert!(ServerUrl::parse("127.0.0.1").await.is_err());
    }
}

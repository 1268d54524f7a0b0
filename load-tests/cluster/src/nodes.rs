//! The hubs: processes on one database, started, stopped and killed.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bellhop_client::{Client, ClientSettings};
use reqwest::Method;
use tokio::process::{Child, Command};

use crate::process::{Server, Usage};

/// Time in which a hub has to answer that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A hub is killed by its supervisor this long after it was told to stop.
pub(crate) const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// Whether clients may choose a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It takes requests and sockets.
    Open,
    /// It was told to stop and has not ended.
    Draining,
    /// It does not run.
    Down,
}

/// One hub: a port, and the process that has it now.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    standing: Cell<Standing>,
    child: RefCell<Option<Child>>,
}

/// All hubs of a run. They share a folder, so that each takes the tokens of the others.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) all: Vec<Node>,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl Nodes {
    /// Free ports for so many hubs; none is started.
    pub(crate) fn new(count: usize, folder: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        // Held together, so that no two are the same.
        let places: Vec<TcpListener> = (0..count)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<std::io::Result<_>>()
            .context("no free ports")?;
        let node = |place: &TcpListener| {
            let address = place.local_addr()?;
            let settings =
                ClientSettings { idle_timeout: Duration::from_secs(30), ..ClientSettings::default() };
            let client = Client::new(address, settings)?;
            anyhow::Ok(Node {
                address,
                client,
                standing: Cell::new(Standing::Down),
                child: RefCell::default(),
            })
        };
        let all = places.iter().map(node).collect::<Result<_>>()?;
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Ok(Self { all, folder: folder.canonicalize()?, environment })
    }

    /// Starts one and waits until it is ready; how long that took.
    pub(crate) async fn start(&self, index: usize, binary: &Path) -> Result<Duration> {
        let (node, began) = (&self.all[index], Instant::now());
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(format!("hub-{index}.log")))?;
        let binary = binary.canonicalize().with_context(|| format!("{}", binary.display()))?;
        let mut command = Command::new(&binary);
        // Another release may not understand the settings of the folder that this is called from.
        command
            .current_dir(&self.folder)
            .arg("--data")
            .arg(self.folder.join("hub"))
            .args(["serve", "--port"]);
        command.arg(node.address.port().to_string()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        *node.child.borrow_mut() = Some(command.spawn().with_context(|| format!("{}", binary.display()))?);
        let ready = async {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            loop {
                looks.tick().await;
                if let Ok(answer) = node.client.raw(Method::GET, "/health/ready").send().await
                    && answer.status().is_success()
                {
                    return Ok(());
                }
                if let Some(child) = node.child.borrow_mut().as_mut()
                    && let Some(status) = child.try_wait()?
                {
                    bail!("hub {index} has ended with {status}");
                }
            }
        };
        tokio::time::timeout(READY_WITHIN, ready).await.with_context(|| format!("hub {index}"))??;
        node.standing.set(Standing::Open);
        Ok(began.elapsed())
    }

    /// Starts all of them.
    pub(crate) async fn start_all(&self, binary: &Path) -> Result<()> {
        for index in 0..self.all.len() {
            self.start(index, binary).await?;
        }
        Ok(())
    }

    /// Kills one at once, as a lost machine would end it.
    pub(crate) async fn kill(&self, index: usize) -> Result<()> {
        let child = self.all[index].child.borrow_mut().take();
        let mut child = child.context("it does not run")?;
        child.start_kill()?;
        self.all[index].standing.set(Standing::Down);
        child.wait().await?;
        Ok(())
    }

    /// Tells one to stop and waits until it has; how long that took.
    pub(crate) async fn stop(&self, index: usize) -> Result<Duration> {
        let child = self.all[index].child.borrow_mut().take();
        let mut child = child.context("it does not run")?;
        let (id, began) = (child.id().context("it has ended")?, Instant::now());
        self.all[index].standing.set(Standing::Draining);
        let told = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        ensure!(told.success(), "kill -TERM {id}: {told}");
        let ended = tokio::time::timeout(STOPPED_WITHIN, child.wait()).await;
        self.all[index].standing.set(Standing::Down);
        let status = ended.with_context(|| format!("hub {index} was told to stop"))??;
        ensure!(status.success(), "hub {index} has ended with {status}");
        Ok(began.elapsed())
    }

    /// Stops all that run.
    pub(crate) async fn stop_all(&self) -> Result<()> {
        let running = (0..self.all.len()).filter(|index| self.all[*index].child.borrow().is_some());
        for stopped in futures_util::future::join_all(running.map(|index| self.stop(index))).await {
            stopped?;
        }
        Ok(())
    }

    pub(crate) fn standing(&self, index: usize) -> Standing {
        self.all[index].standing.get()
    }

    /// Memory and CPU of all that run.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let id = |node: &Node| node.child.borrow().as_ref().and_then(Child::id);
        Server::new(self.all.iter().filter_map(id).collect()).read()
    }

    /// The text of a node's `/metrics`.
    pub(crate) async fn metrics(&self, index: usize) -> Result<String> {
        let answer = self.all[index].client.raw(Method::GET, "/metrics").send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }
}

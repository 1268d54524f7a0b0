//! A hub as a process of its own.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

/// Interval of the look whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The program and the settings of one hub.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) program: PathBuf,
    pub(crate) port: u16,
    /// Holds its data and its log.
    pub(crate) folder: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

/// A hub that can be killed, stopped, frozen and started again. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct HubProcess {
    recipe: Recipe,
    child: Option<Child>,
}

impl HubProcess {
    /// Starts a hub. That it is ready is for the caller to wait for.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(recipe: Recipe) -> Result<Self> {
        let mut hub = Self { recipe, child: None };
        hub.start_again()?;
        Ok(hub)
    }

    /// Starts it if it does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let Recipe { program, port, folder, environment } = &self.recipe;
        std::fs::create_dir_all(folder)?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new(program);
        command.arg("--data").arg(folder.join("data")).args(["serve", "--port", &port.to_string()]);
        // No configuration file of whoever runs the campaign counts.
        command.current_dir(folder);
        command.env_clear().envs(environment.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().with_context(|| format!("{}", program.display()))?);
        Ok(())
    }

    /// The file of its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.recipe.folder.join("log")
    }

    /// How it ended by itself, once.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM: how long it took to its end, and how it ended. It is killed when it takes longer than `limit`: no status then.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) async fn stop(&mut self, limit: Duration) -> Result<(Duration, Option<ExitStatus>)> {
        let began = Instant::now();
        self.signal(Signal::TERM)?;
        while let Some(child) = &mut self.child {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                return Ok((began.elapsed(), Some(status)));
            }
            if began.elapsed() > limit {
                self.kill()?;
                return Ok((began.elapsed(), None));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok((began.elapsed(), None))
    }

    /// SIGSTOP: it stands still and keeps all its connections.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(child) = &self.child {
            kill_process(Pid::from_child(child), signal)?;
        }
        Ok(())
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        // It is gone, or the system has no such process any more.
        let _ = self.kill();
    }
}

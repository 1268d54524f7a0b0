//! All sockets of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bellhop_client::lean::Socket;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::options::Options;
use crate::tally::Tally;
use crate::target::Target;

/// Silence after which no more events are awaited.
const SILENCE: Duration = Duration::from_secs(10);

/// Sockets that listen, and what came to all of them.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// Start of the publisher's clock.
    pub(crate) from: Instant,
    timed: u64,
    received: Arc<AtomicU64>,
    stop: watch::Sender<()>,
    listening: Vec<JoinHandle<Tally>>,
}

impl Crowd {
    /// An empty crowd; the first `timed` events will be timed.
    pub(crate) fn new(timed: u64) -> Self {
        let received = Arc::default();
        Self { from: Instant::now(), timed, received, stop: watch::Sender::new(()), listening: Vec::new() }
    }

    /// Opens `count` more sockets, a bounded number at once, and says how long that took. They listen from then on.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub(crate) async fn open(
        &mut self,
        options: &Options,
        target: &Target,
        count: usize,
    ) -> Result<Duration> {
        let began = Instant::now();
        let gate = Arc::new(Semaphore::new(options.connecting));
        let (opened, mut openings) = mpsc::channel(options.connecting);
        let first = self.listening.len();
        for number in first..first + count {
            let permit = gate.clone().acquire_owned().await?;
            let ((request, greeting), address, opened) =
                (target.handshake(number), options.address, opened.clone());
            tokio::spawn(async move {
                let socket = Socket::open(address, &request, greeting, None).await;
                drop(permit);
                // The receiver lives until every socket is there.
                let _ = opened.send(socket).await;
            });
            while let Ok(socket) = openings.try_recv() {
                self.seat(socket?);
            }
        }
        drop(opened);
        while let Some(socket) = openings.recv().await {
            self.seat(socket?);
        }
        Ok(began.elapsed())
    }

    fn seat(&mut self, socket: Socket) {
        let tally = Tally::new(self.from, self.timed);
        let listening = listen(socket, tally, self.received.clone(), self.stop.subscribe());
        self.listening.push(tokio::spawn(listening));
    }

    /// Waits until so many events were taken in by all together, or until nothing has come for ten seconds.
    pub(crate) async fn wait(&self, wanted: u64) {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let now = self.received.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            }
            if now >= wanted || since.elapsed() > SILENCE {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Closes all sockets and returns the counts of each.
    ///
    /// # Errors
    /// When a task panicked.
    pub(crate) async fn leave(self) -> Result<Vec<Tally>> {
        drop(self.stop);
        let mut tallies = Vec::with_capacity(self.listening.len());
        for task in self.listening {
            tallies.push(task.await?);
        }
        Ok(tallies)
    }
}

/// Takes in everything until told to stop or closed by the server.
async fn listen(
    mut socket: Socket,
    mut tally: Tally,
    received: Arc<AtomicU64>,
    mut stop: watch::Receiver<()>,
) -> Tally {
    loop {
        let ready = tokio::select! {
            ready = socket.readable() => ready.is_ok(),
            _ = stop.changed() => false,
        };
        if !ready {
            return tally;
        }
        let mut fresh = 0;
        let read = socket.read(|payload| fresh += u64::from(tally.take(payload)));
        let Ok(open) = read else { return tally };
        received.fetch_add(fresh, Ordering::Relaxed);
        if !open {
            return tally;
        }
    }
}

/// Opens one socket that does not listen.
///
/// # Errors
/// When it cannot be opened.
pub(crate) async fn one(
    options: &Options,
    target: &Target,
    number: usize,
    receive_buffer: Option<u32>,
) -> Result<Socket> {
    let (request, greeting) = target.handshake(number);
    Ok(Socket::open(options.address, &request, greeting, receive_buffer).await?)
}

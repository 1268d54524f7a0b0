//! Running a hub, and asking one whether it is ready.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, RunError};
use crate::config::Settings;

/// `EX_SOFTWARE` of sysexits.h: a part died, start the process again.
const EXIT_FATAL: u8 = 70;

/// How long a hub may take to say that it is ready.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn serve(settings: Settings) -> ExitCode {
    // A file that would grow beyond the limit of the process (`ulimit -f`) is a full disk, and no reason to die.
    let _refused_writes = match signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())) {
        Ok(signal) => signal,
        Err(error) => return super::fail(&error),
    };
    // Taken before anything is waited for: process 1 of a container is ended by no signal it does not take.
    let signals =
        signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    let (mut term, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => return super::fail(&error),
    };
    let mut told_to_stop = Box::pin(async move {
        tokio::select! {
            _ = term.recv() => tracing::info!("SIGTERM"),
            _ = interrupt.recv() => tracing::info!("SIGINT"),
        }
    });
    for notice in &settings.provenance.notices {
        tracing::warn!("{notice}");
    }
    super::open_files::raise_limit();
    let app = tokio::select! {
        built = App::build(settings) => match built {
            Ok(app) => app,
            Err(error) => return super::fail(&error),
        },
        // Nothing was begun that could be lost.
        () = &mut told_to_stop => return ExitCode::SUCCESS,
    };
    let stopper = app.stopper();
    actix::spawn(async move {
        told_to_stop.await;
        stopper.stop();
    });
    match app.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ RunError::Fatal(_)) => {
            super::complain(&error);
            ExitCode::from(EXIT_FATAL)
        }
        Err(error) => super::fail(&error),
    }
}

pub(super) async fn healthcheck(settings: &Settings) -> ExitCode {
    let server = &settings.http.server;
    // A hub that listens everywhere is asked on loopback.
    let host = if server.host.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { server.host };
    let url = format!("http://{}/health/ready", SocketAddr::new(host, server.port));
    let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).no_proxy().build();
    let asked = async { client?.get(&url).send().await };
    match asked.await {
        Ok(answer) if answer.status().is_success() => {
            super::say("ready");
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            super::say(&format!("not ready: {}", answer.status()));
            ExitCode::FAILURE
        }
        Err(error) => super::fail(&error),
    }
}

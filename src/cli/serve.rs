//! The commands that run a hub and ask one whether it is ready.
#![expect(clippy::disallowed_methods, reason = "this file owns the tasks that it starts")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, EXIT_FATAL, RunError};
use crate::config::Settings;

/// The longest wait for the answer of a health check.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn serve(settings: Settings) -> ExitCode {
    // Without this, a write beyond the file size limit (`ulimit -f`) would kill the process. It is handled like a full disk.
    let _refused_writes = match signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())) {
        Ok(signal) => signal,
        Err(error) => return super::output::fail(&error),
    };
    let mut stop_signal = match stop_signal() {
        Ok(signal) => Box::pin(signal),
        Err(error) => return super::output::fail(&error),
    };
    for notice in &settings.provenance.notices {
        tracing::warn!("{notice}");
    }
    super::open_files::raise_limit();
    let app = tokio::select! {
        built = App::build(settings) => match built {
            Ok(app) => app,
            Err(error) => return super::output::fail(&error),
        },
        // Nothing has been accepted yet that could be lost.
        () = &mut stop_signal => return ExitCode::SUCCESS,
    };
    let stopper = app.stopper();
    actix::spawn(async move {
        stop_signal.await;
        stopper.stop();
    });
    match app.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ RunError::Fatal(_)) => {
            super::output::print_error(&error);
            ExitCode::from(EXIT_FATAL)
        }
        Err(error) => super::output::fail(&error),
    }
}

/// Installs handlers for SIGTERM and SIGINT at once, before the first await: the kernel does not end process 1 of a container by a
/// signal without a handler. The future ends at the first of them.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => tracing::info!("SIGTERM"),
            _ = interrupt.recv() => tracing::info!("SIGINT"),
        }
    })
}

pub(super) async fn healthcheck(settings: &Settings) -> ExitCode {
    let server = &settings.http.server;
    // A hub that listens on every interface is asked on loopback.
    let host = if server.host.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { server.host };
    let url = |path| format!("http://{}/health/{path}", SocketAddr::new(host, server.port));
    let client = match reqwest::Client::builder().timeout(HEALTHCHECK_TIMEOUT).no_proxy().build() {
        Ok(client) => client,
        Err(error) => return super::output::fail(&error),
    };
    match client.get(url("ready")).send().await {
        Ok(response) if response.status().is_success() => {
            let version = async { client.get(url("version")).send().await?.json().await };
            super::output::print_line(&format!("ready{}", schemas(version.await.ok().as_ref())));
            ExitCode::SUCCESS
        }
        Ok(response) => {
            super::output::print_line(&format!("not ready: {}", response.status()));
            ExitCode::FAILURE
        }
        Err(error) => super::output::fail(&error),
    }
}

/// The versions of the schema, as `/health/version` has them; nothing for a hub that names none.
fn schemas(version: Option<&serde_json::Value>) -> String {
    let schema = |name: &str| version.and_then(|version| version.get(name)?.as_i64());
    match (schema("schema_version"), schema("database_schema_version")) {
        (Some(known), Some(found)) => format!(", schema {known} known, {found} in the database"),
        (Some(known), None) => format!(", schema {known} known"),
        (None, _) => String::new(),
    }
}

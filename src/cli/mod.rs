//! The command line: what each command is told and what it answers.

mod admin;
mod database;
mod open_files;
mod serve;
mod upkeep;

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{ConfigError, Settings, Sources};
use crate::demo::DemoError;
use crate::{app, demo, http, telemetry};

/// An order rings every device of the merchant until somebody answers.
///
/// Settings come from config files, then the environment (BELLHOP__SECTION__NAME), then these options; see
/// .env.example for all of them. Without any, Bellhop keeps its data in ./data and listens on 127.0.0.1:8000.
#[derive(Debug, Parser)]
#[command(name = "bellhop", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit status: 0 done, 1 failed, 2 not understood, 64 wrong settings, 70 a part died: start again, 130 the demo was \
left by Ctrl-C."
)]
pub struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where settings and data are.
#[derive(Debug, Args)]
struct Place {
    /// Folder whose default.toml and <environment>.toml are laid over the built-in ones; ./config where there is one
    #[arg(long, value_name = "DIR", global = true)]
    config: Option<PathBuf>,
    /// Folder for the SQLite file and, in development, the generated secrets
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the hub
    Serve {
        /// Port to listen on; 0 takes a free one
        #[arg(long)]
        port: Option<u16>,
        /// Address to listen on: 127.0.0.1 for this machine only, 0.0.0.0 for every interface
        #[arg(long, value_name = "ADDRESS")]
        host: Option<IpAddr>,
    },
    /// Run a hub of its own with simulated customers and merchants, and count what becomes of every order; always on SQLite, without
    /// config files and variables
    Demo(demo::Options),
    /// Bring the database's schema up to date and exit
    Migrate,
    /// Manage operators and other accounts
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Renew the encryption of personal data at rest
    #[command(subcommand)]
    Keys(upkeep::Keys),
    /// Renew what cursors of events count in
    #[command(subcommand)]
    Epochs(upkeep::Epochs),
    /// Copy the SQLite database to a new file, also while the hub runs
    Backup {
        /// The file to make
        file: PathBuf,
    },
    /// Print the OpenAPI document
    Openapi,
    /// Ask the hub on this machine whether it is ready: exit status 0 if it is, 1 if not
    Healthcheck {
        /// Port of the hub; the configured one unless given
        #[arg(long)]
        port: Option<u16>,
    },
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check every setting; print them with where each came from and without secrets, or every problem (exit status 64)
    Check,
}

/// As shells report what Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

/// Runs the command and gives the process's exit status: 0 done, 1 failed, 64 wrong settings, 70 a part died.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "bellhop", &mut script);
            put_out(&script)
        }
        Command::Openapi => put_out(format!("{}\n", http::openapi::openapi_json()).as_bytes()),
        Command::Demo(mut options) => {
            options.data = options.data.or(cli.place.data);
            in_system(async {
                match demo::run(options).await {
                    Ok(verdict) if verdict.was_left() => ExitCode::from(EXIT_INTERRUPTED),
                    Ok(verdict) if verdict.is_good() => ExitCode::SUCCESS,
                    Ok(_) => ExitCode::FAILURE,
                    Err(DemoError::Interrupted) => ExitCode::from(EXIT_INTERRUPTED),
                    Err(DemoError::Settings(error)) => {
                        complain(&error);
                        ExitCode::from(ConfigError::EXIT_CODE)
                    }
                    Err(error) => fail(&error),
                }
            })
        }
        command => with_settings(command, cli.place),
    }
}

impl Command {
    /// Whether it works on a database that is there, and on nothing else.
    fn needs_database(&self) -> bool {
        match self {
            Self::Admin(command) => command.needs_database(),
            Self::Keys(_) | Self::Epochs(_) | Self::Backup { .. } => true,
            _ => false,
        }
    }
}

fn with_settings(command: Command, place: Place) -> ExitCode {
    let mut sources = Sources::process(place.config);
    if let Some(data) = place.data {
        sources = sources.with("data.dir", data.to_string_lossy());
    }
    if let Command::Serve { port: Some(port), .. } | Command::Healthcheck { port: Some(port) } = command {
        sources = sources.with("server.port", port.to_string());
    }
    if let Command::Serve { host: Some(host), .. } = command {
        sources = sources.with("server.host", host.to_string());
    }
    if matches!(command, Command::Healthcheck { .. } | Command::Config(_)) {
        sources = sources.only_looking();
    }
    // In the wrong folder nothing is left behind, secrets neither.
    if command.needs_database()
        && let Ok(settings) = Settings::load(&sources.clone().only_looking())
        && let Err(error) = database::check_file(&settings)
    {
        return fail(&error);
    }
    let settings = match Settings::load(&sources) {
        Ok(settings) => settings,
        Err(error) => {
            complain(&error);
            return ExitCode::from(ConfigError::EXIT_CODE);
        }
    };
    if let Command::Config(ConfigCommand::Check) = command {
        return put_out(settings.shown().as_bytes());
    }
    let _logging = match telemetry::logs::init(&settings.telemetry.log) {
        Ok(logging) => logging,
        Err(error) => return fail(&error),
    };
    in_system(async move {
        match command {
            Command::Serve { .. } => serve::serve(settings).await,
            Command::Healthcheck { .. } => serve::healthcheck(&settings).await,
            Command::Migrate => migrate(&settings).await,
            Command::Admin(command) => admin::run(&settings, command).await,
            Command::Keys(keys) => upkeep::keys(&settings, keys).await,
            Command::Epochs(epochs) => upkeep::epochs(&settings, epochs).await,
            Command::Backup { file } => upkeep::backup(&settings, file).await,
            Command::Demo(_) | Command::Openapi | Command::Config(_) | Command::Completions { .. } => {
                ExitCode::SUCCESS
            }
        }
    })
}

async fn migrate(settings: &Settings) -> ExitCode {
    let migrated = async {
        let (store, _) = app::open_store(settings).await?;
        app::migrate(settings, store.as_ref()).await?;
        store.close().await;
        Ok::<_, app::StartError>(store.name())
    };
    match migrated.await {
        Ok(name) => {
            say(&format!("the {name} schema is up to date"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// How long the reader of standard error has for the last words of the process.
const COMPLAINT_WITHIN: Duration = Duration::from_secs(1);

fn in_system(work: impl Future<Output = ExitCode>) -> ExitCode {
    actix_rt::System::new().block_on(work)
}

/// Writes a line of output. A reader that has seen enough and closed the pipe is no error.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Writes what a command was asked for. A reader that has seen enough is no error; a full disk is one.
fn put_out(bytes: &[u8]) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&io::Error::new(error.kind(), format!("the output could not be written: {error}")));
            ExitCode::FAILURE
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Says what went wrong, with every cause.
fn complain(error: &dyn std::error::Error) {
    let mut line = format!("bellhop: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors repeat their cause in their own words.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    // On a thread of its own: a reader that stands still must not keep the process from ending.
    let (done, written) = mpsc::channel();
    let said = std::thread::Builder::new().spawn(move || {
        let _ = writeln!(io::stderr(), "{line}");
        let _ = done.send(());
    });
    if said.is_ok() {
        let _ = written.recv_timeout(COMPLAINT_WITHIN);
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    complain(error);
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_every_command_has_help() {
        let command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{} has no help", sub.get_name());
        }
    }

    #[test]
    fn an_address_to_listen_on_is_an_address() {
        let with = |host| Cli::try_parse_from(["bellhop", "serve", "--host", host]);
        let Command::Serve { host, .. } = with("0.0.0.0").expect("it parses").command else {
            panic!("it is another command");
        };
        assert_eq!(host, Some(IpAddr::from([0, 0, 0, 0])));
        assert!(with("localhost").is_err() && with("0.0.0.0:80").is_err());
    }

    #[test]
    fn data_may_stand_before_or_after_the_command() {
        for line in [["bellhop", "--data", "d", "serve"], ["bellhop", "serve", "--data", "d"]] {
            let cli = Cli::try_parse_from(line).expect("it parses");
            assert_eq!(cli.place.data, Some(PathBuf::from("d")));
        }
    }
}

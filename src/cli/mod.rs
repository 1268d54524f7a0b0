//! The command line: arguments, output and exit status of each command.

mod admin;
mod business;
mod database;
mod maintenance;
mod one_write;
mod open_files;
mod output;
mod payments;
mod release;
mod seed;
mod serve;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{ConfigError, Settings, Sources};
use crate::demo::DemoError;
use crate::{app, demo, http, telemetry};

use output::{fail, print_error, print_line, print_output};

/// An order rings every device of the merchant until somebody answers.
///
/// Settings come from config files, then the environment (BELLHOP__SECTION__NAME), then these options; see
/// .env.example for all of them. Without any, Bellhop keeps its data in ./data and listens on 127.0.0.1:8000.
#[derive(Debug, Parser)]
#[command(name = "bellhop", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit status: 0 done, 1 failed, 2 wrong arguments, 64 wrong settings, 70 a part of the hub failed: start it again, 130 \
the demo was ended by Ctrl-C."
)]
pub struct Cli {
    #[command(flatten)]
    paths: Paths,
    #[command(subcommand)]
    command: Command,
}

/// The folders of settings and data.
#[derive(Debug, Args)]
struct Paths {
    /// Folder whose default.toml and ENVIRONMENT.toml override the built-in ones; ./config if it exists
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
    /// Run a separate hub with simulated customers and merchants, and count the outcome of every order; without config files and
    /// variables, on SQLite unless told otherwise
    Demo(demo::Options),
    /// Bring the database's schema up to date and exit
    Migrate,
    /// Manage operators and other accounts
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Take one business out of a copy that was restored beside, and put it back
    #[command(subcommand)]
    Business(business::BusinessCommand),
    /// Play the payment provider of a hub whose provider is simulated
    #[command(subcommand)]
    Payments(payments::Payments),
    /// Renew the encryption of personal data at rest
    #[command(subcommand)]
    Keys(maintenance::Keys),
    /// Start a new epoch of events, which makes older cursors invalid
    #[command(subcommand)]
    Epochs(maintenance::Epochs),
    /// List what a restored copy would do by itself about the orders that were in it; with --yes, let it
    Release(release::Release),
    /// Put two businesses, their menus and accounts to try into the database; refused in production
    Seed,
    /// Copy the SQLite database to a new file, also while the hub runs
    Backup {
        /// The file to create
        file: PathBuf,
    },
    /// Print the OpenAPI document
    Openapi,
    /// Ask the hub on this machine whether it is ready: exit status 0 if yes, 1 if not
    Healthcheck {
        /// Port of the hub; the configured one unless given
        #[arg(long)]
        port: Option<u16>,
    },
    /// Check and print the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell to complete commands for
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check every setting; print each with its origin and without secrets, or every problem (exit status 64)
    Check,
}

/// The status that shells report for a process ended by Ctrl-C: 128 + SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Runs a command and returns the exit status: 0 done, 1 failed, 64 wrong settings, 70 a part of the hub failed, 130 interrupted.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "bellhop", &mut script);
            print_output(&script)
        }
        Command::Openapi => print_output(format!("{}\n", http::openapi::openapi_json()).as_bytes()),
        Command::Demo(mut options) => {
            options.data = options.data.or(cli.paths.data);
            run_in_system(async {
                match demo::run(options).await {
                    Ok(verdict) if verdict.was_left() => ExitCode::from(EXIT_INTERRUPTED),
                    Ok(verdict) if verdict.is_good() => ExitCode::SUCCESS,
                    Ok(_) => ExitCode::FAILURE,
                    Err(DemoError::Interrupted) => ExitCode::from(EXIT_INTERRUPTED),
                    Err(DemoError::Settings(error)) => {
                        print_error(&error);
                        ExitCode::from(ConfigError::EXIT_CODE)
                    }
                    Err(error) => fail(&error),
                }
            })
        }
        command => with_settings(command, cli.paths),
    }
}

impl Command {
    /// Whether the command needs an existing database.
    fn needs_database(&self) -> bool {
        match self {
            Self::Admin(command) => command.needs_database(),
            Self::Keys(_)
            | Self::Epochs(_)
            | Self::Payments(_)
            | Self::Business(_)
            | Self::Release(_)
            | Self::Backup { .. } => true,
            _ => false,
        }
    }
}

fn with_settings(command: Command, paths: Paths) -> ExitCode {
    let sources = sources_of(&command, paths);
    // A command in the wrong folder leaves no file there, generated secrets included.
    if command.needs_database()
        && let Ok(settings) = Settings::load(&sources.clone().read_only())
        && let Err(error) = database::check_file(&settings)
    {
        return fail(&error);
    }
    let settings = match Settings::load(&sources) {
        Ok(settings) => settings,
        Err(error) => {
            print_error(&error);
            return ExitCode::from(ConfigError::EXIT_CODE);
        }
    };
    if let Command::Config(ConfigCommand::Check) = command {
        return print_output(settings.to_annotated_toml().as_bytes());
    }
    let _logging = match telemetry::logs::init(&settings.telemetry.log) {
        Ok(logging) => logging,
        Err(error) => return fail(&error),
    };
    run_in_system(run_with(settings, command))
}

async fn run_with(settings: Settings, command: Command) -> ExitCode {
    match command {
        Command::Serve { .. } => serve::serve(settings).await,
        Command::Healthcheck { .. } => serve::healthcheck(&settings).await,
        Command::Migrate => migrate(&settings).await,
        Command::Admin(command) => admin::run(&settings, command).await,
        Command::Business(command) => business::run(&settings, command).await,
        Command::Payments(command) => payments::run(&settings, command).await,
        Command::Keys(keys) => maintenance::keys(&settings, keys).await,
        Command::Epochs(epochs) => maintenance::epochs(&settings, epochs).await,
        Command::Release(release) => release::run(&settings, release).await,
        Command::Seed => seed::run(&settings).await,
        Command::Backup { file } => maintenance::backup(&settings, file).await,
        Command::Demo(_) | Command::Openapi | Command::Config(_) | Command::Completions { .. } => {
            ExitCode::SUCCESS
        }
    }
}

/// The sources of settings of this process, with the options of the command.
fn sources_of(command: &Command, paths: Paths) -> Sources {
    let mut sources = Sources::process(paths.config);
    if let Some(data) = paths.data {
        sources = sources.with("data.dir", data.to_string_lossy());
    }
    if let Command::Serve { port: Some(port), .. }
    | Command::Healthcheck { port: Some(port) }
    | Command::Payments(payments::Payments::Simulate(payments::Simulate { port: Some(port), .. })) =
        command
    {
        sources = sources.with("server.port", port.to_string());
    }
    if let Command::Serve { host: Some(host), .. } = command {
        sources = sources.with("server.host", host.to_string());
    }
    if matches!(command, Command::Healthcheck { .. } | Command::Config(_)) {
        sources = sources.read_only();
    }
    sources
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
            print_line(&format!("the {name} schema is up to date"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn run_in_system(work: impl Future<Output = ExitCode>) -> ExitCode {
    actix_rt::System::new().block_on(work)
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
            assert_eq!(cli.paths.data, Some(PathBuf::from("d")));
        }
    }
}

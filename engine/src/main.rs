//! The binary `posthaste`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use posthaste::cli::{Cli, Command, ConfigCommand};
use posthaste::config::{Config, DEFAULT_TOML};
use posthaste::engine::Engine;
use posthaste::{demo, logging};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // The whole chain on one line: the last part is usually the one that helps.
            let _ = writeln!(std::io::stderr(), "posthaste: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked. `Ok(false)` means that it ran and the answer is no.
fn run(cli: Cli) -> anyhow::Result<bool> {
    match cli.command {
        Command::Serve { config } => serve(&load(config.as_deref())?),
        Command::Demo(options) => {
            logging::start("error", posthaste::config::LogFormat::Text)?;
            demo::run(&options)
        }
        Command::Config { command: ConfigCommand::Check { config } } => {
            load(config.as_deref())?;
            writeln!(std::io::stdout(), "the configuration is valid")?;
            Ok(true)
        }
        Command::Config { command: ConfigCommand::Show } => {
            std::io::stdout().write_all(DEFAULT_TOML.as_bytes())?;
            Ok(true)
        }
    }
}

fn load(path: Option<&Path>) -> anyhow::Result<Config> {
    Ok(Config::load(path, std::env::vars())?)
}

fn serve(config: &Config) -> anyhow::Result<bool> {
    logging::start(&config.log.filter, config.log.format)?;
    let engine = Engine::start(config)?;
    wait_for_signal()?;
    engine.stop()?;
    Ok(true)
}

/// Returns at the first SIGTERM or SIGINT. A second one ends the process at once.
fn wait_for_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        anyhow::Ok(())
    })?;
    std::thread::spawn(move || {
        let again = runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt()).ok()?;
            interrupt.recv().await
        });
        if again.is_some() {
            std::process::exit(130);
        }
    });
    Ok(())
}

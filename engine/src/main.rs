//! The binary `posthaste`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use posthaste::catalog::verify_chain;
use posthaste::cli::{
    AuditCommand, Cli, Command, ConfigCommand, ConsoleCommand, KeysCommand, NewKey, TokenCommand,
};
use posthaste::config::{Config, DEFAULT_TOML};
use posthaste::engine::Engine;
use posthaste::{demo, keys, logging, offline};
use posthaste_storage::shelf::hush_caught_panics;
use rustix::termios::{LocalModes, OptionalActions, Termios};
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hush_caught_panics();
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
        Command::Keys { command } => {
            logging::start("warn", posthaste::config::LogFormat::Text)?;
            let mut out = std::io::stdout();
            match command {
                KeysCommand::List { config, used } => keys::list(&load(config.as_deref())?, used, &mut out)?,
                KeysCommand::Rotate { config } => keys::rotate(&load(config.as_deref())?, &mut out)?,
            }
            Ok(true)
        }
        Command::Token { command: TokenCommand::Create(new) } => create_key(&new),
        Command::Audit { command: AuditCommand::Verify { file, previous } } => {
            verify_audit(&file, previous.as_deref())
        }
        Command::Console { command: ConsoleCommand::Password } => {
            let password = read_password()?;
            let hash = posthaste::console::hash_of(&password).map_err(anyhow::Error::msg)?;
            writeln!(std::io::stdout(), "[console]\npassword_hash = \"{hash}\"")?;
            Ok(true)
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

/// A line of standard input; from a terminal without showing it.
fn read_password() -> anyhow::Result<Zeroizing<String>> {
    let stdin = std::io::stdin();
    let hidden = stdin.is_terminal().then(|| hide_typing(&stdin)).transpose()?;
    let mut line = Zeroizing::new(String::new());
    let read = stdin.lock().read_line(&mut line);
    if let Some(before) = hidden {
        rustix::termios::tcsetattr(&stdin, OptionalActions::Now, &before)?;
        writeln!(std::io::stderr())?;
    }
    read?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

/// Returns how the terminal was before.
fn hide_typing(stdin: &std::io::Stdin) -> anyhow::Result<Termios> {
    write!(std::io::stderr(), "Password (12 characters or more): ")?;
    let before = rustix::termios::tcgetattr(stdin)?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    rustix::termios::tcsetattr(stdin, OptionalActions::Now, &hidden)?;
    Ok(before)
}

/// Prints the token of a new key alone on standard output, and all else on standard error.
fn create_key(new: &NewKey) -> anyhow::Result<bool> {
    let config = load(new.config.as_deref())?;
    if new.for_config {
        writeln!(std::io::stdout(), "{}", new.for_config(&config)?)?;
        return Ok(true);
    }
    // A new data folder says where its secrets' keys are.
    logging::start("warn", posthaste::config::LogFormat::Text)?;
    let (key, token) = offline::create_key(&config, new.draft(), new.application.as_deref())?;
    writeln!(std::io::stderr(), "made {} ({}); this is shown only once:", key.id, key.name)?;
    writeln!(std::io::stdout(), "{}", token.text)?;
    Ok(true)
}

/// Says whether the chain of an export holds, and what it ends with.
fn verify_audit(file: &Path, previous: Option<&str>) -> anyhow::Result<bool> {
    let input: Box<dyn std::io::Read> = match file.as_os_str().as_encoded_bytes() {
        b"-" => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).with_context(|| file.display().to_string())?),
    };
    let mut out = std::io::stdout();
    match verify_chain(std::io::BufReader::new(input), previous) {
        Ok(report) => {
            writeln!(out, "the chain holds: {report}")?;
            Ok(true)
        }
        Err(broken) => {
            writeln!(out, "the chain is broken: {broken}")?;
            Ok(false)
        }
    }
}

fn load(path: Option<&Path>) -> anyhow::Result<Config> {
    Ok(Config::load(path, std::env::vars())?)
}

fn serve(config: &Config) -> anyhow::Result<bool> {
    logging::start(&config.log.filter, config.log.format)?;
    // Before the start: who is asked to stop while it starts stops cleanly too, and nobody is ended by SIGHUP.
    let (signals, hangup) = Signals::listen()?;
    let engine = Engine::start(config)?;
    engine.reload_on(hangup);
    signals.wait()?;
    engine.stop()?;
    Ok(true)
}

/// What asks the process to stop: SIGTERM and SIGINT, from the moment on when they are listened to.
struct Signals {
    runtime: tokio::runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Beside them SIGHUP, which asks for something else; unheard it would end the process.
    fn listen() -> anyhow::Result<(Self, Signal)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
        let hangup = signal(SignalKind::hangup()).context("SIGHUP")?;
        drop(inside);
        Ok((Self { runtime, terminate, interrupt }, hangup))
    }

    /// Returns at the first of them. A second SIGINT ends the process at once.
    fn wait(self) -> anyhow::Result<()> {
        let Self { runtime, mut terminate, mut interrupt } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            if runtime.block_on(interrupt.recv()).is_some() {
                std::process::exit(130);
            }
        })?;
        Ok(())
    }
}

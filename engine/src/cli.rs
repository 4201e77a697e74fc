//! The command line: what the binary can be asked to do.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::demo::DemoOptions;

/// A webhook delivery engine: publish over TCP, stored before the acknowledgement, delivered, retried, recorded.
#[derive(Debug, Parser)]
#[command(name = "posthaste", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the engine.
    Serve {
        /// The configuration file; without one, the shipped configuration.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show everything at once: receivers good and bad, 100,000 messages, retries, a lockout, and the account.
    Demo(DemoOptions),
    /// The keys that secrets are encrypted with.
    Keys {
        /// What to do with them.
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Look at the configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// What can be done with the keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Show the keys by their ids: when each was made, and which one encrypts.
    List {
        /// The configuration file; without one, the shipped configuration.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Count what is still encrypted with each. Reads all of the log; the server must be stopped.
        #[arg(long)]
        used: bool,
    },
    /// Add a new key to the key file, and encrypt everything with it that is not in old segments of the log. The
    /// server must be stopped.
    Rotate {
        /// The configuration file; without one, the shipped configuration.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether a configuration is valid, and if not, what is wrong.
    Check {
        /// The configuration file; without one, the environment alone is checked.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print the shipped configuration, with every key, its meaning, range and cost.
    Show,
}

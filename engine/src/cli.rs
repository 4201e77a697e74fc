//! The command line: what the binary can be asked to do.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::catalog::{ApiKeyDraft, NewToken};
use crate::clock::unix_ms;
use crate::config::{Config, ConfigError, Scope, Span};
use crate::core::ids::ApiKeyId;
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
    /// Make a key for the API and the TCP port, while no server runs on the data folder.
    Token {
        /// What to do.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Look at an exported audit log.
    Audit {
        /// What to do with it.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// The pages for people.
    Console {
        /// What to do about them.
        #[command(subcommand)]
        command: ConsoleCommand,
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

/// What can be done about keys.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a key, and print its token, which is shown this once. A server that runs makes keys over its API.
    Create(NewKey),
}

/// A key that is to be made.
#[derive(Debug, Args)]
pub struct NewKey {
    /// The configuration file, which names the data folder; without one, the shipped configuration.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What people call it.
    #[arg(long)]
    pub name: String,
    /// What it may do: read, ingest, endpoints:write, replay, admin. May be repeated.
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = scope)]
    pub scopes: Vec<Scope>,
    /// Id or uid of the application that it is for alone.
    #[arg(long)]
    pub application: Option<String>,
    /// An event type that it may publish, or all that begin so: "call.*". May be repeated; without, all.
    #[arg(long = "event-type", value_name = "EVENT TYPE", value_delimiter = ',')]
    pub event_types: Vec<String>,
    /// After how long it ends, such as 90d; without, never.
    #[arg(long, value_name = "DURATION", value_parser = span, conflicts_with = "for_config")]
    pub expires: Option<Span>,
    /// Touch no data folder, and print lines for the configuration file as well.
    #[arg(long)]
    pub for_config: bool,
}

impl NewKey {
    /// The key as it is asked for, but for its application.
    pub fn draft(&self) -> ApiKeyDraft {
        let expires_ms = self.expires.map(|after| unix_ms().saturating_add(after.ms()));
        let event_types = Some(self.event_types.clone()).filter(|event_types| !event_types.is_empty());
        ApiKeyDraft {
            name: self.name.clone(),
            scopes: self.scopes.clone(),
            event_types,
            expires_ms,
            ..ApiKeyDraft::default()
        }
    }

    /// A token, and the lines of the configuration that let it in. These keys do not end by themselves.
    ///
    /// # Errors
    /// What a configuration with these lines would be refused for.
    pub fn for_config(&self, config: &Config) -> Result<String, ConfigError> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random).expect("the system's random source works");
        let id = ApiKeyId::from_u64(u64::from_be_bytes(random));
        let token = NewToken::generate(&config.api.key_environment, id);
        // What JSON makes of a text or a list of texts is TOML too.
        let list = |names: &[String]| serde_json::json!(names).to_string();
        let text = |text: &str| serde_json::json!(text).to_string();
        let scopes: Vec<String> = self.scopes.iter().map(|scope| scope.name().to_owned()).collect();
        let mut lines = vec![
            format!("# The token, which is shown this once: {}", token.text),
            format!("[api.keys.{}]", text(&self.name)),
            format!("sha256 = {}", text(&token.sha256_hex())),
            format!("scopes = {}", list(&scopes)),
        ];
        lines.extend(self.application.as_deref().map(|name| format!("application = {}", text(name))));
        if !self.event_types.is_empty() {
            lines.push(format!("event_types = {}", list(&self.event_types)));
        }
        let lines = lines.join("\n");
        Config::layered(Some(("these lines", &lines)), std::iter::empty())?;
        Ok(lines)
    }
}

fn span(text: &str) -> Result<Span, String> {
    text.parse()
}

fn scope(name: &str) -> Result<Scope, String> {
    let names = || Scope::ALL.map(Scope::name).join(", ");
    Scope::from_name(name).ok_or_else(|| format!("there are {}", names()))
}

/// What can be done with an audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no line of an export (GET /api/v1/audit/export) was altered or taken out.
    Verify {
        /// The export; "-" for standard input.
        file: PathBuf,
        /// The hash that an earlier export ended with: then this one must continue it.
        #[arg(long, value_name = "HASH")]
        previous: Option<String>,
    },
}

/// What can be done about the console.
#[derive(Debug, Subcommand)]
pub enum ConsoleCommand {
    /// Read a password from standard input, and print the line of the configuration that lets people in with it.
    Password,
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

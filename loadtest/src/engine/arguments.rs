//! Options that say which engine.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Setting;

/// An engine that is started for the occasion.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct OwnEngine {
    /// The binary `posthaste`; by default the one beside this program, built first when run by cargo
    #[arg(long, value_name = "FILE")]
    pub(crate) engine_binary: Option<PathBuf>,
    /// Where its data folder is made, and removed at the end; by default where temporary files go
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// A setting of its configuration, such as delivery.timeout_total=2s; may be repeated
    #[arg(long = "setting", value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<Setting>,
}

/// An engine that runs already.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Engine that runs already")]
pub(crate) struct RunningEngine {
    /// Where it takes messages
    #[arg(long, requires = "api", conflicts_with_all = ["engine_binary", "folder", "settings"])]
    pub(crate) address: Option<SocketAddr>,
    /// Where its API is
    #[arg(long, requires = "address")]
    pub(crate) api: Option<SocketAddr>,
    /// Password for publishing
    #[arg(long, requires = "address")]
    pub(crate) password: Option<String>,
    /// Token for its API
    #[arg(long, requires = "address")]
    pub(crate) token: Option<String>,
    /// Number of its process, for CPU, memory and bytes written
    #[arg(long, requires = "address", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pid: Option<u32>,
}

/// Reads `retry.policy=1h, 2h`.
pub(crate) fn setting(text: &str) -> Result<Setting, String> {
    let parts = text.split_once('=').filter(|(key, _)| key.split('.').count() >= 2);
    let Some((key, value)) = parts else { return Err("it must be SECTION.KEY=VALUE".to_owned()) };
    Ok((key.to_owned(), value.to_owned()))
}

/// The environment variable that carries a setting: `retry.policy` is `POSTHASTE_RETRY__POLICY`.
pub(super) fn variable(key: &str) -> String {
    format!("POSTHASTE_{}", key.replace('.', "__").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_becomes_the_variable_that_the_engine_reads() {
        let (key, value) = setting("retry.policy=1h, 2h jitter=20%").unwrap();
        assert_eq!(
            (variable(&key).as_str(), value.as_str()),
            ("POSTHASTE_RETRY__POLICY", "1h, 2h jitter=20%")
        );
    }

    #[test]
    fn a_setting_without_section_or_value_is_refused() {
        assert!(setting("policy=1h").is_err());
        assert!(setting("retry.policy").is_err());
    }
}

//! The configuration: one TOML file over the shipped defaults, and the environment over both.
//!
//! `config.default.toml` is the only place where a default is written: it is compiled in, documents every
//! key, and decides which keys exist. A key it does not have is refused by name; so is a value outside the
//! range it states.

mod keys;
mod ranges;
mod shown;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;
use toml::{Table, Value};

use crate::core::health::{LockoutRule, LockoutRuleError, LockoutSettings};
pub(crate) use keys::sha256_of_hex;
pub use keys::{ApiKey, Scope};
pub use shown::{Group, Setting, Shown};
pub use units::{Address, Size, Span};

/// The shipped configuration, as text.
pub const DEFAULT_TOML: &str = include_str!("../config.default.toml");
/// What environment variables that override a key begin with.
pub const ENV_PREFIX: &str = "POSTHASTE_";

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The text is not TOML.
    #[error("{origin}: {error}")]
    Syntax {
        /// Where the text comes from.
        origin: String,
        /// What is wrong, with line and column.
        error: Box<toml::de::Error>,
    },
    /// There is no such key.
    #[error("{origin}: there is no setting '{key}'{hint}")]
    UnknownKey {
        /// Where it was named.
        origin: String,
        /// The key with its sections.
        key: String,
        /// A setting that may have been meant.
        hint: String,
    },
    /// The value has the wrong type or form.
    #[error("{message}")]
    Type {
        /// What is wrong, naming the key.
        message: String,
    },
    /// The value is outside what the key allows.
    #[error("{key} = {value}: {rule}")]
    Range {
        /// The key with its sections.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        rule: String,
    },
}

/// The configuration. Every field is described in `config.default.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml is where every key is described, once")]
pub struct Config {
    pub data: Data,
    pub ingest: Ingest,
    pub api: Api,
    pub console: Console,
    pub secrets: Secrets,
    pub limits: Limits,
    pub storage: Storage,
    pub ledger: Ledger,
    pub shards: Shards,
    pub delivery: Delivery,
    pub probe: Probe,
    pub retry: Retry,
    pub lockout: Lockouts,
    pub alerts: Alerts,
    pub audit: Audit,
    pub egress: Egress,
    pub trace: Trace,
    pub log: Log,
    pub shutdown: Shutdown,
    /// What all of this was read from.
    #[serde(skip)]
    in_effect: Table,
}

macro_rules! sections {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Deserialize)]
            #[serde(deny_unknown_fields)]
            #[allow(missing_docs, reason = "config.default.toml is where every key is described, once")]
            pub struct $name { $(pub $field: $kind),* }
        )*
    };
}

sections! {
    /// `[data]`
    Data { folder: PathBuf }
    /// `[ingest]`
    Ingest {
        listen: SocketAddr,
        plain_public: bool,
        password: String,
        require_key: bool,
        connections_max: u32,
        connections_per_address_max: u32,
        unacknowledged_bytes_max: Size,
        request_timeout: Span,
        idle_timeout: Span,
        tls: Tls,
    }
    /// `[ingest.tls]` and `[api.tls]`
    Tls { listen: Address, certificate: PathBuf, key: PathBuf, client_ca: PathBuf }
    /// `[api]`
    Api {
        listen: SocketAddr,
        plain_public: bool,
        connections_max: u32,
        connections_per_address_max: u32,
        request_timeout: Span,
        idle_timeout: Span,
        public_url: String,
        tokens: Vec<String>,
        require_key: bool,
        key_environment: String,
        rate_max: u32,
        idempotency_keys_max: u32,
        idempotency_bytes_max: Size,
        tls: Tls,
        keys: BTreeMap<String, ApiKey>,
    }
    /// `[console]`
    Console {
        enabled: bool,
        password_hash: String,
        hosts: Vec<String>,
        idle_timeout: Span,
        session_max: Span,
        name: String,
        logo: PathBuf,
        colour: String,
        frame_origins: Vec<String>,
    }
    /// `[secrets]`
    Secrets { key_file: PathBuf, accept_unreadable: bool }
    /// `[limits]`
    Limits {
        payload_bytes_max: Size,
        unknown_event_types: UnknownEventTypes,
        event_ids_max: u32,
        events_per_second_max: u32,
        endpoints_per_application_max: u32,
        api_keys_max: u32,
    }
    /// `[storage]`
    Storage {
        segment_bytes: Size,
        retention_age: Span,
        retention_bytes: Size,
        reserve_bytes: Size,
        report_wait: Span,
        accept_damage: bool,
    }
    /// `[ledger]`
    Ledger { horizon: Span, flush_after: Span, replay_bytes_max: Size, cache_bytes: Size }
    /// `[shards]`
    Shards {
        count: ShardCount,
        in_flight_max: u32,
        host_in_flight_max: u32,
        endpoint_in_flight_max: u16,
        queue_max: u32,
        deliveries_max: u32,
        body_bytes_max: Size,
        park_for: Span,
    }
    /// `[delivery]`
    Delivery {
        timeout_total: Span,
        timeout_dns: Span,
        timeout_connect: Span,
        timeout_tls: Span,
        timeout_first_byte: Span,
        http2: bool,
        response_body_read_max: Size,
        response_body_kept_max: Size,
        response_headers_kept_max: Size,
        idle_timeout: Span,
        connection_age_max: Span,
        connections_per_host_max: u32,
        connections_max: u32,
        streams_per_connection_max: u32,
        name_servers: Vec<String>,
        ca_file: PathBuf,
        proxy: String,
        proxy_user: String,
        proxy_password: String,
        proxy_pin: bool,
        source_addresses: Vec<String>,
    }
    /// `[probe]`
    Probe { in_flight_max: u32, waiting_max: u32, per_application_max: u32, show_private: bool }
    /// `[retry]`
    Retry {
        policy: String,
        retry_after_min: Span,
        retry_after_max: Span,
        policies: BTreeMap<String, String>,
    }
    /// `[lockout]`
    Lockouts { url: Lockout, host: Lockout }
    /// `[lockout.url]` and `[lockout.host]`
    Lockout {
        consecutive_failures: u32,
        window: Span,
        window_failures_min: u32,
        failure_percent: u32,
        wait_first: Span,
        wait_factor: u32,
        wait_max: Span,
        probe_timeout: Span,
    }
    /// `[alerts]`
    Alerts {
        application: String,
        failing_attempts: u32,
        failing_for: Span,
        rate_window: Span,
        rate_attempts_min: u32,
        rate_percent_min: u32,
        exhausted_every: Span,
        disable_after: Span,
        disable_attempts_min: u32,
        per_minute_max: u32,
        kept_max: u32,
        email: AlertEmail,
    }
    /// `[alerts.email]`
    AlertEmail {
        host: String,
        port: u16,
        security: MailSecurity,
        user: String,
        password: String,
        from: String,
        to: Vec<String>,
        digest_wait: Span,
        digest_every: Span,
    }
    /// `[audit]`
    Audit { kept_max: u32, retention: Span }
    /// `[egress]`
    Egress {
        allow_cidrs: Vec<String>,
        deny_cidrs: Vec<String>,
        allow_names: Vec<String>,
        allow_http: bool,
        allow_ports: Vec<u16>,
        deny_ports: Vec<u16>,
        nat64: bool,
        lenient: bool,
    }
    /// `[trace]`
    Trace {
        endpoint: String,
        headers: Vec<String>,
        service_name: String,
        sample: f64,
        propagate: bool,
    }
    /// `[log]`
    Log { filter: String, format: LogFormat }
    /// `[shutdown]`
    Shutdown { grace: Span }
}

/// `limits.unknown_event_types`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownEventTypes {
    /// A message of an unknown event type is an error.
    Refuse,
    /// It is taken like any other.
    Accept,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `alerts.email.security`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// It begins in the clear and goes on in TLS (RFC 3207); a server that cannot is not used.
    Starttls,
    /// In TLS from the beginning (RFC 8314).
    Implicit,
    /// Not at all: for a server on the same machine.
    None,
}

/// `shards.count`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardCount(Option<u16>);

impl ShardCount {
    /// How many threads that is on this machine. A shard keeps its core busy, and storing, receiving messages and
    /// the network want cores too: half of them is what measured best (docs/performance.md).
    pub fn resolve(self) -> usize {
        match self.0 {
            Some(count) => usize::from(count),
            None => std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)).min(64),
        }
    }
}

impl<'de> Deserialize<'de> for ShardCount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u16),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(count) => Ok(Self(Some(count))),
            Form::Text(text) if text == "auto" => Ok(Self(None)),
            Form::Text(text) => {
                let count = text.parse().map_err(|_| {
                    serde::de::Error::custom(format!(
                        "'{text}' is neither \"auto\" nor a number from 1 to 64"
                    ))
                })?;
                Ok(Self(Some(count)))
            }
        }
    }
}

impl Lockout {
    /// The rule with these numbers.
    pub fn rule(&self) -> Result<LockoutRule, LockoutRuleError> {
        LockoutRule::new(LockoutSettings {
            consecutive_failures: self.consecutive_failures,
            window: self.window.duration(),
            window_failures_min: self.window_failures_min,
            failure_percent: self.failure_percent,
            wait_first: self.wait_first.duration(),
            wait_max: self.wait_max.duration(),
            wait_factor: self.wait_factor,
            probe_timeout: self.probe_timeout.duration(),
        })
    }
}

impl Config {
    /// The shipped configuration.
    pub fn shipped() -> Self {
        Self::layered(None, std::iter::empty()).expect("the shipped configuration is valid; a test says so")
    }

    /// The configuration of this file (if any) over the shipped one, and of `environment` over both.
    pub fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let own = match path {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConfigError::Unreadable { path: path.into(), error })?;
                Some((path.display().to_string(), text))
            }
        };
        Self::layered(own.as_ref().map(|(origin, text)| (origin.as_str(), text.as_str())), environment)
    }

    /// The configuration of this text over the shipped one, and of `environment` over both.
    pub fn layered(
        own: Option<(&str, &str)>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = SHIPPED.clone();
        if let Some((origin, text)) = own {
            overlay(&mut table, parse(origin, text)?, origin, "")?;
        }
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix(ENV_PREFIX) {
                override_from_env(&mut table, &name, key, &value)?;
            }
        }
        let read = Value::Table(table.clone())
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError::Type { message: error.to_string().trim().into() });
        let config = Self { in_effect: table, ..read? };
        ranges::check(&config)?;
        Ok(config)
    }

    /// Every setting as people are shown it: what it does, its value, and what was shipped. Secrets are left out.
    pub fn shown(&self) -> Vec<Shown> {
        shown::shown(&self.in_effect, &SHIPPED)
    }
}

/// The shipped configuration. Read once: a test run makes thousands of configurations, the fuzzer millions.
static SHIPPED: LazyLock<Table> =
    LazyLock::new(|| DEFAULT_TOML.parse().expect("what is compiled in is TOML, as every start shows"));

fn parse(origin: &str, text: &str) -> Result<Table, ConfigError> {
    text.parse::<Table>()
        .map_err(|error| ConfigError::Syntax { origin: origin.into(), error: Box::new(error) })
}

/// The sections whose keys are names given by the operator.
const FREE_SECTIONS: [&str; 2] = ["retry.policies", "api.keys"];

fn overlay(base: &mut Table, own: Table, origin: &str, section: &str) -> Result<(), ConfigError> {
    for (key, value) in own {
        let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(own)) => overlay(below, own, origin, &path)?,
            (Some(Value::Table(_)), _) => {
                let message = format!("{origin}: {path} is a section, not a value");
                return Err(ConfigError::Type { message });
            }
            (Some(slot), value) => *slot = value,
            (None, value) if FREE_SECTIONS.contains(&section) => {
                base.insert(key, value);
            }
            (None, _) => {
                let hint = nearest(base, &key);
                return Err(ConfigError::UnknownKey { origin: origin.into(), key: path, hint });
            }
        }
    }
    Ok(())
}

/// `; did you mean 'x'?` when a known key resembles `key`.
fn nearest(known: &Table, key: &str) -> String {
    let shared = |other: &str| key.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    match known.keys().max_by_key(|other| shared(other)) {
        Some(other) if shared(other) >= 3 => format!("; did you mean '{other}'?"),
        _ => String::new(),
    }
}

fn override_from_env(table: &mut Table, name: &str, key: &str, value: &str) -> Result<(), ConfigError> {
    let unknown = || ConfigError::UnknownKey {
        origin: format!("environment variable {name}"),
        key: key.to_lowercase().replace("__", "."),
        hint: String::new(),
    };
    let key = key.to_lowercase();
    let mut path: Vec<&str> = key.split("__").collect();
    let last = path.pop().ok_or_else(unknown)?;
    let mut section = table;
    for part in path {
        section = section.get_mut(part).and_then(Value::as_table_mut).ok_or_else(unknown)?;
    }
    let slot = section.get_mut(last).ok_or_else(unknown)?;
    let wrong = |what: &str| ConfigError::Type { message: format!("{name}={value}: {what}") };
    *slot = match slot {
        Value::Boolean(_) => Value::Boolean(value.parse().map_err(|_| wrong("is neither true nor false"))?),
        Value::Integer(_) => Value::Integer(value.parse().map_err(|_| wrong("is not a whole number"))?),
        Value::Float(_) => Value::Float(value.parse().map_err(|_| wrong("is not a number"))?),
        Value::Array(shipped) => {
            let numbers = shipped.iter().any(Value::is_integer);
            let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
            let parse = |part: &str| match numbers {
                true => part.parse().map(Value::Integer).map_err(|_| wrong("is not a list of whole numbers")),
                false => Ok(Value::String(part.into())),
            };
            Value::Array(parts.map(parse).collect::<Result<_, _>>()?)
        }
        Value::Table(_) => return Err(unknown()),
        _ => Value::String(value.into()),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<Config, ConfigError> {
        Config::layered(Some(("own.toml", text)), std::iter::empty())
    }

    fn refusal(text: &str) -> String {
        with(text).expect_err(text).to_string()
    }

    #[test]
    fn the_shipped_configuration_is_valid() {
        let config = Config::shipped();
        assert_eq!(config.limits.payload_bytes_max.bytes(), 1 << 20);
        assert!(config.ingest.listen.ip().is_loopback());
    }

    #[test]
    fn every_key_of_the_shipped_file_has_a_comment_above_its_group() {
        let mut previous = "";
        for line in DEFAULT_TOML.lines() {
            if line.contains(" = ") && !line.starts_with('#') {
                let explained = previous.starts_with('#') || previous.contains(" = ");
                assert!(explained, "{line}");
            }
            previous = line;
        }
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        assert_eq!(
            refusal("[ingest]\nlisten_on = 'x'"),
            "own.toml: there is no setting 'ingest.listen_on'; did you mean 'listen'?"
        );
        assert_eq!(refusal("[nothing]\nx = 1"), "own.toml: there is no setting 'nothing'");
    }

    #[test]
    fn wrong_values_are_refused_with_key_and_rule() {
        assert_eq!(
            refusal("[shards]\nin_flight_max = 0"),
            "shards.in_flight_max = 0: must be from 1 to 100000"
        );
        assert!(refusal("[shards]\ncount = 'many'").contains("'many' is neither"));
        assert!(refusal("[delivery]\ntimeout_total = '5 parsecs'").contains("5 parsecs"));
        assert!(refusal("[ingest]\nlisten = '0.0.0.0:7480'").starts_with("ingest.listen = 0.0.0.0:7480"));
        assert!(refusal("[retry]\npolicy = 'often'").starts_with("retry.policy = often"));
        assert!(refusal("ingest = 3").contains("ingest is a section"));
        assert_eq!(
            refusal("[delivery]\nproxy = 'http://user:pass@proxy:3128'"),
            "delivery.proxy = (not shown): must not contain a user or password: they have settings of their own"
        );
        assert_eq!(
            refusal("[delivery]\nname_servers = ['dns.example']"),
            "delivery.name_servers = dns.example: must be an address such as 192.0.2.53, 192.0.2.53:5353, \
             2001:db8::53 or [2001:db8::53]:5353"
        );
        assert!(
            refusal(&format!("[delivery]\nname_servers = [{}]", "'192.0.2.53',".repeat(9)))
                .ends_with("(9 servers): must be at most 8")
        );
        assert!(refusal("[delivery]\nsource_addresses = ['203.0.113.7/33']").contains("203.0.113.7/33"));
        assert!(refusal("[alerts]\napplication = 'a b'").starts_with("alerts.application = a b"));
        assert!(refusal("[alerts]\ndisable_after = '59m'").starts_with("alerts.disable_after = 59m"));
    }

    #[test]
    fn mails_need_a_sender_and_somebody_to_get_them_and_never_leave_the_machine_in_the_clear() {
        let email =
            |more: &str| format!("[alerts.email]\nhost = 'mail.example'\nfrom = 'a@b'\nto = ['c@d']\n{more}");
        assert!(with(&email("")).is_ok());
        let lines = |more: &str| refusal(&email("").replace("from = 'a@b'", more));
        assert!(lines("").starts_with("alerts.email.from = :"));
        assert!(lines("from = 'a@b>\u{20}c'").starts_with("alerts.email.from"));
        assert!(refusal(&email("").replace("'c@d'", "")).starts_with("alerts.email.to = []"));
        assert!(refusal(&email("").replace("c@d", "nobody")).starts_with("alerts.email.to = nobody"));
        assert!(refusal(&email("security = 'none'")).contains("mail.example is another machine"));
        assert!(with(&email("security = 'none'").replace("mail.example", "127.0.0.1")).is_ok());
    }

    #[test]
    fn traces_go_to_a_collector_with_a_url_and_a_share_from_nothing_to_all() {
        let shipped = Config::shipped().trace;
        assert!(shipped.endpoint.is_empty() && !shipped.propagate);
        let config = with("[trace]\nendpoint = 'http://127.0.0.1:4318'\nsample = 1\nheaders = ['a: b']");
        assert_eq!(config.expect("valid").trace.sample, 1.0);
        for (wrong, expected) in [
            ("sample = 1.01", "trace.sample = 1.01: must be from 0 to 1"),
            ("sample = -0.1", "trace.sample = -0.1: must be from 0 to 1"),
            ("sample = nan", "trace.sample = NaN: must be from 0 to 1"),
            ("endpoint = 'ftp://a'", "trace.endpoint = ftp://a: must be an http or https URL, or empty"),
            ("endpoint = 'http://me:pass@a'", "trace.endpoint = (not shown): must have no user or password"),
            ("headers = ['secret']", "trace.headers = (not shown): each must be 'name: value'"),
            ("service_name = ''", "trace.service_name = : must be 1 to 255 characters"),
        ] {
            let refused = refusal(&format!("[trace]\n{wrong}"));
            assert!(refused.starts_with(expected), "{wrong}: {refused}");
        }
        let environment = [("POSTHASTE_TRACE__SAMPLE".to_owned(), "1".to_owned())];
        assert_eq!(Config::layered(None, environment.into_iter()).expect("valid").trace.sample, 1.0);
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let environment = [
            ("POSTHASTE_INGEST__LISTEN".to_owned(), "127.0.0.1:1".to_owned()),
            ("POSTHASTE_LOCKOUT__URL__CONSECUTIVE_FAILURES".to_owned(), "3".to_owned()),
            ("POSTHASTE_EGRESS__ALLOW_CIDRS".to_owned(), "10.0.0.0/8, 127.0.0.0/8".to_owned()),
            ("POSTHASTE_EGRESS__ALLOW_PORTS".to_owned(), "80, 443,81".to_owned()),
            ("HOME".to_owned(), "/".to_owned()),
        ];
        let own = Some(("own.toml", "[ingest]\nlisten = '127.0.0.1:2'"));
        let config = Config::layered(own, environment.into_iter()).expect("valid");
        assert_eq!(config.ingest.listen.port(), 1);
        assert_eq!(config.lockout.url.consecutive_failures, 3);
        assert_eq!(config.egress.allow_cidrs, ["10.0.0.0/8", "127.0.0.0/8"]);
        assert_eq!(config.egress.allow_ports, [80, 443, 81]);
        let unknown = [("POSTHASTE_INGEST__PORT".to_owned(), "1".to_owned())];
        let refused = Config::layered(None, unknown.into_iter()).expect_err("no such key").to_string();
        assert_eq!(refused, "environment variable POSTHASTE_INGEST__PORT: there is no setting 'ingest.port'");
    }

    #[test]
    fn operators_name_their_own_policies() {
        let config = with("[retry.policies]\npatient = '1m,1h'").expect("valid");
        assert_eq!(config.retry.policies["patient"], "1m,1h");
    }

    #[test]
    fn operators_name_their_own_keys_of_the_api() {
        let config = with(
            "[api.keys]\nshop = { token = 'long enough', scopes = ['read', 'endpoints:write'] }\n\
             [api.keys.billing]\nsha256 = '0000000000000000000000000000000000000000000000000000000000000000'\n\
             scopes = ['ingest']\napplication = 'acme'",
        );
        let keys = config.expect("valid").api.keys;
        assert_eq!(keys["shop"].scopes, [Scope::Read, Scope::EndpointsWrite]);
        assert_eq!(keys["billing"].application.as_deref(), Some("acme"));
        assert!(!format!("{keys:?}").contains("long enough"));
    }

    #[test]
    fn a_key_of_the_api_that_says_something_odd_is_refused_by_name() {
        for (key, problem) in [
            ("{ scopes = ['read'] }", "must have token, or sha256"),
            ("{ token = 'short', scopes = ['read'] }", "token must be at least 8 characters"),
            ("{ token = 'long enough', sha256 = '00', scopes = ['read'] }", "not both"),
            ("{ sha256 = '00', scopes = ['read'] }", "64 hex digits"),
            ("{ token = 'long enough', scopes = [] }", "at least one"),
            ("{ token = 'long enough', scopes = ['write'] }", "unknown variant `write`"),
            ("{ token = 'long enough', scopes = ['read'], app = 'acme' }", "unknown field `app`"),
        ] {
            let refused = refusal(&format!("[api.keys]\nshop = {key}"));
            assert!(refused.contains("shop") && refused.contains(problem), "{key}: {refused}");
        }
        let named = refusal("[api.keys]\n'a b' = { token = 'long enough', scopes = ['read'] }");
        assert!(named.contains("a b") && named.contains("letters"), "{named}");
        for name in ["token-1", "anonymous", "posthaste"] {
            let named =
                refusal(&format!("[api.keys]\n{name} = {{ token = 'long enough', scopes = ['read'] }}"));
            assert!(named.contains("stands for"), "{named}");
        }
    }

    #[test]
    fn a_public_address_in_the_clear_needs_a_word_of_its_own_beside_the_password() {
        for (section, guard) in [("ingest", "password = 'a'"), ("api", "tokens = ['long enough']")] {
            let open = format!("[{section}]\nlisten = '0.0.0.0:7480'\n{guard}");
            let refused = refusal(&open);
            let expected =
                format!("{section}.listen = 0.0.0.0:7480: must be a loopback address, as what is sent there");
            assert!(refused.starts_with(&expected), "{refused}");
            assert!(
                refused.contains(&format!("[{section}.tls]")) && refused.contains("plain_public"),
                "{refused}"
            );
            assert!(with(&format!("{open}\nplain_public = true")).is_ok());
        }
    }

    #[test]
    fn tls_needs_an_address_a_certificate_and_a_key_and_on_a_public_address_somebody_who_is_known() {
        let pair = "certificate = 'a.pem'\nkey = 'b.pem'";
        for section in ["ingest", "api"] {
            let tls = |more: &str| format!("[{section}.tls]\n{more}");
            assert!(with(&tls(&format!("listen = '127.0.0.1:1'\n{pair}"))).is_ok());
            let refused = |more: &str, key: &str, rule: &str| {
                let refused = refusal(&tls(more));
                assert!(refused.starts_with(&format!("{section}.tls.{key} = ")), "{more}: {refused}");
                assert!(refused.contains(rule), "{more}: {refused}");
            };
            refused("listen = '127.0.0.1:1'\ncertificate = 'a.pem'", "key", "must name a file");
            refused("listen = '127.0.0.1:1'\nkey = 'b.pem'", "certificate", "must name a file");
            refused(pair, "listen", "must be an address");
            refused(&format!("listen = '0.0.0.0:1'\n{pair}"), "listen", "must be a loopback address");
            let known = format!("listen = '0.0.0.0:1'\n{pair}\nclient_ca = 'c.pem'");
            assert!(with(&tls(&known)).is_ok());
            assert!(refusal(&tls("listen = 'here'")).contains("'here' is neither empty nor an address"));
        }
        let guarded = format!("[ingest]\npassword = 'a'\n[ingest.tls]\nlisten = '0.0.0.0:1'\n{pair}");
        assert!(with(&guarded).is_ok());
    }

    #[test]
    fn one_address_cannot_have_more_connections_than_all() {
        let refused = refusal("[ingest]\nconnections_max = 10\nconnections_per_address_max = 11");
        assert!(refused.starts_with("ingest.connections_per_address_max = 11"), "{refused}");
    }

    #[test]
    fn a_public_address_needs_a_token_or_a_key() {
        let open = "[api]\nplain_public = true\nlisten = '0.0.0.0:7481'";
        assert!(refusal(open).contains("api.tokens and api.keys are empty"));
        let key = "keys.shop = { token = 'long enough', scopes = ['read'] }";
        assert!(with(&format!("{open}\n{key}")).is_ok());
        assert!(refusal("[api]\npublic_url = 'ftp://x'").starts_with("api.public_url = ftp://x"));
        assert!(with("[api]\npublic_url = 'https://hooks.example/api'").is_ok());
    }
}

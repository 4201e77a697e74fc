//! What each value may be. The ranges are those that `config.default.toml` states beside the keys.

use std::fmt::Display;
use std::net::SocketAddr;

use super::{
    AlertEmail, Config, ConfigError, Console, Limits, Lockout, MailSecurity, Size, Span, Tls, Trace,
};
use crate::budget::BUDGET_BYTES_MAX;
use crate::catalog::is_identifier;
use crate::console::is_hash;
use crate::core::retry::RetryPolicy;
use crate::delivery::{Cidr, NAME_SERVERS_MAX, NameServer, Proxy};
use crate::traces;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Shorter tokens can be guessed.
pub(super) const TOKEN_BYTES_MIN: usize = 8;

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    check_listeners(config)?;
    check_storage(config)?;
    check_shards(config)?;
    check_delivery(config)?;
    number("probe.in_flight_max", config.probe.in_flight_max, 1, 1_000)?;
    number("probe.waiting_max", config.probe.waiting_max, 1, 10_000)?;
    number("probe.per_application_max", config.probe.per_application_max, 1, 1_000)?;
    lockout("lockout.url", &config.lockout.url)?;
    lockout("lockout.host", &config.lockout.host)?;
    check_alerts(config)?;
    check_email(&config.alerts.email)?;
    number("audit.kept_max", config.audit.kept_max, 100, 1_000_000)?;
    span("audit.retention", config.audit.retention, DAY, 3_650 * DAY)?;
    check_trace(&config.trace)?;
    span("shutdown.grace", config.shutdown.grace, 0, 10 * MINUTE)
}

fn check_listeners(config: &Config) -> Result<(), ConfigError> {
    let ingest = &config.ingest;
    number("ingest.connections_max", ingest.connections_max, 1, 100_000)?;
    let per_address = ingest.connections_per_address_max;
    number("ingest.connections_per_address_max", per_address, 1, ingest.connections_max.into())?;
    span("ingest.request_timeout", ingest.request_timeout, SECOND, HOUR)?;
    size("ingest.unacknowledged_bytes_max", ingest.unacknowledged_bytes_max, MIB, BUDGET_BYTES_MAX)?;
    span("ingest.idle_timeout", ingest.idle_timeout, SECOND, 30 * DAY)?;
    if ingest.password.len() > 512 {
        let value = format!("({} characters)", ingest.password.len());
        return Err(range("ingest.password", value, "must be at most 512 characters"));
    }
    let guarded = !ingest.password.is_empty() || ingest.require_key;
    let guard = "ingest.password is empty and ingest.require_key false";
    loopback("ingest.listen", ingest.listen, guarded, guard)?;
    in_the_clear("ingest.listen", ingest.listen, ingest.plain_public, "[ingest.tls]")?;
    let guard = "ingest.password and ingest.tls.client_ca are empty and ingest.require_key false";
    tls(&INGEST_TLS, &ingest.tls, guarded, guard)?;
    check_api(config)?;
    check_console(&config.console)?;
    check_limits(&config.limits)
}

fn check_limits(limits: &Limits) -> Result<(), ConfigError> {
    size("limits.payload_bytes_max", limits.payload_bytes_max, 1 << 10, 16 * MIB)?;
    number("limits.event_ids_max", limits.event_ids_max, 1_000, 100_000_000)?;
    number("limits.events_per_second_max", limits.events_per_second_max, 1, 10_000_000)?;
    number("limits.endpoints_per_application_max", limits.endpoints_per_application_max, 1, 10_000_000)?;
    number("limits.api_keys_max", limits.api_keys_max, 1, 100_000)
}

fn check_api(config: &Config) -> Result<(), ConfigError> {
    let api = &config.api;
    if api.tokens.iter().any(|token| token.len() < TOKEN_BYTES_MIN) {
        return Err(range("api.tokens", "(not shown)", "each token must be at least 8 characters"));
    }
    for (name, key) in &api.keys {
        let problem = key_name_problem(name).or_else(|| key.problem());
        if let Some(problem) = problem {
            return Err(range("api.keys", name, problem));
        }
    }
    let environment = &api.key_environment;
    if !(1..=16).contains(&environment.len()) || !environment.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return Err(range("api.key_environment", environment, "must be 1 to 16 letters and digits"));
    }
    let guarded = !api.tokens.is_empty() || !api.keys.is_empty() || api.require_key;
    let guard = "api.tokens and api.keys are empty and api.require_key false";
    loopback("api.listen", api.listen, guarded, guard)?;
    in_the_clear("api.listen", api.listen, api.plain_public, "[api.tls]")?;
    let guard = "api.tokens, api.keys and api.tls.client_ca are empty and api.require_key false";
    tls(&API_TLS, &api.tls, guarded, guard)?;
    number("api.connections_max", api.connections_max, 1, 100_000)?;
    let per_address = api.connections_per_address_max;
    number("api.connections_per_address_max", per_address, 1, api.connections_max.into())?;
    span("api.request_timeout", api.request_timeout, SECOND, HOUR)?;
    span("api.idle_timeout", api.idle_timeout, SECOND, HOUR)?;
    number("api.rate_max", api.rate_max, 1, 1_000_000)?;
    number("api.idempotency_keys_max", api.idempotency_keys_max, 1_000, 10_000_000)?;
    size("api.idempotency_bytes_max", api.idempotency_bytes_max, MIB, 16 * GIB)?;
    public_url(&api.public_url)
}

fn check_console(console: &Console) -> Result<(), ConfigError> {
    let refuse = |key, value: &str, rule: &str| Err(range(key, value, rule));
    if !console.password_hash.is_empty() && !is_hash(&console.password_hash) {
        return refuse(
            "console.password_hash",
            "(not shown)",
            "must be what `posthaste console password` prints",
        );
    }
    let is_name = |host: &&String| {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        host.is_empty() || !host.bytes().all(is_fine)
    };
    if let Some(host) = console.hosts.iter().find(is_name) {
        return refuse("console.hosts", host, "each must be a host's name, without scheme and port");
    }
    span("console.idle_timeout", console.idle_timeout, MINUTE, DAY)?;
    span("console.session_max", console.session_max, MINUTE, 7 * DAY)?;
    if !(1..=64).contains(&console.name.chars().count()) {
        return refuse("console.name", &console.name, "must be 1 to 64 characters");
    }
    let is_colour = |text: &str| {
        let hex = text.strip_prefix('#').unwrap_or_default();
        hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if !is_colour(&console.colour) {
        return refuse("console.colour", &console.colour, "must be like \"#0b6e4f\"");
    }
    let is_origin = |text: &&String| {
        url::Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == **text
        })
    };
    match console.frame_origins.iter().find(|text| !is_origin(text)) {
        Some(origin) => refuse(
            "console.frame_origins",
            origin,
            "each must be an origin such as \"https://app.example.com\", without a path",
        ),
        None => Ok(()),
    }
}

/// Names of keys stand in the records of who did what, beside those that are given to the rest.
fn key_name_problem(name: &str) -> Option<&'static str> {
    if ["anonymous", "posthaste"].contains(&name)
        || name.starts_with("token-")
        || name.starts_with("key_")
        || ["default", "stranger", "command-line", "console"].contains(&name)
    {
        return Some("this name stands for somebody else already");
    }
    (!crate::catalog::is_identifier(name)).then_some("must consist of letters, digits, '-', '_' and '.'")
}

fn public_url(text: &str) -> Result<(), ConfigError> {
    let is_fine = |url: url::Url| {
        matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
    };
    if text.is_empty() || (!text.ends_with('/') && url::Url::parse(text).is_ok_and(is_fine)) {
        return Ok(());
    }
    Err(range("api.public_url", text, "must be an http or https URL without a slash at its end, or empty"))
}

fn check_storage(config: &Config) -> Result<(), ConfigError> {
    let storage = &config.storage;
    size("storage.segment_bytes", storage.segment_bytes, MIB, GIB)?;
    span("storage.retention_age", storage.retention_age, HOUR, 3_650 * DAY)?;
    size("storage.retention_bytes", storage.retention_bytes, 16 * MIB, 1024 << 40)?;
    size("storage.reserve_bytes", storage.reserve_bytes, MIB, 1 << 40)?;
    span("storage.report_wait", storage.report_wait, 0, SECOND)?;
    let ledger = &config.ledger;
    span("ledger.horizon", ledger.horizon, 10 * SECOND, DAY)?;
    span("ledger.flush_after", ledger.flush_after, SECOND, 10 * MINUTE)?;
    size("ledger.replay_bytes_max", ledger.replay_bytes_max, 16 * MIB, 64 * GIB)?;
    size("ledger.cache_bytes", ledger.cache_bytes, MIB, 64 * GIB)
}

fn check_shards(config: &Config) -> Result<(), ConfigError> {
    let shards = &config.shards;
    number("shards.count", shards.count.resolve() as u64, 1, 64)?;
    number("shards.in_flight_max", shards.in_flight_max, 1, 100_000)?;
    number("shards.host_in_flight_max", shards.host_in_flight_max, 1, 100_000)?;
    number("shards.endpoint_in_flight_max", shards.endpoint_in_flight_max, 1, 10_000)?;
    number("shards.queue_max", shards.queue_max, 1, 10_000_000)?;
    number("shards.deliveries_max", shards.deliveries_max, 1_000, 100_000_000)?;
    size("shards.body_bytes_max", shards.body_bytes_max, MIB, 64 * GIB)?;
    span("shards.park_for", shards.park_for, SECOND, HOUR)
}

fn check_delivery(config: &Config) -> Result<(), ConfigError> {
    let delivery = &config.delivery;
    for (key, value) in [
        ("delivery.timeout_total", delivery.timeout_total),
        ("delivery.timeout_dns", delivery.timeout_dns),
        ("delivery.timeout_connect", delivery.timeout_connect),
        ("delivery.timeout_tls", delivery.timeout_tls),
        ("delivery.timeout_first_byte", delivery.timeout_first_byte),
    ] {
        span(key, value, 10, 5 * MINUTE)?;
    }
    size("delivery.response_body_read_max", delivery.response_body_read_max, 1 << 10, 16 * MIB)?;
    size("delivery.response_body_kept_max", delivery.response_body_kept_max, 0, 64 << 10)?;
    size("delivery.response_headers_kept_max", delivery.response_headers_kept_max, 0, 16 << 10)?;
    span("delivery.idle_timeout", delivery.idle_timeout, SECOND, 10 * MINUTE)?;
    span("delivery.connection_age_max", delivery.connection_age_max, 10 * SECOND, DAY)?;
    number("delivery.connections_per_host_max", delivery.connections_per_host_max, 1, 100_000)?;
    number("delivery.connections_max", delivery.connections_max, 1, 100_000)?;
    number("delivery.streams_per_connection_max", delivery.streams_per_connection_max, 1, 1_000)?;
    name_servers(&delivery.name_servers)?;
    let credentials = (&delivery.proxy_user, &delivery.proxy_password);
    Proxy::parse(&delivery.proxy, credentials.0, credentials.1, delivery.proxy_pin)
        .map_err(|error| range("delivery.proxy", "(not shown)", error))?;
    for network in &delivery.source_addresses {
        network.parse::<Cidr>().map_err(|error| range("delivery.source_addresses", network, error))?;
    }
    let retry = &config.retry;
    span("retry.retry_after_min", retry.retry_after_min, 100, 7 * DAY)?;
    span("retry.retry_after_max", retry.retry_after_max, 100, 7 * DAY)?;
    if retry.retry_after_min > retry.retry_after_max {
        let rule = format!("must not be more than retry.retry_after_max = {}", retry.retry_after_max);
        return Err(range("retry.retry_after_min", retry.retry_after_min, rule));
    }
    policy("retry.policy", &retry.policy)?;
    retry.policies.values().try_for_each(|text| policy("retry.policies", text))
}

fn name_servers(servers: &[String]) -> Result<(), ConfigError> {
    if servers.len() > NAME_SERVERS_MAX {
        let value = format!("({} servers)", servers.len());
        return Err(range("delivery.name_servers", value, format!("must be at most {NAME_SERVERS_MAX}")));
    }
    for server in servers {
        server.parse::<NameServer>().map_err(|error| range("delivery.name_servers", server, error))?;
    }
    Ok(())
}

fn check_alerts(config: &Config) -> Result<(), ConfigError> {
    let alerts = &config.alerts;
    if !alerts.application.is_empty() && !is_identifier(&alerts.application) {
        let rule = "must consist of letters, digits, '-', '_' and '.'";
        return Err(range("alerts.application", &alerts.application, rule));
    }
    number("alerts.failing_attempts", alerts.failing_attempts, 1, 100_000)?;
    span("alerts.failing_for", alerts.failing_for, 0, 7 * DAY)?;
    span("alerts.rate_window", alerts.rate_window, 10 * SECOND, DAY)?;
    number("alerts.rate_attempts_min", alerts.rate_attempts_min, 1, 1_000_000)?;
    number("alerts.rate_percent_min", alerts.rate_percent_min, 1, 100)?;
    span("alerts.exhausted_every", alerts.exhausted_every, SECOND, 7 * DAY)?;
    span("alerts.disable_after", alerts.disable_after, HOUR, 365 * DAY)?;
    number("alerts.disable_attempts_min", alerts.disable_attempts_min, 1, 100_000)?;
    number("alerts.per_minute_max", alerts.per_minute_max, 1, 100_000)?;
    number("alerts.kept_max", alerts.kept_max, 10, 1_000_000)
}

fn check_trace(trace: &Trace) -> Result<(), ConfigError> {
    // A URL may have credentials in it by mistake.
    let shown = if trace.endpoint.contains('@') { "(not shown)" } else { &trace.endpoint };
    traces::parse_endpoint(&trace.endpoint).map_err(|rule| range("trace.endpoint", shown, rule))?;
    traces::parse_headers(&trace.headers).map_err(|rule| range("trace.headers", "(not shown)", rule))?;
    if !(1..=255).contains(&trace.service_name.chars().count()) {
        return Err(range("trace.service_name", &trace.service_name, "must be 1 to 255 characters"));
    }
    in_range("trace.sample", trace.sample, trace.sample, (0.0, 1.0), (0, 1))
}

fn check_email(email: &AlertEmail) -> Result<(), ConfigError> {
    span("alerts.email.digest_wait", email.digest_wait, SECOND, DAY)?;
    span("alerts.email.digest_every", email.digest_every, SECOND, DAY)?;
    if email.host.is_empty() {
        return Ok(());
    }
    number("alerts.email.port", email.port, 1, 65_535)?;
    let address = "must be a mail address such as alerts@example.com";
    if !is_mail_address(&email.from) {
        return Err(range("alerts.email.from", &email.from, address));
    }
    if email.to.is_empty() {
        return Err(range("alerts.email.to", "[]", "must name somebody as long as alerts.email.host is set"));
    }
    if let Some(wrong) = email.to.iter().find(|to| !is_mail_address(to)) {
        return Err(range("alerts.email.to", wrong, address));
    }
    let is_here = email.host == "localhost"
        || email.host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    if email.security == MailSecurity::None && !is_here {
        let rule = format!("must be \"starttls\" or \"implicit\": {} is another machine", email.host);
        return Err(range("alerts.email.security", "none", rule));
    }
    Ok(())
}

/// Whether a text may stand between `<` and `>` in a mail: nothing that could end the line or the address.
fn is_mail_address(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>,;:\\\"()[]".contains(&byte));
    let parts = text.rsplit_once('@');
    plain && parts.is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty())
}

fn policy(key: &'static str, text: &str) -> Result<(), ConfigError> {
    match text.parse::<RetryPolicy>() {
        Ok(_) => Ok(()),
        Err(error) => Err(range(key, text, error)),
    }
}

fn lockout(key: &'static str, lockout: &Lockout) -> Result<(), ConfigError> {
    match lockout.rule() {
        Ok(_) => Ok(()),
        Err(error) => Err(range(key, "{ ... }", error)),
    }
}

fn loopback(key: &'static str, listen: SocketAddr, guarded: bool, guard: &str) -> Result<(), ConfigError> {
    if listen.ip().is_loopback() || guarded {
        return Ok(());
    }
    Err(range(key, listen, format!("must be a loopback address as long as {guard}")))
}

fn in_the_clear(key: &'static str, listen: SocketAddr, public: bool, tls: &str) -> Result<(), ConfigError> {
    if listen.ip().is_loopback() || public {
        return Ok(());
    }
    let rule = format!(
        "must be a loopback address, as what is sent there can be read on the way: use {tls} for a public one, or set \
         plain_public = true if the network is yours alone"
    );
    Err(range(key, listen, rule))
}

/// The keys of a section for TLS.
struct TlsKeys {
    listen: &'static str,
    certificate: &'static str,
    key: &'static str,
}

const INGEST_TLS: TlsKeys =
    TlsKeys { listen: "ingest.tls.listen", certificate: "ingest.tls.certificate", key: "ingest.tls.key" };
const API_TLS: TlsKeys =
    TlsKeys { listen: "api.tls.listen", certificate: "api.tls.certificate", key: "api.tls.key" };

fn tls(keys: &TlsKeys, tls: &Tls, guarded: bool, guard: &str) -> Result<(), ConfigError> {
    let is_named = |path: &std::path::Path| !path.as_os_str().is_empty();
    let Some(listen) = tls.listen.0 else {
        let files = [&tls.certificate, &tls.key, &tls.client_ca];
        if files.into_iter().any(|path| is_named(path)) {
            return Err(range(keys.listen, "", "must be an address as long as there are files for TLS"));
        }
        return Ok(());
    };
    for (key, path) in [(keys.certificate, &tls.certificate), (keys.key, &tls.key)] {
        if !is_named(path) {
            return Err(range(key, "", format!("must name a file as long as {} is set", keys.listen)));
        }
    }
    loopback(keys.listen, listen, guarded || is_named(&tls.client_ca), guard)
}

fn number(key: &'static str, value: impl Into<u64>, min: u64, max: u64) -> Result<(), ConfigError> {
    let value = value.into();
    in_range(key, value, value, (min, max), (min, max))
}

fn size(key: &'static str, value: Size, min: u64, max: u64) -> Result<(), ConfigError> {
    let bounds = (Size::from_bytes(min), Size::from_bytes(max));
    in_range(key, value, value.bytes(), (min, max), bounds)
}

fn span(key: &'static str, value: Span, min: u64, max: u64) -> Result<(), ConfigError> {
    in_range(key, value, value.ms(), (min, max), (Span::from_ms(min), Span::from_ms(max)))
}

fn in_range<N: PartialOrd>(
    key: &'static str,
    shown: impl Display,
    value: N,
    (min, max): (N, N),
    bounds: (impl Display, impl Display),
) -> Result<(), ConfigError> {
    if value >= min && value <= max {
        return Ok(());
    }
    Err(range(key, shown, format!("must be from {} to {}", bounds.0, bounds.1)))
}

fn range(key: &'static str, value: impl Display, rule: impl Display) -> ConfigError {
    ConfigError::Range { key, value: value.to_string(), rule: rule.to_string() }
}

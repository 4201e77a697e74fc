//! What an operator sets about deliveries. The defaults are not here: they are in the configuration file.

use std::time::Duration;

use super::egress::EgressPolicy;
use super::name_server::NameServer;
use super::pool::PoolLimits;
use super::proxy::Proxy;
use super::response::ResponseLimits;
use super::trust::Trust;
use crate::core::retry::RetryAfterLimits;

/// How long each phase of an attempt may last. None may be zero.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Looking up the name.
    pub dns: Duration,
    /// Opening the connection, over all addresses that are tried.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From sending the request to the head of the response.
    pub first_byte: Duration,
    /// The whole attempt, all phases included; an endpoint may have its own.
    pub total: Duration,
}

/// Everything that a shard's [`Sender`](super::Sender) is made from.
#[derive(Debug, Clone)]
pub struct DeliveryConfig {
    /// How long each phase may last.
    pub timeouts: Timeouts,
    /// How many connections are kept.
    pub pool: PoolLimits,
    /// How much of a response is read and kept.
    pub response: ResponseLimits,
    /// How long a receiver may ask to be left alone.
    pub retry_after: RetryAfterLimits,
    /// Whether HTTP/2 is spoken where the receiver offers it (ALPN, RFC 7301).
    pub http2: bool,
    /// What may be connected to.
    pub egress: EgressPolicy,
    /// Whom names are asked of; empty: the name servers of the system.
    pub name_servers: Vec<NameServer>,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// What connections go through, where there is such a thing.
    pub proxy: Option<Proxy>,
}

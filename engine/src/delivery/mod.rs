//! Delivery: one attempt over HTTP, from a prepared target to an outcome.
//!
//! ```text
//!   target ── request ──┐                      ┌── pool: an open connection? ──────────┐
//!   (prepared once)     ├── sender: one attempt                                        ├── response ── outcome
//!   secret ── signature ┘                      └── connect: resolve, vet, dial, TLS ───┘
//! ```
//!
//! Runs on the thread of one shard, inside a `LocalSet`; nothing is shared with other shards.
//!
//! Invariants
//! - An attempt ends, with an outcome, within its total deadline; it does not panic.
//! - The address that is dialled is one that the egress guard permitted for this very connection.
//! - A request of which a byte may have been written is never sent again within the same attempt.
//! - No receiver makes this process hold or read more than the configured number of bytes.
//!
//! Not here: when a delivery is attempted (`core`), what becomes of its outcome (`shard`).

#[doc(hidden)]
pub mod bench_support;
mod checked_url;
mod cidr;
mod config;
mod connect;
mod deadline;
mod egress;
mod ended;
mod failure;
mod form;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod header_names;
mod headers;
mod host;
mod http1;
mod http2;
mod identity;
mod lease;
mod metered;
mod name_server;
#[cfg(any(test, feature = "simulation"))]
pub(crate) mod network;
mod pool;
mod proxy;
mod request;
mod resolver;
mod response;
mod retry_after;
mod secret;
mod sender;
mod signature;
mod special;
mod stream;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod trust;

pub use crate::traces::TraceParent;
pub use checked_url::{CheckedUrl, URL_BYTES_MAX, UrlError, check_url};
pub use cidr::{Cidr, CidrError};
pub use config::{DeliveryConfig, Timeouts};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use egress::ANSWERS_JUDGED_MAX;
pub use egress::{AddressForbidden, EgressPolicy};
pub use ended::{Ended, Timing};
pub use header_names::HeaderNames;
pub use headers::{CUSTOM_HEADERS_BYTES_MAX, CUSTOM_HEADERS_MAX, HeaderError, check_header, check_headers};
pub use host::{HostKey, Scheme};
pub use identity::{ClientCertificatePem, Identity, IdentityError, IdentityPart};
pub use name_server::{NAME_SERVERS_MAX, NameServer, NameServerError};
pub use pool::PoolLimits;
pub use proxy::{Proxy, ProxyError};
pub use request::{MessageHead, request_headers};
pub use resolver::{DnsResolver, Resolve, ResolveError, Resolving};
pub use response::ResponseLimits;
pub use secret::{SECRET_BYTES_MAX, SECRET_BYTES_MIN, SecretError, SigningSecret};
pub use sender::Sender;
pub use target::{Authorization, BodyFormat, SECRETS_MAX, SuccessRule, Target, TargetError, TargetSpec};
pub use trust::{Trust, TrustError};

//! How long the parts of an attempt took, as the API shows it.

use serde::Serialize;

use crate::delivery::Timing;

/// Milliseconds; 0 for parts that did not happen, as the first three over a connection that was open already.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TimingOut {
    dns_ms: f64,
    connect_ms: f64,
    tls_ms: f64,
    first_byte_ms: f64,
    total_ms: f64,
}

impl From<Timing> for TimingOut {
    fn from(timing: Timing) -> Self {
        let ms = |us: u32| f64::from(us) / 1_000.0;
        Self {
            dns_ms: ms(timing.dns_us),
            connect_ms: ms(timing.connect_us),
            tls_ms: ms(timing.tls_us),
            first_byte_ms: ms(timing.first_byte_us),
            total_ms: ms(timing.total_us),
        }
    }
}

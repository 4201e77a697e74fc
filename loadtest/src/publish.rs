//! One connection that publishes as fast as it is acknowledged.

use std::time::Instant;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use posthaste_protocol::client::{Client, NewMessage, Options, PublishError};

use super::Arguments;

/// Messages handed over at once; the client's window bounds what is unacknowledged.
const CHUNK: u64 = 512;

/// What one connection saw.
pub(super) struct Published {
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
    pub(super) first_refusal: Option<String>,
    /// From handing a chunk over to its last acknowledgement, microseconds.
    pub(super) chunk_us: Histogram<u64>,
}

pub(super) async fn publish(arguments: Arguments, options: Options, count: u64) -> anyhow::Result<Published> {
    let client = Client::connect(arguments.address.clone(), options).await.context("connecting")?;
    let payload = payload(arguments.payload_bytes as usize);
    let message = NewMessage::new(&arguments.application, &arguments.event_type, &payload);
    let mut published =
        Published { acknowledged: 0, refused: 0, first_refusal: None, chunk_us: Histogram::new(3)? };
    let mut left = count;
    while left > 0 {
        let chunk = left.min(CHUNK);
        left -= chunk;
        let began = Instant::now();
        let answers = client.publish_many(&vec![message; chunk as usize]).await;
        published.chunk_us.record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX))?;
        for answer in answers {
            match answer {
                Ok(_) => published.acknowledged += 1,
                Err(error @ (PublishError::Refused(_) | PublishError::Channel { .. })) => {
                    published.refused += 1;
                    published.first_refusal.get_or_insert_with(|| error.to_string());
                }
                Err(error) => return Err(error).context("publishing"),
            }
        }
    }
    Ok(published)
}

/// JSON of this many bytes.
fn payload(bytes: usize) -> Vec<u8> {
    let frame = br#"{"filler":""}"#.len();
    let mut payload = br#"{"filler":""#.to_vec();
    payload.resize(payload.len() + bytes.saturating_sub(frame), b'x');
    payload.extend_from_slice(br#""}"#);
    payload
}

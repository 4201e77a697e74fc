//! Deliveries that are wanted again: what the writer must know to make them.

use posthaste_storage::log::{LogReader, ReadError};

use crate::api::Again;
use crate::core::delivery::{DeliveryKey, DeliveryState, Marks, Progress};
use crate::writer::ExtraDelivery;

use super::standing::Standing;

/// `None` if the message is gone, or is not the application's, or its payload was erased.
pub(super) fn extra_delivery(reader: &LogReader, again: Again) -> Result<Option<ExtraDelivery>, ReadError> {
    let standing = Standing::read(reader, again.message.0, None, reader.end())?;
    let (Some(message_at), Some(message)) = (standing.message_at(), standing.message()) else {
        return Ok(None);
    };
    if message.application != again.application.as_u64() || message.erased {
        return Ok(None);
    }
    let stands = standing.deliveries.get(&again.endpoint.as_u64());
    let elsewhere = message.extras.unpack().url.is_some();
    Ok(Some(ExtraDelivery {
        key: DeliveryKey { message: again.message, endpoint: again.endpoint },
        application: again.application,
        message_at,
        progress: Progress { marks: Marks::BY_HAND.with(Marks::ELSEWHERE, elsewhere), ..Progress::default() },
        was_pending: stands.is_some_and(|one| one.delivery.state == DeliveryState::Pending),
    }))
}

//! Deliveries that are wanted again: what the writer must know to make them.

use posthaste_storage::log::{LogReader, ReadError};

use crate::api::Again;
use crate::core::delivery::{DeliveryKey, DeliveryState, Marks, Progress};
use crate::writer::ExtraDelivery;

use super::deliveries_of;

/// `None` if the message is gone, or is not the application's.
pub(super) fn extra_delivery(reader: &LogReader, again: Again) -> Result<Option<ExtraDelivery>, ReadError> {
    let Some((message_at, owned)) = reader.message(again.message.0)? else { return Ok(None) };
    let Some(message) = owned.record().message().copied() else { return Ok(None) };
    if message.application != again.application.as_u64() {
        return Ok(None);
    }
    let standing = deliveries_of(reader, &message)?.into_iter().find(|one| one.endpoint == again.endpoint);
    let elsewhere = message.extras.unpack().url.is_some();
    Ok(Some(ExtraDelivery {
        key: DeliveryKey { message: again.message, endpoint: again.endpoint },
        application: again.application,
        message_at,
        progress: Progress { marks: Marks::BY_HAND.with(Marks::ELSEWHERE, elsewhere), ..Progress::default() },
        was_pending: standing.is_some_and(|one| one.state == DeliveryState::Pending),
    }))
}

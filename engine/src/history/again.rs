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
    let extras = message.extras.unpack();
    let elsewhere = extras.url.is_some();
    if elsewhere && !message.endpoints.iter().any(|endpoint| endpoint == again.endpoint.as_u64()) {
        // The URL that it brought along is for the settings of that endpoint alone.
        return Ok(None);
    }
    let was_pending = stands.is_some_and(|one| one.delivery.state == DeliveryState::Pending);
    // One that is pending goes on in its chain; one that has ended has let the message through, or kept it.
    let chained = was_pending && extras.chains.iter().any(|endpoint| endpoint == again.endpoint.as_u64());
    let marks = Marks::BY_HAND.with(Marks::ELSEWHERE, elsewhere).with(Marks::CHAINED, chained);
    Ok(Some(ExtraDelivery {
        key: DeliveryKey { message: again.message, endpoint: again.endpoint },
        application: again.application,
        message_at,
        progress: Progress { marks, ..Progress::default() },
        lane: 0,
        was_pending,
    }))
}

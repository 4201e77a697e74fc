//! Why a message is not accepted, and how that is said over TCP and HTTP.

use posthaste_protocol::reply::ErrorCode;

use crate::catalog::Misfit;
use crate::core::ids::MessageId;

/// Why a message is not accepted. Quoted values are printable and cut to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Neither an id nor a uid of an application.
    #[error("there is no application '{name}'")]
    ApplicationUnknown {
        /// What was given.
        name: String,
    },
    /// Longer than the limit.
    #[error("{field} is {bytes} bytes; the limit is {max}")]
    FieldTooLong {
        /// Which field.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Not an identifier.
    #[error("{field} is '{value}'; it must consist of letters, digits, '-', '_' and '.', at least one")]
    FieldInvalid {
        /// Which field.
        field: &'static str,
        /// What was given.
        value: String,
    },
    /// The catalog does not have it.
    #[error("event type '{name}' is not in the catalog (limits.unknown_event_types = \"refuse\")")]
    EventTypeUnknown {
        /// The event type.
        name: String,
    },
    /// No longer in use.
    #[error("event type '{name}' is archived")]
    EventTypeArchived {
        /// The event type.
        name: String,
    },
    /// More channels than the limit.
    #[error("message is on {count} channels; the limit is {max}")]
    TooManyChannels {
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Not an ordering key.
    #[error("ordering key is '{value}'; it must consist of visible ASCII characters, at least one")]
    OrderingKeyInvalid {
        /// What was given.
        value: String,
    },
    /// Scheduled too far ahead.
    #[error("the message is to be delivered in {days} days; the limit is {max}")]
    TooFarAhead {
        /// How far.
        days: u64,
        /// The limit.
        max: u64,
    },
    /// The URL that the message brings along cannot be used.
    #[error("override url {problem}")]
    OwnUrl {
        /// What is wrong with it.
        problem: String,
    },
    /// The secret for that URL cannot be used. Never repeats it.
    #[error("override {problem}")]
    OwnUrlSecret {
        /// What is wrong with it.
        problem: String,
    },
    /// Not `type/subtype`.
    #[error("content type is '{value}'; write type/subtype, such as text/plain")]
    ContentTypeInvalid {
        /// What was given.
        value: String,
    },
    /// Larger than the limit.
    #[error("payload is {bytes} bytes; the limit is {max} (limits.payload_bytes_max)")]
    PayloadTooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// Its content type says JSON, and it is not.
    #[error("payload is not JSON: {reason}")]
    PayloadNotJson {
        /// What is wrong, and where.
        reason: String,
    },
    /// JSON that is nested deeper than receivers can be expected to read.
    #[error("payload is nested deeper than {max} levels")]
    PayloadTooDeep {
        /// The limit.
        max: usize,
    },
    /// It does not fit the schema of its event type, and its application asks for that.
    #[error(
        "payload does not fit version {version} of the schema of '{event_type}': at '{pointer}': {problem} ({rule})",
        version = misfit.version, pointer = misfit.pointer, problem = misfit.problem, rule = misfit.rule
    )]
    PayloadMisfit {
        /// The event type.
        event_type: Box<str>,
        /// Where, and why.
        misfit: Box<Misfit>,
    },
    /// The event id was used for a message that says something else.
    #[error("event id '{event_id}' was used for another message, {first}")]
    Conflict {
        /// The event id.
        event_id: String,
        /// The message that has it.
        first: MessageId,
    },
    /// No space.
    #[error("the disk is full; publish again later")]
    Full,
    /// Too much is being published at once.
    #[error("too many payloads wait to be stored; publish again later")]
    Overloaded,
    /// Its publisher is over their rate.
    #[error("retry after {retry_ms} ms: this key may publish {rate} messages a second")]
    TooFast {
        /// How long to wait.
        retry_ms: u64,
        /// The limit.
        rate: u64,
    },
    /// The log stopped.
    #[error("the log stopped after a failed fsync; nothing is accepted until a restart")]
    LogPoisoned,
    /// The server stops.
    #[error("the server is shutting down; publish again later")]
    ShuttingDown,
}

/// A refusal as the producer hears it. The text is the error's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// First word of the reply over TCP.
    pub resp: ErrorCode,
    /// Status over HTTP.
    pub status: u16,
    /// `code` of the body over HTTP; for 422, `type` of its item.
    pub code: &'static str,
    /// The field that a 422 speaks of, as the HTTP API names it.
    pub field: &'static str,
}

impl PublishError {
    /// After this wait there is room for a message at this rate.
    pub(crate) fn too_fast(wait: std::time::Duration, rate: u64) -> Self {
        Self::TooFast { retry_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) + 1, rate }
    }

    pub(crate) fn unknown_application(name: &str) -> Self {
        Self::ApplicationUnknown { name: shown(name) }
    }

    /// How the refusal is said over TCP and HTTP: the only table there is.
    pub fn answer(&self) -> Answer {
        let invalid = |field| Answer { resp: ErrorCode::Err, status: 422, code: "value_error", field };
        let other = |resp, status, code| Answer { resp, status, code, field: "" };
        match self {
            Self::ApplicationUnknown { .. } => other(ErrorCode::Err, 404, "not_found"),
            Self::FieldTooLong { field, .. } | Self::FieldInvalid { field, .. } => invalid(api_name(field)),
            Self::EventTypeUnknown { .. } | Self::EventTypeArchived { .. } => invalid("eventType"),
            Self::TooManyChannels { .. } => invalid("channels"),
            Self::ContentTypeInvalid { .. } => invalid("contentType"),
            Self::OrderingKeyInvalid { .. } => invalid("orderingKey"),
            Self::TooFarAhead { .. } => invalid("deliverAt"),
            Self::OwnUrl { .. } | Self::OwnUrlSecret { .. } => invalid("override"),
            Self::PayloadNotJson { .. } | Self::PayloadTooDeep { .. } | Self::PayloadMisfit { .. } => {
                invalid("payload")
            }
            Self::PayloadTooLarge { .. } => other(ErrorCode::Err, 413, "payload_too_large"),
            Self::Conflict { .. } => other(ErrorCode::Conflict, 409, "conflict"),
            Self::Full => other(ErrorCode::Oom, 507, "disk_full"),
            Self::Overloaded => other(ErrorCode::Oom, 429, "overloaded"),
            Self::TooFast { .. } => other(ErrorCode::RateLimit, 429, "too_many_requests"),
            Self::LogPoisoned => other(ErrorCode::Misconf, 503, "log_stopped"),
            Self::ShuttingDown => other(ErrorCode::Busy, 503, "shutting_down"),
        }
    }
}

fn api_name(field: &'static str) -> &'static str {
    match field {
        "event type" => "eventType",
        "event id" => "eventId",
        "channel" => "channels",
        "content type" => "contentType",
        "ordering key" => "orderingKey",
        "override url" | "override secret" => "override",
        other => other,
    }
}

/// A value as an error may quote it.
pub(super) fn shown(value: &str) -> String {
    value.escape_debug().take(64).collect()
}

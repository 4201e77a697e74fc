//! An alert: something about an endpoint that somebody should hear of.
//!
//! It is kept, so that it can be listed and acknowledged, until newer ones push it out (`alerts.kept_max`).
//! When an alert is raised, and when it is over, is decided in [`alerts`](crate::alerts).

use serde::{Deserialize, Serialize};

use super::Disabled;
use super::record::id_text;
use crate::core::ids::{AlertId, ApplicationId, EndpointId, MessageId};

/// The longest note of an acknowledgement, in bytes.
pub const NOTE_BYTES_MAX: usize = 1_024;

/// An alert. Its serde form is the one on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Grows with the time at which it was raised.
    #[serde(with = "id_text")]
    pub id: AlertId,
    /// Whose endpoint it is about.
    #[serde(with = "id_text")]
    pub application: ApplicationId,
    /// The endpoint it is about.
    #[serde(with = "id_text")]
    pub endpoint: EndpointId,
    /// What has happened.
    #[serde(flatten)]
    pub cause: AlertCause,
    /// Unix milliseconds.
    pub raised_ms: u64,
    /// When it was over, unix milliseconds; `None` for one that lasts, or that tells of a moment.
    #[serde(default)]
    pub ended_ms: Option<u64>,
    /// Who has seen it.
    #[serde(default)]
    pub acknowledged: Option<Acknowledged>,
}

/// Somebody has seen an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// When, unix milliseconds.
    pub at_ms: u64,
    /// What they had to say.
    #[serde(default)]
    pub note: String,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AlertCause {
    /// Attempt after attempt failed.
    Failing {
        /// Since when, unix milliseconds.
        since_ms: u64,
        /// How many in a row.
        failures: u32,
        /// How the last one ended: a name of an outcome.
        outcome: String,
        /// The HTTP status of the last one, where there was one.
        status: Option<u16>,
    },
    /// Of the attempts within a window, too few succeeded.
    SuccessRateLow {
        /// How long the window is, milliseconds.
        window_ms: u64,
        /// Attempts within it so far, refused ones included.
        attempts: u32,
        /// Those of them that failed.
        failures: u32,
    },
    /// Deliveries have ended without having arrived.
    Exhausted {
        /// How many since the alert before about this endpoint.
        deliveries: u32,
        /// The message of the last one.
        #[serde(with = "id_text")]
        message: MessageId,
        /// How its last attempt ended: a name of an outcome.
        outcome: String,
        /// The HTTP status of that attempt, where there was one.
        status: Option<u16>,
    },
    /// Nothing is sent for a while.
    LockedOut {
        /// The URL of the endpoint, or its host with all endpoints on it.
        door: AlertDoor,
        /// Until when at least, unix milliseconds.
        until_ms: u64,
    },
    /// Nothing is wrong with it any more.
    Recovered {
        /// What was.
        after: Vec<AlertType>,
        /// Since when, unix milliseconds.
        since_ms: u64,
    },
    /// It gets nothing any more.
    Disabled {
        /// Why.
        reason: Disabled,
        /// Since when it had been failing, unix milliseconds, if it had.
        since_ms: Option<u64>,
    },
}

/// What is locked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertDoor {
    /// The URL of one endpoint.
    Url,
    /// A host, with all endpoints on it.
    Host,
}

impl AlertDoor {
    /// Its name in the API and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Host => "host",
        }
    }
}

/// The kinds of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertType {
    /// See [`AlertCause::Failing`].
    Failing,
    /// See [`AlertCause::SuccessRateLow`].
    SuccessRateLow,
    /// See [`AlertCause::Exhausted`].
    Exhausted,
    /// See [`AlertCause::LockedOut`].
    LockedOut,
    /// See [`AlertCause::Recovered`].
    Recovered,
    /// See [`AlertCause::Disabled`].
    Disabled,
}

impl AlertType {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Failing,
        Self::SuccessRateLow,
        Self::Exhausted,
        Self::LockedOut,
        Self::Recovered,
        Self::Disabled,
    ];

    /// Its name in the API and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::SuccessRateLow => "success_rate_low",
            Self::Exhausted => "exhausted",
            Self::LockedOut => "locked_out",
            Self::Recovered => "recovered",
            Self::Disabled => "disabled",
        }
    }

    /// The event type of the messages that tell of it.
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Failing => "posthaste.endpoint.failing",
            Self::SuccessRateLow => "posthaste.endpoint.success_rate_low",
            Self::Exhausted => "posthaste.delivery.exhausted",
            Self::LockedOut => "posthaste.endpoint.locked_out",
            Self::Recovered => "posthaste.endpoint.recovered",
            Self::Disabled => "posthaste.endpoint.disabled",
        }
    }

    /// The type with this name, short or as an event type.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name || kind.event_type() == name)
    }
}

impl AlertCause {
    /// What kind of alert it makes.
    pub const fn kind(&self) -> AlertType {
        match self {
            Self::Failing { .. } => AlertType::Failing,
            Self::SuccessRateLow { .. } => AlertType::SuccessRateLow,
            Self::Exhausted { .. } => AlertType::Exhausted,
            Self::LockedOut { .. } => AlertType::LockedOut,
            Self::Recovered { .. } => AlertType::Recovered,
            Self::Disabled { .. } => AlertType::Disabled,
        }
    }

    /// Whether it tells of something that lasts, and so has an end.
    pub const fn lasts(&self) -> bool {
        !matches!(self, Self::Exhausted { .. } | Self::Recovered { .. })
    }
}

/// An endpoint has been failing for so long that a restart should not forget it. Its serde form is the one on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingSince {
    /// Which endpoint.
    #[serde(with = "id_text")]
    pub endpoint: EndpointId,
    /// When the first attempt failed after which none succeeded, unix milliseconds.
    pub since_ms: u64,
    /// Attempts that had failed since then when this was written.
    pub failures: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_alert_reads_back_from_its_names() {
        for kind in AlertType::ALL {
            assert_eq!(AlertType::from_name(kind.name()), Some(kind));
            assert_eq!(AlertType::from_name(kind.event_type()), Some(kind));
        }
        assert_eq!(AlertType::from_name("endpoint"), None);
    }

    #[test]
    fn an_alert_reads_back_as_it_was_written() {
        let alert = Alert {
            id: AlertId::from_u64(7),
            application: ApplicationId::from_u64(1),
            endpoint: EndpointId::from_u64(2),
            cause: AlertCause::Recovered { after: vec![AlertType::LockedOut], since_ms: 5 },
            raised_ms: 9,
            ended_ms: None,
            acknowledged: Some(Acknowledged { by: "ann".into(), at_ms: 10, note: String::new() }),
        };
        let text = serde_json::to_string(&alert).unwrap();
        assert!(text.contains(r#""type":"recovered","after":["locked_out"],"since_ms":5"#), "{text}");
        assert_eq!(serde_json::from_str::<Alert>(&text).unwrap(), alert);
    }
}

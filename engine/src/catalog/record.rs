//! Entries of the catalog as they are stored: which key, and JSON under it.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::audit::AuditPart;
use super::{Alert, ApiKey, Application, Change, Endpoint, EventType, FailingSince, Task};
use crate::core::ids::{AlertId, ApiKeyId, ApplicationId, EndpointId, TaskId};

const API_KEY: &str = "key/";
const APPLICATION: &str = "app/";
const ENDPOINT: &str = "ep/";
const EVENT_TYPE: &str = "et/";
const TASK: &str = "task/";
const ALERT: &str = "al/";
const FAILING: &str = "fs/";
const AUDIT: &str = "au/";
/// Decimal digits of any number of an audit entry: keys sort like numbers.
const AUDIT_DIGITS: usize = 20;

/// Why a stored entry cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A key of another form.
    #[error(
        "catalog key '{key}' is none of app/, ep/, key/, al/, fs/, task/ with an id, et/<name>, au/<number>"
    )]
    Key {
        /// The key, what is not text replaced, cut to 64 characters.
        key: String,
    },
    /// A value that is not what the key says.
    #[error("catalog entry {key} cannot be read: {error}")]
    Value {
        /// Its key.
        key: String,
        /// What is wrong, and where.
        error: serde_json::Error,
    },
    /// A value that its key does not expect.
    #[error("catalog entry {key} cannot be read: {why}")]
    Form {
        /// Its key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// A value that belongs under another key.
    #[error("catalog entry {key} holds the value of {other}")]
    Misplaced {
        /// Where it lies.
        key: String,
        /// Where it belongs.
        other: String,
    },
}

/// The key of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key<'a> {
    Access(ApiKeyId),
    Application(ApplicationId),
    Endpoint(EndpointId),
    EventType(&'a str),
    Task(TaskId),
    Alert(AlertId),
    Failing(EndpointId),
    Audit(u64),
}

impl<'a> Key<'a> {
    pub(super) fn parse(key: &'a [u8]) -> Result<Self, RecordError> {
        let parse = || {
            let text = std::str::from_utf8(key).ok()?;
            if let Some(id) = text.strip_prefix(API_KEY) {
                return id.parse().ok().map(Self::Access);
            }
            if let Some(id) = text.strip_prefix(APPLICATION) {
                return id.parse().ok().map(Self::Application);
            }
            if let Some(id) = text.strip_prefix(ENDPOINT) {
                return id.parse().ok().map(Self::Endpoint);
            }
            if let Some(id) = text.strip_prefix(TASK) {
                return id.parse().ok().map(Self::Task);
            }
            if let Some(id) = text.strip_prefix(ALERT) {
                return id.parse().ok().map(Self::Alert);
            }
            if let Some(id) = text.strip_prefix(FAILING) {
                return id.parse().ok().map(Self::Failing);
            }
            if let Some(number) = text.strip_prefix(AUDIT) {
                return number.parse().ok().map(Self::Audit);
            }
            text.strip_prefix(EVENT_TYPE).filter(|name| !name.is_empty()).map(Self::EventType)
        };
        parse().ok_or_else(|| RecordError::Key { key: shown(key) })
    }

    fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Access(id) => format!("{API_KEY}{id}").into(),
            Self::Application(id) => format!("{APPLICATION}{id}").into(),
            Self::Endpoint(id) => format!("{ENDPOINT}{id}").into(),
            Self::EventType(name) => format!("{EVENT_TYPE}{name}").into(),
            Self::Task(id) => format!("{TASK}{id}").into(),
            Self::Alert(id) => format!("{ALERT}{id}").into(),
            Self::Failing(id) => format!("{FAILING}{id}").into(),
            Self::Audit(number) => format!("{AUDIT}{number:0AUDIT_DIGITS$}").into(),
        }
    }

    /// The change that takes the entry out.
    pub(super) fn removal(self) -> Change {
        Change { key: self.to_bytes(), value: None }
    }
}

/// An entry.
#[derive(Debug)]
pub(super) enum Record {
    ApiKey(Arc<ApiKey>),
    Application(Arc<Application>),
    Endpoint(Arc<Endpoint>),
    EventType(Arc<EventType>),
    Task(Arc<Task>),
    Alert(Arc<Alert>),
    Failing(FailingSince),
    Audit(AuditPart),
}

impl Record {
    pub(super) fn parse(key: &[u8], value: &[u8]) -> Result<Self, RecordError> {
        let record = match Key::parse(key)? {
            Key::Access(_) => Self::ApiKey(Arc::new(read(key, value)?)),
            Key::Application(_) => Self::Application(Arc::new(read(key, value)?)),
            Key::Endpoint(_) => Self::Endpoint(Arc::new(read(key, value)?)),
            Key::EventType(_) => Self::EventType(Arc::new(read(key, value)?)),
            Key::Task(_) => Self::Task(Arc::new(read(key, value)?)),
            Key::Alert(_) => Self::Alert(Arc::new(read(key, value)?)),
            Key::Failing(_) => Self::Failing(read(key, value)?),
            Key::Audit(_) => {
                let form = |why| RecordError::Form { key: shown(key), why };
                Self::Audit(AuditPart::parse(value).map_err(form)?)
            }
        };
        let own = record.key().to_bytes();
        if own != key {
            return Err(RecordError::Misplaced { key: shown(key), other: shown(&own) });
        }
        Ok(record)
    }

    pub(super) fn key(&self) -> Key<'_> {
        match self {
            Self::ApiKey(key) => Key::Access(key.id),
            Self::Application(application) => Key::Application(application.id),
            Self::Endpoint(endpoint) => Key::Endpoint(endpoint.id),
            Self::EventType(event_type) => Key::EventType(&event_type.name),
            Self::Task(task) => Key::Task(task.id),
            Self::Alert(alert) => Key::Alert(alert.id),
            Self::Failing(failing) => Key::Failing(failing.endpoint),
            Self::Audit(part) => Key::Audit(part.last()),
        }
    }

    /// The change that writes the entry.
    pub(super) fn change(&self) -> Change {
        let value = match self {
            Self::ApiKey(key) => write(&**key),
            Self::Application(application) => write(&**application),
            Self::Endpoint(endpoint) => write(&**endpoint),
            Self::EventType(event_type) => write(&**event_type),
            Self::Task(task) => write(&**task),
            Self::Alert(alert) => write(&**alert),
            Self::Failing(failing) => write(failing),
            Self::Audit(part) => part.line().as_bytes().into(),
        };
        Change { key: self.key().to_bytes(), value: Some(value) }
    }
}

fn read<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, RecordError> {
    serde_json::from_slice(value).map_err(|error| RecordError::Value { key: shown(key), error })
}

fn write(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("maps with text keys and plain values are always JSON")
}

fn shown(key: &[u8]) -> String {
    String::from_utf8_lossy(key).chars().filter(|c| !c.is_control()).take(64).collect()
}

/// For `#[serde(with)]`: an id as its text.
pub(super) mod id_text {
    use super::{Deserialize, Deserializer, Display, FromStr, Serializer};

    pub(in super::super) fn serialize<T: Display, S: Serializer>(id: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(in super::super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

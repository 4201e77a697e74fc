//! The audit log: who changed what, and when.
//!
//! Every change of what is configured brings an entry along, in the same batch of the log: there is never one without
//! the other. An entry is one line of JSON, kept and handed out byte for byte. It holds the SHA-256 of the line
//! before, so whoever has the lines can see that none was altered, and that none is missing between two of them.
//! (Whoever can write the data folder could make all of it anew: keep exports elsewhere if that matters.)
//!
//! Names of fields are in it, and never their values.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::rfc3339;

/// What the ids of entries begin with.
const PREFIX: &str = "aud_";
/// What an entry says of the one before where there is none.
const NOTHING_BEFORE: &str = "";
/// Fields that change by themselves.
const NOT_TOLD: [&str; 5] = ["id", "application", "revision", "created_ms", "updated_ms"];

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acting {
    /// A name: of a token, `anonymous`, or `posthaste` for the engine itself.
    pub actor: Arc<str>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
}

impl Default for Acting {
    fn default() -> Self {
        Self { actor: "posthaste".into(), address: None }
    }
}

tokio::task_local! {
    static ACTING: Acting;
}

/// Does `work` in the name of somebody: whatever it changes is recorded so.
pub async fn act_as<T>(who: Acting, work: impl Future<Output = T>) -> T {
    ACTING.scope(who, work).await
}

/// In whose name this task works: the engine's own, unless somebody else was named.
pub(super) fn acting() -> Acting {
    ACTING.try_with(Clone::clone).unwrap_or_default()
}

/// What was done, on its way into an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) action: String,
    pub(super) object: String,
    pub(super) application: Option<String>,
    pub(super) fields: Vec<String>,
}

/// The line of an entry.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    id: String,
    at: String,
    actor: String,
    address: Option<String>,
    action: String,
    object: String,
    application: Option<String>,
    fields: Vec<String>,
    previous: String,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    number: u64,
    at_ms: u64,
    line: Box<str>,
    actor: Box<str>,
    action: Box<str>,
    object: Box<str>,
    previous: Box<str>,
}

impl AuditEntry {
    pub(super) fn new(before: Option<&Self>, at_ms: u64, who: &Acting, deed: Deed) -> Self {
        let number = before.map_or(1, |before| before.number + 1);
        let line = Line {
            id: format!("{PREFIX}{number}"),
            at: rfc3339(at_ms),
            actor: who.actor.to_string(),
            address: who.address.map(|address| address.to_string()),
            action: deed.action,
            object: deed.object,
            application: deed.application,
            fields: deed.fields,
            previous: before.map_or_else(|| NOTHING_BEFORE.into(), Self::hash),
        };
        let text = serde_json::to_string(&line).expect("texts are JSON");
        Self {
            number,
            at_ms,
            line: text.into(),
            actor: line.actor.into(),
            action: line.action.into(),
            object: line.object.into(),
            previous: line.previous.into(),
        }
    }

    /// Reads an entry as it is stored; an error says in words what is wrong.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let number = number_of(&line.id).ok_or_else(|| format!("{} is not the id of an entry", line.id))?;
        let at: jiff::Timestamp = line.at.parse().map_err(|error: jiff::Error| error.to_string())?;
        Ok(Self {
            number,
            at_ms: u64::try_from(at.as_millisecond()).unwrap_or(0),
            line: text.into(),
            actor: line.actor.into(),
            action: line.action.into(),
            object: line.object.into(),
            previous: line.previous.into(),
        })
    }

    /// Its number: they grow by one.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When, unix milliseconds.
    pub const fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// The entry as it is stored.
    pub const fn line(&self) -> &str {
        &self.line
    }

    /// Who did it.
    pub const fn actor(&self) -> &str {
        &self.actor
    }

    /// What was done.
    pub const fn action(&self) -> &str {
        &self.action
    }

    /// The id or name of what it was done to.
    pub const fn object(&self) -> &str {
        &self.object
    }

    /// Its id in the API.
    pub fn id(&self) -> String {
        format!("{PREFIX}{}", self.number)
    }

    /// The SHA-256 of its line, in hexadecimal digits.
    pub fn hash(&self) -> String {
        digest(&SHA256, self.line.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The number in the id of an entry.
pub(crate) fn number_of(id: &str) -> Option<u64> {
    id.strip_prefix(PREFIX)?.parse().ok()
}

/// Says where the chain of entries is broken: something was altered or taken out behind the engine's back.
pub(super) fn say_gaps(entries: &[Arc<AuditEntry>]) {
    for after in gaps(entries) {
        tracing::error!(after, "the audit log has a gap: what follows this entry does not fit it");
    }
}

fn gaps(entries: &[Arc<AuditEntry>]) -> Vec<u64> {
    let fits =
        |one: &AuditEntry, next: &AuditEntry| next.number == one.number + 1 && *next.previous == *one.hash();
    let broken = entries.windows(2).filter(|pair| !fits(&pair[0], &pair[1]));
    broken.map(|pair| pair[0].number).collect()
}

/// The names of the fields that differ between two values of an entry of the catalog, as the API spells them.
pub(super) fn fields_changed(before: &[u8], after: &[u8]) -> Vec<String> {
    let read = |bytes| serde_json::from_slice::<Map<String, Value>>(bytes).unwrap_or_default();
    let (before, after) = (read(before), read(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let told = names.into_iter().filter(|name| !NOT_TOLD.contains(&name.as_str()));
    let changed = told.filter(|name| before.get(*name) != after.get(*name));
    changed.map(|name| camel_case(name)).collect()
}

fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut name, part| {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name + letters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(object: &str) -> Deed {
        let (action, object) = ("endpoint.update".into(), object.into());
        Deed { action, object, application: None, fields: vec!["url".into()] }
    }

    fn chain() -> Vec<Arc<AuditEntry>> {
        let mut entries: Vec<Arc<AuditEntry>> = Vec::new();
        for object in ["a", "b", "c", "d"] {
            let who = Acting { actor: "ann".into(), address: Some([127, 0, 0, 1].into()) };
            let entry = AuditEntry::new(entries.last().map(|entry| &**entry), 1_000, &who, deed(object));
            entries.push(Arc::new(entry));
        }
        entries
    }

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        for entry in chain() {
            assert_eq!(AuditEntry::parse(entry.line().as_bytes()).as_ref(), Ok(&*entry));
        }
        assert!(AuditEntry::parse(b"{}").is_err());
    }

    #[test]
    fn a_missing_entry_or_one_that_was_altered_shows() {
        assert!(gaps(&chain()).is_empty());
        let mut entries = chain();
        entries.remove(0);
        assert!(gaps(&entries).is_empty(), "the oldest go with time");
        entries.remove(1);
        assert_eq!(gaps(&entries), [2]);
        let mut entries = chain();
        let altered = entries[1].line().replace("ann", "bob");
        entries[1] = Arc::new(AuditEntry::parse(altered.as_bytes()).unwrap());
        assert_eq!(gaps(&entries), [2]);
    }

    #[test]
    fn fields_are_named_as_the_api_does_and_without_their_values() {
        let before = br#"{"url":"a","timeout_ms":null,"revision":1,"secrets":["x"],"gone":1}"#;
        let after = br#"{"url":"a","timeout_ms":5,"revision":2,"secrets":["y","x"]}"#;
        assert_eq!(fields_changed(before, after), ["gone", "secrets", "timeoutMs"]);
    }

    #[tokio::test]
    async fn what_nobody_is_named_for_the_engine_does_itself() {
        assert_eq!(&*acting().actor, "posthaste");
        let ann = Acting { actor: "ann".into(), address: None };
        assert_eq!(act_as(ann.clone(), async { acting() }).await, ann);
    }
}

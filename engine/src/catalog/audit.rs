//! The audit log: who changed what, and when.
//!
//! Every change of what is configured brings an entry along, in the same batch of the log: there is never one without
//! the other. An entry is one line of JSON, kept and handed out byte for byte. It holds the SHA-256 of the line
//! before, so whoever has the lines can see that none was altered, and that none is missing between two of them.
//! (Whoever can write the data folder could make all of it anew: keep exports elsewhere if that matters.)
//!
//! Names of fields are in it, and never their values. `before` and `after` are digests of the whole object under a key of
//! this data folder: nobody can guess a password from them, and of one object, `after` of one entry is `before` of the
//! next, or something was changed behind the engine's back.
//!
//! Not here: what makes room for new entries (`audit_room`), and the chain as others see it (`audit_chain`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::rfc3339;

/// What the ids of entries begin with.
const PREFIX: &str = "aud_";
/// What an entry says of the one before where there is none.
const NOTHING_BEFORE: &str = "";
/// Fields that change by themselves.
const NOT_TOLD: [&str; 6] = ["id", "application", "revision", "created_ms", "updated_ms", "last_used_ms"];
/// Bytes of a digest that are written down.
const DIGEST_BYTES: usize = 16;

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
    /// Digests of the object.
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    /// How often, where many are one entry.
    pub(super) count: Option<u64>,
}

impl Deed {
    /// Something that was done, of which there is no more to say.
    pub(super) fn of(action: impl Into<String>, object: String) -> Self {
        let action = action.into();
        Self { action, object, application: None, fields: Vec::new(), before: None, after: None, count: None }
    }
}

/// What digests of objects are made with: a number that belongs to the data folder.
#[derive(Clone, Copy)]
pub struct AuditKey([u8; 16]);

impl AuditKey {
    /// From this number.
    pub const fn new(number: u128) -> Self {
        Self(number.to_be_bytes())
    }

    /// The digest of an object as it is stored, in hexadecimal digits.
    pub(super) fn digest(&self, stored: &[u8]) -> String {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), stored);
        hex(mac.as_ref().get(..DIGEST_BYTES).unwrap_or_default())
    }
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditKey(redacted)")
    }
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    previous: String,
}

/// The line that stands for entries which made room for others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftOutLine {
    /// Of the last of them.
    id: String,
    /// Of the first of them.
    left_out_from: String,
    /// The SHA-256 of the last one's line: what the next entry holds.
    hash: String,
}

/// Entries that made room for others, one after the other: what is left of them for the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    first: u64,
    last: u64,
    hash: Box<str>,
    line: Box<str>,
}

impl LeftOut {
    pub(super) fn new(first: u64, last: u64, hash: String) -> Self {
        let line = LeftOutLine {
            id: format!("{PREFIX}{last}"),
            left_out_from: format!("{PREFIX}{first}"),
            hash: hash.clone(),
        };
        let line = serde_json::to_string(&line).expect("texts are JSON");
        Self { first, last, hash: hash.into(), line: line.into() }
    }

    /// The number of the first of them.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The number of the last of them.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// The SHA-256 of the last one's line.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// A line of the audit log: an entry, or what stands for some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditPart {
    /// An entry.
    Entry(Arc<AuditEntry>),
    /// Entries that made room for others.
    LeftOut(Arc<LeftOut>),
}

impl AuditPart {
    /// Reads a line; an error says in words what is wrong.
    ///
    /// # Errors
    /// A line that is neither.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let Ok(line) = serde_json::from_slice::<LeftOutLine>(bytes) else {
            return AuditEntry::parse(bytes).map(|entry| Self::Entry(Arc::new(entry)));
        };
        let number = |id: &str| number_of(id).ok_or_else(|| format!("{id} is not the id of an entry"));
        let (first, last) = (number(&line.left_out_from)?, number(&line.id)?);
        if first > last {
            return Err(format!("{} comes after {}", line.left_out_from, line.id));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?.into();
        Ok(Self::LeftOut(Arc::new(LeftOut { first, last, hash: line.hash.into(), line: text })))
    }

    /// The number of the entry, or of the first that it stands for.
    pub fn first(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.number,
            Self::LeftOut(left_out) => left_out.first,
        }
    }

    /// The number of the entry, or of the last that it stands for.
    pub fn last(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.number,
            Self::LeftOut(left_out) => left_out.last,
        }
    }

    /// As it is stored.
    pub fn line(&self) -> &str {
        match self {
            Self::Entry(entry) => entry.line(),
            Self::LeftOut(left_out) => &left_out.line,
        }
    }

    /// What the entry after it must hold.
    pub fn hash(&self) -> String {
        match self {
            Self::Entry(entry) => entry.hash(),
            Self::LeftOut(left_out) => left_out.hash.to_string(),
        }
    }

    /// Whether `next` follows it: with the next number, and, if it is an entry, holding its hash.
    pub fn is_followed_by(&self, next: &Self) -> bool {
        let holds = match next {
            Self::Entry(entry) => *entry.previous == *self.hash(),
            // What it stands for held it; nobody can tell any more.
            Self::LeftOut(_) => true,
        };
        next.first() == self.last() + 1 && holds
    }
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
    pub(super) fn new(last: Option<&AuditPart>, at_ms: u64, who: &Acting, deed: Deed) -> Self {
        let number = last.map_or(1, |last| last.last() + 1);
        let line = Line {
            id: format!("{PREFIX}{number}"),
            at: rfc3339(at_ms),
            actor: who.actor.to_string(),
            address: who.address.map(|address| address.to_string()),
            action: deed.action,
            object: deed.object,
            application: deed.application,
            fields: deed.fields,
            before: deed.before,
            after: deed.after,
            count: deed.count,
            previous: last.map_or_else(|| NOTHING_BEFORE.into(), AuditPart::hash),
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
        hex(digest(&SHA256, self.line.as_bytes()).as_ref())
    }

    /// The hash of the entry before; empty if there was none.
    pub const fn previous(&self) -> &str {
        &self.previous
    }
}

/// The number in the id of an entry.
pub(crate) fn number_of(id: &str) -> Option<u64> {
    id.strip_prefix(PREFIX)?.parse().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

    fn chain() -> Vec<AuditPart> {
        let mut entries: Vec<AuditPart> = Vec::new();
        for object in ["a", "b", "c", "d"] {
            let who = Acting { actor: "ann".into(), address: Some([127, 0, 0, 1].into()) };
            let deed = Deed { fields: vec!["url".into()], ..Deed::of("endpoint.update", object.into()) };
            entries.push(AuditPart::Entry(Arc::new(AuditEntry::new(entries.last(), 1_000, &who, deed))));
        }
        entries
    }

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        for part in chain().into_iter().chain([AuditPart::LeftOut(Arc::new(LeftOut::new(3, 7, "ab".into())))])
        {
            assert_eq!(AuditPart::parse(part.line().as_bytes()), Ok(part));
        }
        assert!(AuditPart::parse(b"{}").is_err());
        let backwards = LeftOut::new(7, 3, "ab".into());
        assert!(AuditPart::parse(backwards.line.as_bytes()).is_err());
    }

    #[test]
    fn an_entry_from_before_there_were_digests_is_still_read() {
        let line = r#"{"id":"aud_1","at":"2025-01-01T00:00:00Z","actor":"a","address":null,"action":"x.y","object":"o","application":null,"fields":[],"previous":""}"#;
        let entry = AuditPart::parse(line.as_bytes()).expect("an entry");
        assert_eq!((entry.line(), entry.first()), (line, 1));
    }

    #[test]
    fn an_entry_follows_another_or_what_stands_for_it() {
        let chain = chain();
        assert!(chain[0].is_followed_by(&chain[1]) && !chain[0].is_followed_by(&chain[2]));
        let stands_for = AuditPart::LeftOut(Arc::new(LeftOut::new(2, 3, chain[2].hash())));
        assert!(chain[0].is_followed_by(&stands_for) && stands_for.is_followed_by(&chain[3]));
        let other = AuditPart::LeftOut(Arc::new(LeftOut::new(2, 3, chain[1].hash())));
        assert!(!other.is_followed_by(&chain[3]));
    }

    #[test]
    fn a_digest_tells_objects_apart_and_depends_on_the_data_folder() {
        let key = AuditKey::new(1);
        assert_eq!(key.digest(b"a"), key.digest(b"a"));
        assert_ne!(key.digest(b"a"), key.digest(b"b"));
        assert_ne!(key.digest(b"a"), AuditKey::new(2).digest(b"a"));
        assert_eq!(key.digest(b"a").len(), 32);
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

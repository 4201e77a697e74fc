//! The model: endpoints as those who manage them know them.
//!
//! Whoever changes an endpoint does not know for a while whether the change has happened. What is published meanwhile
//! may go either way; afterwards it is known again, from the answer or from a look at the catalog.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Secret};
use crate::core::ids::EndpointId;

/// An endpoint as it is known from outside.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) id: EndpointId,
    pub(super) application: usize,
    /// `None`: all event types.
    pub(super) event_types: Option<BTreeSet<u8>>,
    pub(super) is_there: bool,
    pub(super) is_enabled: bool,
    /// Keys that may sign for it: all that it ever had.
    pub(super) keys: Vec<Vec<u8>>,
    /// The newest of them, and the host to which it goes, as the catalog says.
    pub(super) newest_key: Vec<u8>,
    pub(super) host: usize,
    /// When it was last changed.
    pub(super) changed_ms: u64,
    /// The shortest wait that its retry policy has.
    pub(super) wait_ms: u64,
    /// Counts changes, begun and ended: what was the same before and after has not changed between.
    version: u64,
    is_changing: bool,
}

/// What an endpoint was when a message was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    version: u64,
    is_certain: bool,
    wants: bool,
}

impl Endpoint {
    pub(super) fn new(
        id: EndpointId,
        application: usize,
        event_types: Option<BTreeSet<u8>>,
        (host, key): (usize, Vec<u8>),
        wait_ms: u64,
    ) -> Self {
        Self {
            id,
            application,
            event_types,
            is_there: true,
            is_enabled: true,
            newest_key: key.clone(),
            keys: vec![key],
            host,
            changed_ms: 0,
            wait_ms,
            version: 0,
            is_changing: false,
        }
    }

    pub(super) fn begin_change(&mut self) {
        (self.version, self.is_changing) = (self.version + 1, true);
    }

    pub(super) fn end_change(&mut self) {
        (self.version, self.is_changing) = (self.version + 1, false);
    }

    pub(super) fn is_changing(&self) -> bool {
        self.is_changing
    }

    pub(super) fn seen(&self, application: usize, event_type: u8) -> Seen {
        let wants = self.is_there
            && self.is_enabled
            && self.application == application
            && self.event_types.as_ref().is_none_or(|types| types.contains(&event_type));
        Seen { version: self.version, is_certain: !self.is_changing, wants }
    }

    /// Looks up what it is now.
    pub(super) fn look(&mut self, catalog: &Catalog) {
        match catalog.endpoint_by_id(self.id) {
            None => self.is_there = false,
            Some(found) => {
                self.is_there = true;
                self.is_enabled = found.disabled.is_none();
                self.event_types =
                    found.event_types.as_ref().map(|types| types.iter().map(|name| number(name)).collect());
                self.newest_key = found.secrets.first().map(key_of).unwrap_or_default();
                self.host = host_of(&found.url);
                for key in found.secrets.iter().map(key_of) {
                    if !self.keys.contains(&key) {
                        self.keys.push(key);
                    }
                }
            }
        }
        self.end_change();
    }
}

/// The number of the host in a URL of the simulation.
fn host_of(url: &str) -> usize {
    let host = url.strip_prefix("http://h").and_then(|rest| rest.split('.').next());
    host.and_then(|number| number.parse().ok()).expect("URLs are made by the operator")
}

/// `None`: it was not certain, and may have got the message or not.
pub(super) fn wanted(before: Seen, after: Seen) -> Option<bool> {
    (before == after && before.is_certain).then_some(before.wants)
}

pub(super) fn type_name(event_type: u8) -> String {
    format!("t{event_type}")
}

fn number(name: &str) -> u8 {
    name[1..].parse().expect("event types are named by type_name")
}

pub(super) fn key_of(secret: &Secret) -> Vec<u8> {
    use base64::Engine as _;
    let text = secret.key.strip_prefix("whsec_").expect("the simulation's secrets are of kind v1");
    base64::engine::general_purpose::STANDARD.decode(text).expect("a secret is base64")
}

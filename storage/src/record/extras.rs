//! What few messages have: a time before which they are not sent, an order among each other, a URL of their own,
//! chains of endpoints that get them one after the other.
//!
//! A message without any of it costs nothing here: a flag of the message says whether this part is there. In a
//! record it stays packed until somebody asks.
//!
//! ```text
//! flags u8 (1 due, 2 ordering key, 4 url, 8 url secret, 16 chains, 32 sealed url secret),
//! [due ms u64], [ordering key text], [url text], [url secret text], [chains len x u64], [sealed url secret bytes]
//! ```

use super::DecodeError;
use super::cursor::{Cursor, put_bytes, put_len};
use super::lists::Endpoints;

const DUE: u8 = 1;
const ORDERING_KEY: u8 = 2;
const URL: u8 = 4;
const URL_SECRET: u8 = 8;
const CHAINS: u8 = 16;
const SEALED_URL_SECRET: u8 = 32;

/// See the head of this file: packed, and known to be readable. Empty: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PackedExtras<'a>(&'a [u8]);

/// See the head of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extras<'a> {
    /// Not sent before, unix milliseconds.
    pub due_ms: Option<u64>,
    /// Messages with the same key reach an endpoint in the order in which they were accepted.
    pub ordering_key: Option<&'a str>,
    /// Where it goes instead of the endpoint's URL.
    pub url: Option<&'a str>,
    /// The secret for that URL, instead of the endpoint's, as older versions wrote it.
    pub url_secret: Option<&'a str>,
    /// The same, encrypted by the engine.
    pub sealed_url_secret: Option<&'a [u8]>,
    /// Chains of endpoints: each is tried when those before it let the message fall through. Several chains are
    /// separated by 0. The first of each is among the message's endpoints.
    pub chains: Endpoints<'a>,
}

impl<'a> PackedExtras<'a> {
    /// None of it.
    pub const NONE: Self = Self(&[]);

    /// Whether there is none.
    pub const fn is_none(self) -> bool {
        self.0.is_empty()
    }

    /// What is in it.
    pub fn unpack(self) -> Extras<'a> {
        if self.is_none() {
            return Extras::NONE;
        }
        // It was read once when the record was, or packed by `Extras::pack`.
        Extras::decode(&mut Cursor::new(self.0)).unwrap_or(Extras::NONE)
    }

    pub(super) fn encode(self, into: &mut Vec<u8>) {
        put_bytes(into, self.0);
    }

    pub(super) fn decode(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        let packed = cursor.bytes("extras")?;
        let mut within = Cursor::new(packed);
        if !packed.is_empty() {
            Extras::decode(&mut within)?;
        }
        within.finish()?;
        Ok(Self(packed))
    }
}

impl<'a> Extras<'a> {
    /// None of it.
    pub const NONE: Self = Self {
        due_ms: None,
        ordering_key: None,
        url: None,
        url_secret: None,
        sealed_url_secret: None,
        chains: Endpoints::NONE,
    };

    /// Packs it into `into`, which must be empty and stays so if there is nothing.
    pub fn pack<'p>(&self, into: &'p mut Vec<u8>) -> PackedExtras<'p> {
        debug_assert!(into.is_empty());
        if *self != Self::NONE {
            self.encode(into);
        }
        PackedExtras(into)
    }

    fn encode(&self, into: &mut Vec<u8>) {
        let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        into.push(
            flag(self.due_ms.is_some(), DUE)
                | flag(self.ordering_key.is_some(), ORDERING_KEY)
                | flag(self.url.is_some(), URL)
                | flag(self.url_secret.is_some(), URL_SECRET)
                | flag(!self.chains.is_empty(), CHAINS)
                | flag(self.sealed_url_secret.is_some(), SEALED_URL_SECRET),
        );
        if let Some(due_ms) = self.due_ms {
            into.extend_from_slice(&due_ms.to_le_bytes());
        }
        for text in [self.ordering_key, self.url, self.url_secret].into_iter().flatten() {
            put_bytes(into, text.as_bytes());
        }
        if !self.chains.is_empty() {
            put_len(into, self.chains.len());
            self.chains.iter().for_each(|endpoint| into.extend_from_slice(&endpoint.to_le_bytes()));
        }
        if let Some(sealed) = self.sealed_url_secret {
            put_bytes(into, sealed);
        }
    }

    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        let flags = cursor.u8("extras")?;
        if flags & !(DUE | ORDERING_KEY | URL | URL_SECRET | CHAINS | SEALED_URL_SECRET) != 0 {
            return Err(DecodeError::UnknownFlags { flags });
        }
        let has = |flag: u8| flags & flag != 0;
        Ok(Self {
            due_ms: if has(DUE) { Some(cursor.u64("due time")?) } else { None },
            ordering_key: if has(ORDERING_KEY) { Some(cursor.text("ordering key")?) } else { None },
            url: if has(URL) { Some(cursor.text("url")?) } else { None },
            url_secret: if has(URL_SECRET) { Some(cursor.text("url secret")?) } else { None },
            chains: if has(CHAINS) { Endpoints::decode(cursor)? } else { Endpoints::NONE },
            sealed_url_secret: match has(SEALED_URL_SECRET) {
                true => Some(cursor.bytes("sealed url secret")?),
                false => None,
            },
        })
    }
}

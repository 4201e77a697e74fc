//! Values: what a client reads, in RESP2 or RESP3.
//!
//! The counterpart of `reply`, for the client and for tests. A value is a tree, but it is neither read nor
//! dropped deeper than [`ValueLimits::depth_max`] levels, whatever the other side sends.

mod decoder;

use bytes::Bytes;

pub use decoder::{ValueDecoder, ValueError, ValueLimits};

/// A reply, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A word or two (`+`).
    Simple(Bytes),
    /// An error (`-`, or `!` in RESP3): a code, then a sentence.
    Error(Bytes),
    /// A whole number (`:`).
    Integer(i64),
    /// Any bytes (`$`).
    Bulk(Bytes),
    /// Nothing (`$-1`, `*-1`, or `_` in RESP3).
    Null,
    /// Values in order (`*`).
    Array(Vec<Value>),
    /// Keys with their values, in the order sent (`%`, RESP3).
    Map(Vec<(Value, Value)>),
    /// Values in no order that matters (`~`, RESP3).
    Set(Vec<Value>),
    /// Something the server says unasked (`>`, RESP3).
    Push(Vec<Value>),
    /// Yes or no (`#`, RESP3).
    Boolean(bool),
    /// A number with a fraction (`,`, RESP3).
    Double(f64),
    /// The digits of a number of any size (`(`, RESP3).
    BigNumber(Bytes),
    /// Text with three letters that say of what kind (`=`, RESP3).
    Verbatim {
        /// Such as `txt`.
        format: [u8; 3],
        /// The text.
        text: Bytes,
    },
}

impl Value {
    /// The bytes of a string of any kind.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Simple(bytes) | Self::Bulk(bytes) | Self::Verbatim { text: bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// The values of an array or set.
    pub fn into_array(self) -> Option<Vec<Self>> {
        match self {
            Self::Array(values) | Self::Set(values) => Some(values),
            _ => None,
        }
    }

    /// The pairs of a map, or of an array of keys and values in turn, as RESP2 writes maps.
    pub fn into_pairs(self) -> Option<Vec<(Self, Self)>> {
        match self {
            Self::Map(pairs) => Some(pairs),
            Self::Array(values) if values.len().is_multiple_of(2) => Some(pairs(values)),
            _ => None,
        }
    }
}

/// Values taken two by two; an odd one at the end is dropped.
fn pairs(values: Vec<Value>) -> Vec<(Value, Value)> {
    let mut values = values.into_iter();
    std::iter::from_fn(|| Some((values.next()?, values.next()?))).collect()
}

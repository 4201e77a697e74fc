//! Lists inside records: packed bytes when read, slices of the caller's when written.
//!
//! Invariant: packed bytes were checked when the record was read, so going through them cannot fail.

use super::DecodeError;
use super::cursor::Cursor;

/// The channels of a message.
#[derive(Clone, Copy)]
pub struct Channels<'a>(Texts<'a>);

#[derive(Clone, Copy)]
enum Texts<'a> {
    Packed { count: usize, bytes: &'a [u8] },
    Strs(&'a [&'a str]),
    Strings(&'a [String]),
}

impl<'a> Channels<'a> {
    /// No channel.
    pub const NONE: Self = Self(Texts::Strs(&[]));

    /// How many there are.
    pub const fn len(&self) -> usize {
        match self.0 {
            Texts::Packed { count, .. } => count,
            Texts::Strs(texts) => texts.len(),
            Texts::Strings(texts) => texts.len(),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The channels, in the order they were given.
    pub const fn iter(&self) -> ChannelsIter<'a> {
        ChannelsIter(self.0)
    }

    pub(super) fn decode(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        let count = cursor.len("channels")?;
        let before = cursor.rest();
        for _ in 0..count {
            cursor.text("channel")?;
        }
        Ok(Self(Texts::Packed { count, bytes: &before[..before.len() - cursor.rest().len()] }))
    }
}

/// The channels of a message, one after the other.
#[derive(Debug, Clone)]
pub struct ChannelsIter<'a>(Texts<'a>);

impl<'a> Iterator for ChannelsIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        match &mut self.0 {
            Texts::Packed { bytes, .. } => {
                let mut cursor = Cursor::new(bytes);
                let text = cursor.text("channel").ok()?;
                *bytes = cursor.rest();
                Some(text)
            }
            Texts::Strs(texts) => texts.split_off_first().copied(),
            Texts::Strings(texts) => texts.split_off_first().map(String::as_str),
        }
    }
}

impl std::fmt::Debug for Texts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(ChannelsIter(*self)).finish()
    }
}

impl std::fmt::Debug for Channels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Channels<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Channels<'_> {}

impl<'a> From<&'a [&'a str]> for Channels<'a> {
    fn from(channels: &'a [&'a str]) -> Self {
        Self(Texts::Strs(channels))
    }
}

impl<'a> From<&'a [String]> for Channels<'a> {
    fn from(channels: &'a [String]) -> Self {
        Self(Texts::Strings(channels))
    }
}

/// Declares a list of entries of one size: packed when read, a slice when written.
macro_rules! packed_list {
    ($(#[$doc:meta])* $name:ident of $item:ty, $bytes:expr, $field:literal, $unpack:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a> {
            packed: &'a [u8],
            items: &'a [$item],
        }

        impl<'a> $name<'a> {
            /// An empty list.
            pub const NONE: Self = Self { packed: &[], items: &[] };

            /// How many there are.
            pub const fn len(&self) -> usize {
                self.packed.len() / $bytes + self.items.len()
            }

            /// Whether there is none.
            pub const fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The entries, in the order they were given.
            pub fn iter(&self) -> impl Iterator<Item = $item> + 'a {
                let unpack: fn(&[u8; $bytes]) -> $item = $unpack;
                // One of the two is empty.
                self.packed.as_chunks().0.iter().map(unpack).chain(self.items.iter().copied())
            }

            pub(super) fn decode(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
                let bytes = cursor.len($field)?.saturating_mul($bytes);
                Ok(Self { packed: cursor.take(bytes, $field)?, items: &[] })
            }
        }

        impl std::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_list().entries(self.iter()).finish()
            }
        }

        impl PartialEq for $name<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.iter().eq(other.iter())
            }
        }

        impl Eq for $name<'_> {}

        impl<'a> From<&'a [$item]> for $name<'a> {
            fn from(items: &'a [$item]) -> Self {
                Self { packed: &[], items }
            }
        }
    };
}

packed_list!(
    /// The endpoints that a message goes to.
    Endpoints of u64, 8, "endpoints", |bytes| u64::from_le_bytes(*bytes)
);
packed_list!(
    /// The deliveries of a carried message that are still pending.
    PendingList of PendingDelivery, PendingDelivery::BYTES, "pending deliveries", PendingDelivery::unpack
);

/// A delivery of a carried message that is still pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingDelivery {
    /// The endpoint it goes to.
    pub endpoint: u64,
    /// Attempts made so far.
    pub attempts: u16,
    /// When the next one is due, unix milliseconds.
    pub due_ms: u64,
}

impl PendingDelivery {
    const BYTES: usize = 18;

    pub(super) fn encode(self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.endpoint.to_le_bytes());
        into.extend_from_slice(&self.attempts.to_le_bytes());
        into.extend_from_slice(&self.due_ms.to_le_bytes());
    }

    fn unpack(bytes: &[u8; Self::BYTES]) -> Self {
        let [e0, e1, e2, e3, e4, e5, e6, e7, a0, a1, due @ ..] = *bytes;
        Self {
            endpoint: u64::from_le_bytes([e0, e1, e2, e3, e4, e5, e6, e7]),
            attempts: u16::from_le_bytes([a0, a1]),
            due_ms: u64::from_le_bytes(due),
        }
    }
}

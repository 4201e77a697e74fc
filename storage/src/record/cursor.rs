//! Numbers, bytes and texts out of a slice, one after the other, and into a buffer.

use super::DecodeError;
use crate::{EntryId, Position};

/// Reads a body from front to back. Every method names the field, for the error.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    pub(super) fn take(&mut self, bytes: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(DecodeError::CutShort { field })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::CutShort { field })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_le_bytes)
    }

    pub(super) fn digest(&mut self, field: &'static str) -> Result<[u8; 16], DecodeError> {
        self.array(field)
    }

    pub(super) fn id(&mut self, field: &'static str) -> Result<EntryId, DecodeError> {
        self.u64(field).map(EntryId::from_u64)
    }

    pub(super) fn position(&mut self, field: &'static str) -> Result<Position, DecodeError> {
        self.u64(field).map(Position::from_u64)
    }

    /// A LEB128 number below 2^32.
    pub(super) fn len(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8(field)?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value)
                    .map(|len| len as usize)
                    .map_err(|_| DecodeError::LengthTooLarge { field });
            }
        }
        Err(DecodeError::LengthTooLarge { field })
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.len(field)?;
        self.take(len, field)
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| DecodeError::NotUtf8 { field })
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::BytesLeftOver { bytes: self.rest.len() }) }
    }
}

/// Appends a length as LEB128. Lengths are below 2^32: a record is refused long before.
pub(super) fn put_len(into: &mut Vec<u8>, len: usize) {
    let mut rest = len;
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

pub(super) fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_len(into, bytes.len());
    into.extend_from_slice(bytes);
}

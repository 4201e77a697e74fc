//! Checksums that know where they belong.
//!
//! A plain CRC says "these bytes are whole". It does not say "these bytes were written here": a copy of a
//! valid batch inside somebody's payload, or a block that the disk wrote to the wrong place, would pass. So
//! every checksum of the log starts from a seed made of the segment's random salt and the offset of what it
//! covers. Bytes from elsewhere fail as surely as torn ones.
//!
//! CRC32C (Castagnoli, RFC 3720 section 12.1): the one that processors compute by themselves.
//!
//! Not here: protection from somebody who may write to the files. That is what file permissions are for.

/// What makes the checksums of one file its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) u64);

impl Salt {
    /// The checksum of `head` followed by `body`, as written at `offset` of the file with this salt.
    pub(crate) fn checksum(self, offset: u32, head: &[u8], body: &[u8]) -> u32 {
        let seed = mix(self.0 ^ (u64::from(offset) << 32 | u64::from(offset))) as u32;
        crc32c::crc32c_append(crc32c::crc32c_append(seed, head), body)
    }
}

/// Spreads every bit of `x` over all bits of the answer, one to one (the finalizer of splitmix64).
pub(crate) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_have_another_checksum_at_another_place_or_in_another_file() {
        let here = Salt(7).checksum(64, b"head", b"body");
        assert_eq!(here, Salt(7).checksum(64, b"headbo", b"dy"));
        assert_ne!(here, Salt(7).checksum(72, b"head", b"body"));
        assert_ne!(here, Salt(8).checksum(64, b"head", b"body"));
    }
}

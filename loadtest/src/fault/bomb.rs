//! Bodies that are small as they come and huge where somebody unpacks them.

/// What each begins with; the rest follows from the formats.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A block of zstd says how often its one byte is repeated (RFC 8878 section 3.1.1.2).
const ZSTD_BLOCK_BYTES: u32 = 128 << 10;

/// Bytes as gzip that unpack to `258 * repeats + 1` NULs: one block with the fixed codes of RFC 1951 section 3.2.6, a
/// literal, and then 258 bytes of the byte before it, again and again.
pub(super) fn gzip(repeats: usize) -> Vec<u8> {
    let mut bits = Bits { bytes: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], used: 0 };
    bits.push(1, 1);
    bits.push(0b01, 2);
    bits.push_code(0b0011_0000, 8);
    for _ in 0..repeats {
        bits.push_code(0b1100_0101, 8);
        bits.push_code(0, 5);
    }
    bits.push_code(0, 7);
    // Checksum and length, which only whoever unpacks it would miss.
    bits.bytes.extend([0; 8]);
    bits.bytes
}

/// Bytes as zstd that unpack to `blocks` times 128 KiB.
pub(super) fn zstd(blocks: usize) -> Vec<u8> {
    let mut out = ZSTD_MAGIC.to_vec();
    // No size, no checksum, no dictionary; a window of 128 KiB.
    out.extend([0, 7 << 3]);
    for block in 0..blocks {
        let is_last = u32::from(block + 1 == blocks);
        let header = (is_last | 1 << 1 | ZSTD_BLOCK_BYTES << 3).to_le_bytes();
        out.extend([header[0], header[1], header[2], 0]);
    }
    out
}

/// Bits from the lowest of each byte on.
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        for bit in 0..count {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> bit & 1) as u8) << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// Codes of Huffman go in from their highest bit.
    fn push_code(&mut self, code: u32, count: u32) {
        self.push(code.reverse_bits() >> (32 - count), count);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// How many bytes a tool makes of it; `None`, after saying so, where it is not installed.
    fn unpacked(tool: &str, arguments: &[&str], packed: &[u8]) -> Option<usize> {
        let command = Command::new(tool)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = command else {
            let required = std::env::var_os("POSTHASTE_REQUIRE_ALL").is_some_and(|value| value == "1");
            assert!(!required, "POSTHASTE_REQUIRE_ALL is set, and {tool} is not installed");
            eprintln!("SKIPPED: {tool} is not installed");
            return None;
        };
        child.stdin.take().unwrap().write_all(packed).unwrap();
        Some(child.wait_with_output().unwrap().stdout.len())
    }

    #[test]
    fn bombs_are_small_and_unpack_to_a_multiple() {
        let packed = gzip(4_000);
        assert!(packed.len() < 7_000);
        let arguments = [
            "-c",
            "import sys,zlib;d=zlib.decompressobj(31);sys.stdout.buffer.write(d.decompress(sys.stdin.buffer.read()[:-8]))",
        ];
        if let Some(bytes) = unpacked("python3", &arguments, &packed) {
            assert_eq!(bytes, 258 * 4_000 + 1);
        }
        assert_eq!(zstd(10).len(), 6 + 40);
        if let Some(bytes) = unpacked("zstd", &["-dc"], &zstd(10)) {
            assert_eq!(bytes, 10 * (128 << 10));
        }
    }
}

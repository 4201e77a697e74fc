//! How large a request may be: less for strangers than for those who have authenticated.

/// The longest line that announces a count, `*1024\r\n` or `$1048576\r\n`. A 64-bit number needs 23 bytes.
pub(crate) const COUNT_LINE_BYTES_MAX: usize = 32;

/// The longest bulk string this protocol can carry, that of Redis (`proto-max-bulk-len`): 512 MiB.
pub(crate) const BULK_BYTES_MAX: usize = 512 << 20;

/// Room for everything in a request that is not its largest argument.
const REQUEST_OVERHEAD_BYTES: usize = 64 << 10;

// Spans within a request are stored as 32-bit numbers.
const _: () = assert!(BULK_BYTES_MAX + REQUEST_OVERHEAD_BYTES + COUNT_LINE_BYTES_MAX < u32::MAX as usize);

/// What a [`Decoder`](super::Decoder) accepts. Sizes are in bytes; no limit can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Arguments of one request, the command's name included.
    pub arguments_max: usize,
    /// One argument. At most 512 MiB; see [`Self::after_auth`].
    pub bulk_bytes_max: usize,
    /// One inline request, without its line end.
    pub line_bytes_max: usize,
    /// One request with all its framing.
    pub request_bytes_max: usize,
    /// Whether the sender has authenticated: decides only how a refusal is worded.
    pub authenticated: bool,
}

impl Limits {
    /// For a connection that has still to authenticate: room for HELLO and AUTH.
    ///
    /// The first two are those of Redis: 10 arguments, 16 KiB each.
    pub const fn before_auth() -> Self {
        Self {
            arguments_max: 10,
            bulk_bytes_max: 16 << 10,
            line_bytes_max: 16 << 10,
            request_bytes_max: 32 << 10,
            authenticated: false,
        }
    }

    /// For an authenticated connection: 1,024 arguments, lines of 64 KiB, arguments of `bulk_bytes_max`
    /// (cut to 512 MiB), and 64 KiB a request for all else.
    pub const fn after_auth(bulk_bytes_max: usize) -> Self {
        let bulk_bytes_max = if bulk_bytes_max < BULK_BYTES_MAX { bulk_bytes_max } else { BULK_BYTES_MAX };
        Self {
            arguments_max: 1_024,
            bulk_bytes_max,
            line_bytes_max: 64 << 10,
            request_bytes_max: bulk_bytes_max + REQUEST_OVERHEAD_BYTES,
            authenticated: true,
        }
    }

    /// The most input that can wait for the rest of its request.
    pub const fn held_bytes_max(&self) -> usize {
        let line = self.line_bytes_max + 1;
        let request = self.request_bytes_max + COUNT_LINE_BYTES_MAX;
        if line > request { line } else { request }
    }
}

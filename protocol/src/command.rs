//! Commands: what a request means.
//!
//! A message is published as a Redis stream entry and outcomes are read as one, so any Redis client is a
//! client of ours. Beside the four stream commands there is only the small talk with which clients open a
//! connection. Each command is defined once, in [`Definition::all`]; parsing, the check of the number of
//! arguments, what may be said before authentication, and what COMMAND tells clients all come from there.
//!
//! Invariants
//! - A command borrows from its request; only XREAD's list of streams allocates.
//! - An error names the field, and the size and limit where a size is wrong; what it quotes is printable
//!   ASCII of at most 64 characters.
//!
//! Not here: whether the application exists, whether the payload is JSON, who may do what (the engine).

mod arguments;
mod connection;
mod definition;
mod error;
mod key;
mod xadd;
mod xrange;
mod xread;

use bytes::Bytes;

use crate::frame::Request;
use arguments::Arguments;

pub use connection::{ClientSubcommand, CommandSubcommand, Credentials, Hello};
pub use definition::Definition;
pub use error::CommandError;
pub use key::{APPLICATION_BYTES_MAX, MESSAGES_PREFIX, OUTCOMES_PREFIX};
pub use xadd::{
    CHANNELS_BYTES_MAX, CONTENT_TYPE_BYTES_MAX, Channels, EVENT_ID_BYTES_MAX, EVENT_TYPE_BYTES_MAX, Xadd,
};
pub use xrange::Xrange;
pub use xread::{STREAMS_MAX, StreamStart, Xread};

/// A request that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'r> {
    /// Publish a message.
    Xadd(Xadd<'r>),
    /// Read outcomes, or wait for some.
    Xread(Xread<'r>),
    /// Read messages back (XRANGE, or XREVRANGE from the newest).
    Xrange(Xrange<'r>),
    /// How many messages of an application are stored.
    Xlen {
        /// Whose messages.
        application: &'r str,
    },
    /// Agree on the version of RESP, and perhaps authenticate.
    Hello(Hello<'r>),
    /// Authenticate.
    Auth(Credentials<'r>),
    /// Who am I?
    AclWhoami,
    /// Is anybody there?
    Ping {
        /// To be sent back instead of `PONG`.
        message: Option<Bytes>,
    },
    /// Send this back.
    Echo {
        /// What to send back.
        message: Bytes,
    },
    /// Close after replying.
    Quit,
    /// Forget who I am and what I agreed on.
    Reset,
    /// Database 0, the only one.
    Select,
    /// Settings of the connection.
    Client(ClientSubcommand<'r>),
    /// Which commands there are.
    CommandTable(CommandSubcommand<'r>),
    /// The state of the server, as text.
    Info,
    /// Settings of the server: none are shown.
    ConfigGet,
}

impl<'r> Command<'r> {
    /// Reads a request.
    ///
    /// # Errors
    /// When the command is not known, or its arguments are not what it takes. The connection stays usable.
    pub fn parse(request: &'r Request<'_>) -> Result<Self, CommandError> {
        Definition::of(request)?.parse(request)
    }
}

#[cfg(test)]
mod tests;

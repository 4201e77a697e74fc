//! Why a request is no command. The sender is told; the connection lives on.

use super::Definition;
use crate::StreamIdError;
use crate::reply::ErrorCode;

/// Characters of the input that an error quotes at most.
const QUOTED_CHARS_MAX: usize = 64;

/// Why a request is no command. Displayed, it is the text of the reply after its [code](Self::code). The
/// texts are those of Redis where Redis refuses the same thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such command here.
    #[error("unknown command '{name}'; this server knows {}", Definition::names())]
    Unknown {
        /// The name given, printable.
        name: String,
    },
    /// There is no such subcommand here.
    #[error("unknown subcommand '{given}' of '{command}'; this server knows {known}")]
    UnknownSubcommand {
        /// The command.
        command: &'static str,
        /// The subcommand given, printable.
        given: String,
        /// Those that exist.
        known: &'static str,
    },
    /// Too few arguments, too many, or an odd number where pairs are needed.
    #[error("wrong number of arguments for '{command}' command")]
    ArgumentCount {
        /// The command.
        command: &'static str,
    },
    /// The arguments are in no order that the command knows.
    #[error("syntax error")]
    Syntax,
    /// A number is needed.
    #[error("value is not an integer or out of range")]
    NotAnInteger,
    /// The key is of neither kind that exists.
    #[error("key '{given}' does not exist here; keys are messages:<application> and outcomes:<application>")]
    KeyUnknown {
        /// The key given, printable.
        given: String,
    },
    /// The key exists, but another command goes with it.
    #[error("{command} is for {wanted}<application>, not for '{given}'")]
    KeyMismatch {
        /// The command.
        command: &'static str,
        /// What the key must begin with.
        wanted: &'static str,
        /// The key given, printable.
        given: String,
    },
    /// The key does not say whose stream is meant.
    #[error("key '{given}' names no application")]
    ApplicationMissing {
        /// The key given, printable.
        given: String,
    },
    /// The application in the key is too long.
    #[error("application is {bytes} bytes; the limit is {max}")]
    ApplicationTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// An option of XADD that makes no sense here.
    #[error("option {option} of XADD is not supported: XADD messages:<application> * <field> <value> ...")]
    OptionUnsupported {
        /// The option, as it is written in the documentation of Redis.
        option: &'static str,
    },
    /// A message id was given instead of `*`.
    #[error("message ids are given by the server: the id must be '*', not '{given}'")]
    IdNotAutomatic {
        /// The id given, printable.
        given: String,
    },
    /// XADD has no such field.
    #[error(
        "field '{given}' is not known; fields are type, payload, id, channels, content-type, deliver-at, delay-ms, \
             ordering-key, url, url-secret, url-endpoint"
    )]
    FieldUnknown {
        /// The field given, printable.
        given: String,
    },
    /// A field is given twice.
    #[error("field '{field}' is given twice")]
    FieldTwice {
        /// The field.
        field: &'static str,
    },
    /// A field that is needed is not there.
    #[error("field '{field}' is missing")]
    FieldMissing {
        /// The field.
        field: &'static str,
    },
    /// A field is empty that may not be.
    #[error("field '{field}' is empty")]
    FieldEmpty {
        /// The field.
        field: &'static str,
    },
    /// A field is too long.
    #[error("field '{field}' is {bytes} bytes; the limit is {max}")]
    FieldTooLong {
        /// The field.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A field holds bytes that are not text.
    #[error("field '{field}' is not UTF-8")]
    FieldNotText {
        /// The field.
        field: &'static str,
    },
    /// Two fields of which only one can be meant.
    #[error("fields '{one}' and '{other}' cannot be given together")]
    FieldsExclude {
        /// The one.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A field that takes a whole number holds something else.
    #[error("field '{field}' is not a whole number of milliseconds")]
    FieldNotANumber {
        /// The field.
        field: &'static str,
    },
    /// The place to read from is not an id.
    #[error("Invalid stream ID specified as stream command argument")]
    StreamId,
    /// There is no id after the exclusive start, or none before the exclusive end.
    #[error("invalid {end} ID for the interval")]
    Interval {
        /// `start` or `end`.
        end: &'static str,
    },
    /// The wait is not a number of milliseconds.
    #[error("timeout is not an integer or out of range")]
    BlockNotAnInteger,
    /// The wait is negative.
    #[error("timeout is negative")]
    BlockNegative,
    /// XREAD was not given one id for each key.
    #[error("Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.")]
    StreamsUnbalanced,
    /// XREAD was asked to watch too much at once.
    #[error("XREAD names {given} streams; the limit is {max}")]
    StreamsTooMany {
        /// How many were named.
        given: usize,
        /// The limit.
        max: usize,
    },
    /// HELLO needs a number.
    #[error("Protocol version is not an integer or out of range")]
    VersionNotAnInteger,
    /// HELLO asked for a version that is not spoken.
    #[error("unsupported protocol version")]
    VersionUnsupported,
    /// HELLO has no such option, or it is cut short.
    #[error("Syntax error in HELLO option '{given}'")]
    HelloOption {
        /// The option given, printable.
        given: String,
    },
    /// The name of the connection holds more than visible ASCII.
    #[error("Client names cannot contain spaces, newlines or special characters.")]
    ClientName,
    /// There is one database only.
    #[error("DB index is out of range")]
    DatabaseOutOfRange,
}

impl CommandError {
    /// The first word of the reply.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::VersionUnsupported => ErrorCode::NoProto,
            _ => ErrorCode::Err,
        }
    }
}

impl From<StreamIdError> for CommandError {
    fn from(_: StreamIdError) -> Self {
        Self::StreamId
    }
}

/// Input as an error may quote it: 64 characters at most, and none that could disturb a terminal or a log.
pub(super) fn quoted(input: &[u8]) -> String {
    let shown = |&byte: &u8| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '?' };
    input.iter().take(QUOTED_CHARS_MAX).map(shown).collect()
}

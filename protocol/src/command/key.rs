//! Keys: every application has two streams, one to write messages to and one to read outcomes from.

use super::CommandError;
use super::error::quoted;

/// What the key of a stream of messages begins with; the application follows.
pub const MESSAGES_PREFIX: &str = "messages:";
/// What the key of a stream of outcomes begins with; the application follows.
pub const OUTCOMES_PREFIX: &str = "outcomes:";
/// The longest application (id or uid) in a key, in bytes.
pub const APPLICATION_BYTES_MAX: usize = 256;

/// The application that `key` names, if the key begins as `command` needs it.
pub(super) fn application<'r>(
    command: &'static str,
    wanted: &'static str,
    key: &'r [u8],
) -> Result<&'r str, CommandError> {
    let Some(application) = key.strip_prefix(wanted.as_bytes()) else {
        return Err(refuse(command, wanted, key));
    };
    if application.is_empty() {
        return Err(CommandError::ApplicationMissing { given: quoted(key) });
    }
    if application.len() > APPLICATION_BYTES_MAX {
        return Err(CommandError::ApplicationTooLong {
            bytes: application.len(),
            max: APPLICATION_BYTES_MAX,
        });
    }
    std::str::from_utf8(application).map_err(|_| CommandError::KeyUnknown { given: quoted(key) })
}

fn refuse(command: &'static str, wanted: &'static str, key: &[u8]) -> CommandError {
    let exists = [MESSAGES_PREFIX, OUTCOMES_PREFIX].iter().any(|prefix| key.starts_with(prefix.as_bytes()));
    match exists {
        true => CommandError::KeyMismatch { command, wanted, given: quoted(key) },
        false => CommandError::KeyUnknown { given: quoted(key) },
    }
}

//! The table of commands: each is defined once, and everything else is derived.

use std::fmt;

use super::{Arguments, Command, CommandError, connection, xadd, xrange, xread};
use crate::command::error::quoted;
use crate::frame::Request;

type Parse = for<'r> fn(Arguments<'r>) -> Result<Command<'r>, CommandError>;

/// One command, as COMMAND describes it.
pub struct Definition {
    /// Lower case.
    pub name: &'static str,
    /// Number of arguments with the name; negative when that is the least number.
    pub arity: i64,
    /// Flags in the words of Redis.
    pub flags: &'static [&'static str],
    /// Where the key is, if the command takes one at a fixed place; 0 if not.
    pub key_at: i64,
    /// One sentence.
    pub summary: &'static str,
    /// The group in the words of Redis.
    pub group: &'static str,
    /// Whether it may be said before authentication.
    pub before_auth: bool,
    parse: Parse,
}

const READ: &[&str] = &["readonly"];
const READ_BLOCKING: &[&str] = &["readonly", "blocking", "movablekeys"];
const WRITE: &[&str] = &["write", "denyoom"];
const TALK: &[&str] = &["loading", "stale", "fast"];
const TALK_FIRST: &[&str] = &["loading", "stale", "fast", "no_auth"];

const fn stream(
    name: &'static str,
    arity: i64,
    flags: &'static [&'static str],
    parse: Parse,
    summary: &'static str,
) -> Definition {
    Definition { name, arity, flags, key_at: 1, summary, group: "stream", before_auth: false, parse }
}

const fn talk(name: &'static str, arity: i64, parse: Parse, summary: &'static str) -> Definition {
    Definition {
        name,
        arity,
        flags: TALK,
        key_at: 0,
        summary,
        group: "connection",
        before_auth: false,
        parse,
    }
}

/// Small talk that is needed to authenticate, or to give up.
const fn first_talk(name: &'static str, arity: i64, parse: Parse, summary: &'static str) -> Definition {
    Definition { flags: TALK_FIRST, before_auth: true, ..talk(name, arity, parse, summary) }
}

/// The most used command first: the table is searched from the front.
const DEFINITIONS: [Definition; 17] = [
    stream("xadd", -5, WRITE, xadd::parse, "Publishes a message; answers once it is durable."),
    Definition {
        key_at: 0,
        ..stream("xread", -4, READ_BLOCKING, xread::parse, "Reads outcomes, or waits for some.")
    },
    stream("xrange", -4, READ, xrange::parse_forward, "Reads messages, oldest first."),
    stream("xrevrange", -4, READ, xrange::parse_backward, "Reads messages, newest first."),
    stream("xlen", 2, READ, xrange::parse_len, "Counts the messages that are stored."),
    talk("ping", -1, connection::parse_ping, "Answers PONG, or the message given."),
    first_talk("hello", -1, connection::parse_hello, "Agrees on RESP2 or RESP3; may authenticate."),
    first_talk("auth", -2, connection::parse_auth, "Authenticates the connection."),
    talk("echo", 2, connection::parse_echo, "Answers the message given."),
    talk("acl", -2, connection::parse_acl, "ACL WHOAMI answers in whose name the connection speaks."),
    first_talk("quit", -1, connection::parse_quit, "Closes the connection after its replies."),
    first_talk("reset", 1, connection::parse_reset, "Forgets who the client is and what was agreed."),
    talk("select", 2, connection::parse_select, "Accepts database 0, the only one."),
    talk("client", -2, connection::parse_client, "Names and numbers the connection."),
    talk("command", -1, connection::parse_command, "Describes the commands."),
    talk("info", -1, connection::parse_info, "Describes the state of the server."),
    talk("config", -2, connection::parse_config, "CONFIG GET answers that there is nothing to show."),
];

impl Definition {
    /// Every command there is.
    pub fn all() -> &'static [Self] {
        &DEFINITIONS
    }

    /// The command of this name, in any case.
    pub fn named(name: &[u8]) -> Option<&'static Self> {
        Self::all().iter().find(|definition| definition.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The command that a request names, if its number of arguments can be right.
    ///
    /// # Errors
    /// When there is no such command, or it takes another number of arguments.
    pub fn of(request: &Request<'_>) -> Result<&'static Self, CommandError> {
        let name = request.argument(0).unwrap_or_default();
        let definition = Self::named(name).ok_or_else(|| CommandError::Unknown { name: quoted(name) })?;
        match definition.accepts(request.len() as i64) {
            true => Ok(definition),
            false => Err(CommandError::ArgumentCount { command: definition.name }),
        }
    }

    /// Reads the arguments of a request that names this command.
    ///
    /// # Errors
    /// When the arguments are not what the command takes.
    pub fn parse<'r>(&self, request: &'r Request<'_>) -> Result<Command<'r>, CommandError> {
        (self.parse)(Arguments::of(request))
    }

    fn accepts(&self, arguments: i64) -> bool {
        if self.arity < 0 { arguments >= -self.arity } else { arguments == self.arity }
    }

    /// All names in upper case, for an error that tells what there is.
    pub(super) fn names() -> impl fmt::Display {
        let names: Vec<_> =
            Self::all().iter().map(|definition| definition.name.to_ascii_uppercase()).collect();
        names.join(", ")
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Definition({})", self.name)
    }
}

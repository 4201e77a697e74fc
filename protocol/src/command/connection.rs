//! What clients say about the connection itself: HELLO, AUTH, PING, ACL, CLIENT and their like.

use std::fmt;

use super::arguments::is_word;
use super::error::quoted;
use super::{Arguments, Command, CommandError};
use crate::reply::Version;

/// The user that AUTH means when it gives a password only, as in Redis.
const USER_DEFAULT: &[u8] = b"default";

/// A user and a password. Never shown, not even in debug output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'r> {
    /// The user; `default` when only a password was given.
    pub user: &'r [u8],
    /// The password.
    pub password: &'r [u8],
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// `HELLO [<version> [AUTH <user> <password>] [SETNAME <name>]]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello<'r> {
    /// The version to speak from now on; `None` keeps the present one.
    pub version: Option<Version>,
    /// Who this is.
    pub auth: Option<Credentials<'r>>,
    /// What to call this connection.
    pub name: Option<&'r str>,
}

/// `CLIENT <subcommand>`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientSubcommand<'r> {
    /// Call this connection so; empty takes the name away.
    SetName(&'r str),
    /// What is this connection called?
    GetName,
    /// Which library is calling: noted by nobody.
    SetInfo,
    /// Which number has this connection?
    Id,
    /// Never to be evicted: nobody is.
    NoEvict,
    /// Not to touch the age of keys: they have none.
    NoTouch,
    /// Wants to be told of maintenance: not offered.
    MaintNotifications,
}

/// `COMMAND [<subcommand>]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandSubcommand<'r> {
    /// All commands.
    All,
    /// How many there are.
    Count,
    /// These commands; all, when none is named.
    Info(Vec<&'r [u8]>),
    /// The documentation of these commands; of all, when none is named.
    Docs(Vec<&'r [u8]>),
}

pub(super) fn parse_hello<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let mut hello = Hello { version: None, auth: None, name: None };
    if arguments.len() > 0 {
        hello.version = Some(version(&mut arguments)?);
    }
    while let Some(option) = arguments.take() {
        let incomplete = || CommandError::HelloOption { given: quoted(option) };
        if is_word(option, "AUTH") && arguments.len() >= 2 {
            hello.auth = Some(Credentials { user: arguments.expect()?, password: arguments.expect()? });
        } else if is_word(option, "SETNAME") {
            hello.name = Some(name(arguments.take().ok_or_else(incomplete)?)?);
        } else {
            return Err(incomplete());
        }
    }
    Ok(Command::Hello(hello))
}

fn version(arguments: &mut Arguments<'_>) -> Result<Version, CommandError> {
    match arguments.expect_integer() {
        Ok(2) => Ok(Version::Resp2),
        Ok(3) => Ok(Version::Resp3),
        Ok(_) => Err(CommandError::VersionUnsupported),
        Err(_) => Err(CommandError::VersionNotAnInteger),
    }
}

/// Names are shown in lists and logs: visible ASCII only, as in Redis.
fn name(name: &[u8]) -> Result<&str, CommandError> {
    match std::str::from_utf8(name) {
        Ok(name) if name.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(name),
        _ => Err(CommandError::ClientName),
    }
}

pub(super) fn parse_auth<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let first = arguments.expect()?;
    let credentials = match arguments.take() {
        None => Credentials { user: USER_DEFAULT, password: first },
        Some(password) => Credentials { user: first, password },
    };
    arguments.expect_end()?;
    Ok(Command::Auth(credentials))
}

/// Users and what they may do are not managed here: only the question who one is, is answered.
pub(super) fn parse_acl<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let subcommand = arguments.expect()?;
    match is_word(subcommand, "WHOAMI") {
        true => arguments.expect_end().map(|()| Command::AclWhoami),
        false => Err(unknown_subcommand("acl", subcommand, "WHOAMI")),
    }
}

pub(super) fn parse_ping<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let message = arguments.take_bytes();
    match arguments.len() {
        0 => Ok(Command::Ping { message }),
        _ => Err(CommandError::ArgumentCount { command: "ping" }),
    }
}

pub(super) fn parse_echo<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    Ok(Command::Echo { message: arguments.take_bytes().ok_or(CommandError::Syntax)? })
}

pub(super) fn parse_quit<'r>(_: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    Ok(Command::Quit)
}

pub(super) fn parse_reset<'r>(_: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    Ok(Command::Reset)
}

pub(super) fn parse_info<'r>(_: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    Ok(Command::Info)
}

pub(super) fn parse_select<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    match arguments.expect_integer()? {
        0 => Ok(Command::Select),
        _ => Err(CommandError::DatabaseOutOfRange),
    }
}

pub(super) fn parse_config<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let subcommand = arguments.expect()?;
    match is_word(subcommand, "GET") {
        true if arguments.len() == 0 => Err(CommandError::ArgumentCount { command: "config|get" }),
        true => Ok(Command::ConfigGet),
        false => Err(unknown_subcommand("config", subcommand, "GET")),
    }
}

pub(super) fn parse_client<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let subcommand = arguments.expect()?;
    let upper = subcommand.to_ascii_uppercase();
    let parsed = match upper.as_slice() {
        b"SETNAME" => ClientSubcommand::SetName(name(arguments.expect()?)?),
        b"GETNAME" => ClientSubcommand::GetName,
        b"SETINFO" => ClientSubcommand::SetInfo,
        b"ID" => ClientSubcommand::Id,
        b"NO-EVICT" => ClientSubcommand::NoEvict,
        b"NO-TOUCH" => ClientSubcommand::NoTouch,
        b"MAINT_NOTIFICATIONS" => ClientSubcommand::MaintNotifications,
        _ => {
            return Err(unknown_subcommand(
                "client",
                subcommand,
                "SETNAME, GETNAME, SETINFO, ID, NO-EVICT, NO-TOUCH",
            ));
        }
    };
    Ok(Command::Client(parsed))
}

pub(super) fn parse_command<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let Some(subcommand) = arguments.take() else {
        return Ok(Command::CommandTable(CommandSubcommand::All));
    };
    let named = std::iter::from_fn(|| arguments.take());
    let parsed = match subcommand.to_ascii_uppercase().as_slice() {
        b"COUNT" => CommandSubcommand::Count,
        b"INFO" => CommandSubcommand::Info(named.collect()),
        b"DOCS" => CommandSubcommand::Docs(named.collect()),
        _ => return Err(unknown_subcommand("command", subcommand, "COUNT, INFO, DOCS")),
    };
    Ok(Command::CommandTable(parsed))
}

fn unknown_subcommand(command: &'static str, given: &[u8], known: &'static str) -> CommandError {
    CommandError::UnknownSubcommand { command, given: quoted(given), known }
}

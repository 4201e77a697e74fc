//! Small talk: what clients say before they come to the point, answered without the engine.
//!
//! Client libraries open a connection with HELLO or AUTH, then give themselves a name, ask which commands
//! there are, select database 0, and ping now and then. All of it concerns the connection alone, so a
//! [`Session`] and an [`Encoder`] are enough to answer.
//!
//! Not here: whether a password is right, and everything about messages (the engine).

use crate::command::{ClientSubcommand, Command, CommandSubcommand, Definition, Hello};
use crate::reply::{Encoder, ErrorCode, Version};

/// The longest name of a connection that is kept, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// The text of `NOAUTH` for a command before authentication, in the words of Redis.
pub const AUTHENTICATION_REQUIRED: &str = "Authentication required.";

/// What a connection has said about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The connection's number.
    pub id: i64,
    /// The dialect it is answered in.
    pub version: Version,
    /// What it calls itself; at most 128 bytes are kept.
    pub name: String,
}

/// What is left to do for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the reply is written.
    Written,
    /// The reply is written; the connection wants to be closed after it.
    WrittenThenClose,
    /// The reply is written; the connection is a stranger again, and has to authenticate anew.
    WrittenThenForget,
    /// All: this is no small talk (HELLO, AUTH and ACL WHOAMI too need to know who this is).
    NotMine,
}

impl Session {
    /// A connection that has said nothing yet.
    pub fn new(id: i64) -> Self {
        Self { id, version: Version::default(), name: String::new() }
    }

    /// Answers a command if it is small talk.
    pub fn answer(&mut self, command: &Command<'_>, out: &mut bytes::BytesMut) -> Answer {
        let mut reply = Encoder::new(out, self.version);
        match command {
            Command::Ping { message: None } => reply.simple("PONG"),
            Command::Ping { message: Some(message) } | Command::Echo { message } => reply.bulk(message),
            Command::Select => reply.ok(),
            Command::ConfigGet => reply.map(0),
            Command::Client(subcommand) => self.client(*subcommand, &mut reply),
            Command::CommandTable(subcommand) => command_table(subcommand, &mut reply),
            Command::Quit => {
                reply.ok();
                return Answer::WrittenThenClose;
            }
            Command::Reset => {
                reply.simple("RESET");
                *self = Self::new(self.id);
                return Answer::WrittenThenForget;
            }
            _ => return Answer::NotMine,
        }
        Answer::Written
    }

    /// Answers HELLO, once its credentials, if it has any, were found to be right.
    pub fn hello(&mut self, hello: &Hello<'_>, server_version: &str, out: &mut bytes::BytesMut) {
        self.version = hello.version.unwrap_or(self.version);
        if let Some(name) = hello.name {
            self.rename(name);
        }
        let mut reply = Encoder::new(out, self.version);
        reply.map(7);
        pair(&mut reply, "server", "posthaste");
        pair(&mut reply, "version", server_version);
        reply.bulk(b"proto");
        reply.integer(self.version.number());
        reply.bulk(b"id");
        reply.integer(self.id);
        pair(&mut reply, "mode", "standalone");
        pair(&mut reply, "role", "master");
        reply.bulk(b"modules");
        reply.array(0);
    }

    fn client(&mut self, subcommand: ClientSubcommand<'_>, reply: &mut Encoder<'_>) {
        match subcommand {
            ClientSubcommand::SetName(name) => {
                self.rename(name);
                reply.ok();
            }
            ClientSubcommand::GetName if self.name.is_empty() => reply.null(),
            ClientSubcommand::GetName => reply.bulk(self.name.as_bytes()),
            ClientSubcommand::Id => reply.integer(self.id),
            ClientSubcommand::SetInfo | ClientSubcommand::NoEvict | ClientSubcommand::NoTouch => reply.ok(),
            ClientSubcommand::MaintNotifications => {
                reply.error(ErrorCode::Err, "maintenance notifications are not sent by this server");
            }
        }
    }

    /// Names are visible ASCII (`command` sees to it), so cutting one cannot split a character.
    fn rename(&mut self, name: &str) {
        self.name = name.chars().take(NAME_BYTES_MAX).collect();
    }
}

fn pair(reply: &mut Encoder<'_>, key: &str, value: &str) {
    reply.bulk(key.as_bytes());
    reply.bulk(value.as_bytes());
}

fn command_table(subcommand: &CommandSubcommand<'_>, reply: &mut Encoder<'_>) {
    match subcommand {
        CommandSubcommand::Count => reply.integer(Definition::all().len() as i64),
        CommandSubcommand::All => all_commands(reply),
        CommandSubcommand::Info(names) if names.is_empty() => all_commands(reply),
        CommandSubcommand::Info(names) => named_commands(names, reply),
        CommandSubcommand::Docs(names) => docs(names, reply),
    }
}

fn all_commands(reply: &mut Encoder<'_>) {
    reply.array(Definition::all().len());
    Definition::all().iter().for_each(|definition| describe(definition, reply));
}

fn named_commands(names: &[&[u8]], reply: &mut Encoder<'_>) {
    reply.array(names.len());
    for name in names {
        match Definition::named(name) {
            Some(definition) => describe(definition, reply),
            None => reply.null_array(),
        }
    }
}

/// The ten parts of Redis 7: name, arity, flags, first key, last key, step, and four lists left empty.
fn describe(definition: &Definition, reply: &mut Encoder<'_>) {
    reply.array(10);
    reply.bulk(definition.name.as_bytes());
    reply.integer(definition.arity);
    reply.set(definition.flags.len());
    definition.flags.iter().for_each(|flag| reply.simple(flag));
    reply.integer(definition.key_at);
    reply.integer(definition.key_at);
    reply.integer(definition.key_at.min(1));
    reply.set(0);
    reply.array(0);
    reply.array(0);
    reply.array(0);
}

/// Commands that do not exist are left out, as in Redis.
fn docs(names: &[&[u8]], reply: &mut Encoder<'_>) {
    let all = || Definition::all().iter().filter(|_| names.is_empty());
    let named = || names.iter().filter_map(|name| Definition::named(name));
    reply.map(all().count() + named().count());
    for definition in all().chain(named()) {
        reply.bulk(definition.name.as_bytes());
        reply.map(3);
        pair(reply, "summary", definition.summary);
        pair(reply, "since", "1.0.0");
        pair(reply, "group", definition.group);
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::frame::{Decoder, Limits};
    use crate::value::{Value, ValueDecoder, ValueLimits};

    fn answered(session: &mut Session, line: &str) -> (Answer, Option<Value>) {
        let mut input = BytesMut::from(format!("{line}\r\n").as_bytes());
        let mut decoder = Decoder::new(Limits::after_auth(1_024));
        let request = decoder.decode(&mut input).unwrap().unwrap();
        let mut out = BytesMut::new();
        let answer = session.answer(&Command::parse(&request).unwrap(), &mut out);
        let value = ValueDecoder::new(ValueLimits::default()).decode(&mut out).unwrap();
        assert!(out.is_empty(), "{line}: more than one reply");
        (answer, value)
    }

    fn hello(session: &mut Session, version: Version) -> Value {
        let hello = Hello { version: Some(version), auth: None, name: Some("w") };
        let mut out = BytesMut::new();
        session.hello(&hello, "0.1.0", &mut out);
        ValueDecoder::new(ValueLimits::default()).decode(&mut out).unwrap().unwrap()
    }

    #[test]
    fn a_connection_has_a_name_and_a_number() {
        let mut session = Session::new(7);
        assert_eq!(answered(&mut session, "CLIENT GETNAME").1, Some(Value::Null));
        answered(&mut session, "CLIENT SETNAME worker");
        assert_eq!(answered(&mut session, "CLIENT GETNAME").1, Some(Value::Bulk("worker".into())));
        assert_eq!(answered(&mut session, "CLIENT ID").1, Some(Value::Integer(7)));
    }

    #[test]
    fn pings_are_answered_with_what_they_bring() {
        let mut session = Session::new(1);
        assert_eq!(answered(&mut session, "PING").1, Some(Value::Simple("PONG".into())));
        assert_eq!(answered(&mut session, "PING hi").1, Some(Value::Bulk("hi".into())));
        assert_eq!(answered(&mut session, "ECHO hi").1, Some(Value::Bulk("hi".into())));
    }

    #[test]
    fn hello_describes_the_server_in_the_version_just_agreed() {
        let mut session = Session::new(7);
        let Value::Map(pairs) = hello(&mut session, Version::Resp3) else { panic!("not a map") };
        let keys: Vec<_> = pairs.iter().map(|(key, _)| key.as_bytes().unwrap().to_vec()).collect();
        let expected = ["server", "version", "proto", "id", "mode", "role", "modules"];
        assert_eq!(keys, expected.map(|key| key.as_bytes().to_vec()));
        assert_eq!((pairs[2].1.clone(), session.name.as_str()), (Value::Integer(3), "w"));
        assert!(matches!(hello(&mut session, Version::Resp2), Value::Array(flat) if flat.len() == 14));
    }

    #[test]
    fn reset_forgets_what_was_agreed_and_quit_closes() {
        let mut session = Session::new(7);
        hello(&mut session, Version::Resp3);
        assert_eq!(answered(&mut session, "RESET").0, Answer::WrittenThenForget);
        assert_eq!(session, Session::new(7));
        assert_eq!(answered(&mut session, "QUIT").0, Answer::WrittenThenClose);
    }

    #[test]
    fn the_table_of_commands_is_told_whole_or_in_part() {
        let mut session = Session::new(1);
        let count = Definition::all().len();
        assert_eq!(answered(&mut session, "COMMAND COUNT").1, Some(Value::Integer(count as i64)));
        for (line, len) in [("COMMAND", count), ("COMMAND INFO", count), ("COMMAND INFO xadd nothing", 2)] {
            let (_, Some(Value::Array(commands))) = answered(&mut session, line) else { panic!("{line}") };
            assert_eq!(commands.len(), len, "{line}");
            assert!(matches!(&commands[0], Value::Array(parts) if parts.len() == 10), "{line}");
        }
        let (_, Some(docs)) = answered(&mut session, "COMMAND DOCS xadd nothing") else { panic!() };
        assert_eq!(docs.into_pairs().map(|pairs| pairs.len()), Some(1));
    }

    #[test]
    fn what_concerns_messages_or_passwords_is_left_to_the_engine() {
        let mut session = Session::new(1);
        for line in
            ["XLEN messages:a", "AUTH secret", "HELLO 3", "INFO", "XADD messages:a * type a payload b"]
        {
            assert_eq!(answered(&mut session, line), (Answer::NotMine, None), "{line}");
        }
    }
}

use bytes::BytesMut;

use super::*;
use crate::StreamId;
use crate::frame::{Decoder, Limits};
use crate::reply::{ErrorCode, Version};

/// Parses a line as if typed by hand, and hands the command to `check`.
fn with<T>(line: &str, check: impl FnOnce(Result<Command<'_>, CommandError>) -> T) -> T {
    let mut input = BytesMut::from(format!("{line}\r\n").as_bytes());
    let mut decoder = Decoder::new(Limits::after_auth(1 << 20));
    let request = decoder.decode(&mut input).unwrap().unwrap();
    check(Command::parse(&request))
}

fn refusal(line: &str) -> String {
    with(line, |parsed| match parsed {
        Ok(command) => panic!("{line} is accepted as {command:?}"),
        Err(error) => format!("{} {error}", error.code()),
    })
}

fn accepts(line: &str, expected: Command<'_>) {
    with(line, |parsed| assert_eq!(parsed.as_ref(), Ok(&expected), "{line}"));
}

#[test]
fn a_message_needs_a_type_and_a_payload_and_may_say_more() {
    with(r#"xadd messages:shop * payload '{"a":1}' type order.paid"#, |parsed| {
        let Ok(Command::Xadd(message)) = parsed else { panic!("{parsed:?}") };
        assert_eq!((message.application, message.event_type), ("shop", "order.paid"));
        assert_eq!(&message.payload[..], br#"{"a":1}"#);
        assert_eq!((message.event_id, message.content_type), (None, None));
        assert!(message.channels.is_empty() && message.channels.iter().next().is_none());
    });
    with("XADD messages:shop * type a payload b id e1 channels x,y content-type text/plain", |parsed| {
        let Ok(Command::Xadd(message)) = parsed else { panic!("{parsed:?}") };
        assert_eq!((message.event_id, message.content_type), (Some("e1"), Some("text/plain")));
        assert_eq!(message.channels.iter().collect::<Vec<_>>(), ["x", "y"]);
    });
}

#[test]
fn a_bad_message_is_refused_with_the_field_named() {
    for (fields, reply) in [
        ("payload", "wrong number of arguments for 'xadd' command"),
        ("type a payload", "wrong number of arguments for 'xadd' command"),
        ("payload b id 1", "field 'type' is missing"),
        ("type b id 1", "field 'payload' is missing"),
        ("type a type b payload c", "field 'type' is given twice"),
        ("type '' payload c", "field 'type' is empty"),
        ("type a payload c id ''", "field 'id' is empty"),
        (r#"type "\xff" payload c"#, "field 'type' is not UTF-8"),
        ("type a payload b channels x,,y", "field 'channels' is empty"),
        (
            "type a payload b Type c",
            "field 'Type' is not known; fields are type, payload, id, channels, content-type, deliver-at, delay-ms, \
             ordering-key, url, url-secret, url-endpoint",
        ),
    ] {
        assert_eq!(refusal(&format!("XADD messages:a * {fields}")), format!("ERR {reply}"), "{fields}");
    }
}

#[test]
fn a_field_over_its_limit_is_refused_with_its_size() {
    for (field, max) in [("type", 256), ("id", 256), ("content-type", 256), ("channels", 4_096)] {
        let others = if field == "type" { "payload b" } else { "type a payload b" };
        let line = |bytes| format!("XADD messages:a * {others} {field} {}", "x".repeat(bytes));
        assert!(with(&line(max), |parsed| parsed.is_ok()), "{field}");
        let expected = format!("ERR field '{field}' is {} bytes; the limit is {max}", max + 1);
        assert_eq!(refusal(&line(max + 1)), expected);
    }
}

#[test]
fn only_the_server_gives_ids_and_trims() {
    assert_eq!(
        refusal("XADD messages:a 1-1 type a payload b"),
        "ERR message ids are given by the server: the id must be '*', not '1-1'"
    );
    for option in ["NOMKSTREAM *", "MAXLEN ~ 10 *", "minid 5 *"] {
        let reply = refusal(&format!("XADD messages:a {option} type a payload b"));
        assert!(reply.starts_with("ERR option ") && reply.contains("messages:<application> *"), "{reply}");
    }
}

#[test]
fn a_key_says_what_the_stream_is_for() {
    for (line, reply) in [
        (
            "XADD orders * type a payload b",
            "ERR key 'orders' does not exist here; keys are messages:<application> and outcomes:<application>",
        ),
        (
            "XADD outcomes:a * type a payload b",
            "ERR XADD is for messages:<application>, not for 'outcomes:a'",
        ),
        ("XADD messages: * type a payload b", "ERR key 'messages:' names no application"),
        ("XREAD STREAMS messages:a 0", "ERR XREAD is for outcomes:<application>, not for 'messages:a'"),
        ("XRANGE outcomes:a - +", "ERR XRANGE is for messages:<application>, not for 'outcomes:a'"),
        ("XLEN outcomes:a", "ERR XLEN is for messages:<application>, not for 'outcomes:a'"),
    ] {
        assert_eq!(refusal(line), reply, "{line}");
    }
    let long = refusal(&format!("XLEN messages:{}", "x".repeat(257)));
    assert_eq!(long, "ERR application is 257 bytes; the limit is 256");
}

#[test]
fn reading_outcomes_takes_a_place_for_each_stream() {
    let after = |ms, seq| StreamStart::After(StreamId::new(ms, seq));
    accepts(
        "XREAD COUNT 10 BLOCK 0 STREAMS outcomes:a outcomes:b 5-1 $",
        Command::Xread(Xread {
            count: Some(10),
            block_ms: Some(0),
            streams: vec![("a", after(5, 1)), ("b", StreamStart::Latest)],
        }),
    );
    let plain = Xread { count: None, block_ms: None, streams: vec![("a", StreamStart::BEGINNING)] };
    accepts("xread streams outcomes:a 0", Command::Xread(plain.clone()));
    accepts("XREAD COUNT 0 STREAMS outcomes:a 0-0", Command::Xread(plain));
}

#[test]
fn a_bad_read_is_refused_in_the_words_of_redis() {
    for (line, reply) in [
        ("XREAD BLOCK 5 outcomes:a 0", "ERR syntax error"),
        ("XREAD COUNT 1 BLOCK 5", "ERR syntax error"),
        (
            "XREAD STREAMS outcomes:a outcomes:b 0",
            "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
        ),
        ("XREAD COUNT x STREAMS outcomes:a 0", "ERR value is not an integer or out of range"),
        ("XREAD BLOCK x STREAMS outcomes:a 0", "ERR timeout is not an integer or out of range"),
        ("XREAD BLOCK -1 STREAMS outcomes:a 0", "ERR timeout is negative"),
        ("XREAD STREAMS outcomes:a >", "ERR Invalid stream ID specified as stream command argument"),
    ] {
        assert_eq!(refusal(line), reply, "{line}");
    }
    let many = format!("XREAD STREAMS {} {}", "outcomes:a ".repeat(65), "0 ".repeat(65));
    assert_eq!(refusal(&many), "ERR XREAD names 65 streams; the limit is 64");
}

#[test]
fn a_range_may_be_open_partial_or_exclusive() {
    let range = |start: (u64, u64), end: (u64, u64), count, newest_first| {
        let (start, end) = (StreamId::new(start.0, start.1), StreamId::new(end.0, end.1));
        Command::Xrange(Xrange { application: "a", start, end, count, newest_first })
    };
    const LAST: u64 = u64::MAX;
    accepts("XRANGE messages:a - +", range((0, 0), (LAST, LAST), None, false));
    accepts("XRANGE messages:a 5 6", range((5, 0), (6, LAST), None, false));
    accepts("XRANGE messages:a (5-1 (6-0 COUNT 2", range((5, 2), (5, LAST), Some(2), false));
    accepts("XREVRANGE messages:a + 5-1", range((5, 1), (LAST, LAST), None, true));
    accepts("XLEN messages:a", Command::Xlen { application: "a" });
    for (line, reply) in [
        ("XRANGE messages:a - + 5", "ERR syntax error"),
        ("XRANGE messages:a - + COUNT 5 6", "ERR syntax error"),
        ("XRANGE messages:a ( +", "ERR Invalid stream ID specified as stream command argument"),
        ("XRANGE messages:a - (0-0", "ERR invalid end ID for the interval"),
        (
            "XRANGE messages:a (18446744073709551615-18446744073709551615 +",
            "ERR invalid start ID for the interval",
        ),
    ] {
        assert_eq!(refusal(line), reply, "{line}");
    }
}

#[test]
fn hello_agrees_on_a_version_and_may_authenticate() {
    accepts("HELLO", Command::Hello(Hello { version: None, auth: None, name: None }));
    accepts(
        "HELLO 3 AUTH me secret SETNAME worker",
        Command::Hello(Hello {
            version: Some(Version::Resp3),
            auth: Some(Credentials { user: b"me", password: b"secret" }),
            name: Some("worker"),
        }),
    );
    assert_eq!(refusal("HELLO 4"), "NOPROTO unsupported protocol version");
    assert_eq!(refusal("HELLO three"), "ERR Protocol version is not an integer or out of range");
    assert_eq!(refusal("HELLO 3 AUTH me"), "ERR Syntax error in HELLO option 'AUTH'");
    assert_eq!(refusal("HELLO 3 SETNAME"), "ERR Syntax error in HELLO option 'SETNAME'");
}

#[test]
fn a_password_alone_is_that_of_the_default_user_and_is_never_shown() {
    accepts("AUTH secret", Command::Auth(Credentials { user: b"default", password: b"secret" }));
    accepts("AUTH me secret", Command::Auth(Credentials { user: b"me", password: b"secret" }));
    assert_eq!(refusal("AUTH a b c"), "ERR syntax error");
    with("AUTH me secret", |parsed| assert!(!format!("{parsed:?}").contains("secret")));
}

#[test]
fn small_talk_is_understood_in_any_case() {
    accepts("ping", Command::Ping { message: None });
    accepts("PING hi", Command::Ping { message: Some("hi".into()) });
    accepts("Echo hi", Command::Echo { message: "hi".into() });
    accepts("QUIT", Command::Quit);
    accepts("RESET", Command::Reset);
    accepts("SELECT 0", Command::Select);
    accepts("INFO server", Command::Info);
    accepts("CONFIG GET save", Command::ConfigGet);
    accepts("CLIENT setname w", Command::Client(ClientSubcommand::SetName("w")));
    accepts("CLIENT SETINFO LIB-NAME redis-py", Command::Client(ClientSubcommand::SetInfo));
    accepts("COMMAND", Command::CommandTable(CommandSubcommand::All));
    accepts("COMMAND DOCS xadd", Command::CommandTable(CommandSubcommand::Docs(vec![b"xadd"])));
}

#[test]
fn what_is_not_offered_is_refused_by_name_and_with_what_is() {
    let reply = refusal("SUBSCRIBE news");
    assert!(reply.starts_with("ERR unknown command 'SUBSCRIBE'; this server knows XADD, XREAD, "), "{reply}");
    assert_eq!(refusal("SELECT 1"), "ERR DB index is out of range");
    assert_eq!(refusal("CONFIG SET a b"), "ERR unknown subcommand 'SET' of 'config'; this server knows GET");
    assert!(refusal("CLIENT KILL a").contains("unknown subcommand 'KILL' of 'client'"));
    assert!(refusal("CLIENT SETNAME 'a b'").contains("cannot contain spaces"));
}

#[test]
fn an_error_quotes_printable_characters_only_and_not_many() {
    let reply = refusal(&format!(r#""\x1b[31m\r\n{}""#, "x".repeat(1_000)));
    assert!(reply.starts_with(&format!("ERR unknown command '?[31m??{}'", "x".repeat(57))), "{reply}");
}

#[test]
fn the_number_of_arguments_is_checked_before_their_meaning() {
    for line in ["XADD", "XLEN", "XLEN a b", "ECHO", "PING a b", "SELECT", "AUTH", "CLIENT", "RESET now"] {
        assert!(refusal(line).starts_with("ERR wrong number of arguments for '"), "{line}");
    }
}

#[test]
fn only_what_is_needed_to_authenticate_or_leave_may_be_said_before() {
    let names = Definition::all().iter().filter(|command| command.before_auth).map(|command| command.name);
    assert_eq!(names.collect::<Vec<_>>(), ["hello", "auth", "quit", "reset"]);
}

#[test]
fn every_error_about_a_command_is_a_plain_error_but_an_unknown_version() {
    assert_eq!(CommandError::VersionUnsupported.code(), ErrorCode::NoProto);
    assert_eq!(CommandError::Syntax.code(), ErrorCode::Err);
}

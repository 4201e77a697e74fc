//! Sessions as a client would have them, to begin a mutation with; each request is one frame.

use super::random::Random;

/// Where what turns out to be a message goes.
pub(super) const APPLICATION: &str = "bad-frames";
pub(super) const EVENT_TYPE: &str = "load.bad-frames";

/// A request as an array of strings.
pub(super) fn request<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// What a client says first; nothing where it does not authenticate.
pub(super) fn introduction(password: Option<&str>, random: &mut Random) -> Vec<u8> {
    let Some(password) = password else { return Vec::new() };
    match random.below(3) {
        0 => request(&["AUTH", password]),
        1 => request(&["HELLO", "3", "AUTH", "default", password]),
        _ => request(&["HELLO", "2", "AUTH", "default", password, "SETNAME", "bad"]),
    }
}

/// Some valid requests.
pub(super) fn requests(random: &mut Random) -> Vec<Vec<u8>> {
    (0..1 + random.below(6)).map(|_| one(random)).collect()
}

fn one(random: &mut Random) -> Vec<u8> {
    let key = format!("messages:{APPLICATION}");
    let outcomes = format!("outcomes:{APPLICATION}");
    match random.below(10) {
        0..4 => {
            let payload =
                format!("{{\"n\":{},\"text\":\"{}\"}}", random.below(1_000), "x".repeat(random.below(300)));
            request(&["XADD", &key, "*", "type", EVENT_TYPE, "payload", &payload])
        }
        4 => request(&["PING"]),
        5 => request(&["ECHO", "hello"]),
        6 => request(&["XREAD", "COUNT", "3", "STREAMS", &outcomes, "0"]),
        7 => request(&["XRANGE", &key, "-", "+", "COUNT", "2"]),
        8 => request(&["CLIENT", "SETNAME", "somebody"]),
        _ => b"PING \"in line\"\r\n".to_vec(),
    }
}

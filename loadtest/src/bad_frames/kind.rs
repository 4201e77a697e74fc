//! What is wrong with what is sent: a script for one connection.
//!
//! | kind | what comes |
//! |---|---|
//! | oversize | lengths over a limit, with or without the bytes that they announce |
//! | negative, huge | lengths below zero, around 2^31, 2^63 and 2^64, with signs, zeros and letters |
//! | nested | arrays in arrays, and the aggregates of RESP3, a thousand deep |
//! | inline | lines with open quotes, escapes, NUL and no end |
//! | flipped, spliced | a session with bits turned over; with pieces doubled, dropped and exchanged |
//! | commands | whole requests that no command takes |
//! | cut | a session that ends within a request, by closing one half |
//! | drip | a session byte by byte |
//! | unread | requests without end, and no reply is read |
//! | http, tls | other protocols on this port |
//! | noise | random bytes |
//! | guess | wrong passwords |

use super::random::Random;
use super::session::{self, request};

/// See the head of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Oversize,
    Negative,
    Huge,
    Nested,
    Inline,
    Flipped,
    Spliced,
    Commands,
    Cut,
    Drip,
    Unread,
    Http,
    Tls,
    Noise,
    Guess,
}

/// How it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// In one piece; then one half is closed, and the rest is read.
    AtOnce,
    /// Byte by byte.
    Drip,
    /// Again and again, without reading, until nothing more is taken; then all is dropped.
    Unread,
}

/// What one connection sends.
pub(super) struct Script {
    pub(super) kind: Kind,
    pub(super) manner: Manner,
    pub(super) bytes: Vec<u8>,
    /// Frames in it that no client would send.
    pub(super) frames: u64,
}

/// The rare ones take long.
const RARE: [Kind; 2] = [Kind::Drip, Kind::Unread];
const RARE_ONE_IN: usize = 400;
const USUAL: [Kind; 13] = [
    Kind::Oversize,
    Kind::Negative,
    Kind::Huge,
    Kind::Nested,
    Kind::Inline,
    Kind::Flipped,
    Kind::Spliced,
    Kind::Commands,
    Kind::Cut,
    Kind::Http,
    Kind::Tls,
    Kind::Noise,
    Kind::Guess,
];

impl Kind {
    pub(super) const ALL: [Self; 15] = [
        Self::Oversize,
        Self::Negative,
        Self::Huge,
        Self::Nested,
        Self::Inline,
        Self::Flipped,
        Self::Spliced,
        Self::Commands,
        Self::Cut,
        Self::Drip,
        Self::Unread,
        Self::Http,
        Self::Tls,
        Self::Noise,
        Self::Guess,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::Negative => "negative",
            Self::Huge => "huge",
            Self::Nested => "nested",
            Self::Inline => "inline",
            Self::Flipped => "flipped",
            Self::Spliced => "spliced",
            Self::Commands => "commands",
            Self::Cut => "cut",
            Self::Drip => "drip",
            Self::Unread => "unread",
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Noise => "noise",
            Self::Guess => "guess",
        }
    }
}

impl Script {
    /// The script of this number.
    pub(super) fn new(random: &mut Random, password: Option<&str>) -> Self {
        let kind = if random.one_in(RARE_ONE_IN) { *random.pick(&RARE) } else { *random.pick(&USUAL) };
        // Half of them know the password, and get past the first limits.
        let password = password.filter(|_| random.one_in(2));
        let mut bytes = session::introduction(password, random);
        let (mut frames, mut manner) = (1, Manner::AtOnce);
        match kind {
            Kind::Oversize => bytes.extend(oversize(random)),
            Kind::Negative => bytes.extend(with_number(random, NEGATIVE)),
            Kind::Huge => bytes.extend(with_number(random, HUGE)),
            Kind::Nested => bytes.extend(nested(random)),
            Kind::Inline => bytes.extend(inline(random)),
            Kind::Flipped => {
                frames = append(&mut bytes, session::requests(random), |bytes| flip(random, bytes))
            }
            Kind::Spliced => {
                frames = append(&mut bytes, session::requests(random), |bytes| splice(random, bytes))
            }
            Kind::Commands => frames = commands(random, &mut bytes),
            Kind::Cut => {
                let valid = session::requests(random).concat();
                bytes.extend_from_slice(&valid[..random.below(valid.len())]);
            }
            Kind::Drip => {
                manner = Manner::Drip;
                frames = append(&mut bytes, session::requests(random), |_| {});
            }
            Kind::Unread => {
                manner = Manner::Unread;
                bytes.extend(request(&["ECHO", &"y".repeat(1_000)]));
            }
            Kind::Http => bytes.extend_from_slice(random.pick(HTTP).as_bytes()),
            Kind::Tls => bytes.extend_from_slice(&[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, random.byte()]),
            Kind::Noise => bytes.extend((0..1 + random.below(2_000)).map(|_| random.byte())),
            Kind::Guess => {
                bytes = request(&["AUTH", "guess"]).repeat(6);
                frames = 6;
            }
        }
        Self { kind, manner, bytes, frames }
    }
}

const NEGATIVE: &[&str] = &["-1", "-2", "-0", "-2147483648", "-2147483649", "-9223372036854775808"];
const HUGE: &[&str] = &[
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "+5",
    "007",
    "0x10",
    "1e3",
    "5 ",
    " 5",
    "",
];
const HTTP: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /api/v1/app HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    "Host: x\r\nXADD messages:a * type t payload {}\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\n\r\n",
];

/// Where a number goes wrong: the count of an array, or the length of a string.
fn with_number(random: &mut Random, numbers: &[&str]) -> Vec<u8> {
    let number = *random.pick(numbers);
    match random.below(3) {
        0 => format!("*{number}\r\n$4\r\nPING\r\n"),
        1 => format!("*1\r\n${number}\r\nPING\r\n"),
        _ => format!("*3\r\n$4\r\nXADD\r\n${number}\r\nmessages\r\n"),
    }
    .into_bytes()
}

fn oversize(random: &mut Random) -> Vec<u8> {
    let lengths = [16_385, 65_537, 1 << 20, (2 << 20) + 1, 16 << 20, 512 << 20, (512 << 20) + 1];
    let length = *random.pick(&lengths);
    let mut out = match random.below(3) {
        0 => format!("*{length}\r\n").into_bytes(),
        1 => format!("*2\r\n$4\r\nECHO\r\n${length}\r\n").into_bytes(),
        _ => format!("*{}\r\n", 1_025 + random.below(1_000)).into_bytes(),
    };
    let filler = random.below(20_000);
    out.resize(out.len() + filler, b'z');
    out
}

fn nested(random: &mut Random) -> Vec<u8> {
    let opening = *random.pick(&[
        "*1\r\n", "*2\r\n", "%1\r\n", "~1\r\n", ">1\r\n", "|1\r\n", "(1\r\n", "=4\r\n", "#t\r\n", "_\r\n",
    ]);
    opening.repeat(1 + random.below(1_000)).into_bytes()
}

fn inline(random: &mut Random) -> Vec<u8> {
    let line = match random.below(6) {
        0 => "PING \"open\r\n".to_owned(),
        1 => format!("ECHO {}\r\n", "\\x0".repeat(random.below(3_000))),
        2 => format!("{}\r\n", "a ".repeat(random.below(5_000))),
        3 => "a".repeat(70_000),
        4 => "ECHO 'a'b\r\n".to_owned(),
        _ => "\0\0PING\0\r\nECHO \"\\\"\r\n".to_owned(),
    };
    line.into_bytes()
}

fn append(bytes: &mut Vec<u8>, requests: Vec<Vec<u8>>, mut mutate: impl FnMut(&mut Vec<u8>)) -> u64 {
    let count = requests.len() as u64;
    let mut session = requests.concat();
    mutate(&mut session);
    bytes.extend(session);
    count
}

fn flip(random: &mut Random, bytes: &mut [u8]) {
    for _ in 0..1 + random.below(8) {
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
    }
}

fn splice(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        let (a, b) = (random.below(bytes.len()), random.below(bytes.len()));
        let (from, to) = (a.min(b), a.max(b) + 1);
        let piece = bytes[from..to].to_vec();
        match random.below(3) {
            0 => {
                let at = random.below(bytes.len());
                bytes.splice(at..at, piece);
            }
            1 if piece.len() < bytes.len() => drop(bytes.drain(from..to)),
            _ => bytes[from..to].reverse(),
        }
    }
}

/// Requests that are whole and wrong: the connection lives on after each.
fn commands(random: &mut Random, out: &mut Vec<u8>) -> u64 {
    let count = 1 + random.below(64) as u64;
    for _ in 0..count {
        let noise: Vec<u8> = (0..random.below(200)).map(|_| random.byte()).collect();
        let key = format!("messages:{}", session::APPLICATION);
        let key = key.as_bytes();
        out.extend(match random.below(9) {
            0 => request(&[&noise[..]]),
            1 => request(&[&b"XADD"[..], &noise, b"*"]),
            2 => request(&[&b"XADD"[..], key, b"*", b"type", &noise, b"payload", b"{}"]),
            3 => request(&[
                &b"XADD"[..],
                key,
                b"*",
                b"type",
                session::EVENT_TYPE.as_bytes(),
                b"payload",
                &noise,
            ]),
            4 => request(&[&b"XREAD"[..], b"COUNT", &noise, b"STREAMS", b"outcomes:x", b"0"]),
            5 => request(&[&b"XRANGE"[..], key, &noise, b"+"]),
            6 => request(&[&b"HELLO"[..], &noise]),
            7 => request(&[&b"CLIENT"[..], b"SETNAME", &noise]),
            _ => request(&[&b"SET"[..], b"a", &noise]),
        });
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(number: u64) -> Script {
        Script::new(&mut Random::of(7, number), Some("password"))
    }

    #[test]
    fn the_same_seed_and_number_give_the_same_script() {
        for number in 0..1_000 {
            let (one, again) = (script(number), script(number));
            assert!(one.kind == again.kind && one.bytes == again.bytes && one.frames == again.frames);
        }
        assert_ne!(script(1).bytes, script(2).bytes);
    }

    #[test]
    fn every_kind_comes_up_and_sends_something() {
        let scripts: Vec<Script> = (0..20_000).map(script).collect();
        for kind in Kind::ALL {
            assert!(scripts.iter().any(|script| script.kind == kind), "{}", kind.name());
        }
        assert!(scripts.iter().all(|script| script.frames > 0));
    }
}

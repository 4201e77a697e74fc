//! The corpus of forbidden destinations, as `corpus.txt` beside this file has it. Included by the tests of the guard and
//! by those of the binary, so that both are held against the same lines.

use std::net::IpAddr;

const TEXT: &str = include_str!("corpus.txt");

/// One line: a URL, and what it must give.
pub(crate) struct Spelling {
    pub(crate) word: &'static str,
    pub(crate) url: String,
    pub(crate) answers: Answers,
}

/// What DNS says of the name in the URL.
#[derive(Default, Clone)]
pub(crate) struct Answers {
    /// The name that it is an alias of.
    #[allow(dead_code, reason = "for those who answer as a name server")]
    pub(crate) alias: Option<&'static str>,
    /// The error in place of an answer.
    #[allow(dead_code, reason = "for those who answer as a name server")]
    pub(crate) error: Option<&'static str>,
    pub(crate) first: Vec<IpAddr>,
    /// From the moment on at which the name changes its mind.
    pub(crate) later: Option<Vec<IpAddr>>,
}

/// Every line of the corpus.
pub(crate) fn spellings() -> Vec<Spelling> {
    let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| read(line).unwrap_or_else(|| panic!("not a line of the corpus: {line}"))).collect()
}

fn read(line: &'static str) -> Option<Spelling> {
    let (word, rest) = line.split_once(' ')?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let url = values.next()?.ok()?;
    let answers = read_answers(rest[values.byte_offset()..].trim())?;
    Some(Spelling { word, url, answers })
}

fn read_answers(text: &'static str) -> Option<Answers> {
    if text.is_empty() {
        return Some(Answers::default());
    }
    if let Some(error) = text.strip_prefix('!') {
        return Some(Answers { error: Some(error), ..Answers::default() });
    }
    let (alias, text) = match text.strip_prefix('=') {
        Some(aliased) => aliased.split_once(' ').map(|(alias, rest)| (Some(alias), rest))?,
        None => (None, text),
    };
    let list = |text: &str| -> Option<Vec<IpAddr>> {
        text.split(',').map(|address| address.trim().parse().ok()).collect()
    };
    let (first, later) = match text.split_once(" > ") {
        Some((first, later)) => (list(first)?, Some(list(later)?)),
        None => (list(text)?, None),
    };
    Some(Answers { alias, error: None, first, later })
}

/// What is said of a URL with this word when it is refused; `None` where it is taken.
pub(crate) fn said(word: &str) -> Option<&'static str> {
    Some(match word {
        "address" => "is not public",
        "never" => "is never allowed",
        "local" => "is a local name",
        "name" => "is not a name",
        "unreadable" => "url cannot be read",
        "scheme" => "only https and http can be delivered to",
        "userinfo" => "url contains a user or password",
        "fragment" => "url contains a fragment",
        "space" => "url contains a space or control character",
        "port" => "is not allowed (egress.allow_ports",
        "delivery" | "flip" | "unresolved" => return None,
        other => panic!("the corpus has no word '{other}'"),
    })
}

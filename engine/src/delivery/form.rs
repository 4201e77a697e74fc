//! Form: a JSON payload as `application/x-www-form-urlencoded`, with brackets for what is nested.
//!
//! ```text
//!   {"event":"incoming_message","contact":{"vars":{"foo":"a b"}},"media":[{"size":70}],"starred":true}
//!   event=incoming_message&contact[vars][foo]=a+b&media[0][size]=70&starred=1
//! ```
//!
//! Read by what PHP, Rails, `qs` (Express) and their like make of brackets; written as PHP's `http_build_query`
//! writes it: pairs in the order of the payload, numbers as they are spelled there, booleans as 1 and 0. What is
//! `null` or empty is left out, and the others of its list keep their numbers. Names and values are percent-encoded
//! as the URL Standard says (section "application/x-www-form-urlencoded serializing"), brackets too; above they are
//! not, for people.
//!
//! A key that has brackets itself cannot be told from nested ones, here as in PHP.
//!
//! Invariants
//! - Nothing grows beyond [`FORM_BYTES_MAX`], though a short payload may ask for it: each pair repeats its path.
//! - No payload makes the stack deeper than [`DEPTH_MAX`] levels.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::IgnoredAny;
use url::form_urlencoded::byte_serialize;

use crate::core::digits::write_decimal;

/// The media type of a form.
pub(super) const FORM_CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
/// The largest form. Far more than receivers take (PHP: 8 MiB, `post_max_size`).
const FORM_BYTES_MAX: usize = 16 * 1_024 * 1_024;
/// The most levels of brackets: as many as PHP reads (`max_input_nesting_level`).
const DEPTH_MAX: usize = 64;
/// The parameter that says who sends.
const SECRET: &str = "secret";

/// Why a payload has no form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    #[error("the payload cannot be made a form: it is not JSON: {reason}")]
    NotJson { reason: String },
    #[error("the payload cannot be made a form: it is no object, whose keys could name the parameters")]
    NotAnObject,
    #[error("the payload cannot be made a form: it is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("the payload cannot be made a form: it would be longer than {FORM_BYTES_MAX} bytes")]
    TooLong,
}

impl FormError {
    fn not_json(reason: impl ToString) -> Self {
        Self::NotJson { reason: reason.to_string() }
    }
}

/// How the payloads of an endpoint become forms.
pub(super) struct Form {
    /// The pair of the secret, encoded.
    secret: Option<Box<[u8]>>,
}

impl Form {
    /// With this parameter `secret` behind the payload's own, if there is one; it replaces a `secret` of the payload.
    pub(super) fn new(secret: Option<&str>) -> Self {
        let pair = |secret: &str| {
            let mut pair = format!("{SECRET}=").into_bytes();
            encode(secret, &mut pair);
            pair.into()
        };
        Self { secret: secret.map(pair) }
    }

    /// The payload as a form.
    pub(super) fn encode(&self, payload: &[u8]) -> Result<Bytes, FormError> {
        let text = std::str::from_utf8(payload).map_err(FormError::not_json)?;
        // Once as a whole: behind it, every text that is met can be trusted to be JSON.
        serde_json::from_str::<IgnoredAny>(text).map_err(FormError::not_json)?;
        let mut writer = Writer {
            text: text.as_bytes(),
            at: 0,
            path: Vec::new(),
            depth: 0,
            replaces_secret: self.secret.is_some(),
            out: Vec::with_capacity(payload.len()),
        };
        writer.skip_space();
        if writer.peek() != b'{' {
            return Err(FormError::NotAnObject);
        }
        writer.value()?;
        if let Some(secret) = &self.secret {
            writer.separate();
            writer.out.extend_from_slice(secret);
        }
        Ok(writer.out.into())
    }
}

fn encode(text: &str, out: &mut Vec<u8>) {
    byte_serialize(text.as_bytes()).for_each(|piece| out.extend_from_slice(piece.as_bytes()));
}

/// Walks through JSON and writes a pair for each leaf.
struct Writer<'a> {
    text: &'a [u8],
    at: usize,
    /// The name of the pair that would be written here, encoded.
    path: Vec<u8>,
    depth: usize,
    replaces_secret: bool,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    /// The value that begins here, with everything in it.
    fn value(&mut self) -> Result<(), FormError> {
        self.skip_space();
        match self.peek() {
            b'{' => self.nested(Self::member),
            b'[' => self.nested(Self::item),
            b'"' => {
                let text = self.string()?;
                self.pair(&text)
            }
            _ => match self.word() {
                b"true" => self.pair("1"),
                b"false" => self.pair("0"),
                b"null" => Ok(()),
                number => self.pair(std::str::from_utf8(number).map_err(FormError::not_json)?),
            },
        }
    }

    /// An object or a list: `part` does one member or item, told how many came before it.
    fn nested(&mut self, part: fn(&mut Self, u64) -> Result<(), FormError>) -> Result<(), FormError> {
        if self.depth == DEPTH_MAX {
            return Err(FormError::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        let path_bytes = self.path.len();
        for number in 0.. {
            self.skip_space();
            if matches!(self.peek(), b'}' | b']' | 0) {
                break;
            }
            part(self, number)?;
            self.path.truncate(path_bytes);
            self.skip_space();
            if self.peek() == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    fn member(&mut self, _number: u64) -> Result<(), FormError> {
        let key = self.string()?;
        let is_outermost = self.depth == 1;
        if is_outermost {
            encode(&key, &mut self.path);
        } else {
            self.bracket(|path| encode(&key, path));
        }
        self.skip_space();
        self.at += 1; // the colon
        let written = self.out.len();
        self.value()?;
        if is_outermost && self.replaces_secret && stands_for_secret(&key) {
            self.out.truncate(written);
        }
        Ok(())
    }

    fn item(&mut self, number: u64) -> Result<(), FormError> {
        self.bracket(|path| write_decimal(number, path));
        self.value()
    }

    /// Goes one level down: `[`, what is written, `]`.
    fn bracket(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.path.extend_from_slice(b"%5B");
        write(&mut self.path);
        self.path.extend_from_slice(b"%5D");
    }

    fn pair(&mut self, text: &str) -> Result<(), FormError> {
        // A byte of a text becomes three at most.
        if self.out.len() + self.path.len() + 3 * text.len() > FORM_BYTES_MAX {
            return Err(FormError::TooLong);
        }
        self.separate();
        self.out.extend_from_slice(&self.path);
        self.out.push(b'=');
        encode(text, &mut self.out);
        Ok(())
    }

    fn separate(&mut self) {
        if !self.out.is_empty() {
            self.out.push(b'&');
        }
    }

    /// The string that begins here, without its quotes and escapes.
    fn string(&mut self) -> Result<Cow<'a, str>, FormError> {
        let from = self.at;
        self.at += 1;
        let mut has_escapes = false;
        while !matches!(self.peek(), b'"' | 0) {
            let is_escape = self.peek() == b'\\';
            has_escapes |= is_escape;
            self.at += if is_escape { 2 } else { 1 };
        }
        self.at += 1;
        let quoted = self.text.get(from..self.at).unwrap_or_default();
        if has_escapes {
            // Half of a surrogate pair is JSON by its grammar and no text.
            return serde_json::from_slice(quoted).map(Cow::Owned).map_err(FormError::not_json);
        }
        let bare = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        std::str::from_utf8(bare).map(Cow::Borrowed).map_err(FormError::not_json)
    }

    /// A number or one of the three words.
    fn word(&mut self) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_in_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let bytes = rest.iter().take_while(|byte| is_in_word(byte)).count();
        self.at += bytes;
        &rest[..bytes]
    }

    fn skip_space(&mut self) {
        while self.peek().is_ascii_whitespace() {
            self.at += 1;
        }
    }

    /// The byte that is next; 0, which is nowhere in JSON, at the end.
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }
}

/// Whether receivers would read this outermost key as the secret, or as a part of it.
fn stands_for_secret(key: &str) -> bool {
    key.strip_prefix(SECRET).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The pairs of a form as a receiver reads them: names with their brackets, and values.
    fn decoded(form: &[u8]) -> Vec<(String, String)> {
        assert!(form.is_ascii());
        url::form_urlencoded::parse(form).map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn encoded(payload: &str) -> Vec<(String, String)> {
        decoded(&Form::new(None).encode(payload.as_bytes()).unwrap())
    }

    #[track_caller]
    fn check(payload: &serde_json::Value, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(encoded(&payload.to_string()), expected);
    }

    #[test]
    fn an_incoming_message_has_the_parameters_that_receivers_know() {
        // In one text, because `json!` would sort the keys.
        let payload = r#"{
            "event": "incoming_message", "id": "SM1", "message_type": "mms", "content": "Hello world",
            "from_number": "+16505550123", "to_number": "+16505550100", "time_created": 1732300000,
            "time_sent": null, "contact_id": "CT1", "phone_id": "PN1", "service_id": "SV1", "project_id": "PJ1",
            "media": [{"url": "https://m.example/a.jpg?x=1&y=2", "type": "image/jpeg", "filename": "a.jpg", "size": 70123},
                      {"url": "https://m.example/b.jpg"}],
            "contact": {"name": "Zoë", "time_created": 1700000000, "message_count": 7, "vars": {"foo": "bar", "n": 1.50}},
            "state": {"id": "greeted", "vars": {}},
            "phone": {"name": "Main", "phone_type": "android", "country": "US", "vars": {"foo": ""}}
        }"#;
        let names_and_values: Vec<_> =
            encoded(payload).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            names_and_values,
            [
                "event=incoming_message",
                "id=SM1",
                "message_type=mms",
                "content=Hello world",
                "from_number=+16505550123",
                "to_number=+16505550100",
                "time_created=1732300000",
                "contact_id=CT1",
                "phone_id=PN1",
                "service_id=SV1",
                "project_id=PJ1",
                "media[0][url]=https://m.example/a.jpg?x=1&y=2",
                "media[0][type]=image/jpeg",
                "media[0][filename]=a.jpg",
                "media[0][size]=70123",
                "media[1][url]=https://m.example/b.jpg",
                "contact[name]=Zoë",
                "contact[time_created]=1700000000",
                "contact[message_count]=7",
                "contact[vars][foo]=bar",
                "contact[vars][n]=1.50",
                "state[id]=greeted",
                "phone[name]=Main",
                "phone[phone_type]=android",
                "phone[country]=US",
                "phone[vars][foo]=",
            ]
        );
    }

    #[test]
    fn the_status_of_a_message_that_was_sent_has_its_parameters() {
        check(
            &json!({"event": "send_status", "id": "SM1", "status": "failed", "error_message": "Example & \"more\""}),
            &[
                ("error_message", "Example & \"more\""),
                ("event", "send_status"),
                ("id", "SM1"),
                ("status", "failed"),
            ],
        );
    }

    #[test]
    fn a_broadcast_has_a_list_of_recipients() {
        check(
            &json!({"event": "send_broadcast", "estimated_count": 2, "recipients": [
                {"type": "group", "id": "CG1"}, {"type": "contact", "phone_number": "+1"},
            ]}),
            &[
                ("estimated_count", "2"),
                ("event", "send_broadcast"),
                ("recipients[0][id]", "CG1"),
                ("recipients[0][type]", "group"),
                ("recipients[1][phone_number]", "+1"),
                ("recipients[1][type]", "contact"),
            ],
        );
    }

    #[test]
    fn a_contact_that_changed_has_variables_and_numbered_groups() {
        check(
            &json!({"event": "contact_update", "update_type": "add_group", "send_blocked": true,
                "vars": {"bar": "2", "foo": "1"}, "group_ids": ["CG1", "CG2"]}),
            &[
                ("event", "contact_update"),
                ("group_ids[0]", "CG1"),
                ("group_ids[1]", "CG2"),
                ("send_blocked", "1"),
                ("update_type", "add_group"),
                ("vars[bar]", "2"),
                ("vars[foo]", "1"),
            ],
        );
    }

    #[test]
    fn what_is_known_about_a_message_has_booleans_as_1_and_0() {
        check(
            &json!({"event": "message_metadata", "starred": true, "in_progress": false, "label_ids": ["LB1"],
                "contact": {"vars": {"foo": null}}}),
            &[("event", "message_metadata"), ("in_progress", "0"), ("label_ids[0]", "LB1"), ("starred", "1")],
        );
    }

    #[test]
    fn brackets_and_all_that_is_special_is_percent_encoded() {
        let form = Form::new(None).encode(br#"{"a b":{"c&d=e":"+ \u00e9/*-._~"}}"#).unwrap();
        assert_eq!(&form[..], b"a+b%5Bc%26d%3De%5D=%2B+%C3%A9%2F*-._%7E");
    }

    #[test]
    fn numbers_keep_their_spelling() {
        let payload = r#"{"a":[12345678901234567890123,1.10,-0,1E+2]}"#;
        let values: Vec<_> = encoded(payload).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["12345678901234567890123", "1.10", "-0", "1E+2"]);
    }

    #[test]
    fn what_is_null_or_empty_is_left_out_and_a_list_keeps_its_numbers() {
        let left = [("a[1]".to_owned(), "x".to_owned()), ("d".to_owned(), String::new())];
        assert_eq!(encoded(r#"{"a":[null,"x"],"b":[],"c":{"e":{}},"d":""}"#), left);
        assert_eq!(&Form::new(None).encode(b"{}").unwrap()[..], b"");
    }

    #[test]
    fn the_secret_comes_last_and_takes_the_place_of_the_payloads_own() {
        let form = Form::new(Some("s & t"));
        let encode =
            |payload: &str| String::from_utf8(form.encode(payload.as_bytes()).unwrap().to_vec()).unwrap();
        assert_eq!(encode(r#"{"secret":"no","a":{"secret":"yes"}}"#), "a%5Bsecret%5D=yes&secret=s+%26+t");
        assert_eq!(encode(r#"{"a":1,"secret":{"x":[1]},"secrets":2}"#), "a=1&secrets=2&secret=s+%26+t");
        assert_eq!(encode(r#"{"secret[x]":1}"#), "secret=s+%26+t");
        assert_eq!(encode("{}"), "secret=s+%26+t");
        assert_eq!(encoded(r#"{"secret":"own"}"#)[0].1, "own", "without a secret of the endpoint it stays");
    }

    #[test]
    fn a_payload_that_cannot_be_a_form_is_refused_in_words() {
        let refusal = |payload: &[u8]| Form::new(None).encode(payload).unwrap_err();
        for payload in ["[]", "[{}]", "\"a\"", "1", "null", "true"] {
            assert_eq!(refusal(payload.as_bytes()), FormError::NotAnObject, "{payload}");
        }
        for payload in [&b""[..], b"{", b"{\"a\":1}x", b"{\"a\":\xff}", b"{\"\xff\":1}", br#"{"a":"\ud800"}"#]
        {
            assert!(matches!(refusal(payload), FormError::NotJson { .. }), "{payload:?}");
        }
        assert_eq!(
            FormError::NotAnObject.to_string(),
            "the payload cannot be made a form: it is no object, whose keys could name the parameters"
        );
    }

    #[test]
    fn no_payload_is_nested_or_blown_up_without_bound() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert_eq!(encoded(&nested(DEPTH_MAX))[0].1, "1");
        let refusal = |payload: String| Form::new(None).encode(payload.as_bytes()).unwrap_err();
        assert_eq!(refusal(nested(DEPTH_MAX + 1)), FormError::TooDeep);
        assert_eq!(refusal("{\"a\":".repeat(1_000_000) + "1" + &"}".repeat(1_000_000)), FormError::TooDeep);
        // 100 KB, of which 50,000 numbers each would repeat 50,000 bytes.
        let blown_up = format!("{{\"{}\":[{}1]}}", "k".repeat(50_000), "1,".repeat(50_000));
        assert_eq!(refusal(blown_up), FormError::TooLong);
    }

    /// A payload, and the leaves that a receiver should find: the steps to each, and its text.
    #[derive(Debug, Clone)]
    enum Tree {
        Leaf(String, Option<String>),
        List(Vec<Tree>),
        Object(Vec<(String, Tree)>),
    }

    impl Tree {
        fn json(&self) -> String {
            match self {
                Self::Leaf(json, _) => json.clone(),
                Self::List(items) => {
                    format!("[ {} ]", items.iter().map(Self::json).collect::<Vec<_>>().join(" ,"))
                }
                Self::Object(members) => {
                    let member = |(key, tree): &(String, Self)| format!("{} : {}", json!(key), tree.json());
                    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
                }
            }
        }

        fn leaves(&self, steps: &[String], found: &mut Vec<(Vec<String>, String)>) {
            let down = |step: String| [steps, &[step]].concat();
            match self {
                Self::Leaf(_, text) => found.extend(text.clone().map(|text| (steps.to_vec(), text))),
                Self::List(items) => items
                    .iter()
                    .enumerate()
                    .for_each(|(number, item)| item.leaves(&down(number.to_string()), found)),
                Self::Object(members) => {
                    members.iter().for_each(|(key, tree)| tree.leaves(&down(key.clone()), found));
                }
            }
        }
    }

    /// A decoder of its own, by the rules that PHP has.
    fn leaves_of(form: &[u8]) -> Vec<(Vec<String>, String)> {
        let text = |bytes: &[u8]| {
            let mut out = Vec::new();
            let mut rest = bytes;
            while let [first, behind @ ..] = rest {
                rest = behind;
                out.push(match first {
                    b'+' => b' ',
                    b'%' => {
                        let hex = std::str::from_utf8(&rest[..2]).unwrap();
                        rest = &rest[2..];
                        u8::from_str_radix(hex, 16).unwrap()
                    }
                    plain => *plain,
                });
            }
            String::from_utf8(out).unwrap()
        };
        let pairs = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let equals = pair.iter().position(|byte| *byte == b'=').unwrap();
                let (name, value) = (text(&pair[..equals]), text(&pair[equals + 1..]));
                let steps = name.split('[').map(|step| step.trim_end_matches(']').to_owned()).collect();
                (steps, value)
            })
            .collect()
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            any::<String>().prop_map(|text| Tree::Leaf(json!(text).to_string(), Some(text))),
            "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?"
                .prop_map(|number| Tree::Leaf(number.clone(), Some(number))),
            any::<bool>().prop_map(|yes| Tree::Leaf(yes.to_string(), Some(u8::from(yes).to_string()))),
            Just(Tree::Leaf("null".to_owned(), None)),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::List),
                prop::collection::vec(("[^\\[\\]]{1,6}", inner), 0..6).prop_map(Tree::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_receiver_finds_every_leaf_where_it_was(
            members in prop::collection::vec(("[^\\[\\]]{1,6}", tree()), 0..6)
        ) {
            let whole = Tree::Object(members);
            let mut expected = Vec::new();
            whole.leaves(&[], &mut expected);
            let form = Form::new(None).encode(whole.json().as_bytes()).unwrap();
            prop_assert_eq!(leaves_of(&form), expected);
        }
    }
}

//! Inline requests: a line of words, for a person with `telnet` or `nc`.
//!
//! Quoting is that of Redis: `"..."` knows `\n \r \t \b \a \\ \" \xHH`, `'...'` knows `\'` only, and a
//! closing quote must be followed by a space or the end. This is not the fast path; one allocation a line.

use super::ProtocolError;
use super::request::Span;

/// How HTTP requests begin. `Host:` catches a request whose first line was taken for something else.
const HTTP_BEGINNINGS: [&[u8]; 9] =
    [b"POST ", b"GET ", b"HEAD ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"Host:"];

/// Refuses a line of HTTP.
pub(super) fn refuse_http(line: &[u8]) -> Result<(), ProtocolError> {
    let begins_with = |beginning: &&[u8]| {
        line.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning))
    };
    match HTTP_BEGINNINGS.iter().any(begins_with) {
        true => Err(ProtocolError::HttpSpoken),
        false => Ok(()),
    }
}

/// Splits a line into words: returns them unquoted one after the other, and pushes where each lies.
pub(super) fn split(line: &[u8], spans: &mut Vec<Span>) -> Result<Vec<u8>, ProtocolError> {
    let mut splitter = Splitter { rest: line, words: Vec::with_capacity(line.len()) };
    while splitter.skip_spaces() {
        let start = splitter.words.len();
        splitter.word()?;
        spans.push(Span::new(start, splitter.words.len()));
    }
    Ok(splitter.words)
}

struct Splitter<'l> {
    rest: &'l [u8],
    words: Vec<u8>,
}

impl Splitter<'_> {
    fn take(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Whether a word follows.
    fn skip_spaces(&mut self) -> bool {
        self.rest = self.rest.trim_ascii_start();
        !self.rest.is_empty()
    }

    fn word(&mut self) -> Result<(), ProtocolError> {
        while let Some(byte) = self.take() {
            match byte {
                b'"' => return self.double_quoted(),
                b'\'' => return self.single_quoted(),
                byte if byte.is_ascii_whitespace() => return Ok(()),
                byte => self.words.push(byte),
            }
        }
        Ok(())
    }

    fn double_quoted(&mut self) -> Result<(), ProtocolError> {
        loop {
            match self.take().ok_or(ProtocolError::UnbalancedQuotes)? {
                b'"' => return self.quote_closed(),
                b'\\' => self.escape()?,
                byte => self.words.push(byte),
            }
        }
    }

    fn single_quoted(&mut self) -> Result<(), ProtocolError> {
        loop {
            match self.take().ok_or(ProtocolError::UnbalancedQuotes)? {
                b'\'' => return self.quote_closed(),
                b'\\' if self.rest.first() == Some(&b'\'') => {
                    self.take();
                    self.words.push(b'\'');
                }
                byte => self.words.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Result<(), ProtocolError> {
        let byte = match self.take().ok_or(ProtocolError::UnbalancedQuotes)? {
            b'x' => self.hex().unwrap_or(b'x'),
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x08,
            b'a' => 0x07,
            other => other,
        };
        self.words.push(byte);
        Ok(())
    }

    /// Two hexadecimal digits, if they are there.
    fn hex(&mut self) -> Option<u8> {
        let [high, low, rest @ ..] = self.rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let byte = digit(*high)? << 4 | digit(*low)?;
        self.rest = rest;
        Some(byte)
    }

    fn quote_closed(&self) -> Result<(), ProtocolError> {
        match self.rest.first() {
            Some(byte) if !byte.is_ascii_whitespace() => Err(ProtocolError::UnbalancedQuotes),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<String>, ProtocolError> {
        let mut spans = Vec::new();
        let text = split(line.as_bytes(), &mut spans)?;
        let word = |span: &Span| text[span.start as usize..span.end as usize].escape_ascii().to_string();
        Ok(spans.iter().map(word).collect())
    }

    #[test]
    fn words_are_separated_by_any_amount_of_space() {
        assert_eq!(words(" PING \t hello  ").unwrap(), ["PING", "hello"]);
        assert_eq!(words("   ").unwrap(), [""; 0]);
    }

    #[test]
    fn quotes_keep_spaces_and_double_quotes_know_escapes() {
        assert_eq!(words(r#"ECHO "a b" 'c d'"#).unwrap(), ["ECHO", "a b", "c d"]);
        assert_eq!(words(r#""\x41\n\"\\\q\xzz""#).unwrap(), [r#"A\n\"\\qxzz"#]);
        assert_eq!(words(r"'it\'s \n'").unwrap(), [r"it\'s \\n"]);
        assert_eq!(words(r#"foo"bar" """#).unwrap(), ["foobar", ""]);
    }

    #[test]
    fn a_quote_left_open_or_run_into_a_word_is_refused() {
        for line in [r#"ECHO "a"#, "ECHO 'a", r#"ECHO "a"b"#, "ECHO 'a'b", r#"ECHO "a\"#, r#"ECHO "a\""#] {
            assert_eq!(words(line), Err(ProtocolError::UnbalancedQuotes), "{line}");
        }
    }

    #[test]
    fn http_is_recognised_in_any_case_and_a_ping_is_not_http() {
        for line in ["POST / HTTP/1.1", "get /x", "host: here", "OPTIONS * HTTP/1.1"] {
            assert_eq!(refuse_http(line.as_bytes()), Err(ProtocolError::HttpSpoken), "{line}");
        }
        for line in ["PING", "POSTHASTE", "GETX", "XADD messages:a *", ""] {
            assert_eq!(refuse_http(line.as_bytes()), Ok(()), "{line}");
        }
    }
}

//! Tokens: the words of an expression.
//!
//! As CEL has them (language definition, section "Syntax"), but for what the language here does not have:
//! bytes (`b"..."`), texts in triple quotes.

use super::FilterError;

/// A word, and the byte it begins at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) word: Word,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Name(String),
    Int(i128),
    Double(f64),
    Text(String),
    /// `&&`, `(` and their like.
    Sign(&'static str),
    End,
}

/// Longer ones first: `<=` is not `<` and `=`.
const SIGNS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "+",
    "-", "*", "/", "%", "=",
];

/// All words of the text, an end behind them.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut reader = Reader { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        reader.skip_space();
        let at = reader.at;
        let word = reader.word()?;
        let is_end = word == Word::End;
        tokens.push(Token { at, word });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, at: usize, problem: impl Into<String>) -> FilterError {
        FilterError::new(self.text, at, problem)
    }

    /// White space, and comments up to the end of their line.
    fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', '\u{c}']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn word(&mut self) -> Result<Word, FilterError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Word::End) };
        let second = rest.chars().nth(1);
        match first {
            '"' | '\'' => self.quoted(first, false),
            'r' | 'R' if matches!(second, Some('"' | '\'')) => {
                self.at += 1;
                self.quoted(second.unwrap_or('"'), true)
            }
            '0'..='9' => self.number(),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(),
            'a'..='z' | 'A'..='Z' | '_' => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                self.at += end;
                Ok(Word::Name(rest[..end].to_owned()))
            }
            _ => {
                let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
                let sign = sign.ok_or_else(|| {
                    self.error(self.at, format!("'{}' has no meaning here", first.escape_debug()))
                })?;
                self.at += sign.len();
                Ok(Word::Sign(sign))
            }
        }
    }

    fn number(&mut self) -> Result<Word, FilterError> {
        let (at, rest) = (self.at, self.rest());
        if let Some(digits) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
            let end = digits.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(digits.len());
            self.at += 2 + end;
            let digits = digits[..end].trim_end_matches(['u', 'U']);
            let number = u64::from_str_radix(digits, 16);
            return number
                .map(|number| Word::Int(number.into()))
                .map_err(|_| self.error(at, "this is no number"));
        }
        let mut end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let mut is_double = false;
        let digits_from = |from: usize| {
            let rest = &rest[from..];
            rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
        };
        if rest[end..].starts_with('.') && digits_from(end + 1) > 0 {
            is_double = true;
            end += 1 + digits_from(end + 1);
        }
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            let digits = digits_from(end + 1 + sign);
            if digits > 0 {
                is_double = true;
                end += 1 + sign + digits;
            }
        }
        let number = &rest[..end];
        self.at += end;
        if !is_double && self.rest().starts_with(['u', 'U']) {
            self.at += 1;
        }
        if self.rest().starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return Err(self.error(at, "this is no number"));
        }
        let word = if is_double { number.parse().ok().map(Word::Double) } else { integer(number) };
        word.ok_or_else(|| self.error(at, "this number is too large"))
    }

    fn quoted(&mut self, quote: char, raw: bool) -> Result<Word, FilterError> {
        let start = self.at;
        let rest = self.rest();
        if rest.starts_with("\"\"\"") || rest.starts_with("'''") {
            return Err(self.error(start, "texts in triple quotes are not supported"));
        }
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((offset, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.at += offset + c.len_utf8();
                    return Ok(Word::Text(text));
                }
                '\n' | '\r' => break,
                '\\' if !raw => {
                    let escaped = escape(&mut chars);
                    text.push(escaped.ok_or_else(|| self.error(start + offset, "this escape is not known"))?);
                }
                _ => text.push(c),
            }
        }
        Err(self.error(start, "this text has no end"))
    }
}

/// Between -2^63, which is written as a minus before 2^63, and 2^64 - 1.
fn integer(digits: &str) -> Option<Word> {
    digits.parse::<u64>().ok().map(|number| Word::Int(number.into()))
}

/// What stands behind a backslash.
fn escape(chars: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    let (_, first) = chars.next()?;
    match first {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'v' => Some('\u{b}'),
        '\\' | '"' | '\'' | '`' | '?' => Some(first),
        'x' | 'X' => hexadecimal(chars, 2),
        'u' => hexadecimal(chars, 4),
        'U' => hexadecimal(chars, 8),
        _ => None,
    }
}

fn hexadecimal(chars: &mut impl Iterator<Item = (usize, char)>, digits: usize) -> Option<char> {
    let text: String = chars.take(digits).map(|(_, c)| c).collect();
    let whole = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(&text, 16).ok().filter(|_| whole).and_then(char::from_u32)
}

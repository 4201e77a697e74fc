//! JSON as people read it: one member a line, coloured by kind, what is long folded. Text stays text.
//!
//! The bytes are walked once and written out again with space between; nothing is parsed into numbers, so that what is
//! shown is what was sent. What is not JSON is shown as it is.

use super::html::{Html, escaped};

/// Characters beyond which the rest is folded away.
const SHOWN_MAX: usize = 4_000;
/// Characters that are written into a page at all; beyond it one loads the message itself.
const WRITTEN_MAX: usize = 256 << 10;
/// Levels beyond which nothing is indented further.
const INDENT_MAX: usize = 24;

/// A payload or response, to be read.
pub(super) fn pretty(text: &str) -> Html {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let cut = cut_at(text, WRITTEN_MAX);
    let (text, is_cut) = (&text[..cut], cut < text.len());
    let laid_out = if is_json { laid_out(text) } else { vec![(Kind::Plain, text.to_owned())] };
    folded(&laid_out, is_cut)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Key,
    Text,
    Word,
}

fn cut_at(text: &str, max: usize) -> usize {
    if text.len() <= max {
        return text.len();
    }
    (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Pieces of it, with line breaks and indentation. The text is JSON, or the beginning of some.
fn laid_out(json: &str) -> Vec<(Kind, String)> {
    let mut pieces = Pieces::default();
    let mut rest = json.char_indices().peekable();
    let mut depth = 0_usize;
    while let Some((at, c)) = rest.next() {
        match c {
            '{' | '[' => {
                let close = if c == '{' { '}' } else { ']' };
                while rest.next_if(|(_, c)| c.is_ascii_whitespace()).is_some() {}
                if rest.next_if(|(_, c)| *c == close).is_some() {
                    pieces.plain(&format!("{c}{close}"));
                } else {
                    depth += 1;
                    pieces.plain(&c.to_string());
                    pieces.line(depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                pieces.line(depth);
                pieces.plain(&c.to_string());
            }
            ',' => {
                pieces.plain(",");
                pieces.line(depth);
            }
            ':' => pieces.plain(": "),
            '"' => {
                let mut end = json.len();
                let mut is_escaped = false;
                for (at, c) in rest.by_ref() {
                    match c {
                        _ if is_escaped => is_escaped = false,
                        '\\' => is_escaped = true,
                        '"' => {
                            end = at + 1;
                            break;
                        }
                        _ => {}
                    }
                }
                let is_key = json[end..].trim_ascii_start().starts_with(':');
                pieces.push(if is_key { Kind::Key } else { Kind::Text }, &json[at..end]);
            }
            c if c.is_ascii_whitespace() => {}
            _ => {
                let mut end = at + c.len_utf8();
                while let Some((at, c)) =
                    rest.next_if(|(_, c)| !matches!(c, ',' | '}' | ']' | ' ' | '\n' | '\r' | '\t'))
                {
                    end = at + c.len_utf8();
                }
                pieces.push(Kind::Word, &json[at..end]);
            }
        }
    }
    pieces.0
}

#[derive(Default)]
struct Pieces(Vec<(Kind, String)>);

impl Pieces {
    fn push(&mut self, kind: Kind, text: &str) {
        match self.0.last_mut() {
            Some((last, before)) if *last == kind && kind == Kind::Plain => before.push_str(text),
            _ => self.0.push((kind, text.into())),
        }
    }

    fn plain(&mut self, text: &str) {
        self.push(Kind::Plain, text);
    }

    fn line(&mut self, depth: usize) {
        self.plain(&format!("\n{}", "  ".repeat(depth.min(INDENT_MAX))));
    }
}

/// As HTML; what is beyond the first part lies in a fold.
fn folded(pieces: &[(Kind, String)], is_cut: bool) -> Html {
    let (mut first, mut rest, mut written) = (String::new(), String::new(), 0);
    for (kind, text) in pieces {
        let split = if written >= SHOWN_MAX { 0 } else { cut_at(text, SHOWN_MAX - written) };
        written += text.len();
        write(&mut first, *kind, &text[..split]);
        write(&mut rest, *kind, &text[split..]);
    }
    if is_cut {
        rest.push_str("\n… (cut here: the API has all of it)");
    }
    let mut html = format!("<pre class=\"code\" tabindex=\"0\"><code>{first}</code></pre>");
    if !rest.is_empty() {
        html += &format!(
            "<details class=\"fold\"><summary>the rest of it</summary>\
             <pre class=\"code\" tabindex=\"0\"><code>{rest}</code></pre></details>"
        );
    }
    Html(html)
}

fn write(out: &mut String, kind: Kind, text: &str) {
    if text.is_empty() {
        return;
    }
    let class = match kind {
        Kind::Plain => return out.push_str(&escaped(text)),
        Kind::Key => "k",
        Kind::Text => "t",
        Kind::Word => "w",
    };
    *out += &format!("<span class=\"{class}\">{}</span>", escaped(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(json: &str) -> String {
        laid_out(json).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn json_is_laid_out_and_its_values_stay_as_they_were_sent() {
        let json = r#"{"a":1.50,"b":[ ],"c":{"d\"":"x:,{}","e":[true,null]}}"#;
        let expected = "{\n  \"a\": 1.50,\n  \"b\": [],\n  \"c\": {\n    \"d\\\"\": \"x:,{}\",\n    \"e\": [\n      true,\n      null\n    ]\n  }\n}";
        assert_eq!(plain(json), expected);
        let again: serde_json::Value = serde_json::from_str(&plain(json)).expect("still JSON");
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(json).expect("JSON"));
    }

    #[test]
    fn what_is_shown_is_text_and_nothing_else() {
        let html = pretty(r#"{"<script>":"</pre><img src=x onerror=alert(1)>"}"#).0;
        assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
        let html = pretty("</code></pre><script>alert(1)</script>").0;
        assert!(!html.contains("<script>"), "{html}");
    }

    #[test]
    fn what_is_long_is_folded_and_what_is_very_long_is_cut() {
        assert!(!pretty(&"x".repeat(SHOWN_MAX)).0.contains("<details"));
        let folded = pretty(&"ä".repeat(SHOWN_MAX)).0;
        assert!(folded.contains("<details") && !folded.contains("cut here"));
        let long = format!("[{}1]", "1,".repeat(600_000));
        let cut = pretty(&long).0;
        assert!(cut.contains("cut here") && cut.len() < 16 * WRITTEN_MAX, "{}", cut.len());
    }

    #[test]
    fn nesting_does_not_make_a_page_grow_without_bound() {
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(pretty(&deep).0.len() < 64 * deep.len());
    }
}

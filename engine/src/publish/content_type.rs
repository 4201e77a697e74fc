//! Content types: is this one, and does it say JSON? (RFC 9110 section 8.3.1.)

/// Whether a text is `type/subtype`, with parameters or without.
pub(super) fn is_content_type(text: &str) -> bool {
    let (essence, parameters) = split(text);
    let is_essence =
        essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    // What receivers make of parameters is theirs to know; here they only must not break a header.
    is_essence && parameters.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Whether the content is JSON: `application/json`, or a structured suffix `+json` (RFC 6839 section 3.1).
pub(crate) fn is_json(content_type: &str) -> bool {
    let (essence, _) = split(content_type);
    let ends = |end: &str| {
        essence.len() >= end.len()
            && essence.as_bytes()[essence.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
    };
    essence.eq_ignore_ascii_case("application/json") || ends("+json")
}

fn split(text: &str) -> (&str, &str) {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    (essence.trim_end_matches(' '), parameters)
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_told_from_other_texts() {
        for text in ["text/plain", "application/vnd.x+json", "text/plain; charset=utf-8", "a/b;q=\"x y\""] {
            assert!(is_content_type(text), "{text}");
        }
        for text in [
            "",
            "text",
            "/",
            "text/",
            "/plain",
            "text/pl ain",
            "text/plain\r\n",
            "text/plain;\r\nx: y",
            "té/x",
        ] {
            assert!(!is_content_type(text), "{text}");
        }
    }

    #[test]
    fn json_is_recognised_with_suffix_parameters_and_in_any_case() {
        for text in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/cloudevents+json",
            "a/b+JSON",
        ] {
            assert!(is_json(text), "{text}");
        }
        for text in ["text/json5", "application/x-www-form-urlencoded", "application/jsonl", "text/plain"] {
            assert!(!is_json(text), "{text}");
        }
    }
}

//! Headers whose values open doors: they are taken in, and never shown again.

/// Parts of names whose values are likely to be secret.
const PARTS: [&str; 8] = ["auth", "token", "secret", "password", "key", "cookie", "credential", "session"];
/// What stands for a value that opens doors.
const MASK: &str = "***";

/// Whether the value of a header of this name, in lower case, is not to be shown.
pub(super) fn is_sensitive(name: &str) -> bool {
    PARTS.iter().any(|part| name.contains(part))
}

/// The header as it may be shown. Of a value that opens doors, the scheme is no secret.
pub(super) fn masked((name, value): (String, String)) -> (String, String) {
    if !is_sensitive(&name) {
        return (name, value);
    }
    let shown = match value.split_once(' ') {
        Some((scheme @ ("Bearer" | "Basic"), _)) => format!("{scheme} {MASK}"),
        _ => MASK.into(),
    };
    (name, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_doors_is_masked_but_for_its_scheme_and_signatures_are_shown() {
        let shown = |name: &str, value: &str| masked((name.into(), value.into())).1;
        assert_eq!(shown("authorization", "Bearer abc"), "Bearer ***");
        assert_eq!(shown("x-api-key", "Bearer"), "***");
        assert_eq!(shown("webhook-signature", "v1,abc"), "v1,abc");
        assert_eq!(shown("x-shop", "42"), "42");
    }
}

//! The engine's binary, where the tests of the workspace have built it.

use std::path::PathBuf;

/// Its path. `None`, after saying so, if it is not built; with `POSTHASTE_REQUIRE_ALL=1` that is a failure: a test run
/// of the whole workspace builds it.
pub(crate) fn engine_binary() -> Option<String> {
    let tests = std::env::current_exe().unwrap();
    let target: PathBuf = tests.ancestors().nth(2).unwrap().into();
    let path = target.join("posthaste");
    if path.is_file() {
        return Some(path.to_str().unwrap().to_owned());
    }
    let why = format!("{} is not built (cargo test --workspace builds it)", path.display());
    let required = std::env::var_os("POSTHASTE_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!required, "POSTHASTE_REQUIRE_ALL is set, and {why}");
    eprintln!("SKIPPED: {why}");
    None
}

//! docs/protocol.md says what the code says.

use posthaste_protocol::command::Definition;
use posthaste_protocol::frame::Limits;
use posthaste_protocol::reply::ErrorCode;

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// The line of a table whose first cell is this, in the section of this name.
fn row(section: &str, first_cell: &str) -> Vec<String> {
    let begin = format!("| {first_cell} |");
    let heading = format!("## {section}");
    let section = DOCUMENT.lines().skip_while(|line| *line != heading).skip(1);
    let line = section.take_while(|line| !line.starts_with("## ")).find(|line| line.starts_with(&begin));
    let line = line.unwrap_or_else(|| panic!("docs/protocol.md has no row {begin}"));
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn the_matrix_has_every_command_with_its_states() {
    for definition in Definition::all() {
        let name = format!("`{}`", definition.name.to_ascii_uppercase());
        let before = if definition.before_auth { "yes" } else { "`NOAUTH`" };
        assert_eq!(row("Commands and states", &name)[1..], [before, "yes"], "{name}");
    }
}

#[test]
fn the_limits_are_those_in_force() {
    let (before, after) = (Limits::before_auth(), Limits::after_auth(1 << 20));
    let number = |number: usize| number.to_string();
    assert_eq!(
        row("Frames and limits", "arguments of a request")[1..],
        [number(before.arguments_max), number(after.arguments_max)]
    );
    assert_eq!(row("Frames and limits", "one argument, bytes")[1], number(before.bulk_bytes_max));
    assert_eq!(
        row("Frames and limits", "one inline line, bytes")[1..],
        [number(before.line_bytes_max), number(after.line_bytes_max)]
    );
    assert_eq!(row("Frames and limits", "one request, bytes")[1], number(before.request_bytes_max));
}

#[test]
fn every_error_code_has_its_advice() {
    use ErrorCode::{Busy, Conflict, Err, Misconf, NoAuth, NoProto, Oom, WrongPass};
    for code in [Err, Conflict, Oom, Misconf, Busy, NoAuth, WrongPass, NoProto] {
        let advice = row("Errors", &format!("`{code}`"));
        assert_eq!(advice[2].starts_with("later"), code.is_temporary(), "{code}: {advice:?}");
    }
}

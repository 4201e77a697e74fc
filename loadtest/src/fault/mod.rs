//! Receivers that mean no good: every way to hang, flood, lie or break off that an engine has to survive.
//!
//! ```text
//!   fault ──at a port of its own──> place ──connection──> steps, byte by byte
//!                                     └──its name──> dns
//! ```
//!
//! Where the usual receiver does as the path of a URL says, here it is the port that decides: much of it happens before
//! there is a path. No library speaks HTTP here, because none would write what is written.
//!
//! | file | what |
//! |---|---|
//! | `kind` | a fault: name, what it does, what an engine has to make of it |
//! | `on_tcp`, `on_tls`, `on_http1`, `on_http2`, `on_answers`, `on_names` | the faults |
//! | `step`, `http1`, `http2`, `frames`, `answer`, `bomb`, `certificates`, `dns` | what they are made of |
//! | `place` | where they are met |
//!
//! Not here: what an engine made of them (`scenario::hostile`).

mod answer;
mod bomb;
mod certificates;
mod dns;
mod frames;
mod http1;
mod http2;
mod kind;
mod on_answers;
mod on_http1;
mod on_http2;
mod on_names;
mod on_tcp;
mod on_tls;
mod place;
mod step;

pub(crate) use dns::FORBIDDEN;
pub(crate) use kind::{Fault, Transport};
pub(crate) use place::{Place, Places};

/// Every fault there is.
pub(crate) fn all() -> impl Iterator<Item = &'static Fault> {
    let tables = [
        on_tcp::FAULTS,
        on_tls::FAULTS,
        on_http1::FAULTS,
        on_http2::FAULTS,
        on_answers::FAULTS,
        on_names::FAULTS,
    ];
    tables.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own_and_an_end() {
        let mut names = HashSet::new();
        for fault in all() {
            assert!(names.insert(fault.name), "{} stands for two", fault.name);
            assert!(!fault.by.is_empty() && !fault.ends.is_empty(), "{}", fault.name);
        }
        assert!(names.len() >= 30);
    }

    #[test]
    fn the_operations_document_names_every_fault() {
        let document = include_str!("../../../docs/operations.md");
        let rows = all().map(|fault| format!("| `{}` | {} |", fault.name, fault.what));
        let missing: Vec<String> = rows.filter(|row| !document.contains(row)).collect();
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }
}

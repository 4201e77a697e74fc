//! The chain of an exported audit log, checked by somebody who has nothing but the lines.
//!
//! Every entry holds the SHA-256 of the line before. So of an export without filters it can be said that nothing in it
//! was altered or taken out, as far as it reaches; and of two exports, that one continues the other.

use std::fmt;
use std::io::BufRead;

use super::audit::AuditPart;

/// What was found in a chain that holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChainReport {
    /// How many entries there are.
    pub entries: u64,
    /// The numbers of the first and the last, if there are any.
    pub span: Option<(u64, u64)>,
    /// How many made room for others, and are known by the hash of the last of them alone.
    pub left_out: u64,
    /// What the next entry will hold: keep it with the export.
    pub hash: String,
}

impl fmt::Display for ChainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, last)) = self.span else { return write!(f, "there are no entries") };
        write!(f, "{} entries from aud_{first} to aud_{last}", self.entries)?;
        if self.left_out > 0 {
            write!(f, " ({} more made room for others)", self.left_out)?;
        }
        write!(f, "; it ends with {}", self.hash)
    }
}

/// Where a chain does not hold, and why.
#[derive(Debug, thiserror::Error)]
pub enum ChainBroken {
    /// A line that is no part of an audit log.
    #[error("line {line} is no entry of an audit log: {why}")]
    Line {
        /// Which line; the first is 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// A number is left out, or comes twice.
    #[error(
        "line {line}: aud_{found} follows aud_{after}: entries are missing, or in another order (or this export was filtered)"
    )]
    Numbers {
        /// Which line.
        line: u64,
        /// What was before.
        after: u64,
        /// What came.
        found: u64,
    },
    /// A line that is not the one that the next entry was made after.
    #[error(
        "line {line}: aud_{found} does not hold the hash of what is before it: that was altered, or this was"
    )]
    Hash {
        /// Which line.
        line: u64,
        /// Which entry.
        found: u64,
    },
    /// The earlier export is not continued.
    #[error("no line has the hash {previous} or follows it: this is not what the earlier export was part of")]
    Previous {
        /// What the earlier export ended with.
        previous: String,
    },
    /// The lines cannot be read.
    #[error("line {line} cannot be read: {error}")]
    Io {
        /// Which line.
        line: u64,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Checks the lines of an export. `previous`, if given, is the hash that an earlier export ended with: then the lines must
/// follow it, or have a line that has it.
///
/// # Errors
/// The first place where the chain does not hold.
pub fn verify_chain(lines: impl BufRead, previous: Option<&str>) -> Result<ChainReport, ChainBroken> {
    let mut report = ChainReport::default();
    let mut before: Option<AuditPart> = None;
    let mut has_previous = previous.is_none();
    for (line, text) in (1..).zip(lines.split(b'\n')) {
        let text = text.map_err(|error| ChainBroken::Io { line, error })?;
        let part = AuditPart::parse(&text).map_err(|why| ChainBroken::Line { line, why })?;
        match &before {
            Some(before) => check(line, before, &part)?,
            None => {
                check_first(line, &part)?;
                has_previous |= match (&part, previous) {
                    (AuditPart::Entry(entry), Some(previous)) => entry.previous() == previous,
                    // What the earlier export ended with may be among what it stands for.
                    (AuditPart::LeftOut(_), _) | (_, None) => true,
                };
            }
        }
        has_previous |= previous.is_some_and(|previous| part.hash() == previous);
        match &part {
            AuditPart::Entry(_) => report.entries += 1,
            AuditPart::LeftOut(one) => report.left_out += one.last() - one.first() + 1,
        }
        report.span = Some((report.span.map_or(part.first(), |(first, _)| first), part.last()));
        before = Some(part);
    }
    if let Some(previous) = previous.filter(|_| !has_previous && before.is_some()) {
        return Err(ChainBroken::Previous { previous: previous.into() });
    }
    report.hash = before.map(|part| part.hash()).or(previous.map(Into::into)).unwrap_or_default();
    Ok(report)
}

fn check(line: u64, before: &AuditPart, part: &AuditPart) -> Result<(), ChainBroken> {
    if part.first() != before.last() + 1 {
        return Err(ChainBroken::Numbers { line, after: before.last(), found: part.first() });
    }
    if before.is_followed_by(part) { Ok(()) } else { Err(ChainBroken::Hash { line, found: part.first() }) }
}

/// What stands for entries cannot say what they held.
fn check_first(line: u64, part: &AuditPart) -> Result<(), ChainBroken> {
    let holds = match part {
        AuditPart::Entry(entry) => entry.number() != 1 || entry.previous().is_empty(),
        AuditPart::LeftOut(_) => true,
    };
    if holds { Ok(()) } else { Err(ChainBroken::Hash { line, found: part.first() }) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::audit::{Acting, AuditEntry, Deed, LeftOut};
    use super::*;

    fn lines() -> Vec<String> {
        let mut parts: Vec<AuditPart> = Vec::new();
        for object in ["a", "b", "c", "d", "e"] {
            let who = Acting { actor: "ann".into(), address: None };
            let entry = AuditEntry::new(parts.last(), 1_000, &who, Deed::of("a.b", object.into()));
            parts.push(AuditPart::Entry(Arc::new(entry)));
        }
        parts.into_iter().map(|part| part.line().to_owned()).collect()
    }

    fn verify(lines: &[String], previous: Option<&str>) -> Result<ChainReport, String> {
        verify_chain(lines.join("\n").as_bytes(), previous).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_export_holds_and_says_what_comes_next() {
        let lines = lines();
        let report = verify(&lines, None).expect("it holds");
        assert_eq!((report.entries, report.span, report.left_out), (5, Some((1, 5)), 0));
        let two = verify(&lines[..2], None).expect("it holds");
        assert_eq!(verify(&lines[2..], Some(&two.hash)).expect("it holds").hash, report.hash);
        assert_eq!(verify(&lines, Some(&two.hash)).expect("it begins before that").hash, report.hash);
        assert_eq!(verify(&[], None), Ok(ChainReport::default()));
        let with_newline = format!("{}\n", lines.join("\n"));
        assert_eq!(verify_chain(with_newline.as_bytes(), None).expect("it holds"), report);
    }

    #[test]
    fn whatever_is_altered_taken_out_or_moved_shows() {
        for place in 0..4 {
            let mut altered = lines();
            altered[place] = altered[place].replace("ann", "bob");
            assert!(verify(&altered, None).unwrap_err().contains("does not hold the hash"), "{place}");
            let mut shorter = lines();
            shorter.remove(place);
            let gap = verify(&shorter, None);
            assert!(place == 0 || gap.unwrap_err().contains("missing"), "{place}");
        }
        let mut moved = lines();
        moved.swap(1, 2);
        assert!(verify(&moved, None).is_err());
        assert!(verify(&["{}".into()], None).unwrap_err().starts_with("line 1 is no entry"));
        assert!(verify(&lines()[2..], Some("00")).is_err(), "it does not continue that export");
        assert!(verify(&lines(), Some("00")).is_err(), "nor does it contain its end");
    }

    #[test]
    fn what_made_room_is_counted_and_the_rest_still_holds() {
        let mut lines = lines();
        let AuditPart::Entry(third) = AuditPart::parse(lines[2].as_bytes()).unwrap() else { panic!() };
        let stands_for = AuditPart::LeftOut(Arc::new(LeftOut::new(2, 3, third.hash())));
        lines.splice(1..3, [stands_for.line().to_owned()]);
        let report = verify(&lines, None).expect("it holds");
        assert_eq!((report.entries, report.left_out), (3, 2));
        lines[1] = lines[1].replace(&third.hash(), &"0".repeat(64));
        assert!(verify(&lines, None).is_err());
    }
}

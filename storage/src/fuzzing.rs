//! What must hold for any bytes on disk, as functions that both a fuzzer and a plain test can call.
//!
//! Each target takes bytes and panics when a property does not hold. `fuzz/` feeds them with guidance by coverage,
//! the test below with the files of `corpus/` and their mutations. They lie beside what they call.
//!
//! Checksums keep arbitrary bytes out. So where a checksum would end every run early, the target computes it: what
//! stands behind it must hold by itself too.

use crate::record::{RECORD_VERSION, Record, erasure};

/// Panics where what must hold for any bytes does not hold for these.
pub type Target = fn(&[u8]);

/// The targets of this crate by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("records", records),
    ("segments", crate::log::fuzzing::segments),
    ("damaged_logs", crate::log::fuzzing::damaged_logs),
    ("index_files", crate::log::fuzzing::index_files),
    ("ledger_values", crate::ledger::fuzzing::values),
    ("catalog_values", crate::catalog::fuzzing::values),
];

/// Reads choices from the front of a target's bytes; zeros once they are used up.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn is_spent(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    pub(crate) fn u64(&mut self) -> u64 {
        let mut word = [0; 8];
        let taken = self.bytes(8);
        word[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(word)
    }

    /// So many bytes, or as many as are left.
    pub(crate) fn bytes(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// A record that is read is written so that it reads the same, and once its content is erased it is still a record,
/// of the same length, without that content. Two bytes are kind and version.
pub fn records(data: &[u8]) {
    let Some((&[kind, version], body)) = data.split_first_chunk() else { return };
    let Ok(record) = Record::decode(kind, version, body) else { return };
    // Goes through all lists.
    let shown = format!("{record:?}");
    let mut again = Vec::new();
    record.encode(&mut again);
    assert_eq!(Record::decode(kind, RECORD_VERSION, &again), Ok(record));
    assert!(again.len() >= record.bytes_min());
    assert_eq!(format!("{:?}", Record::decode(kind, RECORD_VERSION, &again).expect("it reads")), shown);
    is_erased(kind, version, body, &record);
}

fn is_erased(kind: u8, version: u8, body: &[u8], record: &Record<'_>) {
    let Some(erasure) = erasure(kind, version, body) else { return };
    let mut erased = body.to_vec();
    erased[erasure.flags_at] |= erasure.flag;
    for zeros in erasure.zeros {
        erased[zeros].fill(0);
    }
    let read = Record::decode(kind, version, &erased).expect("an erased record is a record");
    assert_eq!(
        (read.own_id(), read.about(), read.application()),
        (record.own_id(), record.about(), record.application())
    );
    match read {
        Record::Message(message) => assert!(message.erased && message.payload.is_empty()),
        Record::Carried(carried) => assert!(carried.message.erased && carried.message.payload.is_empty()),
        Record::Attempt(attempt) => {
            assert!(attempt.erased && attempt.detail.is_empty());
            assert!(attempt.response_headers.is_empty() && attempt.response_body.is_empty());
        }
        other => panic!("{other:?} has nothing to erase"),
    }
}

#[cfg(test)]
mod tests {
    use super::TARGETS;

    /// Those that make files cost more.
    fn mutations(target: &str) -> u32 {
        if matches!(target, "segments" | "damaged_logs") { 2_000 } else { 20_000 }
    }

    #[test]
    fn what_fuzzing_found_worth_keeping_and_its_mutations_break_nothing() {
        posthaste_corpus::replay_all(TARGETS, mutations);
    }
}

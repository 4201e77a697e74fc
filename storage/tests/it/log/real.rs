//! The same log on the disk of this machine.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use posthaste_storage::disk::{Disk, RealDisk};
use posthaste_storage::log::{Log, LogOptions, LogReader, RECORD_BYTES_MAX};
use posthaste_storage::record::Record;
use posthaste_storage::{EntryId, Position};

use super::kit::{attempt, message};

fn open(folder: &Path) -> Log {
    Log::open(Arc::new(RealDisk), folder, LogOptions::new(8 << 10)).unwrap().0
}

fn records(reader: &LogReader) -> usize {
    let mut records = 0;
    reader
        .replay(Position::START, reader.end(), |_, _| {
            records += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    records
}

#[test]
fn a_log_on_a_real_disk_reads_back_while_it_is_written_and_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("log");
    let mut log = open(&folder);
    let reader = log.reader();
    let mut places = Vec::new();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = 0;
            while seen < 400 {
                let now = records(&reader);
                assert!(now >= seen, "records vanished: {now} after {seen}");
                seen = now;
            }
        });
        for number in 0..200u64 {
            let id = log.next_id(number);
            let payload = vec![number as u8; 100 * number as usize];
            places.push((
                log.append(&Record::Message(message(id, number, None, &payload))).unwrap(),
                payload.len(),
            ));
            let next = log.next_id(number);
            log.append(&Record::Attempt(attempt(next, id, number))).unwrap();
            log.commit().unwrap();
        }
        watcher.join().unwrap();
    });
    drop(log);
    let log = open(&folder);
    assert_eq!(records(&log.reader()), 400);
    for (at, bytes) in places {
        let (body, payload) = log.reader().record_at(at).unwrap().unwrap().into_payload().unwrap();
        assert_eq!(body[payload].len(), bytes);
    }
    assert!(log.segments().len() > 64, "more segments than files are kept open");
    assert!(RealDisk.available_bytes(&folder).unwrap() > u64::from(RECORD_BYTES_MAX));
}

#[test]
fn a_successful_attempt_takes_less_than_96_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let attempt = Record::Attempt(attempt(EntryId::new(2, 0), EntryId::new(1, 0), 1));
    let (first, second) = (log.append(&attempt), log.append(&attempt));
    assert_eq!(second.unwrap().offset - first.unwrap().offset, 88);
}

#[test]
fn readers_go_to_any_thread_and_the_writer_to_one() {
    fn any_thread<T: Send + Sync + Clone>() {}
    fn one_thread<T: Send>() {}
    any_thread::<LogReader>();
    one_thread::<Log>();
}

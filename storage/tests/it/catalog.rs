//! What the catalog store promises.

use std::collections::BTreeMap;

use posthaste_storage::Position;
use posthaste_storage::catalog::{
    CATALOG_KEY_BYTES_MAX, CATALOG_VALUE_BYTES_MAX, CatalogChange, CatalogEntry, CatalogError, CatalogStore,
};
use posthaste_storage::shelf::{MemoryShelf, Shelf, ShelfBatch};
use proptest::prelude::*;

fn at(offset: u32) -> Position {
    Position { segment: 1, offset }
}

fn put<'a>(key: &'a [u8], value: &'a [u8], offset: u32) -> CatalogChange<'a> {
    CatalogChange { key, value: Some(value), at: at(offset) }
}

fn remove(key: &[u8], offset: u32) -> CatalogChange<'_> {
    CatalogChange { key, value: None, at: at(offset) }
}

fn on_memory() -> (MemoryShelf, CatalogStore) {
    let shelf = MemoryShelf::new();
    let store = CatalogStore::on_shelf(Box::new(shelf.clone())).unwrap();
    (shelf, store)
}

fn keys(entries: impl Iterator<Item = Result<CatalogEntry, CatalogError>>) -> Vec<Vec<u8>> {
    entries.map(|entry| entry.unwrap().key).collect()
}

#[test]
fn what_was_applied_is_there_after_a_restart_with_the_position_it_leads_to() {
    let (shelf, mut store) = on_memory();
    store.apply(&[put(b"app_1", b"shop", 10), put(b"ep_1", b"https://a", 20)], at(30)).unwrap();
    store.apply(&[put(b"ep_1", b"https://b", 30), remove(b"app_1", 40)], at(50)).unwrap();
    let store = CatalogStore::on_shelf(Box::new(shelf)).unwrap();
    assert_eq!((store.position(), store.len()), (at(50), 1));
    let entries: Vec<_> = store.iter().map(Result::unwrap).collect();
    assert_eq!(entries, [CatalogEntry { key: b"ep_1".into(), value: b"https://b".into(), at: at(30) }]);
}

#[test]
fn changes_to_one_key_count_in_their_order() {
    let (_, mut store) = on_memory();
    store.apply(&[put(b"a", b"1", 10), remove(b"a", 20), put(b"a", b"2", 30)], at(40)).unwrap();
    assert_eq!(store.len(), 1);
    store.apply(&[remove(b"a", 40), remove(b"a", 50), remove(b"b", 60)], at(70)).unwrap();
    assert!(store.is_empty());
}

#[test]
fn what_an_old_segment_still_holds_alone_is_found_and_can_be_carried_forward() {
    let (_, mut store) = on_memory();
    store.apply(&[put(b"a", b"1", 10), put(b"b", b"2", 20), put(b"c", b"3", 30)], at(40)).unwrap();
    assert_eq!(keys(store.entries_before(at(30), None)), [b"a", b"b"]);
    assert_eq!(keys(store.entries_before(at(30), Some(b"a"))), [b"b"]);
    store.apply(&[put(b"a", b"1", 40), put(b"b", b"2", 50)], at(60)).unwrap();
    assert!(keys(store.entries_before(at(30), None)).is_empty());
    assert_eq!(store.len(), 3);
}

#[test]
fn a_change_over_a_limit_is_refused_with_its_size_and_nothing_changes() {
    let (_, mut store) = on_memory();
    let (long, large) = (vec![0; CATALOG_KEY_BYTES_MAX + 1], vec![0; CATALOG_VALUE_BYTES_MAX + 1]);
    let error = store.apply(&[put(b"a", b"1", 10), put(&long, b"1", 20)], at(30)).unwrap_err();
    assert_eq!(error.to_string(), "a catalog key is 1025 bytes; the limit is 1024");
    let error = store.apply(&[put(b"a", &large, 10)], at(30)).unwrap_err();
    assert_eq!(error.to_string(), "a catalog value is 786433 bytes; the limit is 786432");
    assert_eq!((store.len(), store.position()), (0, Position::START));
    let largest = [put(&long[1..], &large[1..], 10)];
    store.apply(&largest, at(30)).unwrap();
    assert_eq!(store.iter().next().unwrap().unwrap().value.len(), CATALOG_VALUE_BYTES_MAX);
}

#[test]
fn damage_anywhere_is_noticed_at_open() {
    let (shelf, mut store) = on_memory();
    store.apply(&[put(b"a", b"1", 10), put(b"b", b"2", 20)], at(30)).unwrap();
    let mut next = Vec::new();
    while let Some((key, value)) = shelf.next(&next).unwrap() {
        for byte in 0..value.len() {
            let mut flipped = value.clone();
            flipped[byte] ^= 0x40;
            let mut damaged = shelf.snapshot();
            let mut batch = ShelfBatch::default();
            batch.put(key.clone(), flipped);
            damaged.write(batch).unwrap();
            let opened = CatalogStore::on_shelf(Box::new(damaged));
            assert!(matches!(opened, Err(CatalogError::Damaged { .. })), "key {key:?} byte {byte}");
        }
        let mut missing = shelf.snapshot();
        let mut batch = ShelfBatch::default();
        batch.remove(key.clone());
        missing.write(batch).unwrap();
        assert!(CatalogStore::on_shelf(Box::new(missing)).is_err(), "without {key:?}");
        next = [&key[..], &[0]].concat();
    }
}

#[test]
fn a_cleared_catalog_is_empty_and_wants_the_whole_log() {
    let (shelf, mut store) = on_memory();
    let names: Vec<_> = (0..2_500_u32).map(u32::to_be_bytes).collect();
    let changes: Vec<_> = names.iter().map(|name| put(name, b"value", 10)).collect();
    store.apply(&changes, at(20)).unwrap();
    store.clear().unwrap();
    assert_eq!((store.len(), store.position()), (0, Position::START));
    assert_eq!(shelf.len(), 1, "the bookmark and nothing else");
}

#[test]
fn on_sled_a_catalog_closes_and_opens_again() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("catalog");
    let mut store = CatalogStore::open(&folder).unwrap();
    store.apply(&[put(b"a", b"1", 10)], at(20)).unwrap();
    assert_eq!(store.hand_over().unwrap(), at(20));
    store.close().unwrap();
    let store = CatalogStore::open(&folder).unwrap();
    assert_eq!((store.position(), keys(store.iter())), (at(20), vec![b"a".to_vec()]));
}

proptest! {
    #[test]
    fn the_catalog_is_what_its_changes_say(
        groups in proptest::collection::vec(
            proptest::collection::vec((any::<u8>(), proptest::option::of(any::<[u8; 2]>())), 0..6), 1..40,
        ),
    ) {
        let (shelf, mut store) = on_memory();
        let mut model = BTreeMap::new();
        let mut offset = 8;
        for group in &groups {
            let mut changes = Vec::new();
            for (key, value) in group {
                let key = std::slice::from_ref(key);
                let value = value.as_ref().map(|value| &value[..]);
                changes.push(CatalogChange { key, value, at: at(offset) });
                match value {
                    Some(value) => model.insert(key, (value, at(offset))),
                    None => model.remove(key),
                };
                offset += 8;
            }
            store.apply(&changes, at(offset)).unwrap();
        }
        let store = CatalogStore::on_shelf(Box::new(shelf)).unwrap();
        prop_assert_eq!(store.position(), at(offset));
        let entries: Vec<_> = store.iter().map(Result::unwrap).collect();
        let known = entries.iter().map(|entry| (&entry.key[..], (&entry.value[..], entry.at)));
        prop_assert_eq!(known.collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
    }
}

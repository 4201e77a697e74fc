//! Pages: a stretch of an ordered list, forwards or backwards from a place.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Where a page lies in the list, in the list's own direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start<K> {
    /// At the beginning.
    First,
    /// Right after this one.
    After(K),
    /// Right before this one: the page ends there.
    Before(K),
}

impl<K> Start<K> {
    /// The same place, by another key.
    pub fn map<L>(self, key: impl FnOnce(K) -> L) -> Start<L> {
        match self {
            Self::First => Start::First,
            Self::After(place) => Start::After(key(place)),
            Self::Before(place) => Start::Before(key(place)),
        }
    }
}

/// Which page is wanted.
#[derive(Debug, Clone)]
pub struct Window<K> {
    /// Where it lies.
    pub start: Start<K>,
    /// Whether the list runs from the highest key to the lowest.
    pub descending: bool,
    /// The most items.
    pub limit: usize,
}

/// A page.
#[derive(Debug)]
pub struct Page<T> {
    /// In the list's direction.
    pub items: Vec<Arc<T>>,
    /// Whether there is nothing more in the direction in which the page was sought.
    pub done: bool,
}

/// The page of a map's part between two bounds; only items that are `wanted` count.
pub(super) fn page<K: Ord + Clone, T>(
    map: &BTreeMap<K, Arc<T>>,
    (low, high): (Bound<K>, Bound<K>),
    window: &Window<K>,
    wanted: impl Fn(&T) -> bool,
) -> Page<T> {
    let backwards = matches!(window.start, Start::Before(_));
    // A backwards page of an ascending list walks down, as a forwards page of a descending one does.
    let down = window.descending != backwards;
    let (low, high) = match &window.start {
        Start::First => (low, high),
        Start::After(key) | Start::Before(key) if down => (low, Bound::Excluded(key.clone())),
        Start::After(key) | Start::Before(key) => (Bound::Excluded(key.clone()), high),
    };
    if is_empty(&low, &high) {
        return Page { items: Vec::new(), done: true };
    }
    let range = map.range((low, high)).map(|(_, item)| item);
    let one_more = window.limit.saturating_add(1);
    let mut items: Vec<_> = if down {
        range.rev().filter(|item| wanted(item)).take(one_more).cloned().collect()
    } else {
        range.filter(|item| wanted(item)).take(one_more).cloned().collect()
    };
    let done = items.len() <= window.limit;
    items.truncate(window.limit);
    if backwards {
        items.reverse();
    }
    Page { items, done }
}

/// A place outside the bounds must not make `range` panic.
fn is_empty<K: Ord>(low: &Bound<K>, high: &Bound<K>) -> bool {
    let (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) =
        (low, high)
    else {
        return false;
    };
    low >= high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start: Start<u32>, descending: bool, expect: &[u32], done: bool) {
        let map: BTreeMap<u32, Arc<u32>> = (1..=5).map(|number| (number, Arc::new(number))).collect();
        let window = Window { start, descending, limit: 2 };
        let page = page(&map, (Bound::Unbounded, Bound::Unbounded), &window, |_| true);
        let items: Vec<u32> = page.items.iter().map(|item| **item).collect();
        assert_eq!((items.as_slice(), page.done), (expect, done), "{window:?}");
    }

    #[test]
    fn pages_follow_each_other_in_both_directions_and_both_orders() {
        check(Start::First, false, &[1, 2], false);
        check(Start::After(2), false, &[3, 4], false);
        check(Start::After(4), false, &[5], true);
        check(Start::Before(5), false, &[3, 4], false);
        check(Start::Before(3), false, &[1, 2], true);
        check(Start::First, true, &[5, 4], false);
        check(Start::After(4), true, &[3, 2], false);
        check(Start::After(2), true, &[1], true);
        check(Start::Before(3), true, &[5, 4], true);
        check(Start::Before(1), true, &[3, 2], false);
    }

    #[test]
    fn a_place_outside_the_list_gives_an_empty_page() {
        check(Start::After(9), false, &[], true);
        check(Start::Before(0), false, &[], true);
        let map: BTreeMap<u32, Arc<u32>> = BTreeMap::new();
        let window = Window { start: Start::After(1), descending: true, limit: 2 };
        assert!(page(&map, (Bound::Included(3), Bound::Included(4)), &window, |_| true).items.is_empty());
    }
}

//! Inputs that fuzzing found worth keeping, and what chance makes of them, for ordinary tests.
//!
//! `files/<target>/` holds a minimal set of inputs that together reach all that fuzzing reached (`fuzz/README.md` says
//! how they were made), and each input that ever broke something. [`replay`] runs them all, then mutations
//! of them. What a mutation is depends on the target's name and the number of the run alone, so that a failure comes
//! again.
//!
//! Not here: coverage (`fuzz/`), what has to hold (`fuzzing` of the crates).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// The longest mutation, in bytes. Kept inputs may be longer.
const MUTATION_BYTES_MAX: usize = 2_048;

/// Panics where what must hold for any bytes does not hold for these.
pub type Target = fn(&[u8]);

/// Does [`replay`] for each of these targets; `mutations` says how many of which.
///
/// # Panics
/// When any of them does, after all had their turn.
pub fn replay_all(targets: &[(&str, Target)], mutations: impl Fn(&str) -> u32) {
    let breaks = |(target, run): &&(&str, Target)| {
        catch_unwind(AssertUnwindSafe(|| replay(target, mutations(target), run))).is_err()
    };
    let broken: Vec<_> = targets.iter().filter(breaks).map(|(target, _)| *target).collect();
    assert!(broken.is_empty(), "broken targets, see above: {broken:?}");
}

/// Runs `target` on each file kept for it, then on `mutations` mutations of them.
///
/// # Panics
/// When the target does, after having said on stderr for which input; when nothing is kept for it.
pub fn replay(target: &str, mutations: u32, run: impl Fn(&[u8])) {
    let kept = kept(target);
    for (path, bytes) in &kept {
        attempt(&run, bytes, || format!("{target}: {}", path.display()));
    }
    let mut chance = Chance::named(target);
    for number in 0..mutations {
        let bytes = mutation(&kept, &mut chance);
        attempt(&run, &bytes, || format!("{target}: mutation {number}"));
    }
}

fn attempt(run: &impl Fn(&[u8]), bytes: &[u8], name: impl FnOnce() -> String) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(bytes))) {
        let shown = bytes.escape_ascii();
        eprintln!("{} broke it: b\"{shown}\"", name());
        resume_unwind(panic);
    }
}

/// The files kept for a target, sorted by name, with what is in them.
fn kept(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("files").join(target);
    let listed = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("nothing is kept for {target} in {}: {error}", folder.display()));
    let mut paths: Vec<_> = listed.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "nothing is kept for {target} in {}", folder.display());
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Numbers that depend on a seed only (splitmix64).
struct Chance(u64);

impl Chance {
    fn named(name: &str) -> Self {
        Self(name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        }))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// Below `end`; 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }

    /// A stretch of `bytes`, mostly short.
    fn stretch(&mut self, bytes: usize) -> std::ops::Range<usize> {
        let longest = if self.below(4) == 0 { bytes } else { bytes.min(16) };
        let (from, len) = (self.below(bytes + 1), self.below(longest + 1));
        from..(from + len).min(bytes)
    }
}

fn mutation(kept: &[(PathBuf, Vec<u8>)], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = kept[chance.below(kept.len())].1.clone();
    for _ in 0..=chance.below(6) {
        mutate(&mut bytes, kept, chance);
    }
    bytes.truncate(MUTATION_BYTES_MAX);
    bytes
}

/// Numbers at which programs change their minds.
const EDGES: [u8; 10] = [0, 1, 0x7F, 0x80, 0xFF, b'0', b'9', b'\r', b'\n', b' '];

fn mutate(bytes: &mut Vec<u8>, kept: &[(PathBuf, Vec<u8>)], chance: &mut Chance) {
    let at = chance.below(bytes.len());
    match chance.below(8) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
        1 if !bytes.is_empty() => bytes[at] = chance.next() as u8,
        2 if !bytes.is_empty() => bytes[at] = EDGES[chance.below(EDGES.len())],
        3 if !bytes.is_empty() => {
            bytes[at] = bytes[at].wrapping_add(if chance.below(2) == 0 { 1 } else { 0xFF })
        }
        4 => drop(bytes.drain(chance.stretch(bytes.len()))),
        5 => {
            let copied = bytes[chance.stretch(bytes.len())].to_vec();
            drop(bytes.splice(at..at, copied));
        }
        6 => {
            let other = &kept[chance.below(kept.len())].1;
            let taken = other[chance.stretch(other.len())].to_vec();
            let replaced = chance.stretch(bytes.len());
            drop(bytes.splice(replaced, taken));
        }
        _ => bytes.insert(at, EDGES[chance.below(EDGES.len())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_target_gets_the_same_mutations_and_they_differ() {
        let kept = vec![(PathBuf::new(), b"*1\r\n$4\r\nPING\r\n".to_vec()), (PathBuf::new(), Vec::new())];
        let mutations = |name| {
            let mut chance = Chance::named(name);
            (0..1_000).map(|_| mutation(&kept, &mut chance)).collect::<Vec<_>>()
        };
        assert_eq!(mutations("frames"), mutations("frames"));
        assert_ne!(mutations("frames"), mutations("commands"));
        let different: std::collections::BTreeSet<_> = mutations("frames").into_iter().collect();
        assert!(different.len() > 500, "{} different mutations of 1000", different.len());
    }

    #[test]
    fn what_breaks_a_target_ends_the_test() {
        let caught = catch_unwind(|| attempt(&|_| panic!("broken"), b"x", || "a test".to_owned()));
        assert!(caught.is_err());
    }
}

//! One file's two contents: what is seen, and what a power cut would leave.

const SECTOR: usize = 512;

/// The content of a file, and its changes since the last sync.
#[derive(Default)]
pub(super) struct Inode {
    /// What readers see.
    pub(super) visible: Vec<u8>,
    /// What a power cut leaves, if it keeps none of `unsynced`.
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { bytes: usize },
}

impl Inode {
    pub(super) fn durable(content: Vec<u8>) -> Self {
        Self { visible: content.clone(), durable: content, unsynced: Vec::new() }
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.visible, offset, bytes);
        self.unsynced.push(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn truncate(&mut self, bytes: usize) {
        self.visible.resize(bytes, 0);
        self.unsynced.push(Change::Truncate { bytes });
    }

    pub(super) fn sync(&mut self) {
        self.save(&mut || true);
    }

    /// A failed sync: the kernel calls the pages clean although they never reached the disk.
    pub(super) fn forget_unsynced(&mut self) {
        self.unsynced.clear();
    }

    /// A power cut: `keep` is asked for every sector and every truncation that was not synced.
    pub(super) fn crash(&mut self, keep: &mut impl FnMut() -> bool) {
        self.save(keep);
        self.visible.clone_from(&self.durable);
    }

    fn save(&mut self, keep: &mut impl FnMut() -> bool) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Truncate { bytes } if keep() => self.durable.resize(bytes, 0),
                Change::Truncate { .. } => {}
                Change::Write { offset, bytes } => {
                    for (at, part) in sectors(offset, &bytes) {
                        if keep() {
                            put(&mut self.durable, at, part);
                        }
                    }
                }
            }
        }
    }
}

/// The write in pieces that do not cross sector borders.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done;
        let part = &bytes[done..bytes.len().min(done + SECTOR - at % SECTOR)];
        done += part.len();
        (!part.is_empty()).then_some((at, part))
    })
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

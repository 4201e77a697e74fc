//! The key file: one key a line, the newest last.
//!
//! ```text
//! # anything behind a '#' is for people
//! kmV3bBXvPuYj3N4b0vP1iwRX0x3K2pQnq7bq0mZ2p3E= 2026-03-01T09:00:00Z
//! ```
//!
//! The base64 of 32 bytes, as `openssl rand -base64 32` makes it, and if it is known when it was made. So a key can
//! come from anywhere: a new line is a rotation. Only its owner may read the file.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

use super::KeyId;
use super::xaes::KEY_BYTES;
use crate::clock::rfc3339;

/// The most keys in a file. Each costs a comparison for what is sealed with an older one.
pub const KEYS_MAX: usize = 100;
/// The largest file: more than that many keys take, with what is said about them.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Rights of others than the owner.
const RIGHTS_OF_OTHERS: u32 = 0o077;
const HEAD: &str = "# Keys of Posthaste, the newest last: it encrypts, all of them decrypt. Without them the secrets in\n\
                    # the data folder are lost. Keep a copy, and not beside copies of the data folder.\n";

/// Why the key file cannot be used. Never repeats what is in it.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system says no.
    #[error("{} (secrets.key_file): {error}", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// Others may read it.
    #[error(
        "{} (secrets.key_file): its mode is {mode:04o}, so others may use it; it must be 0600 or 0400 (chmod 600)",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What it has.
        mode: u32,
    },
    /// A line is no key.
    #[error(
        "{} (secrets.key_file): line {line} is not the base64 of 32 bytes, and when the key was made (RFC 3339) or \
         nothing behind it",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Which, from 1.
        line: usize,
    },
    /// A key twice. It would be the newest or not, depending on who looks.
    #[error("{} (secrets.key_file): the key {id} is there twice", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// Which.
        id: KeyId,
    },
    /// No key, or too many.
    #[error("{} (secrets.key_file): has {count} keys; it must have 1 to {KEYS_MAX}", path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// How many it has.
        count: usize,
    },
    /// Not a file of keys.
    #[error("{} (secrets.key_file): has more than {FILE_BYTES_MAX} bytes, or is not text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

/// A key as it lies in the file. Its memory is wiped.
pub struct StoredKey {
    key: Box<[u8; KEY_BYTES]>,
    id: KeyId,
    made: Option<jiff::Timestamp>,
}

impl StoredKey {
    /// A new key, made at this time (unix milliseconds).
    ///
    /// # Panics
    /// If the system has no randomness to give, without which nothing here is safe.
    pub fn generate(now_ms: u64) -> Self {
        let mut key = Box::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(&mut key[..]).expect("the system's random source works");
        Self { id: KeyId::of(&key), key, made: rfc3339(now_ms).parse().ok() }
    }

    /// Its id.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// When it was made, if the file says so.
    pub const fn made(&self) -> Option<jiff::Timestamp> {
        self.made
    }

    pub(super) fn key(&self) -> &[u8; KEY_BYTES] {
        &self.key
    }

    fn line(&self) -> Zeroizing<String> {
        let mut line = Zeroizing::new(String::with_capacity(128));
        BASE64_STANDARD.encode_string(&self.key[..], &mut line);
        if let Some(made) = self.made {
            line.push(' ');
            line.push_str(&made.to_string());
        }
        line.push('\n');
        line
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let decoded = Zeroizing::new(BASE64_STANDARD.decode(words.next()?).ok()?);
        let made = words.next().map(str::parse).transpose().ok()?;
        let key: Box<[u8; KEY_BYTES]> = Box::new(decoded.as_slice().try_into().ok()?);
        words.next().is_none().then(|| Self { id: KeyId::of(&key), key, made })
    }
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredKey({}, redacted)", self.id)
    }
}

/// See the head of this file.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    text: Text,
    keys: Vec<StoredKey>,
}

/// The file as it is, so that what people wrote into it stays there.
struct Text(Zeroizing<String>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

impl KeyFile {
    /// Reads the file; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, KeyFileError> {
        let io = |error| KeyFileError::Io { path: path.into(), error };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(io)?,
        };
        let mode = file.metadata().map_err(io)?.mode() & 0o7777;
        if mode & RIGHTS_OF_OTHERS != 0 {
            return Err(KeyFileError::Open { path: path.into(), mode });
        }
        // Large enough from the start, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize + 1));
        let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
        match read {
            Ok(_) if text.len() as u64 <= FILE_BYTES_MAX => Self::parse(path, text).map(Some),
            Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(io(error)),
            _ => Err(KeyFileError::NotText { path: path.into() }),
        }
    }

    /// A new file with one key in it, which is not written yet.
    pub fn fresh(path: &Path, now_ms: u64) -> Self {
        let key = StoredKey::generate(now_ms);
        let mut text = Zeroizing::new(String::with_capacity(1024));
        text.push_str(HEAD);
        text.push_str(&key.line());
        Self { path: path.into(), text: Text(text), keys: vec![key] }
    }

    /// Writes it, durable. Whoever looks meanwhile sees a whole file or none.
    pub fn write(&self) -> Result<(), KeyFileError> {
        write(&self.path, &self.text.0)
    }

    /// Adds a new key, which is the newest from then on.
    pub fn rotate(&mut self, now_ms: u64) -> Result<KeyId, KeyFileError> {
        let count = self.keys.len() + 1;
        if count > KEYS_MAX {
            return Err(KeyFileError::Count { path: self.path.clone(), count });
        }
        let key = StoredKey::generate(now_ms);
        let line = key.line();
        let mut text = Zeroizing::new(String::with_capacity(self.text.0.len() + line.len() + 1));
        text.push_str(&self.text.0);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&line);
        write(&self.path, &text)?;
        self.text = Text(text);
        self.keys.push(key);
        Ok(self.keys[count - 1].id)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest last.
    pub fn keys(&self) -> &[StoredKey] {
        &self.keys
    }

    fn parse(path: &Path, text: Zeroizing<String>) -> Result<Self, KeyFileError> {
        let mut keys: Vec<StoredKey> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            if line.trim().is_empty() {
                continue;
            }
            let key = StoredKey::parse(line);
            let key = key.ok_or_else(|| KeyFileError::Line { path: path.into(), line: number })?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeyFileError::Twice { path: path.into(), id: key.id });
            }
            keys.push(key);
        }
        if !(1..=KEYS_MAX).contains(&keys.len()) {
            return Err(KeyFileError::Count { path: path.into(), count: keys.len() });
        }
        Ok(Self { path: path.into(), text: Text(text), keys })
    }
}

/// Written beside and renamed, so that a crash leaves either the keys of before or the new ones, whole.
fn write(path: &Path, text: &str) -> Result<(), KeyFileError> {
    // A link stays one: what it leads to is written.
    let path = path.canonicalize().unwrap_or_else(|_| path.into());
    let mut beside = path.clone().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || {
        // One that was left behind may have other rights.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    };
    write().map_err(|error| KeyFileError::Io { path: path.clone(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn make(path: &Path, now_ms: u64) -> KeyFile {
        let file = KeyFile::fresh(path, now_ms);
        file.write().expect("written");
        file
    }

    fn write_with(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permitted");
    }

    fn ids(file: &KeyFile) -> Vec<KeyId> {
        file.keys().iter().map(StoredKey::id).collect()
    }

    #[test]
    fn a_file_that_was_made_reads_back_and_only_its_owner_may_read_it() {
        let folder = folder();
        let path = folder.path().join("keys");
        assert!(KeyFile::read(&path).expect("no error").is_none());
        let mut made = make(&path, 1_700_000_000_000);
        assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        let second = made.rotate(1_700_000_100_000).expect("rotated");
        assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        let read = KeyFile::read(&path).expect("readable").expect("there");
        assert_eq!(ids(&read), ids(&made));
        assert_eq!(ids(&read)[1], second);
        assert_eq!(read.keys()[0].made().expect("known").as_millisecond(), 1_700_000_000_000);
        assert!(std::fs::read_to_string(&path).expect("text").starts_with("# Keys of Posthaste"));
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_its_mode() {
        let folder = folder();
        let path = folder.path().join("keys");
        make(&path, 0);
        for mode in [0o604, 0o640, 0o660, 0o602, 0o610] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permitted");
            let refusal = KeyFile::read(&path).unwrap_err().to_string();
            assert!(refusal.contains(&format!("its mode is {mode:04o}")), "{refusal}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).expect("permitted");
        assert!(KeyFile::read(&path).is_ok());
    }

    #[test]
    fn what_people_write_into_the_file_is_understood_and_stays_there() {
        let folder = folder();
        let path = folder.path().join("keys");
        let (one, two) = (BASE64_STANDARD.encode([1; 32]), BASE64_STANDARD.encode([2; 32]));
        write_with(&path, &format!("# ours\n\n  {one}  # the first\n{two} 2026-03-01T09:00:00Z"), 0o600);
        let mut file = KeyFile::read(&path).expect("readable").expect("there");
        assert_eq!(ids(&file), [KeyId::of(&[1; 32]), KeyId::of(&[2; 32])]);
        file.rotate(0).expect("rotated");
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.starts_with("# ours\n") && text.contains("# the first\n"), "a comment is gone");
        assert_eq!(KeyFile::read(&path).expect("readable").expect("there").keys().len(), 3);
    }

    #[test]
    fn what_is_no_file_of_keys_is_refused_by_its_line_and_without_repeating_it() {
        let folder = folder();
        let path = folder.path().join("keys");
        let (key, short) = (BASE64_STANDARD.encode([1; 32]), BASE64_STANDARD.encode([0x55; 31]));
        let id = KeyId::of(&[1; 32]);
        for (text, expected) in [
            (String::new(), "has 0 keys; it must have 1 to 100".into()),
            (format!("{key}\n{short}\n"), "line 2 is not the base64 of 32 bytes".into()),
            (format!("{key} yesterday"), "line 1 is not".into()),
            (format!("{key} 2026-03-01T09:00:00Z x"), "line 1 is not".into()),
            (format!("{key}\n{key}"), format!("the key {id} is there twice")),
            ("#".repeat(FILE_BYTES_MAX as usize + 1), "has more than 65536 bytes".into()),
        ] {
            write_with(&path, &text, 0o600);
            let refusal = KeyFile::read(&path).unwrap_err().to_string();
            assert!(refusal.contains::<&str>(&expected), "{refusal}");
            assert!(!refusal.contains(&short) && !refusal.contains(&key), "{refusal}");
        }
        std::fs::write(&path, [0xff, 0xfe]).expect("written");
        assert!(matches!(KeyFile::read(&path), Err(KeyFileError::NotText { .. })));
    }

    #[test]
    fn a_link_to_a_key_file_stays_a_link() {
        let folder = folder();
        let (path, link) = (folder.path().join("keys"), folder.path().join("link"));
        make(&path, 0);
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        KeyFile::read(&link).expect("readable").expect("there").rotate(0).expect("rotated");
        assert!(std::fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(KeyFile::read(&path).expect("readable").expect("there").keys().len(), 2);
    }

    #[test]
    fn keys_never_appear_in_debug_output() {
        let folder = folder();
        let file = make(&folder.path().join("keys"), 0);
        let shown = format!("{file:?}");
        let key = BASE64_STANDARD.encode(file.keys()[0].key());
        assert!(shown.contains("redacted") && !shown.contains(&key), "{shown}");
    }
}

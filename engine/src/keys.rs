//! The keys at work: at the start, when a new one comes, and what is told about them.
//!
//! ```text
//! start:    key file -> keyring -> catalog opened -> what is plain or under an older key is stored anew
//! rotate:   the same, with a new key in the file first
//! ```
//!
//! Invariants
//! - Nothing starts while secrets of endpoints, or the key of portal tokens, need a key that is not there
//!   (`secrets.accept_unreadable` accepts the loss).
//! - A key is made by itself only where nothing is sealed yet.
//! - The key file has a new key, synced, before anything is sealed with it.
//!
//! What stays under older keys: records of the log, which are never rewritten. Of them only the secrets for URLs that
//! messages brought along are still read; they go with their segment, or are sealed anew when they are carried forward.
//!
//! Not here: how something is sealed (`keyring`), and what (`catalog::sealed`, `access::portal`, `writer`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use posthaste_storage::catalog::{CatalogChange, CatalogStore};
use posthaste_storage::disk::RealDisk;
use posthaste_storage::log::{CommitError, Log};
use posthaste_storage::record::{Change as ChangeRecord, Record};
use posthaste_storage::{EntryId, Position};

use crate::access::Portal;
use crate::catalog::{self, Catalog, Change, Opened};
use crate::clock::{Clock, rfc3339, unix_ms};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::engine::{portal, recovery_settings};
use crate::keyring::{KeyFile, KeyId, Keyring, OpenError, StoredKey, key_of};
use crate::recovery;

/// The key file where none is named: in the data folder.
const FILE: &str = "secrets.key";
/// Bytes of changes that are committed at a time.
const COMMIT_BYTES: usize = 1 << 20;
/// Endpoints whose secrets cannot be read that are named one by one.
const NAMED_MAX: usize = 10;

/// The keys of a data folder, and what they open.
pub(crate) struct Unlocked {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) opened: Opened,
}

impl Unlocked {
    /// The catalog of this store, as far as this keyring opens it.
    pub(crate) fn with(keyring: Arc<Keyring>, store: &CatalogStore) -> anyhow::Result<Self> {
        let entries = store.iter().map(|entry| entry.map(|entry| (entry.key, entry.value)));
        let opened = Catalog::open(entries.collect::<Result<Vec<_>, _>>()?, &keyring)?;
        Ok(Self { keyring, opened })
    }
}

/// Where the keys are kept.
pub(crate) fn path(config: &Config) -> PathBuf {
    match config.secrets.key_file.as_os_str().is_empty() {
        true => config.data.folder.join(FILE),
        false => config.secrets.key_file.clone(),
    }
}

/// Reads the keys, or makes the first one, and opens the catalog with them.
pub(crate) fn unlock(config: &Config, store: &CatalogStore) -> anyhow::Result<Unlocked> {
    let path = path(config);
    let accept = config.secrets.accept_unreadable;
    let portal = Portal::sealed_with(&config.data.folder).context("the key of portal tokens")?;
    let present = KeyFile::read(&path)?;
    let is_new = present.is_none();
    // Written once it is known that nothing waits for another one.
    let file = present.unwrap_or_else(|| KeyFile::fresh(&path, unix_ms()));
    let unlocked = Unlocked::with(Arc::new(Keyring::new(&file)), store)?;
    let missing = missing(&unlocked.keyring, portal, &unlocked.opened);
    if !missing.is_empty() && !accept {
        bail!(refusal(&path, is_new, &missing));
    }
    if is_new {
        file.write()?;
        tracing::warn!(
            file = %path.display(),
            key = %unlocked.keyring.newest(),
            "a key for secrets was made: without a copy of this file, copies of the data folder are worth little"
        );
    }
    say_unreadable(&unlocked.opened);
    Ok(unlocked)
}

/// The keys that are not there, and how many endpoints need each; 0: the key of portal tokens alone does.
fn missing(keyring: &Keyring, portal: Option<KeyId>, opened: &Opened) -> BTreeMap<KeyId, usize> {
    let mut missing: BTreeMap<KeyId, usize> =
        portal.into_iter().filter(|id| !keyring.has(*id)).map(|id| (id, 0)).collect();
    for (_, error) in &opened.unreadable {
        if let OpenError::NoKey { id, .. } = error {
            *missing.entry(*id).or_default() += 1;
        }
    }
    missing
}

fn refusal(path: &Path, is_new: bool, missing: &BTreeMap<KeyId, usize>) -> String {
    let needed: Vec<String> = missing
        .iter()
        .map(|(id, endpoints)| match endpoints {
            0 => format!("{id} (portal tokens)"),
            _ => format!("{id} ({endpoints} endpoints)"),
        })
        .collect();
    let state = if is_new { "does not exist" } else { "does not have it" };
    format!(
        "secrets in the data folder are encrypted with the key {}, and {} (secrets.key_file) {state}; put that file \
         back, or give up what was encrypted with it (secrets.accept_unreadable)",
        needed.join(" and "),
        path.display()
    )
}

fn say_unreadable(opened: &Opened) {
    for (endpoint, error) in opened.unreadable.iter().take(NAMED_MAX) {
        tracing::error!(%endpoint, %error, "its secrets cannot be read: its attempts fail until it is PUT anew");
    }
    let count = opened.unreadable.len();
    if count > NAMED_MAX {
        tracing::error!(count, "endpoints whose secrets cannot be read, in all");
    }
}

/// Stores everything that is in plain text or under an older key anew. Returns how many endpoints that were.
pub(crate) fn renew(log: &mut Log, store: &mut CatalogStore, unlocked: &Unlocked) -> anyhow::Result<usize> {
    let (opened, keyring) = (&unlocked.opened, &unlocked.keyring);
    if opened.stale.is_empty() {
        return Ok(0);
    }
    let mut gathered = Vec::new();
    let mut bytes = 0;
    for change in opened.catalog.sealed_anew(&opened.stale, keyring) {
        bytes += change.value.as_ref().map_or(0, Vec::len);
        gathered.push(change);
        if bytes >= COMMIT_BYTES {
            commit(log, store, &std::mem::take(&mut gathered))?;
            bytes = 0;
        }
    }
    let recorded = opened.catalog.rotation_recorded(keyring.newest(), unix_ms());
    gathered.push(recorded.clone());
    commit(log, store, &gathered)?;
    opened.catalog.apply(&recorded.key, recorded.value.as_deref())?;
    Ok(opened.stale.len())
}

fn commit(log: &mut Log, store: &mut CatalogStore, changes: &[Change]) -> anyhow::Result<()> {
    let append = |change: &Change| {
        log.append(&Record::Change(ChangeRecord { key: &change.key, value: change.value.as_deref() }))
    };
    let places = changes.iter().map(append).collect::<Result<Vec<Position>, _>>()?;
    log.commit().inspect_err(|_| log.discard_pending())?;
    let changes: Vec<CatalogChange<'_>> = changes
        .iter()
        .zip(places)
        .map(|(change, at)| CatalogChange { key: &change.key, value: change.value.as_deref(), at })
        .collect();
    Ok(store.apply(&changes, log.end())?)
}

/// As [`renew`], at the start: a full disk is no reason not to start. The next start tries again.
pub(crate) fn renew_at_start(
    log: &mut Log,
    store: &mut CatalogStore,
    unlocked: &Unlocked,
) -> anyhow::Result<()> {
    match renew(log, store, unlocked) {
        Ok(0) => Ok(()),
        Ok(endpoints) => {
            let key = unlocked.keyring.newest();
            tracing::info!(endpoints, %key, "secrets were encrypted with the newest key");
            Ok(())
        }
        Err(error) => match error.downcast_ref() {
            Some(CommitError::Full { .. }) => {
                tracing::warn!(%error, "secrets stay under their older keys until the next start");
                Ok(())
            }
            _ => Err(error).context("secrets cannot be stored under the newest key"),
        },
    }
}

/// `posthaste keys rotate`: a new key, and everything that can be stored anew is.
///
/// # Errors
/// A data folder in use; keys that do not open what is there; a disk that does not take it. A new key that is in the
/// file by then stays there, and the next start goes on.
pub fn rotate(config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let folder = DataFolder::open(&config.data.folder)?;
    check_owner(&config.data.folder)?;
    let recovered = recovery::recover(Arc::new(RealDisk), recovery_settings(config), Clock::start())?;
    let (mut log, mut store) = (recovered.log, recovered.catalog);
    unlock(config, &store)?;
    let mut file = key_file(&path(config))?;
    let before = file.keys().last().map(StoredKey::id);
    let newest = file.rotate(unix_ms())?;
    let unlocked = unlock(config, &store)?;
    let endpoints = renew(&mut log, &mut store, &unlocked)?;
    portal(config, &unlocked.keyring)?;
    store.close().context("the catalog")?;
    drop((recovered.ledger, log, folder));
    writeln!(out, "{newest} is the newest key of {}", file.path().display())?;
    writeln!(
        out,
        "the secrets of {endpoints} endpoints and the key of portal tokens are encrypted with it now"
    )?;
    if let Some(before) = before {
        writeln!(
            out,
            "keep {before}: segments of the log from before still have secrets under it. `posthaste keys list --used` \
             says when nothing does any more"
        )?;
    }
    Ok(())
}

fn key_file(path: &Path) -> anyhow::Result<KeyFile> {
    let Some(file) = KeyFile::read(path)? else {
        bail!("{} (secrets.key_file): there is no such file yet; the first start makes it", path.display());
    };
    Ok(file)
}

/// Files that another user made could not be read by the server.
pub(crate) fn check_owner(folder: &Path) -> anyhow::Result<()> {
    let (owner, own) = (std::fs::metadata(folder)?.uid(), rustix::process::geteuid().as_raw());
    if owner != own {
        bail!("{}: belongs to user {owner}, and this is user {own}: run it as that user", folder.display());
    }
    Ok(())
}

/// What is sealed with a key.
#[derive(Debug, Default)]
struct Use {
    endpoints: usize,
    portal: bool,
    messages: u64,
    newest: Option<EntryId>,
}

/// `posthaste keys list`: which keys there are; with `used`, what is still sealed with each, for which all of the log
/// is read.
///
/// # Errors
/// No key file; with `used`, a data folder in use, or a log that cannot be read.
pub fn list(config: &Config, used: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let path = path(config);
    let file = key_file(&path)?;
    let uses = if used { Some(uses(config)?) } else { None };
    let ids: Vec<KeyId> = file.keys().iter().map(StoredKey::id).collect();
    for (place, key) in file.keys().iter().enumerate() {
        let does = if place + 1 == ids.len() { "encrypts, decrypts" } else { "decrypts" };
        let made = key.made().map_or_else(|| "unknown".into(), |made| made.to_string());
        write!(out, "{}  made {made:<20}  {does:<18}", key.id())?;
        if let Some(uses) = &uses {
            write!(out, "  {}", in_words(uses.get(&key.id())))?;
        }
        writeln!(out)?;
    }
    let known: BTreeSet<KeyId> = ids.into_iter().collect();
    for (id, used) in uses.iter().flatten().filter(|(id, _)| !known.contains(id)) {
        writeln!(out, "{id}  NOT IN {}: {}", path.display(), in_words(Some(used)))?;
    }
    Ok(())
}

fn in_words(used: Option<&Use>) -> String {
    let Some(Use { endpoints, portal, messages, newest }) = used else {
        return "nothing is encrypted with it any more".into();
    };
    let portal = if *portal { ", portal tokens" } else { "" };
    let newest = newest.map_or_else(String::new, |id| format!(" (the newest of {})", rfc3339(id.ms())));
    format!("{endpoints} endpoints{portal}, {messages} messages{newest}")
}

fn uses(config: &Config) -> anyhow::Result<BTreeMap<KeyId, Use>> {
    let _folder = DataFolder::open(&config.data.folder)?;
    check_owner(&config.data.folder)?;
    let recovered = recovery::recover(Arc::new(RealDisk), recovery_settings(config), Clock::start())?;
    let mut uses = BTreeMap::<KeyId, Use>::new();
    if let Some(id) = Portal::sealed_with(&config.data.folder).context("the key of portal tokens")? {
        uses.entry(id).or_default().portal = true;
    }
    for entry in recovered.catalog.iter() {
        let entry = entry?;
        if let Some(id) = catalog::key_of_entry(&entry.key, &entry.value) {
            uses.entry(id).or_default().endpoints += 1;
        }
    }
    let reader = recovered.log.reader();
    reader.replay(Position::START, reader.end(), |_, record| {
        let Some(message) = record.message() else { return ControlFlow::Continue(()) };
        if let Some(id) = message.extras.unpack().sealed_url_secret.and_then(key_of) {
            let used = uses.entry(id).or_default();
            used.messages += 1;
            used.newest = used.newest.max(Some(message.id));
        }
        ControlFlow::Continue(())
    })?;
    Ok(uses)
}

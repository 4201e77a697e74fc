//! The data folder while no server runs on it: one change of the catalog, written into the log as a server would.
//!
//! For the first key of an installation, which cannot be made over an API that asks for one. The folder is recovered and
//! locked as at any start; what is derived from the log learns of the change at the next one.
//!
//! Not here: everything else. A server that runs is changed over its API.

use std::sync::Arc;

use anyhow::Context as _;
use parking_lot::Mutex;
use posthaste_storage::disk::RealDisk;
use posthaste_storage::log::Log;
use posthaste_storage::record::{Change as ChangeRecord, Record};

use crate::catalog::{
    Acting, ApiKey, ApiKeyDraft, BoxFuture, Change, ChangeLog, CommitError, Editor, EndpointRules, NewToken,
    Sealing, act_as,
};
use crate::clock::Clock;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::engine::{access, kept_limits, portal, recovery_settings};
use crate::keys::{self, Unlocked};
use crate::recovery::{self, Recovered};

/// In whose name something is done from the command line.
const COMMAND_LINE: &str = "command-line";

/// The log of a folder on which no server runs.
struct OwnLog(Mutex<Log>);

impl ChangeLog for OwnLog {
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), CommitError>> {
        Box::pin(async move {
            let mut log = self.0.lock();
            for change in &changes {
                let record = ChangeRecord { key: &change.key, value: change.value.as_deref() };
                log.append(&Record::Change(record)).map_err(|error| {
                    tracing::error!(%error, "the log takes nothing");
                    CommitError::Poisoned
                })?;
            }
            log.commit().map(drop).map_err(|error| {
                tracing::error!(%error, "the log takes nothing");
                CommitError::Poisoned
            })
        })
    }
}

/// Makes a key in the data folder of this configuration. `application` is the id or uid of the one it is for alone.
///
/// # Errors
/// When a server runs on the folder; when it cannot be recovered; what is wrong with the key.
pub fn create_key(
    config: &Config,
    draft: ApiKeyDraft,
    application: Option<&str>,
) -> anyhow::Result<(Arc<ApiKey>, NewToken)> {
    let folder = DataFolder::open(&config.data.folder)?;
    keys::check_owner(&config.data.folder)?;
    let recovered = recovery::recover(Arc::new(RealDisk), recovery_settings(config), Clock::start())?;
    let Recovered { log, catalog: stored, .. } = recovered;
    let Unlocked { opened, keyring } = keys::unlock(config, &stored)?;
    let catalog = Arc::new(opened.catalog);
    let application = application
        .map(|name| catalog.application(name).with_context(|| format!("there is no application '{name}'")))
        .transpose()?;
    let draft = ApiKeyDraft { application: application.map(|application| application.id), ..draft };
    let access = access(config, portal(config, &keyring)?);
    let log = Arc::new(Sealing::new(OwnLog(Mutex::new(log)), keyring));
    let editor = Editor::new(catalog, log, no_endpoints(config), kept_limits(config, &access));
    let who = Acting { actor: COMMAND_LINE.into(), address: None };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let environment = &config.api.key_environment;
    let made = runtime.block_on(act_as(who, editor.create_api_key(draft, environment)))?;
    drop(folder);
    Ok(made)
}

/// Endpoints are not edited here.
fn no_endpoints(config: &Config) -> EndpointRules {
    EndpointRules {
        check_url: Box::new(|_| Err("cannot be changed while no server runs".into())),
        check_headers: Box::new(|_| Ok(())),
        check_retry_policy: Box::new(|_| Ok(())),
        check_identity: Box::new(|_, _| Ok(())),
        unknown_event_types: config.limits.unknown_event_types,
    }
}

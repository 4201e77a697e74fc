//! What the binary promises as a whole, shown from outside: through the doors that customers have, with real
//! files, real sockets, real kills, and the programs of others.
//!
//! | about | files |
//! |---|---|
//! | messages coming in | `publish`, `routing`, `schedule`, `own_url`, `bad_input`, `bad_frames` |
//! | what becomes of them | `chains`, `outcomes`, `retries`, `lockout`, `fairness`, `history`, `repair` |
//! | what a request looks like | `formats`, `identities`, `proxy` |
//! | setting endpoints up | `probe` |
//! | what the disk is told | `secrets` |
//! | who may come in, and how far | `api_keys`, `listeners`, `tls` |
//! | whom they may make it talk to | `egress`, `advisories` |
//! | what survives | `kill`, `restart`, `derived_folders`, `torn_log`, `disk_full`, `bad_disk` |
//! | what the operator hears | `alerts`, `audit`, `traces` |
//! | the process | `start`, `documents`, `demo` |
//! | whole systems, as configurations of this one | `systems` |
//! | the pages for people, in a browser | `console` |
//! | the programs of others | `counterparts`, `examples` |
//!
//! `features` lists what the product does, and which tests show it. `harness` is what they stand on. Counterparts that
//! are not installed are skipped, which is said on standard error; with `POSTHASTE_REQUIRE_ALL=1` a missing one is a failure.

mod advisories;
mod alerts;
mod api_keys;
mod audit;
mod bad_disk;
mod bad_frames;
mod bad_input;
mod chains;
mod console;
mod counterparts;
mod demo;
mod derived_folders;
mod disk_full;
mod documents;
mod egress;
mod examples;
mod fairness;
mod features;
mod formats;
mod harness;
mod history;
mod identities;
mod kill;
mod listeners;
mod lockout;
mod outcomes;
mod own_url;
mod probe;
mod proxy;
mod publish;
mod repair;
mod restart;
mod retries;
mod routing;
mod schedule;
mod secrets;
mod start;
mod systems;
mod tls;
mod torn_log;
mod traces;

//! Posthaste: a webhook delivery engine.
//!
//! A platform hands it messages over TCP; it stores them durably, fans them out to its customers' HTTP
//! endpoints, retries for more than a day, stops knocking at shut doors, and can say afterwards what happened
//! to every one.
//!
//! The modules, in the order in which a message meets them: `ingest` (and `api`) take it in, `publish` judges
//! it, `routing` finds its endpoints in the `catalog`, the `writer` stores it, a `shard` decides (`core`) when
//! to attempt, `delivery` makes the attempt, the `keeper` remembers what is still pending, and `outcomes` and
//! `history` tell what became of it.

pub mod access;
mod alerts;
pub mod api;
mod budget;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod core;
mod data_folder;
pub mod delivery;
pub mod demo;
mod descriptors;
mod directory;
pub mod engine;
pub mod filter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod history;
mod ingest;
mod keeper;
pub mod keyring;
pub mod keys;
mod listener;
pub mod logging;
mod message;
pub mod metrics;
pub mod offline;
mod outcomes;
pub mod payload;
pub mod probe;
pub mod publish;
mod pulse;
mod readiness;
mod recovery;
pub mod routing; // for the benches: `AppRoutes` without a catalog around it
mod seam;
mod shard;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod tasks;
mod threads;
mod traces;
mod vitals;
mod writer;

//! The programs of others: what they send is understood, and what is sent to them.

mod nginx;
mod redis_benchmark;
mod redis_cli;
mod redis_py;
mod schemathesis;
mod svix_sdk;
mod webhook_verifier;

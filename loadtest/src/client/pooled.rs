//! The ready-made pooled client, on a multi-thread runtime.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::load::{Load, PlainClient};
use super::tally::Figures;

pub(super) fn run(load: &Arc<Load>) -> anyhow::Result<Figures> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    runtime.block_on(load.run(Pooled(client)))
}

struct Pooled(Client<HttpConnector, Full<Bytes>>);

impl PlainClient for Pooled {
    async fn send(&self, load: &Load, number: u64) -> anyhow::Result<bool> {
        let response = self.0.request(load.absolute(number)?).await?;
        let succeeded = response.status().is_success();
        response.into_body().collect().await?;
        Ok(succeeded)
    }
}

//! Applications and endpoints of a load, made over the API as a customer would.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use super::interrupt;
use super::layout::Layout;
use super::xadd;
use crate::engine::{Api, Engine};

/// Connections to the API at a time.
const CONNECTIONS: usize = 8;

/// Makes everything that the layout has; `url` says where an endpoint is. How long it took.
pub(crate) fn create(
    engine: &Engine,
    layout: &Layout,
    mark: &str,
    url: &(dyn Fn(u32) -> String + Sync),
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let event_type = json!({ "name": xadd::EVENT_TYPE, "description": "Messages of a load test" });
    engine.connect_api()?.post_unless_there("/api/v1/event-type", &event_type)?;
    let application = |api: &mut Api, number| {
        let name = xadd::application(mark, number);
        api.post("/api/v1/app", &json!({ "name": name, "uid": name })).map(drop)
    };
    for_each(engine, layout.applications(), &application)?;
    let endpoint = |api: &mut Api, slot| {
        let group = layout.group_of_slot(slot);
        let path = format!("/api/v1/app/{}/endpoint", xadd::application(mark, layout.application_of(group)));
        let channels = layout.channel_of(group).map(|channel| [xadd::channel(channel)]);
        api.post(&path, &json!({ "url": url(slot), "channels": channels })).map(drop)
    };
    for_each(engine, layout.endpoints(), &endpoint)?;
    Ok(began.elapsed())
}

/// Removes all of it, with what is pending.
pub(crate) fn remove(engine: &Engine, layout: &Layout, mark: &str) -> anyhow::Result<()> {
    let application =
        |api: &mut Api, number| api.delete(&format!("/api/v1/app/{}", xadd::application(mark, number)));
    for_each(engine, layout.applications(), &application)
}

/// Does something for each number, over several connections. The first error ends it.
fn for_each(
    engine: &Engine,
    count: u32,
    action: &(dyn Fn(&mut Api, u32) -> anyhow::Result<()> + Sync),
) -> anyhow::Result<()> {
    let next = AtomicU32::new(0);
    let work = || {
        let mut api = engine.connect_api()?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            ensure!(
                !interrupt::is_requested(),
                "interrupted while endpoints were made: nothing was measured"
            );
            // The others are told that it is over.
            action(&mut api, number).inspect_err(|_| next.store(count, Ordering::Relaxed))?;
        }
    };
    let threads = CONNECTIONS.min(count as usize);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked()));
        results.collect::<Vec<_>>().into_iter().collect()
    })
}

fn panicked() -> anyhow::Result<()> {
    anyhow::bail!("a thread that speaks to the API panicked")
}

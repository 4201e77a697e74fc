//! `console`: pages are there at once with a long history and messages flowing, and who watches slows nobody.
//!
//! A history of a million deliveries is made first. Then, with 2,000 messages a second flowing, every kind of page is asked
//! for again and again. At last plays in pairs, at that rate and at full speed, with and without people who watch the pages
//! that change by themselves: an overview, an endpoint, the tail of the activity.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::Context;
use super::context::{Set, each};
use crate::engine::Api;
use crate::report::Figure;
use crate::report::Report;
use crate::run::{Extent, Measured, Numbers, Pace, Plan, interrupt};

const HISTORY: u64 = 1_000_000;
const HISTORY_QUICK: u64 = 20_000;
const RATE: f64 = 2_000.0;
/// How often each page is asked for.
const ASKED: usize = 15;
const PAGE_MS_MAX: f64 = 300.0;
const FIRST_PAGE_MS_MAX: f64 = 100.0;
const FIRST_PAGE_BYTES_MAX: f64 = 100_000.0;
/// Pairs of plays, and how long each takes.
const PAIRS: u32 = 15;
const SECONDS: u64 = 4;
const SLOWED_MAX: f64 = 0.98;
const CPU_MAX: f64 = 1.02;
/// A watcher that hears nothing for so long looks whether it is to go.
const READ_TIMEOUT: Duration = Duration::from_millis(200);

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let plan = context.plan(100);
    let numbers = Numbers { applications: 1, ..plan.numbers };
    let plan = Plan { numbers, ..plan };
    let mut set = context.set(&plan, &[])?;
    let history = if context.quick { HISTORY_QUICK } else { HISTORY };
    set.play("the history", Pace::Full, Extent::Messages(history))?;
    let pages = Pages::of(&mut set.engine.connect_api()?)?;
    context.report.fact("history", format!("{history} deliveries to 100 endpoints of an application"));
    context.report.fact("pages", format!("asked for {ASKED} times each, with {RATE}/s flowing"));
    let times = times_while_flowing(context, &mut set, &pages)?;
    tell_times(context, times);
    let told = pairs(context, &mut set, &pages, Pace::Steady(RATE), tell_steady)?
        + pairs(context, &mut set, &pages, Pace::Full, tell_full)?;
    ensure!(told > 0, "nobody who watched was told anything");
    context.report.fact("watchers", format!("3 at a time; {told} parts of pages were told"));
    context.strike(set);
    Ok(())
}

/// Paths, with what is in them found at the API as a person finds it by clicking.
struct Pages {
    all: Vec<(&'static str, String)>,
    watched: Vec<String>,
}

impl Pages {
    fn of(api: &mut Api) -> anyhow::Result<Self> {
        let mut first = |path: &str| -> anyhow::Result<Value> {
            let list: Value = serde_json::from_str(&api.text(path)?)?;
            list["data"].get(0).cloned().with_context(|| format!("{path} is empty"))
        };
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned).context("a text");
        let app = text(&first("/api/v1/app?limit=1")?["id"])?;
        let endpoint = text(&first(&format!("/api/v1/app/{app}/endpoint?limit=1"))?["id"])?;
        let delivery = first(&format!("/api/v1/app/{app}/delivery?limit=1"))?;
        let (message, attempt) = (text(&delivery["msgId"])?, text(&delivery["lastAttempt"]["id"])?);
        let below = |path: &str| format!("/console/app/{app}{path}");
        let all = [
            ("overview", "/console".to_owned()),
            ("applications", "/console/app".into()),
            ("endpoints", below("")),
            ("an endpoint", below(&format!("/endpoint/{endpoint}"))),
            ("edit an endpoint", below(&format!("/endpoint/{endpoint}/edit"))),
            ("activity", below("/activity")),
            ("activity of an endpoint", below(&format!("/activity?endpoint={endpoint}"))),
            ("activity, failed ones", below("/activity?state=exhausted")),
            // Nothing matches: all of it has to be looked at, as far as a page looks.
            ("activity, answered 5xx", below("/activity?class=500")),
            ("activity on a channel", below("/activity?channel=nobody")),
            ("activity of an unknown type", below("/activity?type=never.was")),
            ("activity before all of it", below("/activity?before=2020-01-01T00:00")),
            ("a message", below(&format!("/msg/{message}"))),
            ("an attempt", below(&format!("/msg/{message}/attempt/{attempt}"))),
            ("test bench", below("/test")),
            ("alerts", "/console/alert".into()),
            ("tasks", "/console/task".into()),
            ("event types", "/console/event-type".into()),
            ("audit log", "/console/audit".into()),
            ("keys", "/console/key".into()),
            ("settings", "/console/settings".into()),
            ("signatures", "/console/verify".into()),
        ];
        let watched =
            ["/console".to_owned(), below(&format!("/endpoint/{endpoint}")), below("/activity?tail=1")];
        Ok(Self { all: all.into(), watched: watched.into() })
    }
}

/// How long a page took, each time, and how large it is.
struct Times {
    page: &'static str,
    ms: Vec<f64>,
    bytes: usize,
}

fn times_while_flowing(context: &Context<'_>, set: &mut Set, pages: &Pages) -> anyhow::Result<Vec<Times>> {
    let mut api = set.engine.connect_api()?;
    let (stage, time) = (&mut set.stage, context.seconds(30));
    std::thread::scope(|scope| {
        let flowing = scope.spawn(|| stage.publish(Pace::Steady(RATE), Extent::For(time)));
        let mut times = Vec::new();
        for (page, path) in &pages.all {
            let (mut ms, mut bytes) = (Vec::new(), 0);
            for _ in 0..ASKED {
                let began = Instant::now();
                bytes = api.text(path).with_context(|| format!("the page {page}"))?.len();
                ms.push(began.elapsed().as_secs_f64() * 1e3);
            }
            times.push(Times { page, ms, bytes });
        }
        flowing.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))?;
        anyhow::Ok(times)
    })
}

fn tell_times(context: &mut Context<'_>, times: Vec<Times>) {
    if let Some(first) = times.first() {
        let bytes = Figure::one("first page", "bytes", first.bytes as f64).at_most(FIRST_PAGE_BYTES_MAX);
        context.report.figure(bytes);
        let ms = Figure::many("first page", "ms", first.ms.clone()).at_most(FIRST_PAGE_MS_MAX);
        context.report.figure(ms);
    }
    for Times { page, ms, .. } in times {
        // Every one of them, and not the median alone.
        let slowest = ms.iter().copied().fold(0.0, f64::max);
        context.report.figure(Figure::many(page, "ms", ms));
        context.report.figure(Figure::one(format!("{page}, slowest"), "ms", slowest).at_most(PAGE_MS_MAX));
    }
}

/// Plays with and without watchers, told as ratios. Returns how many parts of pages the watchers were told.
fn pairs(
    context: &mut Context<'_>,
    set: &mut Set,
    pages: &Pages,
    pace: Pace,
    tell: fn(&mut Report, &[Measured], &[Measured]),
) -> anyhow::Result<u64> {
    let (pairs, extent) = (context.runs(PAIRS), Extent::For(context.seconds(SECONDS)));
    let (mut alone, mut watched, mut told) = (Vec::new(), Vec::new(), 0);
    for pair in (0..pairs).take_while(|_| !interrupt::is_requested()) {
        // Neither is always the first.
        for is_watched in [pair % 2 == 0, pair % 2 != 0] {
            let what = format!("{} {} of {pairs}", if is_watched { "watched" } else { "alone" }, pair + 1);
            if is_watched {
                let (play, parts) = play_watched(set, &what, pace, extent, &pages.watched)?;
                watched.push(play);
                told += parts;
            } else {
                alone.push(set.play(&what, pace, extent)?);
            }
        }
    }
    tell(&mut context.report, &alone, &watched);
    Ok(told)
}

/// A number of each play with watchers over that of the play without beside it.
fn ratios(alone: &[Measured], watched: &[Measured], of: impl Fn(&Measured) -> f64 + Copy) -> Vec<f64> {
    let both = each(watched, of).into_iter().zip(each(alone, of));
    both.map(|(watched, alone)| watched / alone).collect()
}

fn tell_steady(report: &mut Report, alone: &[Measured], watched: &[Measured]) {
    let rates = ratios(alone, watched, Measured::received_per_second);
    let figure = Figure::many(format!("deliveries at {RATE}/s, watched over alone"), "", rates);
    report.figure(figure.at_least(SLOWED_MAX));
    let p50 = |play: &Measured| play.receipts.since_acknowledged.percentiles().p50_us;
    report.figure(Figure::many(format!("p50 at {RATE}/s, alone"), "us", each(alone, p50)));
    report.figure(Figure::many(
        format!("p50 at {RATE}/s, watched over alone"),
        "",
        ratios(alone, watched, p50),
    ));
    let cpu = |play: &Measured| play.us_per_delivery(play.engine_cpu);
    let figure =
        Figure::many(format!("CPU at {RATE}/s, watched over alone"), "", ratios(alone, watched, cpu));
    report.figure(figure);
}

fn tell_full(report: &mut Report, alone: &[Measured], watched: &[Measured]) {
    let rates = each(alone, Measured::received_per_second);
    report.figure(Figure::many("deliveries at full speed, alone", "1/s", rates));
    let rates = ratios(alone, watched, Measured::received_per_second);
    report
        .figure(Figure::many("deliveries at full speed, watched over alone", "", rates).at_least(SLOWED_MAX));
    let cpu = |play: &Measured| play.us_per_delivery(play.engine_cpu);
    let cpu = ratios(alone, watched, cpu);
    report.figure(Figure::many("CPU at full speed, watched over alone", "", cpu).at_most(CPU_MAX));
}

/// A play while people watch. How many parts they were told, too.
fn play_watched(
    set: &mut Set,
    what: &str,
    pace: Pace,
    extent: Extent,
    paths: &[String],
) -> anyhow::Result<(Measured, u64)> {
    let (address, over, told) = (set.engine.api(), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (over, told) = (&over, &told);
        let watch = |path: &String| {
            let path = path.clone();
            scope.spawn(move || watch(address, &path, over, told))
        };
        let watchers: Vec<_> = paths.iter().map(watch).collect();
        let play = set.play(what, pace, extent);
        over.store(true, Ordering::Relaxed);
        for watcher in watchers {
            watcher.join().map_err(|_| anyhow::anyhow!("a watcher panicked"))??;
        }
        Ok((play?, told.load(Ordering::Relaxed)))
    })
}

fn watch(address: SocketAddr, path: &str, over: &AtomicBool, told: &AtomicU64) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n")?;
    let mut chunk = [0; 1 << 16];
    while !over.load(Ordering::Relaxed) {
        match stream.read(&mut chunk) {
            Ok(0) => bail!("{path} ended"),
            Ok(read) => {
                let parts = chunk[..read].windows(11).filter(|part| *part == b"event: part").count();
                told.fetch_add(parts as u64, Ordering::Relaxed);
            }
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error).with_context(|| path.to_owned()),
        }
    }
    Ok(())
}

//! How long questions take over ten million deliveries: the figures in docs/performance.md.
//!
//! ```text
//! cargo test --release -p posthaste --lib -- --ignored --nocapture history::figures
//! ```
//!
//! Half of the deliveries are one application's, the others are spread over a thousand; twenty thousand endpoints; one
//! attempt in fifty fails, one delivery in five thousand is given up. `POSTHASTE_DELIVERIES` is another number.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste_storage::disk::RealDisk;
use posthaste_storage::log::{Log, LogOptions};
use posthaste_storage::record::{Attempt, Course, Record};
use posthaste_storage::{EntryId, Position};

use super::tests::message;
use super::{FreshFrom, LogHistory};
use crate::api::{
    AttemptQuery, DeliveryPage, DeliveryQuery, History as _, HistoryError, MessageQuery, MessageStatus,
};
use crate::catalog::Start;
use crate::core::delivery::DeliveryState::{Delivered, Exhausted, Pending};
use crate::core::ids::{ApplicationId, EndpointId, MessageId};

const PAYLOAD: &[u8] = &[b'x'; 120];
const APPLICATIONS: u64 = 1_000;
const ENDPOINTS: u64 = 20_000;
const SEGMENT_BYTES: u32 = 256 << 20;
/// Records to a batch.
const BATCH: u64 = 512;
const ROUNDS: usize = 5;
const BIG: ApplicationId = ApplicationId::from_u64(1);
const SMALL: ApplicationId = ApplicationId::from_u64(500);
const SHOP: EndpointId = EndpointId::from_u64(7_776);

fn fill(log: &mut Log, deliveries: u64) {
    let started = Instant::now();
    for number in 0..deliveries {
        let application = if number % 2 == 0 { 1 } else { 2 + number / 2 % APPLICATIONS };
        let endpoint = number * 7_919 % ENDPOINTS;
        let now_ms = 1_732_300_000_000 + number / 10;
        let id = log.next_id(now_ms);
        let event_type = if number % 10_000 == 0 { "invoice.disputed" } else { "invoice.paid" };
        let message_at =
            append(log, &Record::Message(message(id, application, event_type, &[endpoint], PAYLOAD)));
        let failures = match number % 10_000 {
            1_234 | 1_235 => 3,
            other => u64::from(other % 50 == 0),
        };
        for attempt in 0..=failures.min(2) {
            let (state, status) = match (attempt < failures, attempt) {
                (true, 2) => (Exhausted, 503),
                (true, _) => (Pending, 503),
                (false, _) => (Delivered, 200),
            };
            let record = Attempt {
                id: log.next_id(now_ms),
                message: id,
                application,
                endpoint,
                number: attempt as u16 + 1,
                progress: attempt as u16 + 1,
                started_ms: now_ms,
                duration_us: 900,
                outcome: if status == 200 { 1 } else { 2 },
                status,
                state: state.code(),
                next_attempt_ms: if state == Pending { now_ms + 5_000 } else { 0 },
                endpoint_revision: 1,
                message_at,
                response_headers:
                    b"server: nginx\r\ndate: Fri, 22 Nov 2024 18:26:40 GMT\r\ncontent-length: 0\r\n",
                response_body: b"",
                detail: "",
                course: Course { first_byte_us: 800, reused: true, ..Course::default() },
                erased: false,
            };
            append(log, &Record::Attempt(record));
        }
        if number % BATCH == 0 {
            log.commit().unwrap();
        }
    }
    log.commit().unwrap();
    let segments = log.segments();
    let bytes: u64 = segments.iter().map(|segment| u64::from(segment.bytes)).sum();
    println!(
        "{deliveries} deliveries, {} MB, {} segments, {:?}",
        bytes >> 20,
        segments.len(),
        started.elapsed()
    );
}

fn append(log: &mut Log, record: &Record<'_>) -> Position {
    log.append(record).unwrap()
}

/// Asks a few times; says how long it took, and what came.
async fn time<T>(
    what: &str,
    ask: impl AsyncFn() -> Result<T, HistoryError>,
    say: impl Fn(&T) -> (usize, bool),
) -> T {
    let mut took = Vec::new();
    let mut last = None;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        last = Some(ask().await.unwrap());
        took.push(began.elapsed());
    }
    let last = last.unwrap();
    let (items, done) = say(&last);
    let first: Duration = took[0];
    took.sort_unstable();
    println!("| {what} | {items} | {done} | {:.1} | {:.1} |", ms(took[ROUNDS / 2]), ms(first));
    last
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn of_page(page: &DeliveryPage) -> (usize, bool) {
    (page.items.len(), page.next.is_none())
}

#[tokio::test]
#[ignore = "a measurement: it writes gigabytes"]
async fn questions_over_ten_million_deliveries() {
    let deliveries = std::env::var("POSTHASTE_DELIVERIES").map_or(10_000_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(Arc::new(RealDisk), folder.path(), LogOptions::new(SEGMENT_BYTES)).unwrap();
    fill(&mut log, deliveries);
    let fresh_from = Arc::new(FreshFrom::default());
    fresh_from.set(log.end());
    let history = LogHistory::new(log.reader(), fresh_from);
    println!("| question | items | done | ms, median | ms, first |\n|---|---|---|---|---|");
    let all = DeliveryQuery { limit: 50, ..DeliveryQuery::default() };
    let questions = [
        ("all deliveries of an application", BIG, all.clone()),
        ("those of a small application", SMALL, all.clone()),
        ("exhausted", BIG, DeliveryQuery { states: vec![Exhausted], ..all.clone() }),
        (
            "not arrived: pending, exhausted",
            BIG,
            DeliveryQuery { states: vec![Pending, Exhausted], ..all.clone() },
        ),
        ("to one endpoint", BIG, DeliveryQuery { endpoint: Some(SHOP), ..all.clone() }),
        (
            "exhausted, to one endpoint",
            BIG,
            DeliveryQuery { endpoint: Some(SHOP), states: vec![Exhausted], ..all.clone() },
        ),
        ("last answered 5xx", BIG, DeliveryQuery { status_code_class: Some(500), ..all.clone() }),
        (
            "of a rare event type",
            BIG,
            DeliveryQuery { event_types: vec!["invoice.disputed".into()], ..all.clone() },
        ),
        (
            "on a channel that nothing is on",
            BIG,
            DeliveryQuery { channel: Some("none".into()), ..all.clone() },
        ),
    ];
    for (what, application, query) in questions {
        time(what, async || history.query_deliveries(application, query.clone()).await, of_page).await;
    }
    let messages = MessageQuery {
        limit: 50,
        start: Start::First,
        event_types: Vec::new(),
        channel: None,
        before_ms: None,
        after_ms: None,
        with_content: true,
    };
    let rare = MessageQuery { event_types: vec!["invoice.disputed".into()], ..messages.clone() };
    let ask = async || history.messages(BIG, messages.clone()).await;
    let page = time("messages", ask, |page| (page.items.len(), page.done)).await;
    let oldest = page.items.last().map_or(MessageId(EntryId::MIN), |message| message.id);
    time(
        "messages of a rare event type",
        async || history.messages(BIG, rare.clone()).await,
        |page| (page.items.len(), page.done),
    )
    .await;
    let to_endpoint = async || history.messages_to_endpoint(BIG, SHOP, None, messages.clone()).await;
    time("messages to one endpoint", to_endpoint, |page| (page.items.len(), page.done)).await;
    let attempts = AttemptQuery {
        limit: 50,
        start: Start::First,
        endpoint: None,
        status: None,
        status_code_class: None,
        event_types: Vec::new(),
        channel: None,
        before_ms: None,
        after_ms: None,
        with_content: true,
    };
    let failed = AttemptQuery { status: Some(MessageStatus::Fail), ..attempts.clone() };
    let at_endpoint = async || history.attempts_by_endpoint(BIG, SHOP, attempts.clone()).await;
    time("attempts at one endpoint", at_endpoint, |page| (page.items.len(), page.done)).await;
    let failed = async || history.attempts_by_endpoint(BIG, SHOP, failed.clone()).await;
    time("failed attempts at one endpoint", failed, |page| (page.items.len(), page.done)).await;
    let of_message = async || history.attempts_by_message(BIG, oldest, attempts.clone()).await;
    time("attempts of one message", of_message, |page| (page.items.len(), page.done)).await;
    let counts = async || history.count_deliveries(BIG, SHOP, 0, u64::MAX >> 16).await;
    time("statistics of one endpoint", counts, |counts| {
        (counts.success as usize, counts.counted_since_ms.is_none())
    })
    .await;
}

//! Publishing: at full speed as far as the gates allow, or by a schedule that does not wait.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::account::Account;
use super::interrupt;
use super::lane::{Lane, Published, Run, Writer};
use super::layout::Layout;
use super::link::Link;
use super::schedule::Schedule;
use super::xadd::Wire;

/// Messages that are written at once.
const BATCH: u64 = 64;
/// An engine that refuses so many has made its point.
const REFUSALS_MAX: u64 = 100;
/// How long a writer sleeps at least: at high rates a few messages go out together. To be woken for each would take as
/// much of the processor as the engine needs for it, from the engine; the wait is part of what is measured from when
/// a message was due.
const SLEEP_MIN: Duration = Duration::from_micros(250);
/// How long a writer sleeps at most before it looks at what else happened.
const LOOK_UP: Duration = Duration::from_millis(50);

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// As fast as it goes, with a bounded number of deliveries outstanding.
    Full,
    /// So many messages a second, whatever happens.
    Steady(f64),
}

/// How long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    For(Duration),
    Messages(u64),
}

/// What is published in one go.
pub(crate) struct Orders<'a> {
    pub(crate) account: &'a Account,
    pub(crate) layout: &'a Layout,
    pub(crate) wire: &'a Wire,
    pub(crate) pace: Pace,
    pub(crate) extent: Extent,
    /// Messages that may await their acknowledgement on one connection.
    pub(crate) window: u64,
    /// The number of the first message.
    pub(crate) first: u64,
}

/// What all connections share while they publish.
struct Shared<'a> {
    orders: &'a Orders<'a>,
    next: AtomicU64,
    end: u64,
    until: Instant,
    refusals: AtomicU64,
    stopped: AtomicBool,
}

/// Publishes over all connections and returns when everything is answered. Also the number after the last message.
pub(crate) fn publish(orders: &Orders<'_>, links: &mut [Link]) -> (Published, u64) {
    let shared = Shared::new(orders);
    let lanes = links.len() as u64;
    let began = orders.account.now_ns();
    let mut published = Published::default();
    std::thread::scope(|scope| {
        let one = |(index, link)| {
            let shared = &shared;
            let name = std::thread::Builder::new().name("publish".to_owned());
            name.spawn_scoped(scope, move || shared.publish(index as u64, lanes, link, began))
        };
        let threads: Vec<_> = links.iter_mut().enumerate().map(one).collect();
        for thread in threads {
            match thread.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(part)) => published.add(part),
                Ok(Err(_)) => published.add(trouble("a publisher panicked".to_owned())),
                Err(error) => published.add(trouble(error.to_string())),
            }
        }
    });
    (published, shared.next.into_inner().min(shared.end))
}

fn trouble(why: String) -> Published {
    Published { ended: Some(why), ..Published::default() }
}

impl<'a> Shared<'a> {
    fn new(orders: &'a Orders<'a>) -> Self {
        let messages_max = orders.account.messages_max() - orders.first;
        let now = Instant::now();
        let far = now + Duration::from_secs(86_400);
        let (count, until) = match (orders.pace, orders.extent) {
            (_, Extent::Messages(count)) => (count, far),
            (Pace::Full, Extent::For(time)) => (messages_max, now + time),
            // Behind its schedule a steady pace goes on until everything is sent; twice the time is enough.
            (Pace::Steady(rate), Extent::For(time)) => ((rate * time.as_secs_f64()) as u64, now + 2 * time),
        };
        Self {
            orders,
            next: AtomicU64::new(orders.first),
            end: orders.first + count.min(messages_max),
            until,
            refusals: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    fn publish(&self, index: u64, lanes: u64, link: &mut Link, began_ns: u64) -> Published {
        let orders = self.orders;
        let lane = Lane::new(orders.account, orders.layout, orders.window);
        let refused = || self.refused();
        lane.publish(link, orders.wire.clone(), &refused, |writer| match orders.pace {
            Pace::Full => self.at_full_speed(&lane, writer),
            Pace::Steady(rate) => {
                self.next.store(self.end, Ordering::SeqCst);
                self.by_schedule(&lane, writer, Schedule::new(began_ns, rate), (index, lanes));
            }
        })
    }

    fn is_over(&self, lane: &Lane<'_>) -> bool {
        lane.is_over()
            || self.stopped.load(Ordering::Relaxed)
            || interrupt::is_requested()
            || Instant::now() >= self.until
    }

    fn at_full_speed(&self, lane: &Lane<'_>, writer: &mut Writer<'_>) {
        let account = self.orders.account;
        let batch = self.batch(lane);
        while !self.is_over(lane) {
            let has_room =
                lane.window.wait(|| self.is_over(lane)) && account.backlog.wait(|| self.is_over(lane));
            let first = self.next.fetch_add(batch, Ordering::SeqCst);
            let count = batch.min(self.end.saturating_sub(first));
            if !has_room || count == 0 {
                return;
            }
            let now = account.now_ns();
            if !writer.send(Run { first, step: 1, count }, |_| now) {
                return;
            }
        }
    }

    /// A batch is a small part of what the gates let through.
    fn batch(&self, lane: &Lane<'_>) -> u64 {
        let per_message = u64::from(self.orders.layout.fan_out());
        BATCH.min(self.orders.account.backlog.limit() / per_message / 4).min(lane.window.limit() / 2).max(1)
    }

    fn by_schedule(
        &self,
        lane: &Lane<'_>,
        writer: &mut Writer<'_>,
        schedule: Schedule,
        (index, lanes): (u64, u64),
    ) {
        // The kernel lets timers of ordinary threads be 50 us late, which is much of a short latency.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let first = self.orders.first;
        let count = self.end - first;
        let mut n = index;
        while n < count && !self.is_over(lane) {
            let due = schedule.due_by(self.orders.account.now_ns()).min(count);
            if n >= due {
                self.sleep_until(schedule.due_ns(n));
                continue;
            }
            let run = Run { first: first + n, step: lanes, count: (due - n).div_ceil(lanes).min(BATCH) };
            if !writer.send(run, |message| schedule.due_ns(message - first)) {
                return;
            }
            n += run.count * lanes;
        }
    }

    fn sleep_until(&self, due_ns: u64) {
        let left = due_ns.saturating_sub(self.orders.account.now_ns());
        std::thread::sleep(Duration::from_nanos(left).clamp(SLEEP_MIN, LOOK_UP));
    }

    fn refused(&self) {
        if self.refusals.fetch_add(1, Ordering::Relaxed) + 1 >= REFUSALS_MAX {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }
}

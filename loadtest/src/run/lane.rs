//! One connection in one play: a thread writes messages, another reads what is answered.
//!
//! ```text
//!   numbers ──> writer ──socket──> engine
//!                 │ in flight, in order
//!   account <── reader <──socket── engine
//! ```
//!
//! Threads that block, and no runtime: a batch is one system call, and nothing is woken for a single message
//! where there are many.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use parking_lot::Mutex;
use posthaste_protocol::value::Value;

use super::account::Account;
use super::gate::Gate;
use super::layout::Layout;
use super::link::{Link, Read, Replies};
use super::xadd::Wire;

/// An engine that acknowledges nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Messages in a row, or with gaps of the same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: u64,
    pub(crate) step: u64,
    pub(crate) count: u64,
}

/// What came of publishing over one connection, or over several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    /// Sent, and never answered: stored or not.
    pub(crate) lost: u64,
    /// What the first refusal said.
    pub(crate) refusal: Option<String>,
    /// Why a connection ended.
    pub(crate) ended: Option<String>,
}

/// See the head of this file.
pub(crate) struct Lane<'a> {
    account: &'a Account,
    layout: &'a Layout,
    /// Messages that await their acknowledgement.
    pub(crate) window: Gate,
    in_flight: Mutex<VecDeque<Run>>,
    written: AtomicBool,
    over: AtomicBool,
}

/// The half of a lane that writes.
pub(crate) struct Writer<'a> {
    lane: &'a Lane<'a>,
    stream: &'a mut TcpStream,
    wire: Wire,
    out: Vec<u8>,
    sent: u64,
}

impl Run {
    pub(crate) fn messages(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |n| self.first + n * self.step)
    }

    /// Takes the first message off.
    fn pop(&mut self) -> Option<u64> {
        self.count = self.count.checked_sub(1)?;
        let message = self.first;
        self.first += self.step;
        Some(message)
    }
}

impl Published {
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.lost += other.lost;
        self.refusal = self.refusal.take().or(other.refusal);
        self.ended = self.ended.take().or(other.ended);
    }
}

impl<'a> Lane<'a> {
    pub(crate) fn new(account: &'a Account, layout: &'a Layout, window: u64) -> Self {
        let (in_flight, written, over) = Default::default();
        Self { account, layout, window: Gate::new(window), in_flight, written, over }
    }

    /// Whether nothing more comes back over this lane.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Lets `write` write, and reads until all of it is answered or the connection has ended.
    pub(crate) fn publish(
        &self,
        link: &mut Link,
        wire: Wire,
        refused: &(dyn Fn() + Sync),
        write: impl FnOnce(&mut Writer<'_>) + Send,
    ) -> Published {
        let (stream, replies) = link.halves();
        std::thread::scope(|scope| {
            let reading = std::thread::Builder::new().name("acknowledged".to_owned());
            let reading = reading.spawn_scoped(scope, || self.read_all(replies, refused));
            let mut writer = Writer { lane: self, stream, wire, out: Vec::new(), sent: 0 };
            write(&mut writer);
            self.written.store(true, Ordering::SeqCst);
            let read = reading.map(|thread| thread.join().unwrap_or_else(|_| panicked()));
            let mut published = read
                .unwrap_or_else(|error| Published { ended: Some(error.to_string()), ..Published::default() });
            published.sent = writer.sent;
            self.give_up_rest(&mut published);
            published
        })
    }

    fn read_all(&self, replies: &mut Replies, refused: &(dyn Fn() + Sync)) -> Published {
        let mut published = Published::default();
        let mut reader =
            Reader { lane: self, current: Run { first: 0, step: 0, count: 0 }, acknowledged: Vec::new() };
        if let Err(end) = reader.read_all(replies, &mut published, refused) {
            published.ended = Some(format!("{end:#}"));
        }
        self.over.store(true, Ordering::SeqCst);
        // What was taken out to be answered and was not goes back to the rest.
        self.in_flight.lock().push_front(reader.current);
        published
    }

    fn give_up_rest(&self, published: &mut Published) {
        for message in self.in_flight.lock().drain(..).flat_map(Run::messages) {
            self.account.given_up(message);
            published.lost += 1;
        }
    }
}

fn panicked() -> Published {
    Published { ended: Some("the reader of acknowledgements panicked".to_owned()), ..Published::default() }
}

impl Writer<'_> {
    /// Sends messages that were due at the times that `due_ns` says. `false` when the connection has ended.
    pub(crate) fn send(&mut self, run: Run, due_ns: impl Fn(u64) -> u64) -> bool {
        self.out.clear();
        for message in run.messages() {
            self.lane.account.sent(message, due_ns(message));
            self.wire.write(&mut self.out, message, self.lane.layout.group_of_message(message));
        }
        self.lane.in_flight.lock().push_back(run);
        self.lane.window.enter(run.count);
        self.sent += run.count;
        self.stream.write_all(&self.out).is_ok()
    }
}

/// The half of a lane that reads.
struct Reader<'a> {
    lane: &'a Lane<'a>,
    /// What is answered next.
    current: Run,
    acknowledged: Vec<u64>,
}

impl Reader<'_> {
    fn read_all(
        &mut self,
        replies: &mut Replies,
        published: &mut Published,
        refused: &dyn Fn(),
    ) -> anyhow::Result<()> {
        let mut heard = Instant::now();
        loop {
            // Asked for before the queue is looked at: what is in it then is all there will be.
            let written = self.lane.written.load(Ordering::SeqCst);
            if self.current.count == 0 && self.lane.in_flight.lock().is_empty() {
                if written {
                    return Ok(());
                }
                heard = Instant::now();
            }
            match replies.read()? {
                Read::Some => heard = Instant::now(),
                Read::Closed => bail!("the engine closed the connection"),
                Read::Nothing if heard.elapsed() > SILENCE_MAX => {
                    bail!("no acknowledgement for {SILENCE_MAX:?}")
                }
                Read::Nothing => continue,
            }
            while let Some(reply) = replies.next()? {
                self.answered(&reply, published, refused)?;
            }
            self.hand_over(published);
        }
    }

    fn answered(
        &mut self,
        reply: &Value,
        published: &mut Published,
        refused: &dyn Fn(),
    ) -> anyhow::Result<()> {
        let Some(message) = self.next() else { bail!("the engine answered what was not asked") };
        match reply {
            Value::Error(text) => {
                published.refused += 1;
                published.refusal.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
                self.lane.account.given_up(message);
                self.lane.window.leave(1);
                refused();
            }
            _ => self.acknowledged.push(message),
        }
        Ok(())
    }

    /// Tells the account what one read brought, at once.
    fn hand_over(&mut self, published: &mut Published) {
        let count = self.acknowledged.len() as u64;
        self.lane.account.acknowledged(&self.acknowledged);
        self.acknowledged.clear();
        published.acknowledged += count;
        self.lane.window.leave(count);
    }

    fn next(&mut self) -> Option<u64> {
        if self.current.count == 0 {
            self.current = self.lane.in_flight.lock().pop_front()?;
        }
        self.current.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_gives_its_messages_one_by_one() {
        let mut run = Run { first: 5, step: 4, count: 3 };
        assert_eq!(run.messages().collect::<Vec<_>>(), [5, 9, 13]);
        assert_eq!([run.pop(), run.pop(), run.pop(), run.pop()], [Some(5), Some(9), Some(13), None]);
    }

    #[test]
    fn of_several_connections_the_first_trouble_is_told_and_numbers_are_added() {
        let trouble =
            |text: &str| Published { sent: 2, lost: 1, ended: Some(text.to_owned()), ..Published::default() };
        let mut all = Published { acknowledged: 1, ..Published::default() };
        all.add(trouble("one"));
        all.add(trouble("two"));
        assert_eq!((all.sent, all.lost, all.acknowledged, all.ended.as_deref()), (4, 2, 1, Some("one")));
    }
}

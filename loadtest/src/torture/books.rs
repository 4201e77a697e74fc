//! The books: what was promised and what came, kept by somebody who is not the engine.
//!
//! Two columns for each message that was published. On the left the acknowledgement, written to a file of its own
//! and synced before it counts, outside whatever is about to break. On the right what receivers saw. A **life** is the
//! time from one start of the engine to its end, however that came about.
//!
//! What is held against them, by the names in docs/reliability.md:
//! - I1: a message on the left is on the right at the end.
//! - I2: a retry does not come before its wait is over, within one life.
//! - I3: what was told as stored never comes again; what comes again was open when a life ended, and within one life
//!   nothing comes again at all (but where an attempt may rightly have been given up: `lenient`).
//! - I5: id, body and signature belong together, every time.
//! - Ids grow: from life to life too.
//!
//! Not here: which moment is bad (`kill`, `power` and the others), and how to go on after it (`trial`).

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use posthaste_protocol::StreamId;
use posthaste_protocol::command::StreamStart;

use super::body;

/// The wait of the retry policy under which the engine runs, jitter aside: there is none.
pub(super) const RETRY_WAIT: Duration = Duration::from_millis(500);
/// The engine counts in milliseconds, and begins one when the attempt ended somewhere within it.
const CLOCK_GRAIN: Duration = Duration::from_millis(2);
/// One in so many is refused at first.
const REFUSED_EVERY: u64 = 16;
/// Of so many deliveries somebody must have been told something.
const TOLD_OF: u64 = 1_000;
/// Breaches that are kept in words; all are counted.
const BREACHES_KEPT: usize = 20;

/// How receivers answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Manner {
    /// 204; one message in [`REFUSED_EVERY`] is refused once.
    Takes,
    /// 503, always.
    Refuses,
    /// Not at all.
    Hangs,
}

/// What a receiver is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Status(u16),
    Never,
}

/// A request as it came.
pub(super) struct Arrival<'a> {
    pub(super) webhook_id: &'a str,
    pub(super) signed: bool,
    pub(super) body: &'a [u8],
    /// The life in which its connection was opened.
    pub(super) life: u32,
}

/// See the head of this file.
pub(super) struct Books {
    pub(super) seed: u64,
    began: Instant,
    manner: AtomicU8,
    acknowledged: Mutex<File>,
    path: PathBuf,
    pages: Mutex<Pages>,
}

/// The books as they were at some time.
pub(super) struct Copied(Pages);

#[derive(Clone, Default)]
struct Pages {
    lines: Vec<Line>,
    numbers: HashMap<u64, u32>,
    told: HashSet<u64>,
    last_told: Option<StreamId>,
    lives: Vec<Life>,
    lenient: bool,
    refused_below: u64,
    totals: Totals,
    /// When the power went, in microseconds since the beginning.
    power_off_us: Vec<u64>,
    breaches: Vec<String>,
}

/// One message.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    /// 0: not acknowledged. Else its id in 64 bits.
    acknowledged: u64,
    /// When, in microseconds since the beginning.
    acknowledged_us: u64,
    /// 0: never came.
    came_as: u64,
    attempts: u32,
    taken: u32,
    /// The life in which it was taken last.
    life: u32,
    refused_in: u32,
    /// When it was refused last, in microseconds since the beginning; 0: never.
    refused_us: u64,
}

/// One life of the engine.
#[derive(Debug, Clone, Copy, Default)]
struct Life {
    acknowledged: u64,
    taken: u64,
    told: u64,
    /// Taken and not told when it ended.
    open: u64,
    /// Of what was taken in it, came again in a later one.
    repeats: u64,
    first_id: u64,
    last_id: u64,
}

/// Sums over everything.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) published: u64,
    pub(super) acknowledged: u64,
    /// Messages that were taken at least once.
    pub(super) taken: u64,
    /// Of these, acknowledged ones.
    pub(super) kept: u64,
    pub(super) requests: u64,
    pub(super) repeats: u64,
    /// The most that could have come again.
    pub(super) open: u64,
    /// Came again in one life where that was allowed.
    pub(super) given_up: u64,
    pub(super) refused_publishes: u64,
    pub(super) lost: u64,
    pub(super) breaches: u64,
}

impl Books {
    /// Opens a new pair of books; acknowledgements go into a file of this folder.
    pub(super) fn open(folder: &Path, seed: u64) -> anyhow::Result<Self> {
        let path = folder.join("acknowledged");
        let file = File::create_new(&path).with_context(|| format!("{}", path.display()))?;
        let pages = Pages { lives: vec![Life::default()], ..Pages::default() };
        Ok(Self {
            seed,
            began: Instant::now(),
            manner: AtomicU8::new(Manner::Takes as u8),
            acknowledged: Mutex::new(file),
            path,
            pages: Mutex::new(pages),
        })
    }

    /// Where acknowledgements are written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// From now on a message may come again within a life: attempts may have been given up.
    pub(super) fn be_lenient(&self) {
        self.pages.lock().lenient = true;
    }

    pub(super) fn set_manner(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::Relaxed);
    }

    pub(super) fn hangs(&self) -> bool {
        self.manner.load(Ordering::Relaxed) == Manner::Hangs as u8
    }

    /// Messages with smaller numbers are refused, whatever the manner.
    pub(super) fn refuse_below(&self, number: u64) {
        self.pages.lock().refused_below = number;
    }

    /// A copy of both columns, for [`Self::restore`].
    pub(super) fn copy(&self) -> Copied {
        Copied(self.pages.lock().clone())
    }

    /// Both columns become what they were. Breaches stay.
    pub(super) fn restore(&self, copied: &Copied) {
        let mut pages = self.pages.lock();
        let (count, breaches) = (pages.totals.breaches, std::mem::take(&mut pages.breaches));
        *pages = copied.0.clone();
        (pages.totals.breaches, pages.breaches) = (count, breaches);
    }

    /// Numbers for so many new messages; the first of them.
    pub(super) fn issue(&self, count: usize) -> u64 {
        let mut pages = self.pages.lock();
        let first = pages.lines.len();
        pages.lines.resize(first + count, Line::default());
        pages.totals.published += count as u64;
        first as u64
    }

    /// Writes down acknowledgements, durably, and only then lets them count.
    pub(super) fn acknowledge(&self, acknowledged: &[(u64, StreamId)]) -> anyhow::Result<()> {
        if acknowledged.is_empty() {
            return Ok(());
        }
        let now_us = self.began.elapsed().as_micros() as u64;
        let lines: String = acknowledged.iter().map(|(number, id)| format!("{number} {id}\n")).collect();
        let mut file = self.acknowledged.lock();
        file.write_all(lines.as_bytes()).and_then(|()| file.sync_data()).context("the books")?;
        drop(file);
        let mut pages = self.pages.lock();
        acknowledged.iter().for_each(|(number, id)| pages.acknowledge(*number, packed(*id), now_us));
        Ok(())
    }

    /// The power is off from here on.
    pub(super) fn power_off(&self) {
        let now_us = self.began.elapsed().as_micros() as u64;
        self.pages.lock().power_off_us.push(now_us);
    }

    /// A publish was answered with an error.
    pub(super) fn refused(&self) {
        self.pages.lock().totals.refused_publishes += 1;
    }

    /// A request came. What to answer.
    pub(super) fn arrived(&self, arrival: &Arrival<'_>) -> Answer {
        // Whatever else is wrong with it, the receiver has read it.
        let sound = body::number(arrival.body).filter(|number| body::of(self.seed, *number) == arrival.body);
        let id = webhook_id(arrival.webhook_id);
        let now_us = self.began.elapsed().as_micros() as u64;
        let manner = self.manner.load(Ordering::Relaxed);
        let mut pages = self.pages.lock();
        pages.totals.requests += 1;
        let (Some(number), Some(id)) = (sound, id) else {
            let shown = String::from_utf8_lossy(&arrival.body[..arrival.body.len().min(80)]).into_owned();
            pages.breach(format!(
                "I5: {} came with a body that nobody published: {shown}",
                arrival.webhook_id
            ));
            return Answer::Status(204);
        };
        if !arrival.signed {
            pages.breach(format!("I5: the signature of {} is not good", arrival.webhook_id));
        }
        pages.arrived(number, id, arrival.life, now_us, manner)
    }

    /// An outcome was told: this delivery is stored as delivered.
    pub(super) fn told(&self, at: StreamId, message: StreamId, delivered: bool) {
        let mut pages = self.pages.lock();
        pages.last_told = Some(at);
        let id = packed(message);
        if delivered && pages.told.insert(id) {
            let life = pages.lives.len() - 1;
            let line = pages.numbers.get(&id).map(|number| pages.lines[*number as usize]);
            if line.is_some_and(|line| line.life as usize == life) {
                pages.lives[life].told += 1;
            }
        }
    }

    /// From where to go on reading outcomes.
    pub(super) fn read_on_from(&self) -> StreamStart {
        self.pages.lock().last_told.map_or(StreamStart::BEGINNING, StreamStart::After)
    }

    /// The life that goes on.
    pub(super) fn life(&self) -> u32 {
        self.pages.lock().lives.len() as u32 - 1
    }

    /// A life is over: no request of it will come any more. What was open at its end.
    pub(super) fn end_life(&self) -> u64 {
        let mut pages = self.pages.lock();
        let life = pages.lives.last_mut().map_or(0, |life| {
            life.open = life.taken.saturating_sub(life.told);
            life.open
        });
        pages.totals.open += life;
        pages.lives.push(Life::default());
        life
    }

    /// Acknowledged and not taken yet.
    pub(super) fn owed(&self) -> u64 {
        let totals = self.pages.lock().totals;
        totals.acknowledged - totals.kept
    }

    pub(super) fn totals(&self) -> Totals {
        self.pages.lock().totals
    }

    /// Something that must not be.
    pub(super) fn breach(&self, what: String) {
        self.pages.lock().breach(what);
    }

    pub(super) fn breaches(&self) -> Vec<String> {
        self.pages.lock().breaches.clone()
    }

    /// The last look at both columns: everything that should have come has had its time. `unstored_max` is the most
    /// that may be open when a life ends.
    pub(super) fn close(&self, unstored_max: u64) -> Totals {
        let mut pages = self.pages.lock();
        pages.check_losses();
        pages.check_told();
        pages.check_lives(unstored_max);
        pages.totals
    }

    /// These have not come and never will, and the engine has said so.
    pub(super) fn write_off(&self) -> u64 {
        let mut pages = self.pages.lock();
        let mut off = 0;
        for line in &mut pages.lines {
            if line.acknowledged != 0 && line.taken == 0 {
                line.acknowledged = 0;
                off += 1;
            }
        }
        pages.totals.acknowledged -= off;
        off
    }
}

impl Pages {
    fn acknowledge(&mut self, number: u64, id: u64, now_us: u64) {
        let line = &mut self.lines[number as usize];
        let (twice, other) = (line.acknowledged != 0, line.came_as != 0 && line.came_as != id);
        (line.acknowledged, line.acknowledged_us) = (id, now_us);
        let taken = line.taken > 0;
        self.totals.acknowledged += 1;
        self.totals.kept += u64::from(taken);
        if twice || other {
            self.breach(format!("I5: message {number} was acknowledged as {}, and is another", shown(id)));
        }
        let Some(life) = self.lives.last_mut() else { return };
        life.acknowledged += 1;
        life.first_id = if life.first_id == 0 { id } else { life.first_id.min(id) };
        life.last_id = life.last_id.max(id);
    }

    fn arrived(&mut self, number: u64, id: u64, life: u32, now_us: u64, manner: u8) -> Answer {
        let Some(mut line) = self.lines.get(number as usize).copied() else {
            self.breach(format!("I5: message {number} came and was never published"));
            return Answer::Status(204);
        };
        if (line.came_as != 0 && line.came_as != id) || (line.acknowledged != 0 && line.acknowledged != id) {
            self.breach(format!("I5: message {number} came as {} and has another id", shown(id)));
        }
        line.came_as = id;
        line.attempts += 1;
        self.numbers.insert(id, number as u32);
        self.check_wait(&line, id, life, now_us);
        let is_first = line.attempts == 1 && line.taken == 0;
        let refuses = (is_first && number % REFUSED_EVERY == 3) || number < self.refused_below;
        let answer = match manner {
            _ if manner == Manner::Hangs as u8 => Answer::Never,
            _ if manner == Manner::Refuses as u8 || refuses => {
                (line.refused_us, line.refused_in) = (now_us.max(1), life);
                Answer::Status(503)
            }
            _ => {
                line.refused_us = 0;
                self.taken(&mut line, id, life);
                Answer::Status(204)
            }
        };
        self.lines[number as usize] = line;
        answer
    }

    fn check_wait(&mut self, line: &Line, id: u64, life: u32, now_us: u64) {
        let waited = Duration::from_micros(now_us.saturating_sub(line.refused_us));
        if line.refused_us != 0 && line.refused_in == life && waited + CLOCK_GRAIN < RETRY_WAIT {
            self.breach(format!("I2: {} came again after {waited:?}; its wait is {RETRY_WAIT:?}", shown(id)));
        }
    }

    fn taken(&mut self, line: &mut Line, id: u64, life: u32) {
        if line.taken == 0 {
            self.totals.taken += 1;
            self.totals.kept += u64::from(line.acknowledged != 0);
        } else {
            self.again(line, id, life);
        }
        line.taken += 1;
        line.life = life;
        self.lives[life as usize].taken += 1;
    }

    fn again(&mut self, line: &Line, id: u64, life: u32) {
        if self.told.contains(&id) {
            self.breach(format!("I3: {} was told as delivered, and came again", shown(id)));
        }
        if line.life != life {
            self.totals.repeats += 1;
            self.lives[line.life as usize].repeats += 1;
        } else if self.lenient {
            self.totals.given_up += 1;
        } else {
            self.breach(format!("I3: {} came again within one life", shown(id)));
        }
    }

    fn check_losses(&mut self) {
        let lost = |line: &&Line| line.acknowledged != 0 && line.taken == 0;
        let lost: Vec<Line> = self.lines.iter().filter(lost).copied().collect();
        self.totals.lost = lost.len() as u64;
        for line in lost {
            let nearest = self.power_off_us.iter().map(|off_us| line.acknowledged_us as i64 - *off_us as i64);
            let when = nearest.min_by_key(|us| us.abs()).map_or_else(String::new, |us| {
                format!(" ({} us {} the power went)", us.abs(), if us < 0 { "before" } else { "after" })
            });
            self.breach(format!("I1: {} was acknowledged{when} and never came", shown(line.acknowledged)));
        }
    }

    /// What was told bounds what may come again: if nobody is told, everything may.
    fn check_told(&mut self) {
        let told: u64 = self.lives.iter().map(|life| life.told).sum();
        if self.totals.kept > TOLD_OF && told == 0 {
            self.breach(format!("I3: of {} that came, nobody was told", self.totals.kept));
        }
    }

    fn check_lives(&mut self, unstored_max: u64) {
        let mut last_id = 0;
        for (number, life) in self.lives.clone().iter().enumerate() {
            let bound = life.open.min(unstored_max);
            if life.repeats > bound {
                let repeats = life.repeats;
                self.breach(format!("I3: life {number}: {repeats} came again, at most {bound} were open"));
            }
            if life.acknowledged > 0 && life.first_id <= last_id {
                self.breach(format!(
                    "life {number} begins with id {}, which is not new",
                    shown(life.first_id)
                ));
            }
            last_id = last_id.max(life.last_id);
        }
    }

    fn breach(&mut self, what: String) {
        self.totals.breaches += 1;
        if self.breaches.len() < BREACHES_KEPT {
            self.breaches.push(what);
        }
    }
}

/// An id in 64 bits: 48 of milliseconds and 16 of sequence.
fn packed(id: StreamId) -> u64 {
    id.ms << 16 | (id.seq & 0xffff)
}

fn shown(id: u64) -> String {
    format!("msg_{}-{}", id >> 16, id & 0xffff)
}

fn webhook_id(text: &str) -> Option<u64> {
    let id = StreamId::parse(text.strip_prefix("msg_")?.as_bytes(), 0).ok()?;
    Some(packed(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 5;

    fn books() -> (tempfile::TempDir, Books) {
        let folder = tempfile::tempdir().unwrap();
        let books = Books::open(folder.path(), SEED).unwrap();
        books.issue(8);
        (folder, books)
    }

    fn id(number: u64) -> StreamId {
        StreamId::new(1_000 + number, 0)
    }

    fn come(books: &Books, number: u64, life: u32) -> Answer {
        let (webhook_id, body) = (format!("msg_{}", id(number)), body::of(SEED, number));
        books.arrived(&Arrival { webhook_id: &webhook_id, signed: true, body: &body, life })
    }

    fn breaches(books: &Books) -> String {
        books.close(100);
        books.breaches().join("; ")
    }

    #[test]
    fn what_was_acknowledged_and_came_is_in_order_and_on_disk() {
        let (_folder, books) = books();
        books.acknowledge(&[(0, id(0)), (1, id(1))]).unwrap();
        assert_eq!(books.owed(), 2);
        assert_eq!((come(&books, 0, 0), come(&books, 1, 0)), (Answer::Status(204), Answer::Status(204)));
        assert_eq!((books.owed(), breaches(&books)), (0, String::new()));
        assert_eq!(std::fs::read_to_string(books.path()).unwrap(), "0 1000-0\n1 1001-0\n");
    }

    #[test]
    fn a_message_that_was_acknowledged_and_never_came_is_a_loss() {
        let (_folder, books) = books();
        books.acknowledge(&[(2, id(2))]).unwrap();
        assert_eq!(breaches(&books), "I1: msg_1002-0 was acknowledged and never came");
    }

    #[test]
    fn a_wrong_byte_a_wrong_id_and_a_bad_signature_are_found() {
        let (_folder, books) = books();
        let mut body = body::of(SEED, 0);
        let arrive = |webhook_id: &str, signed, body: &[u8]| {
            books.arrived(&Arrival { webhook_id, signed, body, life: 0 });
        };
        arrive("msg_1000-0", false, &body);
        arrive("msg_7-7", true, &body);
        *body.last_mut().unwrap() ^= 1;
        arrive("msg_1000-0", true, &body);
        let found = breaches(&books);
        for wrong in ["the signature of msg_1000-0", "came as msg_7-7", "a body that nobody published"] {
            assert!(found.contains(wrong), "{found}");
        }
    }

    #[test]
    fn what_comes_again_after_a_cut_was_open_and_within_a_life_nothing_does() {
        let (_folder, books) = books();
        come(&books, 0, 0);
        assert_eq!(books.end_life(), 1);
        come(&books, 0, 1);
        assert_eq!((breaches(&books), books.totals().repeats), (String::new(), 1));
        come(&books, 0, 1);
        assert!(breaches(&books).contains("I3: msg_1000-0 came again within one life"));
    }

    #[test]
    fn what_was_told_as_delivered_must_not_come_again() {
        let (_folder, books) = books();
        come(&books, 0, 0);
        books.told(StreamId::new(1, 1), id(0), true);
        assert_eq!(books.end_life(), 0);
        come(&books, 0, 1);
        let found = breaches(&books);
        assert!(found.contains("was told as delivered, and came again"), "{found}");
        assert!(found.contains("1 came again, at most 0 were open"), "{found}");
    }

    #[test]
    fn a_retry_that_comes_before_its_wait_is_over_is_early_and_one_after_a_cut_is_not() {
        let (_folder, books) = books();
        assert_eq!(come(&books, 3, 0), Answer::Status(503));
        books.end_life();
        assert_eq!(come(&books, 3, 1), Answer::Status(204));
        assert_eq!(breaches(&books), "");
        books.set_manner(Manner::Refuses);
        come(&books, 4, 1);
        come(&books, 4, 1);
        assert!(breaches(&books).starts_with("I2: msg_1004-0 came again after"));
    }

    #[test]
    fn ids_that_do_not_grow_over_a_restart_are_found() {
        let (_folder, books) = books();
        for number in [1, 0] {
            books.acknowledge(&[(number, id(number))]).unwrap();
            come(&books, number, books.life());
            books.end_life();
        }
        assert_eq!(breaches(&books), "life 1 begins with id msg_1000-0, which is not new");
    }
}

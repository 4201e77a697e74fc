//! `idempotency-key`: a POST that is repeated under the same key is answered as it was the first time, and not
//! carried out again.
//!
//!   new --the handler answers--> answered (repeats get that answer for 12 hours)
//!    |  \--it fails (5xx)--> forgotten, so that a repeat may try again
//!    +--a repeat meanwhile--> 409
//!
//! The handler runs in a task of its own: whoever hangs up half-way and comes again finds the answer.
//!
//! Invariants
//! - At most `keys_max` keys and `bytes_max` bytes of answers are held; beyond that the oldest of whoever has the most
//!   go (`shares`), so that one caller's flood makes nobody else's answers forgotten.
//! - A key means something together with the name of who sent it, and with one request: another method, path or
//!   body under it is refused.
//! - An answer that is shown only once is not kept.
//!
//! Not here: idempotency that survives a restart. That is a message's `eventId`.

mod shares;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::to_bytes;
use axum::extract::{Extension, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use parking_lot::Mutex;

use super::Api;
use super::error::ApiError;
use super::extract::Body;
use crate::access::Actor;
use crate::core::tick::Tick;
use shares::{Measure, Place, Shares};

/// The longest key.
pub(super) const KEY_BYTES_MAX: usize = 256;
/// How long an answer is kept.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(12 * 3_600);
/// An answer may take this part of all bytes.
const ANSWER_SHARE: usize = 8;
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is a repeated one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

type Digest = [u8; 32];

/// An answer as it is kept. Those of the API have no other headers that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    content_type: Option<HeaderValue>,
    /// `None` if it was too large to keep, or is shown only once.
    body: Option<Bytes>,
}

#[derive(Debug)]
enum Stage {
    UnderWay,
    Answered(Answer),
}

#[derive(Debug)]
struct Kept {
    caller: Arc<str>,
    request: Digest,
    /// Which of the requests under this key; others were forgotten.
    turn: u64,
    stage: Stage,
}

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    CarryOut { turn: u64 },
    Repeat(Answer),
    UnderWay,
    OtherRequest,
}

#[derive(Debug, Default)]
struct Books {
    kept: HashMap<Digest, Kept>,
    shares: Shares<Arc<str>>,
    turns: u64,
}

/// Marks an answer that has something in it which is shown only once. An extension of the response.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownOnce;

/// See the head of this file.
#[derive(Debug)]
pub struct Answers {
    keys_max: usize,
    bytes_max: usize,
    books: Mutex<Books>,
}

impl Answers {
    /// Keeps the newest so many, as far as they fit.
    pub fn new(keys_max: usize, bytes_max: usize) -> Self {
        Self { keys_max, bytes_max, books: Mutex::default() }
    }

    fn begin(&self, caller: &Arc<str>, key: Digest, request: Digest, now: Tick) -> Verdict {
        let mut books = self.books.lock();
        books.forget_before(now - KEPT_FOR);
        if let Some(kept) = books.kept.get(&key) {
            return match &kept.stage {
                _ if kept.request != request => Verdict::OtherRequest,
                Stage::UnderWay => Verdict::UnderWay,
                Stage::Answered(answer) => Verdict::Repeat(answer.clone()),
            };
        }
        books.turns += 1;
        let turn = books.turns;
        books.kept.insert(key, Kept { caller: caller.clone(), request, turn, stage: Stage::UnderWay });
        books.shares.push(caller, Place { key, turn, begun: now });
        books.shrink(self.keys_max, self.bytes_max);
        Verdict::CarryOut { turn }
    }

    fn finish(&self, key: Digest, turn: u64, answer: Answer) {
        let mut books = self.books.lock();
        let Some(kept) = books.kept.get_mut(&key).filter(|kept| kept.turn == turn) else { return };
        let fits = answer.body.as_ref().is_none_or(|body| body.len() <= self.bytes_max / ANSWER_SHARE);
        let answer = if fits { answer } else { Answer { body: None, ..answer } };
        let (bytes, caller) = (answer.bytes(), kept.caller.clone());
        kept.stage = Stage::Answered(answer);
        books.shares.add_bytes(&caller, bytes);
        books.shrink(self.keys_max, self.bytes_max);
    }

    fn forget(&self, key: Digest, turn: u64) {
        self.books.lock().remove(key, turn);
    }
}

impl Books {
    fn forget_before(&mut self, moment: Tick) {
        while let Some(place) = self.shares.pop_before(moment) {
            self.remove(place.key, place.turn);
        }
    }

    fn shrink(&mut self, keys_max: usize, bytes_max: usize) {
        let too_many = |books: &Self| match () {
            () if books.shares.keys() > keys_max => Some(Measure::Keys),
            () if books.shares.bytes() > bytes_max => Some(Measure::Bytes),
            () => None,
        };
        while let Some(measure) = too_many(self) {
            // What is under way stays: forgotten, it could be begun a second time.
            let is_under_way = |place: &Place| {
                let kept = self.kept.get(&place.key).filter(|kept| kept.turn == place.turn);
                kept.is_some_and(|kept| matches!(kept.stage, Stage::UnderWay))
            };
            let Some(place) = self.shares.pop_of_largest(measure, |place| !is_under_way(place)) else {
                return;
            };
            self.remove(place.key, place.turn);
        }
    }

    fn remove(&mut self, key: Digest, turn: u64) {
        if self.kept.get(&key).is_some_and(|kept| kept.turn == turn)
            && let Some(Kept { caller, stage: Stage::Answered(answer), .. }) = self.kept.remove(&key)
        {
            self.shares.remove_bytes(&caller, answer.bytes());
        }
    }
}

impl Answer {
    fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }

    fn into_response(self) -> Response {
        let Some(body) = self.body else { return ApiError::answer_not_kept().into_response() };
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.remove(CONTENT_TYPE);
        headers.extend(self.content_type.map(|value| (CONTENT_TYPE, value)));
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

/// A request that is carried out; if it ends without an answer, its key is forgotten.
struct Turn {
    api: Arc<Api>,
    key: Digest,
    turn: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Does nothing where there is an answer: then the turn was moved on.
        self.api.answers.forget(self.key, self.turn);
    }
}

impl Turn {
    async fn carry_out(mut self, request: Request, next: Next) -> Response {
        let (parts, body) = next.run(request).await.into_parts();
        let Ok(body) = to_bytes(body, usize::MAX).await else {
            return ApiError::broken().into_response();
        };
        if !parts.status.is_server_error() && parts.status != StatusCode::TOO_MANY_REQUESTS {
            let content_type = parts.headers.get(CONTENT_TYPE).cloned();
            let kept = parts.extensions.get::<ShownOnce>().is_none().then(|| body.clone());
            let answer = Answer { status: parts.status, content_type, body: kept };
            self.api.answers.finish(self.key, self.turn, answer);
            self.turn = 0;
        }
        Response::from_parts(parts, body.into())
    }
}

/// The middleware of every POST.
pub(super) async fn check(
    State(api): State<Arc<Api>>,
    Extension(actor): Extension<Actor>,
    request: Request,
    next: Next,
) -> Response {
    match key(request.headers()) {
        Ok(None) => next.run(request).await,
        Ok(Some(key)) => {
            let key = digest(&[actor.name.as_bytes(), key.as_bytes()]);
            answer(api, &actor.name, key, request, next).await.unwrap_or_else(ApiError::into_response)
        }
        Err(error) => error.into_response(),
    }
}

async fn answer(
    api: Arc<Api>,
    caller: &Arc<str>,
    key: Digest,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    let Body(body) = Body::read(whole, &api).await?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let asked = digest(&[parts.method.as_str().as_bytes(), target.as_bytes(), &body]);
    match api.answers.begin(caller, key, asked, api.clock.now()) {
        Verdict::CarryOut { turn } => {
            let turn = Turn { api, key, turn };
            let request = Request::from_parts(parts, body.into());
            let carried_out = tokio::spawn(turn.carry_out(request, next)).await;
            Ok(carried_out.unwrap_or_else(|_| ApiError::broken().into_response()))
        }
        Verdict::Repeat(answer) => Ok(answer.into_response()),
        Verdict::UnderWay => Err(ApiError::under_way()),
        Verdict::OtherRequest => Err(ApiError::idempotency_key(
            "idempotency-key was used for another request: its path, query or body was different",
        )),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let text = value.as_bytes();
    if text.is_empty() || text.len() > KEY_BYTES_MAX || !text.iter().all(u8::is_ascii_graphic) {
        let rule = format!("idempotency-key must be 1 to {KEY_BYTES_MAX} visible ASCII characters");
        return Err(ApiError::idempotency_key(rule));
    }
    Ok(value.to_str().ok())
}

/// Of parts, each with its length in front so that none runs into the next.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Tick = Tick::from_ms(1_732_300_000_123);

    fn answer(bytes: usize) -> Answer {
        Answer { status: StatusCode::OK, content_type: None, body: Some(vec![b'x'; bytes].into()) }
    }

    fn begin(answers: &Answers, key: u8, request: u8) -> Verdict {
        answers.begin(&"ann".into(), [key; 32], [request; 32], START)
    }

    fn carried_out(answers: &Answers, key: u8, now: Tick) -> Option<u64> {
        carried_out_for(answers, "ann", key, now)
    }

    fn carried_out_for(answers: &Answers, caller: &str, key: u8, now: Tick) -> Option<u64> {
        match answers.begin(&caller.into(), [key; 32], [1; 32], now) {
            Verdict::CarryOut { turn } => Some(turn),
            _ => None,
        }
    }

    #[test]
    fn a_repeat_gets_the_first_answer_and_another_request_under_the_key_does_not() {
        let answers = Answers::new(10, 1_000);
        let turn = carried_out(&answers, 1, START).expect("new");
        assert_eq!(begin(&answers, 1, 1), Verdict::UnderWay);
        answers.finish([1; 32], turn, answer(10));
        assert_eq!(begin(&answers, 1, 1), Verdict::Repeat(answer(10)));
        assert_eq!(begin(&answers, 1, 2), Verdict::OtherRequest);
    }

    #[test]
    fn after_twelve_hours_a_key_is_new_again() {
        let answers = Answers::new(10, 1_000);
        let turn = carried_out(&answers, 1, START).expect("new");
        answers.finish([1; 32], turn, answer(10));
        assert_eq!(carried_out(&answers, 1, START + KEPT_FOR), None);
        assert!(carried_out(&answers, 1, START + KEPT_FOR + Duration::from_millis(1)).is_some());
    }

    #[test]
    fn many_other_keys_do_not_make_one_forgotten_that_is_under_way() {
        let answers = Answers::new(10, 1_000);
        carried_out(&answers, 1, START).expect("new");
        for key in 2..50 {
            let turn = carried_out(&answers, key, START).expect("new");
            answers.finish([key; 32], turn, answer(1));
        }
        assert_eq!(begin(&answers, 1, 1), Verdict::UnderWay);
        assert!(answers.books.lock().kept.len() <= 10);
    }

    #[test]
    fn what_failed_is_forgotten_and_a_late_answer_to_it_changes_nothing() {
        let answers = Answers::new(10, 1_000);
        let first = carried_out(&answers, 1, START).expect("new");
        answers.forget([1; 32], first);
        let second = carried_out(&answers, 1, START).expect("forgotten");
        answers.finish([1; 32], first, answer(10));
        answers.forget([1; 32], first);
        assert_eq!(begin(&answers, 1, 1), Verdict::UnderWay);
        answers.finish([1; 32], second, answer(20));
        assert_eq!(begin(&answers, 1, 1), Verdict::Repeat(answer(20)));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_too_large_ones() {
        let answers = Answers::new(3, 800);
        for key in 1..=4 {
            let turn = carried_out(&answers, key, START).expect("new");
            answers.finish([key; 32], turn, answer(100));
        }
        assert!(carried_out(&answers, 1, START).is_some(), "the first of four was dropped");
        for key in 10..=60 {
            let turn = carried_out(&answers, key, START).expect("new");
            answers.finish([key; 32], turn, answer(100));
        }
        let books = answers.books.lock();
        assert!(books.kept.len() <= 3 && books.shares.keys() <= 3 && books.shares.bytes() <= 800);
    }

    #[test]
    fn a_flood_by_one_caller_makes_nobody_elses_answers_forgotten() {
        let answers = Answers::new(10, 1_000);
        for key in 1..=3 {
            let turn = carried_out_for(&answers, "quiet", key, START).expect("new");
            answers.finish([key; 32], turn, answer(50));
        }
        for key in 10..=250 {
            let turn = carried_out_for(&answers, "flood", key, START).expect("new");
            answers.finish([key; 32], turn, answer(100));
        }
        for key in 1..=3 {
            assert_eq!(carried_out_for(&answers, "quiet", key, START), None, "{key}");
        }
        assert_eq!(answers.books.lock().kept.len(), 10);
    }

    #[test]
    fn an_answer_that_is_too_large_is_remembered_without_its_body() {
        let answers = Answers::new(3, 800);
        let turn = carried_out(&answers, 1, START).expect("new");
        answers.finish([1; 32], turn, answer(101));
        let without = Answer { body: None, ..answer(0) };
        assert_eq!(begin(&answers, 1, 1), Verdict::Repeat(without));
    }
}

//! `/app/{app}/export`: an application's messages and attempts as JSON lines, oldest first.
//!
//! One object a line, with `type` `message` or `attempt` and otherwise as the API shows it. The last line has the
//! type `end` and says how many there were: without it, the export was cut short. If the log cannot be read, the
//! last line has the type `error`.
//!
//! Invariant: of each export at most two parts of about a megabyte are in memory, however slowly they are read, and no
//! thread waits. There are at most [`EXPORTS_MAX`] at a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body::Frame;
use serde::Serialize;
use tokio::sync::mpsc;

use super::Api;
use super::attempt::AttemptOut;
use super::backend::{ExportPlace, Exported};
use super::error::ApiError;
use super::extract::TheApplication;
use super::message::MessageOut;
use super::query::Query;
use crate::access::Caller;
use crate::clock::unix_ms;
use crate::core::ids::ApplicationId;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Message(Box<MessageOut>),
    Attempt(Box<AttemptOut>),
    End { messages: u64, attempts: u64 },
    Error { detail: &'a str },
}

/// Exports at a time: each holds two parts in memory for as long as its reader takes.
pub(crate) const EXPORTS_MAX: usize = 32;
/// What an export ends with whose reader's key was revoked, or has expired.
const KEY_HAS_ENDED: &str = "the key is not valid any more";

pub(super) async fn export(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, ApiError> {
    let Ok(running) = api.exports.clone().try_acquire_owned() else {
        return Err(ApiError::too_many_exports(EXPORTS_MAX));
    };
    let place = api.history.export_place(query.time_ms("after")?, query.time_ms("before")?).await?;
    let (lines, read) = mpsc::channel(1);
    tokio::spawn(async move {
        write(api, caller, application.id, place, lines).await;
        drop(running);
    });
    let body = Body::new(Lines(read));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Writes part after part, as fast as they are read. Ends when nobody reads any more, or the key of whoever does has ended.
async fn write(
    api: Arc<Api>,
    caller: Caller,
    application: ApplicationId,
    from: ExportPlace,
    lines: mpsc::Sender<Bytes>,
) {
    let (mut messages, mut attempts) = (0, 0);
    let mut place = Some(from);
    while let Some(at) = place {
        // First room, then the part: what nobody reads is not read from the disk either.
        let Ok(room) = lines.reserve().await else { return };
        if !caller.is_valid(unix_ms()) {
            return room.send(text([Line::Error { detail: KEY_HAS_ENDED }]));
        }
        let part = match api.history.export_part(application, at).await {
            Ok(part) => part,
            Err(error) => return room.send(text([Line::Error { detail: &error.to_string() }])),
        };
        let shown = part.items.iter().map(|item| match item {
            Exported::Message(message) => {
                messages += 1;
                Line::Message(Box::new(MessageOut::new(message, true)))
            }
            Exported::Attempt(attempt) => {
                attempts += 1;
                Line::Attempt(Box::new(AttemptOut::new(&api, attempt, true)))
            }
        });
        room.send(text(shown));
        place = part.next;
    }
    // Whoever has gone does not want the end either.
    let _ = lines.send(text([Line::End { messages, attempts }])).await;
}

fn text<'a>(lines: impl IntoIterator<Item = Line<'a>>) -> Bytes {
    let mut text = Vec::new();
    for line in lines {
        // What is shown has text keys and no numbers that JSON lacks.
        serde_json::to_writer(&mut text, &line).expect("what the API shows is JSON");
        text.push(b'\n');
    }
    text.into()
}

/// A body of what comes through a channel.
pub(crate) struct Lines(pub(crate) mpsc::Receiver<Bytes>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|lines| lines.map(|lines| Ok(Frame::data(lines))))
    }
}

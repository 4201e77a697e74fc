//! HTTP/2 by hand: the beginning of a connection as it should be, then what a fault wants.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::answer::Answer;
use super::frames::{self, Frame};
use super::step::{Step, Then, Wire, take};

/// More at once is not what an engine sends.
const INPUT_BYTES_MAX: usize = 32 << 20;

/// How a receiver behaves.
pub(super) struct Script {
    /// Its settings.
    pub(super) settings: Vec<(u16, u32)>,
    /// What it sends behind them, before anything is asked.
    pub(super) first: Vec<Step>,
    /// What it does about a request on this stream.
    pub(super) then: Box<dyn Fn(u32) -> Vec<Step> + Send + Sync>,
}

impl Script {
    /// With the usual settings.
    pub(super) fn about(then: impl Fn(u32) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self { settings: Vec::new(), first: Vec::new(), then: Box::new(then) }
    }

    /// Gives every request this answer.
    pub(super) fn answering(answer: Answer) -> Self {
        Self::about(move |stream| vec![Step::Send(answer.http2(stream)), Step::Again])
    }
}

/// Serves a connection until a step ends it.
pub(super) async fn serve<W: Wire>(wire: &mut W, script: &Script, pause: Duration) -> io::Result<()> {
    wire.write_all(&frames::settings(&script.settings)).await?;
    wire.flush().await?;
    for step in &script.first {
        if matches!(take(wire, step, pause).await?, Then::End) {
            return Ok(());
        }
    }
    let mut requests = Requests::default();
    while let Some(stream) = requests.next(wire).await? {
        for step in (script.then)(stream) {
            match take(wire, &step, pause).await? {
                Then::Next => {}
                Then::Again => break,
                Then::End => return Ok(()),
            }
        }
    }
    Ok(())
}

/// Requests, one after the other.
#[derive(Default)]
struct Requests {
    input: Vec<u8>,
    greeted: bool,
}

impl Requests {
    /// The stream of the next request that has come as a whole. Settings and pings are answered on the way.
    async fn next<W: Wire>(&mut self, wire: &mut W) -> io::Result<Option<u32>> {
        loop {
            if let Some(frame) = self.frame() {
                match frame {
                    Frame { kind: frames::SETTINGS, flags: 0, .. } => {
                        wire.write_all(&frames::frame(frames::SETTINGS, frames::ACK, 0, &[])).await?;
                        wire.flush().await?;
                    }
                    Frame { kind: frames::HEADERS | frames::DATA, flags, stream, .. }
                        if flags & frames::END_STREAM != 0 =>
                    {
                        return Ok(Some(stream));
                    }
                    _ => {}
                }
            } else if self.input.len() > INPUT_BYTES_MAX || wire.read_buf(&mut self.input).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn frame(&mut self) -> Option<Frame> {
        if !self.greeted {
            self.greeted = self.input.len() >= frames::PREFACE.len();
            self.input.drain(..if self.greeted { frames::PREFACE.len() } else { 0 });
        }
        let frame = frames::first(&self.input).filter(|_| self.greeted)?;
        self.input.drain(..frame.bytes);
        Some(frame)
    }
}

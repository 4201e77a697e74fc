//! The follower of outcomes: reads, waits, and takes up where it was after a lost connection.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::sleep;

use super::connection::Connection;
use super::{ConnectError, Dialler, Disconnect, FollowError, Options, ServerError};
use crate::OutcomeRecord;
use crate::command::{OUTCOMES_PREFIX, StreamStart};
use crate::value::Value;

/// Follows the outcomes of one application.
///
/// Nothing is acknowledged to the server: to resume later, keep [`Outcomes::position`]. Which outcomes are
/// still there to be read is a matter of the server's retention.
pub struct Outcomes {
    dialler: Dialler,
    options: Options,
    key: String,
    /// After the last outcome that was handed out.
    position: StreamStart,
    fetched: VecDeque<OutcomeRecord>,
    connection: Option<Connection>,
    pause: Duration,
}

/// Why a read failed.
enum Failure {
    Lost,
    Fatal(FollowError),
}

impl Outcomes {
    pub(super) fn new(dialler: Dialler, options: Options, application: &str, from: StreamStart) -> Self {
        let key = format!("{OUTCOMES_PREFIX}{application}");
        let pause = options.reconnect_wait;
        Self { dialler, options, key, position: from, fetched: VecDeque::new(), connection: None, pause }
    }

    /// Where to resume: after the last outcome that [`Self::next`] returned.
    pub fn position(&self) -> StreamStart {
        self.position
    }

    /// The next outcome; waits for one without end, over lost connections too. May be cancelled.
    ///
    /// Started from [`StreamStart::Latest`], what happens during a lost connection before the first outcome
    /// is missed.
    ///
    /// # Errors
    /// When the server refuses; calling again tries again.
    pub async fn next(&mut self) -> Result<OutcomeRecord, FollowError> {
        loop {
            if let Some(record) = self.fetched.pop_front() {
                self.position = StreamStart::After(record.id);
                return Ok(record);
            }
            match self.fetch().await {
                Ok(()) => self.pause = self.options.reconnect_wait,
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Lost) => self.wait_before_reconnecting().await,
            }
        }
    }

    async fn wait_before_reconnecting(&mut self) {
        sleep(self.pause).await;
        self.pause = (2 * self.pause).min(self.options.reconnect_wait_max);
    }

    /// One XREAD. The connection is put back only after a whole exchange, so that a cancelled or failed one
    /// leaves none that is out of step.
    async fn fetch(&mut self) -> Result<(), Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let reply = self.read(&mut connection).await.map_err(|_| Failure::Lost)?;
        self.connection = Some(connection);
        match reply {
            Value::Null => Ok(()),
            Value::Error(text) => Err(Failure::Fatal(FollowError::Refused(ServerError::parse(&text)))),
            reply => self.keep(reply).ok_or(Failure::Fatal(FollowError::NotOutcomes)),
        }
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        Connection::open(&self.dialler, &self.options).await.map_err(|error| match error {
            ConnectError::Failed(_) => Failure::Lost,
            ConnectError::Refused(error) => Failure::Fatal(FollowError::Refused(error)),
        })
    }

    async fn read(&self, connection: &mut Connection) -> Result<Value, Disconnect> {
        let wait = self.options.follow_wait;
        // BLOCK 0 would wait without end.
        let block_ms = wait.as_millis().max(1).to_string();
        let count = self.options.follow_count.max(1).to_string();
        let from = match self.position {
            StreamStart::After(id) => id.to_string(),
            StreamStart::Latest => "$".to_owned(),
        };
        let words = ["XREAD", "COUNT", &count, "BLOCK", &block_ms, "STREAMS", &self.key, &from];
        connection.call(&words.map(str::as_bytes), wait + self.options.reply_timeout).await
    }

    /// Takes the entries out of `{key: [entry, ...]}`; `None` if that is not what it is.
    fn keep(&mut self, reply: Value) -> Option<()> {
        for (_, entries) in streams(reply)? {
            for entry in entries.into_array()? {
                self.fetched.push_back(OutcomeRecord::decode(entry)?);
            }
        }
        Some(())
    }
}

/// The streams of an XREAD: a map in RESP3, an array of pairs in RESP2.
fn streams(reply: Value) -> Option<Vec<(Value, Value)>> {
    match reply {
        Value::Map(pairs) => Some(pairs),
        reply => reply
            .into_array()?
            .into_iter()
            .map(|pair| <[Value; 2]>::try_from(pair.into_array()?).ok().map(|[key, entries]| (key, entries)))
            .collect(),
    }
}

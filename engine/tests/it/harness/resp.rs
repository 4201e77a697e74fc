//! A connection to the TCP port, command by command and byte by byte.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use posthaste_protocol::value::{Value, ValueDecoder, ValueLimits};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What its bytes travel over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// See the head of this file.
pub(crate) struct Resp {
    stream: Box<dyn Stream>,
    input: BytesMut,
    decoder: ValueDecoder,
}

impl Resp {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("the port accepts"))
    }

    /// The same behind TLS; an error where the handshake fails.
    pub(crate) async fn connect_tls(address: SocketAddr, client: Arc<ClientConfig>) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await.expect("the port accepts");
        Ok(Self::over(TlsConnector::from(client).connect(address.ip().into(), stream).await?))
    }

    fn over(stream: impl Stream + 'static) -> Self {
        let decoder = ValueDecoder::new(ValueLimits::default());
        Self { stream: Box::new(stream), input: BytesMut::new(), decoder }
    }

    /// A command and its reply.
    pub(crate) async fn call<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Value {
        self.send(&encoded(arguments)).await;
        self.reply().await.expect("a reply")
    }

    /// Many commands at once, written while their replies are read. The replies, in their order.
    pub(crate) async fn pipeline(&mut self, commands: &[Vec<String>]) -> Vec<Value> {
        let bytes: Vec<u8> = commands.iter().flat_map(|command| encoded(command)).collect();
        let (mut reading, mut writing) = tokio::io::split(&mut self.stream);
        let mut replies = Vec::with_capacity(commands.len());
        let read = async {
            while replies.len() < commands.len() {
                match self.decoder.decode(&mut self.input).expect("RESP") {
                    Some(reply) => replies.push(reply),
                    None => assert!(reading.read_buf(&mut self.input).await.expect("a reply") > 0, "closed"),
                }
            }
        };
        let (written, ()) = tokio::join!(writing.write_all(&bytes), read);
        written.expect("the other side reads");
        replies
    }

    /// Publishes, and returns the reply.
    pub(crate) async fn xadd(&mut self, application: &str, event_type: &str, payload: &str) -> Value {
        self.call(&["XADD", &format!("messages:{application}"), "*", "type", event_type, "payload", payload])
            .await
    }

    /// How many messages the application has.
    pub(crate) async fn xlen(&mut self, application: &str) -> i64 {
        match self.call(&["XLEN", &format!("messages:{application}")]).await {
            Value::Integer(count) => count,
            other => panic!("XLEN was answered {other:?}"),
        }
    }

    /// Bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the other side reads");
    }

    /// The next reply; `None` when the connection was closed.
    pub(crate) async fn reply(&mut self) -> Option<Value> {
        loop {
            if let Some(value) = self.decoder.decode(&mut self.input).expect("RESP") {
                return Some(value);
            }
            // A reset is a way of closing, too.
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Everything that is still sent until the connection is closed.
    pub(crate) async fn rest(mut self) -> String {
        while self.stream.read_buf(&mut self.input).await.unwrap_or(0) > 0 {}
        String::from_utf8_lossy(&self.input).into_owned()
    }
}

fn encoded<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The text of a reply that is a string.
pub(crate) fn bulk(reply: &Value) -> String {
    let bytes = reply.as_bytes().unwrap_or_else(|| panic!("{reply:?} is no string"));
    String::from_utf8_lossy(bytes).into_owned()
}

/// The text of a reply that is an error.
pub(crate) fn error_text(reply: &Value) -> String {
    match reply {
        Value::Error(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{other:?} is no error"),
    }
}

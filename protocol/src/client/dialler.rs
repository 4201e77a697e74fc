//! How a client reaches its server: TCP in the clear, or whatever its owner dials, such as TLS.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// What a connection's bytes travel over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Opens connections to one server; asked again after each that is lost.
///
/// This crate brings no TLS along. With `tokio_rustls`, a dialler for it is
///
/// ```text
/// Dialler::new(move || {
///     let (connector, name) = (connector.clone(), name.clone());
///     async move {
///         let tcp = TcpStream::connect("hooks.example:7483").await?;
///         tcp.set_nodelay(true)?;
///         connector.connect(name, tcp).await
///     }
/// })
/// ```
#[derive(Clone)]
pub struct Dialler(Arc<dyn Fn() -> Dialling + Send + Sync>);

impl Dialler {
    /// Opens connections with `dial`. Its time counts against [`Options::connect_timeout`](super::Options).
    pub fn new<F, S>(dial: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: Stream + 'static,
    {
        Self(Arc::new(move || {
            let dialling = dial();
            Box::pin(async move { Ok(Box::new(dialling.await?) as Box<dyn Stream>) })
        }))
    }

    /// TCP in the clear to `address` (`host:port`).
    pub fn tcp(address: impl Into<String>) -> Self {
        let address: Arc<str> = address.into().into();
        Self::new(move || {
            let address = Arc::clone(&address);
            async move {
                let stream = TcpStream::connect(&*address).await?;
                // Requests are gathered before they are written; holding them back again would only delay.
                stream.set_nodelay(true)?;
                Ok(stream)
            }
        })
    }

    pub(super) async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        (self.0)().await
    }
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialler")
    }
}

//! A network that is not there: where the connections of a simulation lead. Plain HTTP/1.1 alone.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::DuplexStream;

/// A connection on its way.
pub(crate) type Dialling<'a> = Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + 'a>>;

/// Takes the place of TCP.
pub(crate) trait Network {
    /// A connection to this address, or the reason why there is none.
    fn dial(&self, address: SocketAddr) -> Dialling<'_>;
}

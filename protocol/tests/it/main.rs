//! What the crate promises as a whole: in any chunks, against any bytes, against another implementation, over
//! a socket, and in its document.

mod arbitrary_bytes;
mod chunks;
mod document;
mod following;
mod oracle;
mod publishing;
mod server;

//! Messages as they go over the wire: prepared once, then copied and numbered.
//!
//! The generator shares its processor with the engine, so what a message costs here is taken from the figure. The
//! client of the protocol crate does more for its user (a future for each message) than is wanted here.

use std::sync::Arc;

use super::layout::Layout;
use super::payload;

/// The one event type of a load.
pub(crate) const EVENT_TYPE: &str = "load.test";

/// See the head of this file.
#[derive(Clone)]
pub(crate) struct Wire {
    /// All of the XADD that comes before the payload, for each group.
    heads: Arc<[Vec<u8>]>,
    payload: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(layout: &Layout, mark: &str, message_bytes: u32) -> Self {
        let head = |group| head(layout, mark, group, message_bytes);
        Self { heads: (0..layout.groups()).map(head).collect(), payload: payload::of_size(message_bytes) }
    }

    /// Appends a message for a group.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, message: u64, group: u32) {
        payload::number(&mut self.payload, message);
        out.extend_from_slice(&self.heads[group as usize]);
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(b"\r\n");
    }
}

/// What an application is called.
pub(crate) fn application(mark: &str, number: u32) -> String {
    format!("load-{mark}-{number}")
}

/// What a channel is called.
pub(crate) fn channel(number: u32) -> String {
    format!("c{number}")
}

/// A request of these arguments.
pub(crate) fn request(arguments: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len());
    arguments.iter().for_each(|argument| out += &format!("${}\r\n{argument}\r\n", argument.len()));
    out.into_bytes()
}

fn head(layout: &Layout, mark: &str, group: u32, message_bytes: u32) -> Vec<u8> {
    let key = format!("messages:{}", application(mark, layout.application_of(group)));
    let channel = layout.channel_of(group).map(channel);
    let mut arguments = vec!["XADD", &key, "*", "type", EVENT_TYPE];
    arguments.extend(channel.iter().flat_map(|channel| ["channels", channel]));
    arguments.push("payload");
    let mut head = request(&arguments);
    // One argument more than was written: the payload itself.
    let count = format!("*{}\r\n", arguments.len() + 1);
    head.splice(..count.len(), count.bytes());
    head.extend_from_slice(format!("${message_bytes}\r\n").as_bytes());
    head
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use posthaste_protocol::command::Command;
    use posthaste_protocol::frame::{Decoder, Limits};

    use super::*;
    use crate::run::layout::{Numbers, Shares};

    fn layout(applications: u32) -> Layout {
        let shares = Shares::default();
        Layout::new(Numbers { endpoints: 24, fan_out: 2, applications, hosts: 1, shares, dead_host: false })
    }

    #[test]
    fn the_server_understands_what_is_written() {
        let layout = layout(3);
        let mut wire = Wire::new(&layout, "ab", 100);
        let mut out = Vec::new();
        for message in [5, 6] {
            wire.write(&mut out, message, layout.group_of_message(message));
        }
        let mut input = BytesMut::from(&out[..]);
        let mut decoder = Decoder::new(Limits::after_auth(1_024));
        for (message, application, channel) in [(5, "load-ab-1", "c1"), (6, "load-ab-1", "c2")] {
            let request = decoder.decode(&mut input).unwrap().unwrap();
            let Ok(Command::Xadd(read)) = Command::parse(&request) else { panic!("not an XADD") };
            assert_eq!((read.application, read.event_type), (application, EVENT_TYPE));
            assert_eq!(read.channels.iter().collect::<Vec<_>>(), [channel]);
            assert_eq!((payload::number_of(&read.payload), read.payload.len()), (Some(message), 100));
        }
        assert!(input.is_empty());
    }

    #[test]
    fn a_message_for_an_application_with_one_group_has_no_channel() {
        let mut wire = Wire::new(&layout(12), "ab", 24);
        let mut out = Vec::new();
        wire.write(&mut out, 0, 11);
        let mut decoder = Decoder::new(Limits::after_auth(1_024));
        let mut input = BytesMut::from(&out[..]);
        let request = decoder.decode(&mut input).unwrap().unwrap();
        let Ok(Command::Xadd(read)) = Command::parse(&request) else { panic!("not an XADD") };
        assert!(read.channels.is_empty());
        assert_eq!(read.application, "load-ab-11");
    }
}

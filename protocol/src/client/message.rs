//! A message to publish, and how it is written as an XADD.

use bytes::BytesMut;

use super::PublishError;
use super::connection::{argument, argument_parts, begin};
use crate::command::MESSAGES_PREFIX;

/// A message to publish. Borrows everything: it is copied once, into the connection's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewMessage<'a> {
    /// Whose endpoints shall get it: id or uid.
    pub application: &'a str,
    /// Dotted name; endpoints subscribe to it.
    pub event_type: &'a str,
    /// The body of the requests to come.
    pub payload: &'a [u8],
    /// Your own id of what happened. With it a repetition is recognised and stored once.
    pub event_id: Option<&'a str>,
    /// Endpoints may listen to some channels only.
    pub channels: &'a [&'a str],
    /// What the payload is; JSON if not said.
    pub content_type: Option<&'a str>,
}

impl<'a> NewMessage<'a> {
    /// A message with the three things that every message has.
    pub fn new(application: &'a str, event_type: &'a str, payload: &'a [u8]) -> Self {
        Self { application, event_type, payload, event_id: None, channels: &[], content_type: None }
    }

    /// With your own id of what happened.
    #[must_use]
    pub fn event_id(self, event_id: &'a str) -> Self {
        Self { event_id: Some(event_id), ..self }
    }

    /// On these channels.
    #[must_use]
    pub fn channels(self, channels: &'a [&'a str]) -> Self {
        Self { channels, ..self }
    }

    /// With a payload that is not JSON.
    #[must_use]
    pub fn content_type(self, content_type: &'a str) -> Self {
        Self { content_type: Some(content_type), ..self }
    }

    /// All else is for the server to say; but a channel with a comma would silently become two.
    pub(super) fn check(&self) -> Result<(), PublishError> {
        match self.channels.iter().find(|channel| channel.is_empty() || channel.contains(',')) {
            Some(&channel) => Err(PublishError::Channel { channel: channel.to_owned() }),
            None => Ok(()),
        }
    }

    /// Appends the XADD.
    pub(super) fn encode(&self, out: &mut BytesMut) {
        let texts = [("id", self.event_id), ("content-type", self.content_type)];
        let given = texts.into_iter().filter_map(|(field, value)| Some((field, value?)));
        let channels = usize::from(!self.channels.is_empty());
        let arguments = 3 + 2 * (2 + channels + given.clone().count());
        begin(out, arguments);
        argument(out, b"XADD");
        argument_parts(out, [MESSAGES_PREFIX.as_bytes(), self.application.as_bytes()]);
        argument(out, b"*");
        field(out, "type", self.event_type.as_bytes());
        for (name, value) in given {
            field(out, name, value.as_bytes());
        }
        if !self.channels.is_empty() {
            field(out, "channels", self.channels.join(",").as_bytes());
        }
        field(out, "payload", self.payload);
    }
}

fn field(out: &mut BytesMut, name: &str, value: &[u8]) {
    argument(out, name.as_bytes());
    argument(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::frame::{Decoder, Limits};

    #[test]
    fn a_message_is_understood_by_the_server_as_it_was_meant() {
        let message = NewMessage::new("shop", "order.paid", b"\r\n{}")
            .event_id("e1")
            .channels(&["x", "y"])
            .content_type("text/plain");
        let mut out = BytesMut::new();
        message.encode(&mut out);
        let mut decoder = Decoder::new(Limits::after_auth(1_024));
        let request = decoder.decode(&mut out).unwrap().unwrap();
        let Ok(Command::Xadd(read)) = Command::parse(&request) else { panic!("not an XADD") };
        assert_eq!((read.application, read.event_type), ("shop", "order.paid"));
        assert_eq!(&read.payload[..], b"\r\n{}");
        assert_eq!((read.event_id, read.content_type), (Some("e1"), Some("text/plain")));
        assert_eq!(read.channels.iter().collect::<Vec<_>>(), ["x", "y"]);
        assert!(out.is_empty());
    }

    #[test]
    fn a_channel_that_would_become_two_is_not_sent() {
        let message = NewMessage::new("shop", "a", b"{}");
        assert!(message.channels(&["a,b"]).check().is_err());
        assert!(message.channels(&[""]).check().is_err());
        assert!(message.channels(&["a", "b"]).check().is_ok());
    }
}

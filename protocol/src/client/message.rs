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
    /// Not sent before, unix milliseconds.
    pub deliver_at_ms: Option<u64>,
    /// Messages with the same key reach an endpoint one after the other, in the order in which they were accepted.
    pub ordering_key: Option<&'a str>,
    /// Where it goes instead of its endpoint's URL.
    pub url: Option<NewUrl<'a>>,
}

/// A URL that a message brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewUrl<'a> {
    /// Where to.
    pub url: &'a str,
    /// The secret for it, if it has one of its own.
    pub secret: Option<&'a str>,
    /// The endpoint whose settings apply, by id or uid; needed if the message would go to several.
    pub endpoint: Option<&'a str>,
}

impl<'a> NewMessage<'a> {
    /// A message with the three things that every message has.
    pub fn new(application: &'a str, event_type: &'a str, payload: &'a [u8]) -> Self {
        Self {
            application,
            event_type,
            payload,
            event_id: None,
            channels: &[],
            content_type: None,
            deliver_at_ms: None,
            ordering_key: None,
            url: None,
        }
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

    /// Not sent before this time, unix milliseconds.
    #[must_use]
    pub fn deliver_at_ms(self, deliver_at_ms: u64) -> Self {
        Self { deliver_at_ms: Some(deliver_at_ms), ..self }
    }

    /// In order with the others of this key.
    #[must_use]
    pub fn ordering_key(self, ordering_key: &'a str) -> Self {
        Self { ordering_key: Some(ordering_key), ..self }
    }

    /// To this URL instead of its endpoint's.
    #[must_use]
    pub fn url(self, url: NewUrl<'a>) -> Self {
        Self { url: Some(url), ..self }
    }

    /// All else is for the server to say; but a channel with a comma would silently become two.
    pub(crate) fn check(&self) -> Result<(), PublishError> {
        match self.channels.iter().find(|channel| channel.is_empty() || channel.contains(',')) {
            Some(&channel) => Err(PublishError::Channel { channel: channel.to_owned() }),
            None => Ok(()),
        }
    }

    /// Appends the XADD.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let deliver_at = self.deliver_at_ms.map(|ms| ms.to_string());
        let texts = [
            ("id", self.event_id),
            ("content-type", self.content_type),
            ("deliver-at", deliver_at.as_deref()),
            ("ordering-key", self.ordering_key),
            ("url", self.url.map(|url| url.url)),
            ("url-secret", self.url.and_then(|url| url.secret)),
            ("url-endpoint", self.url.and_then(|url| url.endpoint)),
        ];
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
            .content_type("text/plain")
            .deliver_at_ms(7)
            .ordering_key("o")
            .url(NewUrl { url: "https://a.example/", secret: Some("s"), endpoint: Some("ep") });
        let mut out = BytesMut::new();
        message.encode(&mut out);
        let mut decoder = Decoder::new(Limits::after_auth(1_024));
        let request = decoder.decode(&mut out).unwrap().unwrap();
        let Ok(Command::Xadd(read)) = Command::parse(&request) else { panic!("not an XADD") };
        assert_eq!((read.application, read.event_type), ("shop", "order.paid"));
        assert_eq!(&read.payload[..], b"\r\n{}");
        assert_eq!((read.event_id, read.content_type), (Some("e1"), Some("text/plain")));
        assert_eq!(read.channels.iter().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((read.deliver_at_ms, read.delay_ms, read.ordering_key), (Some(7), None, Some("o")));
        let url = (read.url, read.url_secret, read.url_endpoint);
        assert_eq!(url, (Some("https://a.example/"), Some("s"), Some("ep")));
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

//! A letter: the bytes of a mail (RFC 5322), text in UTF-8 and base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::MailSettings;
use crate::clock::unix_ms;

/// Characters in a line of base64 (RFC 2045 section 6.8).
const BASE64_LINE: usize = 76;

/// A mail, ready to be sent.
#[derive(Debug)]
pub(super) struct Letter(String);

impl Letter {
    pub(super) fn new(settings: &MailSettings, lines: &[String], more: u64) -> Self {
        let count = lines.len() as u64 + more;
        let subject = if count == 1 { "1 alert".into() } else { format!("{count} alerts") };
        let head = [
            format!("From: Posthaste <{}>", settings.from),
            format!("To: {}", settings.to.join(",\r\n ")),
            format!("Subject: Posthaste: {subject}"),
            format!("Date: {}", date()),
            format!("Message-ID: <{}@{}>", unique(), domain(&settings.from)),
            // Nobody's holiday notice should answer (RFC 3834 section 5).
            "Auto-Submitted: auto-generated".into(),
            "MIME-Version: 1.0".into(),
            "Content-Type: text/plain; charset=utf-8".into(),
            "Content-Transfer-Encoding: base64".into(),
        ];
        Self(format!("{}\r\n\r\n{}", head.join("\r\n"), encoded(&text(lines, more))))
    }

    /// As it goes over the wire: lines end in CRLF. No line begins with a dot: headers do not, and base64 has none.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn text(lines: &[String], more: u64) -> String {
    let mut text = lines.join("\r\n\r\n");
    if more > 0 {
        text += &format!("\r\n\r\n... and {more} more.");
    }
    text += "\r\n\r\n-- \r\nPosthaste lists all alerts at GET /api/v1/alert.\r\n";
    text
}

fn encoded(text: &str) -> String {
    let encoded = STANDARD.encode(text);
    let lines = encoded.as_bytes().chunks(BASE64_LINE);
    lines.map(|line| std::str::from_utf8(line).expect("base64 is ASCII").to_owned() + "\r\n").collect()
}

fn date() -> String {
    let ms = i64::try_from(unix_ms()).unwrap_or(i64::MAX);
    let now = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    jiff::fmt::rfc2822::to_string(&now.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default()
}

fn unique() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, domain)| domain)
}

//! What the configuration says about the console, made ready for use.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::http::HeaderValue;
use bytes::Bytes;

use super::password::Password;
use crate::config::Config;

/// The largest logo.
const LOGO_BYTES_MAX: u64 = 64 << 10;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) brand: Brand,
    /// Names that this server goes by, without ports.
    pub(super) hosts: Vec<String>,
    /// Whether people come over https, as far as is known.
    pub(super) is_secure: bool,
    pub(super) idle: Duration,
    pub(super) longest: Duration,
    pub(super) password: Option<Password>,
    /// What a browser may do with a page, and with one that others may frame.
    pub(super) policy: HeaderValue,
    pub(super) framed_policy: HeaderValue,
    /// Whether there are origins that may.
    pub(super) is_framed: bool,
}

/// How the pages look to customers.
#[derive(Debug)]
pub(super) struct Brand {
    pub(super) name: String,
    pub(super) logo: Option<Logo>,
    pub(super) style: String,
}

/// A picture.
#[derive(Debug)]
pub(super) struct Logo {
    pub(super) kind: &'static str,
    pub(super) bytes: Bytes,
}

impl Settings {
    /// As the configuration has it; people reach the server at `public_url`.
    pub(super) fn new(config: &Config, public_url: &str) -> anyhow::Result<Self> {
        let console = &config.console;
        let public = url::Url::parse(public_url).ok();
        let public_host = public.as_ref().and_then(|url| url.host_str().map(Into::into));
        Ok(Self {
            brand: Brand {
                name: console.name.clone(),
                logo: logo(&console.logo)?,
                style: brand_style(&console.colour),
            },
            hosts: console.hosts.iter().cloned().chain(public_host).collect(),
            is_secure: public.is_some_and(|url| url.scheme() == "https"),
            idle: console.idle_timeout.duration(),
            longest: console.session_max.duration(),
            password: (!console.password_hash.is_empty()).then(|| Password::new(&console.password_hash)),
            policy: policy("'none'")?,
            framed_policy: match &console.frame_origins[..] {
                [] => policy("'none'")?,
                origins => policy(&origins.join(" "))?,
            },
            is_framed: !console.frame_origins.is_empty(),
        })
    }

    #[cfg(test)]
    pub(super) fn for_tests(hosts: &[&str]) -> Self {
        let mut config = Config::layered(None, std::iter::empty()).expect("the shipped one");
        config.console.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Self::new(&config, "http://127.0.0.1:7481").expect("it is valid")
    }
}

fn policy(frame_ancestors: &str) -> anyhow::Result<HeaderValue> {
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors {frame_ancestors}"
    );
    HeaderValue::from_str(&text).context("console.frame_origins")
}

fn logo(path: &Path) -> anyhow::Result<Option<Logo>> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let context = || format!("console.logo = {}", path.display());
    let length = std::fs::metadata(path).with_context(context)?.len();
    ensure!(length <= LOGO_BYTES_MAX, "{}: it is {length} bytes; the limit is {LOGO_BYTES_MAX}", context());
    let bytes = Bytes::from(std::fs::read(path).with_context(context)?);
    let kind = kind_of(&bytes);
    let kind = kind.with_context(|| format!("{}: it must be PNG, JPEG, WebP or SVG", context()))?;
    Ok(Some(Logo { kind, bytes }))
}

/// By how it begins. An SVG is served as a picture, in which no script runs.
fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => {
            let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}').trim_start();
            (text.starts_with("<svg") || text.starts_with("<?xml")).then_some("image/svg+xml")
        }
    }
}

/// The brand's colour, and black or white for what stands on it, whichever can be read better (WCAG 2.2, 1.4.3).
fn brand_style(colour: &str) -> String {
    let ink = if luminance(colour) > 0.179 { "#000" } else { "#fff" };
    format!(":root{{--brand:{colour};--on-brand:{ink}}}\n")
}

/// Relative luminance of `#rrggbb` (WCAG 2.2, "relative luminance"), 0 to 1.
fn luminance(colour: &str) -> f64 {
    let channel = |from: usize| {
        let value = colour.get(from..from + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
        let share = f64::from(value) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_on_the_brands_colour_can_be_read() {
        for (colour, ink) in
            [("#000000", "#fff"), ("#ffffff", "#000"), ("#0b6e4f", "#fff"), ("#ffd400", "#000")]
        {
            assert_eq!(brand_style(colour), format!(":root{{--brand:{colour};--on-brand:{ink}}}\n"));
        }
    }

    #[test]
    fn a_logo_is_a_picture_of_a_kind_that_is_known_and_not_too_large() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("logo");
        let read = |bytes: &[u8]| {
            std::fs::write(&file, bytes).expect("written");
            logo(&file).map(|logo| logo.expect("there is one").kind).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"\x89PNG\r\n"), Ok("image/png"));
        assert_eq!(read(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), Ok("image/svg+xml"));
        assert!(read(b"<html>").unwrap_err().contains("it must be PNG, JPEG, WebP or SVG"));
        assert!(read(&[b'x'; 70_000]).unwrap_err().contains("the limit is 65536"));
        assert!(logo(Path::new("")).expect("none").is_none());
    }
}

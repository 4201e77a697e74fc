//! One conversation with a mail server: SMTP (RFC 5321) with STARTTLS (RFC 3207) and AUTH (RFC 4954).
//!
//! As little of it as handing in one mail needs. A name and a password are sent inside TLS only, or to the same machine
//! (the configuration sees to that).

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::MailSettings;
use super::letter::Letter;
use crate::config::MailSecurity;

/// The longest line of a reply, and the most lines.
const REPLY_LINE_BYTES_MAX: u64 = 4_096;
const REPLY_LINES_MAX: usize = 100;

/// Why a mail was not handed in.
#[derive(Debug, thiserror::Error)]
pub(super) enum SmtpError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the server took too long")]
    TooSlow,
    #[error("the server does not offer {0}")]
    NotOffered(&'static str),
    #[error("the server answered {step} with {reply}")]
    Refused { step: &'static str, reply: String },
    #[error("the server said something that is not SMTP")]
    NotSmtp,
    #[error("no certificate authority is known: the server cannot be verified")]
    NoAuthorities,
}

/// Both kinds of connection.
trait Link: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Link for T {}

/// Hands a mail in.
pub(super) async fn send(
    settings: &MailSettings,
    tls: Option<Arc<ClientConfig>>,
    letter: &Letter,
) -> Result<(), SmtpError> {
    let tcp = TcpStream::connect((settings.host.as_str(), settings.port)).await?;
    let own_name = match tcp.local_addr()?.ip() {
        std::net::IpAddr::V4(address) => format!("[{address}]"),
        std::net::IpAddr::V6(address) => format!("[IPv6:{address}]"),
    };
    let link: Box<dyn Link> = match settings.security {
        MailSecurity::Implicit => encrypt(settings, tls.clone(), Box::new(tcp)).await?,
        MailSecurity::Starttls | MailSecurity::None => Box::new(tcp),
    };
    let mut talk = Talk { link: BufReader::new(link), own_name };
    talk.expect("the connection", 220).await?;
    let mut offers = talk.greet().await?;
    if settings.security == MailSecurity::Starttls {
        if !offers.iter().any(|offer| offer == "STARTTLS") {
            return Err(SmtpError::NotOffered("STARTTLS"));
        }
        talk.command("STARTTLS", "STARTTLS", 220).await?;
        // Bytes from before the encryption must not be taken for bytes from inside it.
        if !talk.link.buffer().is_empty() {
            return Err(SmtpError::NotSmtp);
        }
        let link = encrypt(settings, tls, talk.link.into_inner()).await?;
        talk = Talk { link: BufReader::new(link), own_name: talk.own_name };
        offers = talk.greet().await?;
    }
    if !settings.user.is_empty() {
        talk.log_in(settings, &offers).await?;
    }
    talk.hand_in(settings, letter).await?;
    // It has the mail; whether it says goodbye does not matter.
    let _ = talk.command("QUIT", "QUIT", 221).await;
    Ok(())
}

async fn encrypt(
    settings: &MailSettings,
    tls: Option<Arc<ClientConfig>>,
    link: Box<dyn Link>,
) -> Result<Box<dyn Link>, SmtpError> {
    let tls = tls.ok_or(SmtpError::NoAuthorities)?;
    let name = ServerName::try_from(settings.host.clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    Ok(Box::new(TlsConnector::from(tls).connect(name, link).await?))
}

struct Talk {
    link: BufReader<Box<dyn Link>>,
    own_name: String,
}

impl Talk {
    /// Says hello. Returns what the server offers.
    async fn greet(&mut self) -> Result<Vec<String>, SmtpError> {
        let hello = format!("EHLO {}", self.own_name);
        let lines = self.command("EHLO", &hello, 250).await?;
        Ok(lines.into_iter().skip(1).map(|line| line.to_ascii_uppercase()).collect())
    }

    async fn log_in(&mut self, settings: &MailSettings, offers: &[String]) -> Result<(), SmtpError> {
        let MailSettings { user, password, .. } = settings;
        let offers_way = |way: &str| {
            let mut ways = offers.iter().filter_map(|offer| offer.strip_prefix("AUTH "));
            ways.any(|ways| ways.split(' ').any(|offered| offered == way))
        };
        if offers_way("PLAIN") {
            let proof = STANDARD.encode(format!("\0{user}\0{password}"));
            self.command("AUTH", &format!("AUTH PLAIN {proof}"), 235).await?;
        } else if offers_way("LOGIN") {
            self.command("AUTH", "AUTH LOGIN", 334).await?;
            self.command("AUTH", &STANDARD.encode(user), 334).await?;
            self.command("AUTH", &STANDARD.encode(password), 235).await?;
        } else {
            return Err(SmtpError::NotOffered("AUTH PLAIN or AUTH LOGIN"));
        }
        Ok(())
    }

    async fn hand_in(&mut self, settings: &MailSettings, letter: &Letter) -> Result<(), SmtpError> {
        self.command("MAIL FROM", &format!("MAIL FROM:<{}>", settings.from), 250).await?;
        let (mut taken, mut refusal) = (0, None);
        for to in &settings.to {
            match self.command("RCPT TO", &format!("RCPT TO:<{to}>"), 250).await {
                Ok(_) => taken += 1,
                Err(error @ SmtpError::Refused { .. }) => {
                    tracing::warn!(to, %error, "the mail server refuses a recipient of alerts");
                    refusal = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        // One address that is wrong must not keep the mail from the others.
        if let Some(refusal) = refusal.filter(|_| taken == 0) {
            return Err(refusal);
        }
        self.command("DATA", "DATA", 354).await?;
        self.link.write_all(letter.bytes()).await?;
        self.command("the mail", ".", 250).await?;
        Ok(())
    }

    async fn command(&mut self, step: &'static str, line: &str, code: u16) -> Result<Vec<String>, SmtpError> {
        self.link.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.link.flush().await?;
        self.expect(step, code).await
    }

    /// A reply of this code (251 stands for 250: the server forwards). Its lines without the code.
    async fn expect(&mut self, step: &'static str, code: u16) -> Result<Vec<String>, SmtpError> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            let (number, rest) = line.split_at_checked(3).ok_or(SmtpError::NotSmtp)?;
            let number: u16 = number.parse().map_err(|_| SmtpError::NotSmtp)?;
            let is_last = !rest.starts_with('-');
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if is_last && (number == code || number == 251 && code == 250) {
                return Ok(lines);
            }
            if is_last {
                let reply: String = format!("{number} {}", lines.join(" ")).chars().take(200).collect();
                return Err(SmtpError::Refused { step, reply });
            }
            if lines.len() >= REPLY_LINES_MAX {
                return Err(SmtpError::NotSmtp);
            }
        }
    }

    async fn line(&mut self) -> Result<String, SmtpError> {
        let mut line = Vec::new();
        (&mut self.link).take(REPLY_LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if line.last() != Some(&b'\n') {
            return Err(SmtpError::NotSmtp);
        }
        let text = String::from_utf8_lossy(&line);
        Ok(text.trim_end().chars().filter(|c| !c.is_control()).collect())
    }
}

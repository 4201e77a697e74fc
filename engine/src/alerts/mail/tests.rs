//! Mails, as a mail server sees them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{MailSettings, Mailbox, Postman};
use crate::config::MailSecurity;
use crate::metrics::Metrics;

/// A mail server that takes whatever comes, and notes it.
struct Server {
    port: u16,
    notes: Arc<Mutex<Notes>>,
    authority: CertificateDer<'static>,
}

#[derive(Default)]
struct Notes {
    commands: Vec<String>,
    mails: Vec<String>,
    /// So many mails are refused first.
    refuses: usize,
    /// Recipients that are not known.
    unknown: Option<&'static str>,
    encrypted: bool,
}

trait Link: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Link for T {}

impl Server {
    async fn start(security: MailSecurity) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let authority = key.cert.der().clone();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![authority.clone()],
            PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let notes = Arc::<Mutex<Notes>>::default();
        let server = Self { port, notes: notes.clone(), authority };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, notes) = (acceptor.clone(), notes.clone());
                tokio::spawn(async move {
                    let link: Box<dyn Link> = match security {
                        MailSecurity::Implicit => {
                            notes.lock().encrypted = true;
                            // A client that does not trust us goes away here.
                            let Ok(link) = acceptor.accept(tcp).await else { return };
                            Box::new(link)
                        }
                        _ => Box::new(tcp),
                    };
                    converse(link, acceptor, notes, security).await;
                });
            }
        });
        server
    }

    fn settings(&self, security: MailSecurity) -> MailSettings {
        MailSettings {
            host: "localhost".into(),
            port: self.port,
            security,
            user: "posthaste".into(),
            password: "s3cret".into(),
            from: "alerts@example.com".into(),
            to: vec!["ann@example.com".into(), "bob@example.com".into()],
            digest_wait: Duration::from_secs(60),
            digest_every: Duration::from_secs(900),
        }
    }

    /// A postman who believes this server.
    fn postman(&self, security: MailSecurity) -> (Postman, Mailbox, Arc<Metrics>) {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        self.postman_with(security, roots)
    }

    fn postman_with(
        &self,
        security: MailSecurity,
        roots: rustls::RootCertStore,
    ) -> (Postman, Mailbox, Arc<Metrics>) {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let metrics = Metrics::new();
        let (postman, mailbox) = Postman::new(self.settings(security), Some(Arc::new(tls)), metrics.clone());
        (postman, mailbox, metrics)
    }

    fn texts(&self) -> Vec<String> {
        self.notes.lock().mails.iter().map(|mail| text_of(mail)).collect()
    }
}

/// The text of a mail, decoded.
fn text_of(mail: &str) -> String {
    let (_, body) = mail.split_once("\r\n\r\n").expect("a head and a body");
    let body: String = body.split_ascii_whitespace().collect();
    String::from_utf8(STANDARD.decode(body).unwrap()).unwrap()
}

async fn converse(
    link: Box<dyn Link>,
    acceptor: TlsAcceptor,
    notes: Arc<Mutex<Notes>>,
    security: MailSecurity,
) {
    let mut link = BufReader::new(link);
    link.write_all(b"220 mail.example ready\r\n").await.unwrap();
    loop {
        let mut line = String::new();
        if link.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end().to_owned();
        let encrypted = notes.lock().encrypted;
        notes.lock().commands.push(line.clone());
        let verb = line.split(' ').next().unwrap_or_default().to_owned();
        let answer: String = match verb.as_str() {
            "EHLO" if security == MailSecurity::Starttls && !encrypted => {
                "250-mail.example\r\n250-PIPELINING\r\n250 STARTTLS".into()
            }
            "EHLO" => "250-mail.example\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME".into(),
            "STARTTLS" => {
                link.write_all(b"220 go ahead\r\n").await.unwrap();
                notes.lock().encrypted = true;
                let Ok(encrypted) = acceptor.accept(link.into_inner()).await else { return };
                link = BufReader::new(Box::new(encrypted));
                continue;
            }
            "AUTH" => "235 welcome".into(),
            "RCPT" if notes.lock().unknown.is_some_and(|unknown| line.contains(unknown)) => "550 who?".into(),
            "DATA" if notes.lock().refuses > 0 => {
                notes.lock().refuses -= 1;
                "451 not now".into()
            }
            "DATA" => {
                link.write_all(b"354 go on\r\n").await.unwrap();
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    link.read_line(&mut mail).await.unwrap();
                }
                notes.lock().mails.push(mail.trim_end_matches(".\r\n").to_owned());
                "250 taken".into()
            }
            _ => "250 fine".into(),
        };
        link.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}

/// Waits for something that real sockets bring, without moving the clock that the test holds.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_micros(200));
    }
    panic!("{what} did not happen");
}

/// Lets so much time pass.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn one_mail(security: MailSecurity) -> Server {
    let server = Server::start(security).await;
    let (postman, mailbox, metrics) = server.postman(security);
    tokio::spawn(postman.run());
    mailbox.put("https://shop.example/ is failing: \u{fc}".into());
    mailbox.put("https://shop.example/ has recovered".into());
    until("the lines are taken", || mailbox.lines.capacity() == mailbox.lines.max_capacity()).await;
    pass(Duration::from_secs(61)).await;
    until("a mail", || metrics.mails_sent.get() == 1).await;
    server
}

#[tokio::test]
async fn a_mail_goes_to_everybody_over_starttls_and_tells_of_all_that_waited() {
    let server = one_mail(MailSecurity::Starttls).await;
    let text = server.texts().remove(0);
    assert!(text.contains("is failing: \u{fc}\r\n\r\nhttps://shop.example/ has recovered"), "{text}");
    let notes = server.notes.lock();
    let mail = &notes.mails[0];
    for header in [
        "From: Posthaste <alerts@example.com>\r\n",
        "To: ann@example.com,\r\n bob@example.com\r\n",
        "Subject: Posthaste: 2 alerts\r\n",
        "Auto-Submitted: auto-generated\r\n",
    ] {
        assert!(mail.contains(header), "{mail}");
    }
    assert!(mail.lines().all(|line| line.len() <= 78));
    let proof = STANDARD.encode("\0posthaste\0s3cret");
    let expected = [
        "EHLO [127.0.0.1]",
        "STARTTLS",
        "EHLO [127.0.0.1]",
        &format!("AUTH PLAIN {proof}"),
        "MAIL FROM:<alerts@example.com>",
        "RCPT TO:<ann@example.com>",
        "RCPT TO:<bob@example.com>",
        "DATA",
    ];
    assert_eq!(notes.commands[..8], expected);
}

#[tokio::test]
async fn a_mail_goes_over_tls_from_the_beginning_and_without_any_on_this_machine() {
    for security in [MailSecurity::Implicit, MailSecurity::None] {
        assert_eq!(one_mail(security).await.notes.lock().mails.len(), 1);
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_server_without_starttls_or_with_a_certificate_of_its_own_making() {
    let server = Server::start(MailSecurity::None).await;
    let (postman, mailbox, metrics) = server.postman(MailSecurity::Starttls);
    tokio::spawn(postman.run());
    mailbox.put("a".into());
    until("the line is taken", || mailbox.lines.capacity() == mailbox.lines.max_capacity()).await;
    pass(Duration::from_secs(61)).await;
    until("a failure", || metrics.mails_failed.get() == 1).await;
    assert!(!server.notes.lock().commands.iter().any(|line| line.contains("AUTH") || line.contains("MAIL")));

    let server = Server::start(MailSecurity::Implicit).await;
    let nobody = rustls::RootCertStore::empty();
    let (postman, mailbox, metrics) = server.postman_with(MailSecurity::Implicit, nobody);
    tokio::spawn(postman.run());
    mailbox.put("a".into());
    until("the line is taken", || mailbox.lines.capacity() == mailbox.lines.max_capacity()).await;
    pass(Duration::from_secs(61)).await;
    until("a failure", || metrics.mails_failed.get() == 1).await;
    assert!(server.notes.lock().commands.is_empty());
}

#[tokio::test]
async fn a_mail_that_is_refused_is_tried_again_with_what_came_meanwhile() {
    let server = Server::start(MailSecurity::None).await;
    server.notes.lock().refuses = 1;
    let (postman, mailbox, metrics) = server.postman(MailSecurity::None);
    tokio::spawn(postman.run());
    mailbox.put("first".into());
    until("the line is taken", || mailbox.lines.capacity() == mailbox.lines.max_capacity()).await;
    pass(Duration::from_secs(61)).await;
    until("a failure", || metrics.mails_failed.get() == 1).await;
    mailbox.put("second".into());
    until("the line is taken", || mailbox.lines.capacity() == mailbox.lines.max_capacity()).await;
    pass(Duration::from_secs(31)).await;
    until("a mail", || metrics.mails_sent.get() == 1).await;
    assert!(server.texts()[0].starts_with("first\r\n\r\nsecond"));
}

#[tokio::test]
async fn one_recipient_who_is_not_known_does_not_keep_the_mail_from_the_others() {
    let server = Server::start(MailSecurity::None).await;
    server.notes.lock().unknown = Some("ann");
    let (postman, mailbox, metrics) = server.postman(MailSecurity::None);
    tokio::spawn(postman.run());
    mailbox.put("a".into());
    until("the line is taken", || mailbox.lines.capacity() == mailbox.lines.max_capacity()).await;
    pass(Duration::from_secs(61)).await;
    until("a mail", || metrics.mails_sent.get() == 1).await;
}

#[tokio::test]
async fn a_second_mail_waits_for_a_quarter_of_an_hour() {
    let server = one_mail(MailSecurity::None).await;
    assert_eq!(server.notes.lock().mails.len(), 1);
    let (postman, mailbox, metrics) = server.postman(MailSecurity::None);
    tokio::spawn(postman.run());
    for (wait, mails) in [(61, 1), (600, 1), (300, 2)] {
        mailbox.put("again".into());
        until("the line is taken", || mailbox.lines.capacity() == mailbox.lines.max_capacity()).await;
        pass(Duration::from_secs(wait)).await;
        until("the mails", || metrics.mails_sent.get() == mails).await;
    }
}

//! The guard against the corpus of forbidden destinations. What the binary makes of it is shown in `tests/it/egress`.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use url::Url;

use super::spellings::{Answers as Told, Spelling, said, spellings};
use super::*;

/// How many spellings there are at least.
const SPELLINGS_MIN: usize = 300;

fn shipped(allow_cidrs: &[&str]) -> EgressPolicy {
    let deny_ports = vec![2375, 3306, 5432, 6379, 7419, 9200, 11211, 27017];
    EgressPolicy { deny_ports, ..policy(allow_cidrs) }
}

#[test]
fn every_spelling_gives_what_the_corpus_says_when_it_is_saved() {
    let mut wrong = Vec::new();
    for Spelling { word, url, .. } in spellings() {
        let told = check_url(&url, &shipped(&[])).map_err(|error| error.to_string());
        let is_right = match (said(word), &told) {
            (Some(words), Err(refusal)) => refusal.contains(words),
            (None, Ok(_)) => true,
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{word} {url:?}: {:?}", told.map(|url| url.as_str().to_owned())));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(spellings().len() >= SPELLINGS_MIN);
}

#[test]
fn where_everything_is_allowed_what_can_be_allowed_by_no_setting_still_is_not() {
    let mut seen = 0;
    for Spelling { word, url, .. } in spellings() {
        if word == "never" {
            let refusal = check_url(&url, &shipped(&["0.0.0.0/0", "::/0"])).unwrap_err().to_string();
            assert!(refusal.contains("is never allowed"), "{url}: {refusal}");
            seen += 1;
        }
    }
    assert!(seen >= 50, "{seen}");
}

/// Listeners on loopback that nobody may connect to.
struct Canaries {
    port: u16,
    listeners: Vec<TcpListener>,
}

impl Canaries {
    async fn new() -> Self {
        let v4 = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = v4.local_addr().unwrap().port();
        let v6 = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port))).await;
        Self { port, listeners: std::iter::once(v4).chain(v6.ok()).collect() }
    }

    /// How many connections there were.
    async fn connections(&self) -> usize {
        settle().await;
        let mut connections = 0;
        for listener in &self.listeners {
            while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await {
                connections += 1;
            }
        }
        connections
    }

    /// The same URL with the port at which the canaries listen; `None` where it is no URL with a host.
    fn url(&self, url: &str) -> Option<String> {
        let mut url = Url::parse(CheckedUrl::parse(url).ok()?.as_str()).ok()?;
        url.set_scheme("http").and_then(|()| url.set_port(Some(self.port)).map_err(drop)).ok()?;
        Some(url.into())
    }
}

/// A resolver that says what the corpus says, from the moment on at which a name has changed its mind.
struct Corpus(Told);

impl Resolve for Corpus {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        let answers = self.0.later.clone().unwrap_or_else(|| self.0.first.clone());
        Box::pin(async move {
            if answers.is_empty() {
                return Err(ResolveError::NoAddress { name: name.to_owned() });
            }
            Ok(answers)
        })
    }
}

#[test]
fn no_spelling_leads_to_a_connection_when_it_is_delivered_to() {
    run(async {
        let canaries = Canaries::new().await;
        let mut delivered = 0;
        for Spelling { word, url, answers } in spellings() {
            // Those are public, at a port that is another one here.
            if word == "port" {
                continue;
            }
            // As if the check at creation had never been: it is not the boundary.
            let Some(url) = canaries.url(&url) else { continue };
            let expected = if word == "unresolved" { Outcome::DnsFailed } else { Outcome::AddressForbidden };
            let config = DeliveryConfig { egress: shipped(&[]), ..config() };
            let sender = Sender::with_resolver(&config, Rc::new(Corpus(answers))).unwrap();
            let ended = attempt(&sender, &url).await;
            assert_eq!(ended.outcome, expected, "{word} {url}: {}", ended.detail);
            delivered += 1;
        }
        assert!(delivered >= SPELLINGS_MIN, "{delivered}");
        assert_eq!(canaries.connections().await, 0);
        // They do notice.
        let allowed = DeliveryConfig { egress: policy(&["127.0.0.0/8"]), ..config() };
        let url = format!("http://127.0.0.1:{}/", canaries.port);
        let sender = sender(&allowed);
        let noticed = async {
            loop {
                match canaries.connections().await {
                    0 => {}
                    connections => break connections,
                }
            }
        };
        let (_, noticed) = tokio::join!(attempt(&sender, &url), noticed);
        assert_eq!(noticed, 1);
    });
}

#[test]
fn a_redirect_to_any_spelling_is_not_followed() {
    use super::receiver::Receiver;
    run(async {
        let canaries = Canaries::new().await;
        let mut redirected = 0;
        for Spelling { url, .. } in spellings() {
            let location = canaries.url(&url).unwrap_or(url);
            if location.chars().any(char::is_control) {
                continue;
            }
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let receiver = Receiver::answering(answer).await;
            let ended = attempt(&sender(&config()), &receiver.url()).await;
            assert_eq!(ended.outcome, Outcome::Redirect { status: 307 }, "{location}: {}", ended.detail);
            assert_eq!(receiver.requests().len(), 1, "{location}");
            redirected += 1;
        }
        assert!(redirected >= SPELLINGS_MIN, "{redirected}");
        assert_eq!(canaries.connections().await, 0);
    });
}

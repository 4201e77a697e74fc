//! A name server that answers as the corpus says: one address or several, aliases, errors, and other addresses once it is
//! told to change its mind. No answer may be kept.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UdpSocket;
use url::Url;

use super::corpus::{Answers, Spelling};

const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;
const HEADER_BYTES: usize = 12;
/// Points at the name in the question.
const THE_NAME: [u8; 2] = [0xc0, HEADER_BYTES as u8];

/// See the head of this file.
pub(super) struct NameServer {
    has_flipped: Arc<AtomicBool>,
}

impl NameServer {
    /// Listens at 127.0.0.1, port 53. `others` are names beside those of the corpus.
    pub(super) async fn start(corpus: &[Spelling], others: &[(&str, &str)]) -> Self {
        let mut names: HashMap<String, Answers> = HashMap::new();
        for Spelling { url, answers, .. } in corpus {
            let name = Url::parse(url).ok().and_then(|url| Some(url.host_str()?.to_owned()));
            if let Some(name) = name.filter(|_| !answers.first.is_empty() || answers.error.is_some()) {
                names.insert(name.trim_end_matches('.').to_owned(), answers.clone());
            }
        }
        for (name, address) in others {
            let first = vec![address.parse().expect("an address")];
            names.insert((*name).to_owned(), Answers { first, ..Answers::default() });
        }
        let socket = UdpSocket::bind("127.0.0.1:53").await.expect("the port is free in here");
        let has_flipped = Arc::<AtomicBool>::default();
        let flipped = has_flipped.clone();
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((bytes, from)) = socket.recv_from(&mut query).await {
                let answer = answer(&query[..bytes], &names, flipped.load(Ordering::Relaxed));
                // Who asked may have given up.
                let _ = socket.send_to(&answer, from).await;
            }
        });
        Self { has_flipped }
    }

    /// From now on names that change their mind have changed it.
    pub(super) fn flip(&self) {
        self.has_flipped.store(true, Ordering::Relaxed);
    }
}

fn answer(query: &[u8], names: &HashMap<String, Answers>, has_flipped: bool) -> Vec<u8> {
    let (name, question_end) = name_in(query);
    let kind = u16::from_be_bytes([query[question_end - 4], query[question_end - 3]]);
    let known = names.get(&name);
    let code = match known.map(|answers| answers.error) {
        None | Some(Some("nxdomain")) => 3,
        Some(Some("servfail")) => 2,
        Some(Some("refused")) => 5,
        Some(_) => 0,
    };
    let mut records = Vec::new();
    if let Some(answers) = known.filter(|answers| answers.error.is_none()) {
        let mut owner = THE_NAME.to_vec();
        if let Some(alias) = answers.alias {
            let target = labels(alias);
            records.push(record(&owner, TYPE_CNAME, &target));
            owner = target;
        }
        let list = answers.later.as_ref().filter(|_| has_flipped).unwrap_or(&answers.first);
        records.extend(list.iter().filter_map(|address| match (address, kind) {
            (IpAddr::V4(v4), TYPE_A) => Some(record(&owner, kind, &v4.octets())),
            (IpAddr::V6(v6), TYPE_AAAA) => Some(record(&owner, kind, &v6.octets())),
            _ => None,
        }));
    }
    let count = u8::try_from(records.len()).expect("few");
    let mut answer = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
    answer.extend_from_slice(&query[HEADER_BYTES..question_end]);
    answer.extend(records.concat());
    answer
}

fn record(owner: &[u8], kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short");
    // Class IN, and no time to be kept for.
    [owner, &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 0], &length.to_be_bytes(), content].concat()
}

fn labels(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).expect("short")], label.as_bytes()].concat();
    let mut labels: Vec<u8> = name.split('.').flat_map(label).collect();
    labels.push(0);
    labels
}

/// The name that is asked for, and where the question ends.
fn name_in(query: &[u8]) -> (String, usize) {
    let mut at = HEADER_BYTES;
    let mut parts = Vec::new();
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        parts.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (parts.join("."), at + 5)
}

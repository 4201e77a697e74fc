//! A name server by hand: what it says about a name is in the name.
//!
//! ```text
//!   dns-mixed.7.faults.example    the fault, and a number that tells names of one fault apart
//! ```
//!
//! It answers by UDP, one datagram for another (RFC 1035 section 4); by TCP nobody answers.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

/// Where the receivers of the faults are.
pub(crate) const ALLOWED: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// An address that the engine must be told not to use (`egress.deny_cidrs`), and that is watched.
pub(crate) const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(127, 66, 0, 1);
/// The zone of all names.
const ZONE: &str = "faults.example";
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Addresses of a name that has many.
const MANY: u8 = 200;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
/// Seconds for which an answer may be believed.
const TTL: u32 = 1;

const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
const REFUSED: u8 = 5;

/// The name that has this fault.
pub(super) fn name(fault: &str, number: usize) -> String {
    format!("{fault}.{number}.{ZONE}")
}

/// Answers until the runtime ends.
pub(super) async fn serve(socket: UdpSocket) -> io::Result<()> {
    let mut asked = HashSet::new();
    let mut query = [0; 1_500];
    loop {
        let (bytes, from) = socket.recv_from(&mut query).await?;
        let answer = Question::read(&query[..bytes]).and_then(|question| answer(&question, &mut asked));
        if let Some(answer) = answer {
            send(&socket, &answer, from).await;
        }
    }
}

async fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    // Whoever asked may be gone.
    let _ = socket.send_to(answer, to).await;
}

/// What is asked.
#[derive(Clone)]
struct Question {
    id: [u8; 2],
    /// The question as it came.
    section: Vec<u8>,
    name: String,
    kind: u16,
}

impl Question {
    fn read(query: &[u8]) -> Option<Self> {
        let id = [*query.first()?, *query.get(1)?];
        let (mut labels, mut at) = (Vec::new(), 12);
        loop {
            let length = usize::from(*query.get(at)?);
            let label = query.get(at + 1..at + 1 + length)?;
            at += 1 + length;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        }
        let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
        Some(Self { id, section: query.get(12..at + 4)?.to_vec(), name: labels.join("."), kind })
    }

    /// The fault and the number of the name.
    fn fault(&self) -> Option<&str> {
        let own = self.name.strip_suffix(ZONE)?.strip_suffix('.')?;
        let (before, _number) = own.rsplit_once('.')?;
        Some(before.rsplit_once('.').map_or(before, |(_, fault)| fault))
    }

    /// An answer with these records.
    fn answered(&self, code: u8, records: &[Vec<u8>]) -> Vec<u8> {
        let count = (records.len() as u16).to_be_bytes();
        let mut out = vec![self.id[0], self.id[1], 0x85, 0x80 | code, 0, 1, count[0], count[1], 0, 0, 0, 0];
        out.extend_from_slice(&self.section);
        out.extend(records.iter().flatten());
        out
    }

    fn addresses(&self, addresses: &[Ipv4Addr]) -> Vec<u8> {
        self.addresses_of(&self.name, &[], addresses)
    }

    /// The addresses of `owner`, behind other records.
    fn addresses_of(&self, owner: &str, before: &[Vec<u8>], addresses: &[Ipv4Addr]) -> Vec<u8> {
        let mut records = before.to_vec();
        if self.kind == A {
            records.extend(addresses.iter().map(|address| record(owner, A, &address.octets())));
        }
        self.answered(0, &records)
    }
}

fn record(owner: &str, kind: u16, content: &[u8]) -> Vec<u8> {
    let mut out = encoded(owner);
    out.extend(kind.to_be_bytes());
    out.extend(1_u16.to_be_bytes());
    out.extend(TTL.to_be_bytes());
    out.extend((content.len() as u16).to_be_bytes());
    out.extend_from_slice(content);
    out
}

fn encoded(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn alias(owner: &str, of: &str) -> Vec<u8> {
    record(owner, CNAME, &encoded(of))
}

/// `None` where nothing is answered. `asked` remembers whose address has been asked for.
fn answer(question: &Question, asked: &mut HashSet<String>) -> Option<Vec<u8>> {
    let name = &question.name;
    let behind = |label: &str| format!("{label}.{name}");
    Some(match question.fault()? {
        "dns-nxdomain" => question.answered(NXDOMAIN, &[]),
        "dns-empty" => question.answered(0, &[]),
        "dns-servfail" => question.answered(SERVFAIL, &[]),
        "dns-refused" => question.answered(REFUSED, &[]),
        "dns-silent" => return None,
        "dns-truncated" => {
            let mut answer = question.answered(0, &[]);
            answer[2] |= 2;
            answer
        }
        "dns-mixed" => question.addresses(&[ALLOWED, FORBIDDEN]),
        "dns-metadata" => question.addresses(&[METADATA]),
        "dns-mapped" if question.kind == AAAA => {
            let mapped: Ipv6Addr = METADATA.to_ipv6_mapped();
            question.answered(0, &[record(name, AAAA, &mapped.octets())])
        }
        "dns-mapped" => question.answered(0, &[]),
        "dns-unspecified" => question.addresses(&[Ipv4Addr::UNSPECIFIED]),
        "dns-chain" => {
            let (second, third) = (behind("second"), behind("third"));
            let aliases = [alias(name, &second), alias(&second, &third)];
            question.addresses_of(&third, &aliases, &[ALLOWED])
        }
        "dns-chain-forbidden" => {
            let second = behind("second");
            question.addresses_of(&second, &[alias(name, &second)], &[FORBIDDEN])
        }
        "dns-chain-long" => question.answered(0, &[alias(name, &next_link(name))]),
        "dns-chain-loop" => question.answered(0, &[alias(name, name)]),
        "dns-many" => {
            let many: Vec<Ipv4Addr> = (1..=MANY).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect();
            question.addresses(&many)
        }
        "dns-other-name" => question.addresses_of("other.example", &[], &[ALLOWED]),
        "dns-other-question" => {
            let section = [encoded("other.example"), vec![0, 1, 0, 1]].concat();
            Question { section, ..question.clone() }.addresses(&[ALLOWED])
        }
        "dns-wrong-id" => {
            let id = [question.id[0], question.id[1].wrapping_add(1)];
            Question { id, ..question.clone() }.addresses(&[ALLOWED])
        }
        "dns-garbage" => vec![0xee; 100],
        "dns-rebinding" if question.kind == A => {
            let is_first = asked.insert(name.clone());
            question.addresses(&[if is_first { ALLOWED } else { FORBIDDEN }])
        }
        _ => question.addresses(&[ALLOWED]),
    })
}

/// `link-7.<rest>` after `link-6.<rest>`.
fn next_link(name: &str) -> String {
    let link = name.split_once('.').and_then(|(first, rest)| Some((first.strip_prefix("link-")?, rest)));
    match link.and_then(|(number, rest)| Some((number.parse::<u64>().ok()?, rest))) {
        Some((number, rest)) => format!("link-{}.{rest}", number + 1),
        None => format!("link-1.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, kind: u16) -> Option<Vec<u8>> {
        let mut query = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(encoded(name));
        query.extend([kind.to_be_bytes(), [0, 1]].concat());
        answer(&Question::read(&query).unwrap(), &mut HashSet::new())
    }

    #[test]
    fn a_name_says_what_is_answered() {
        let fine = ask(&name("dns-fine", 3), A).unwrap();
        assert_eq!((&fine[..2], fine[3] & 15, fine[7]), (&[7, 9][..], 0, 1));
        assert!(fine.ends_with(&ALLOWED.octets()));
        assert_eq!(ask(&name("dns-fine", 3), AAAA).unwrap()[7], 0, "it has no address of IPv6");
        assert_eq!(ask(&name("dns-nxdomain", 0), A).unwrap()[3] & 15, NXDOMAIN);
        assert_eq!(ask(&name("dns-silent", 0), A), None);
        assert_eq!(ask("elsewhere.example", A), None);
    }

    #[test]
    fn a_chain_without_end_goes_on_with_a_new_name_each_time() {
        let first = name("dns-chain-long", 0);
        let (second, third) = (next_link(&first), next_link(&next_link(&first)));
        assert_eq!((second, third), (format!("link-1.{first}"), format!("link-2.{first}")));
        assert!(ask(&format!("link-1.{first}"), A).unwrap().ends_with(&encoded(&format!("link-2.{first}"))));
    }

    #[test]
    fn a_name_that_is_rebound_is_allowed_once() {
        let mut asked = HashSet::new();
        let name = name("dns-rebinding", 0);
        let question = || Question { id: [0, 0], section: Vec::new(), name: name.clone(), kind: A };
        let answers = [0; 3].map(|_| answer(&question(), &mut asked).unwrap());
        assert!(answers[0].ends_with(&ALLOWED.octets()));
        assert!(answers[1].ends_with(&FORBIDDEN.octets()) && answers[2].ends_with(&FORBIDDEN.octets()));
    }
}

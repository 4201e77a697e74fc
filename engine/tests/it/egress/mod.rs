//! The egress guard of the binary as it is shipped, against every spelling of the corpus and through every door: an
//! endpoint that is made or changed, a message that brings its URL along, a test, a delivery, a redirect, a name that
//! changes its mind. In a network in which every address is listened at: nothing may connect to any that is forbidden.

mod canaries;
#[path = "../../egress/corpus.rs"]
mod corpus;
mod name_server;
mod namespace;

use std::net::IpAddr;

use http::Method;
use posthaste::delivery::{AddressForbidden, EgressPolicy};
use serde_json::{Value, json};

use self::canaries::{Canaries, PUBLIC, REDIRECT};
use self::corpus::{Spelling, said, spellings};
use self::name_server::NameServer;
use crate::harness::{Api, EVENT_TYPE, Follower, NO_LOCKOUT, Posthaste, Site, steady, wait_until};

/// The public receiver of this network.
const RECEIVER: &str = "http://receiver.example";
/// Applications, one for each door that makes deliveries.
const SAVED: &str = "saved";
const BROUGHT: &str = "brought";
const REDIRECTED: &str = "redirected";
const FLIPPED: &str = "flipped";
const APPLICATIONS: [&str; 4] = [SAVED, BROUGHT, REDIRECTED, FLIPPED];

struct World {
    corpus: Vec<Spelling>,
    names: NameServer,
    canaries: Canaries,
    posthaste: Posthaste,
    /// Its folder goes with it.
    _site: Site,
}

impl World {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let corpus = spellings();
        let names =
            NameServer::start(&corpus, &[("receiver.example", PUBLIC[0]), ("six.example", PUBLIC[1])]);
        let (names, canaries) = (names.await, Canaries::start(&corpus).await);
        let strict = [("egress.allow_cidrs", "[]")];
        let settings: Vec<_> = NO_LOCKOUT.iter().chain(&strict).chain(settings).copied().collect();
        let site = Site::new(&settings);
        let posthaste = site.start().await;
        let world = Self { corpus, names, canaries, posthaste, _site: site };
        world.api().make_event_type(EVENT_TYPE).await;
        for application in APPLICATIONS {
            world.api().make_application(application).await;
        }
        world
    }

    fn api(&self) -> Api {
        Api::at(self.posthaste.http())
    }

    async fn follow(&self, application: &'static str) -> Follower {
        Follower::start(self.posthaste.tcp(), application).await
    }

    /// An endpoint of the public receiver that is tried once.
    async fn endpoint(&self, application: &str) -> String {
        let body = json!({ "url": format!("{RECEIVER}/hook"), "retryPolicy": "none" });
        self.api().make_endpoint(application, &body).await
    }

    async fn publish(&self, application: &str, own_url: Option<(&str, &str)>) -> (u16, Value) {
        let mut body = json!({ "eventType": EVENT_TYPE, "payload": {} });
        if let Some((url, endpoint)) = own_url {
            body["override"] = json!({ "url": url, "endpoint": endpoint });
        }
        self.api().call(Method::POST, &format!("/api/v1/app/{application}/msg"), Some(&body)).await
    }

    /// Says what is wrong with an answer to a request that brought this spelling.
    fn judge(&self, spelling: &Spelling, (status, answer): &(u16, Value)) -> Option<String> {
        let is_right = match said(spelling.word) {
            Some(words) => *status == 422 && answer.to_string().contains(words),
            None => (200..300).contains(status),
        };
        (!is_right).then(|| format!("{} {:?}: {status} {answer}", spelling.word, spelling.url))
    }

    /// Spellings that are taken, because what they lead to shows when they are delivered to.
    fn taken(&self) -> usize {
        self.corpus.iter().filter(|spelling| said(spelling.word).is_none()).count()
    }
}

/// Sends every spelling through a door, and expects what the corpus says.
async fn refused_at_the_door(world: &World, door: &str, enter: impl AsyncFn(&str) -> (u16, Value)) {
    let mut wrong = Vec::new();
    for spelling in &world.corpus {
        wrong.extend(world.judge(spelling, &enter(&spelling.url).await));
    }
    assert!(wrong.is_empty(), "{door}: {} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(world.canaries.connected(), [], "{door}");
    eprintln!("{door}: {} spellings, no connection", world.corpus.len());
}

/// What becomes of the spellings that are taken.
async fn refused_when_delivered(world: &World, door: &str, follower: &Follower, deliveries: usize) {
    follower.saw(deliveries, "exhausted").await;
    for outcome in follower.outcomes() {
        assert!(
            ["address_forbidden", "dns_failed"].contains(&&*outcome.outcome),
            "{door}: {} {}",
            outcome.outcome,
            outcome.message
        );
    }
    assert_eq!(world.canaries.connected(), [], "{door}");
    eprintln!("{door}: {deliveries} deliveries, no connection");
}

#[tokio::test]
async fn no_door_leads_to_a_forbidden_destination_however_it_is_spelled() {
    if !namespace::is_inside("egress::no_door_leads_to_a_forbidden_destination_however_it_is_spelled") {
        return;
    }
    let world = World::start(&[]).await;
    let (api, names) = (world.api(), world.taken());
    let flips = world.corpus.iter().filter(|spelling| spelling.word == "flip").count();
    // From here on they lead to what is forbidden; what they do before is shown below.
    world.names.flip();

    refused_at_the_door(&world, "an endpoint that is made", async |url| {
        let body = json!({ "url": url, "retryPolicy": "none" });
        api.call(Method::POST, &format!("/api/v1/app/{SAVED}/endpoint"), Some(&body)).await
    })
    .await;

    let changed = world.endpoint(REDIRECTED).await;
    let path = format!("/api/v1/app/{REDIRECTED}/endpoint/{changed}");
    refused_at_the_door(&world, "an endpoint that is changed", async |url| {
        api.call(Method::PATCH, &path, Some(&json!({ "url": url }))).await
    })
    .await;
    refused_at_the_door(&world, "an endpoint that is replaced", async |url| {
        api.call(Method::PUT, &path, Some(&json!({ "url": url, "retryPolicy": "none" }))).await
    })
    .await;

    let probe = format!("/api/v1/app/{SAVED}/endpoint/probe");
    refused_at_the_door(&world, "a test of a URL", async |url| {
        let (status, answer) = api.call(Method::POST, &probe, Some(&json!({ "url": url }))).await;
        let outcome = &answer["outcome"];
        assert!(
            status != 200 || outcome == "address_forbidden" || outcome == "dns_failed",
            "{url}: {answer}"
        );
        (status, answer)
    })
    .await;

    let endpoint = world.endpoint(BROUGHT).await;
    refused_at_the_door(&world, "a message that brings its URL along", async |url| {
        world.publish(BROUGHT, Some((url, &endpoint))).await
    })
    .await;
    let follower = world.follow(BROUGHT).await;
    refused_when_delivered(&world, "messages that brought their URL", &follower, names).await;

    assert_eq!(world.publish(SAVED, None).await.0, 202);
    let follower = world.follow(SAVED).await;
    refused_when_delivered(&world, "endpoints that were saved", &follower, names).await;
    assert!(flips > 0 && names > flips);
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_destination_is_a_failure_and_no_connection() {
    if !namespace::is_inside("egress::a_redirect_to_a_forbidden_destination_is_a_failure_and_no_connection") {
        return;
    }
    let world = World::start(&[]).await;
    let endpoint = world.endpoint(REDIRECTED).await;
    // What no header can say, no redirect can.
    let can_be_sent = |spelling: &Spelling| !spelling.url.chars().any(char::is_control);
    let numbers: Vec<_> = (0..world.corpus.len()).filter(|&n| can_be_sent(&world.corpus[n])).collect();
    for number in &numbers {
        let url = format!("{RECEIVER}{REDIRECT}{number}");
        assert_eq!(world.publish(REDIRECTED, Some((&url, &endpoint))).await.0, 202);
    }
    let follower = world.follow(REDIRECTED).await;
    follower.saw(numbers.len(), "exhausted").await;
    for outcome in follower.outcomes() {
        assert_eq!(outcome.outcome, "redirect");
    }
    assert_eq!(world.canaries.asked(REDIRECT), numbers.len(), "each was asked for once");
    assert_eq!(world.canaries.connected(), []);
    eprintln!("redirects: {} spellings, no connection", numbers.len());
}

#[tokio::test]
async fn a_name_that_is_public_at_first_is_not_followed_to_where_it_leads_later() {
    if !namespace::is_inside("egress::a_name_that_is_public_at_first_is_not_followed_to_where_it_leads_later")
    {
        return;
    }
    let world = World::start(&[("alerts.disable_attempts_min", "100000")]).await;
    let flips: Vec<&Spelling> = world.corpus.iter().filter(|spelling| spelling.word == "flip").collect();
    for (number, spelling) in flips.iter().enumerate() {
        let url = format!("{}/{number}/", spelling.url);
        let body = json!({ "url": url, "retryPolicy": steady("300ms") });
        world.api().make_endpoint(FLIPPED, &body).await;
    }
    let follower = world.follow(FLIPPED).await;
    assert_eq!(world.publish(FLIPPED, None).await.0, 202);
    let asked = |number| world.canaries.asked(&format!("/hook/{number}/"));
    // While it is public it is connected to, so that the rest of this test means something.
    wait_until("each to be reached", || (0..flips.len()).all(|number| asked(number) > 0)).await;
    world.names.flip();
    let refused = || {
        let outcomes = follower.outcomes();
        let refused = outcomes.into_iter().filter(|outcome| outcome.outcome == "address_forbidden");
        refused.map(|outcome| outcome.endpoint).collect::<std::collections::HashSet<_>>()
    };
    wait_until("each to be refused", || refused().len() == flips.len()).await;
    assert_eq!(world.canaries.connected(), []);
    eprintln!("rebinding: {} names, no connection after they changed their mind", flips.len());
}

#[tokio::test]
async fn what_listens_everywhere_is_not_delivered_to_at_any_address_of_the_machine() {
    if !namespace::is_inside(
        "egress::what_listens_everywhere_is_not_delivered_to_at_any_address_of_the_machine",
    ) {
        return;
    }
    // Every address is this machine's in here. Some are allowed, so that only the last rule is in the way.
    let world = World::start(&[
        ("ingest.listen", "'0.0.0.0:7000'"),
        ("ingest.plain_public", "true"),
        ("ingest.password", "'0123456789abcdef0123456789abcdef'"),
        ("egress.allow_cidrs", "['10.0.0.0/8', '127.0.0.0/8', 'fd12::/16']"),
    ])
    .await;
    let api = world.api();
    let probe = format!("/api/v1/app/{SAVED}/endpoint/probe");
    for host in ["10.1.2.3", "127.0.0.1", "[fd12::1]", "[::ffff:10.1.2.3]", PUBLIC[0]] {
        let url = format!("http://{host}:7000/");
        let (status, answer) = api.call(Method::POST, &probe, Some(&json!({ "url": url }))).await;
        assert!(status == 422 && answer.to_string().contains("where this server itself listens"), "{answer}");
    }
    let url = format!("{RECEIVER}:7000/");
    let (_, answer) = api.call(Method::POST, &probe, Some(&json!({ "url": url }))).await;
    assert_eq!(answer["outcome"], "address_forbidden", "a name that leads there is no way around: {answer}");
    // At another port it is not this process.
    let (_, answer) = api.call(Method::POST, &probe, Some(&json!({ "url": "http://10.1.2.3:8080/" }))).await;
    assert_eq!(answer["outcome"], "connection_lost", "{answer}");
    assert_eq!(world.canaries.connected(), ["10.1.2.3:8080".parse().expect("an address")]);
}

#[test]
fn where_every_address_can_be_bound_to_only_those_of_the_machine_are_its_own() {
    if !namespace::is_among_strangers(
        "egress::where_every_address_can_be_bound_to_only_those_of_the_machine_are_its_own",
    ) {
        return;
    }
    let foreign = ["10.10.0.1", "192.0.2.1", "1.1.1.1", "fd13::1", "2606:4700:4700::1111"];
    for address in foreign {
        std::net::UdpSocket::bind((address, 0)).expect("everything can be bound to in here");
    }
    let policy = EgressPolicy {
        allow_cidrs: ["0.0.0.0/0", "::/0"].map(|range| range.parse().expect("a range")).into(),
        own_addresses: vec!["0.0.0.0:7000".parse().expect("an address")],
        allow_http: true,
        deny_cidrs: Vec::new(),
        allow_names: Vec::new(),
        allow_ports: Vec::new(),
        deny_ports: Vec::new(),
        lenient: false,
        nat64: false,
    };
    let judge = |ip: &str| policy.check_address((ip.parse::<IpAddr>().expect("an address"), 7_000).into());
    for ip in ["10.9.0.1", "10.9.0.2", "127.0.0.1", "fd12::1", "::1"] {
        assert!(matches!(judge(ip), Err(AddressForbidden::OwnListener { .. })), "{ip}: {:?}", judge(ip));
    }
    for ip in foreign {
        assert_eq!(judge(ip), Ok(()), "{ip}");
    }
}

#[tokio::test]
async fn metadata_services_are_not_connected_to_where_everything_is_allowed() {
    if !namespace::is_inside("egress::metadata_services_are_not_connected_to_where_everything_is_allowed") {
        return;
    }
    let everything = ("egress.allow_cidrs", "['0.0.0.0/0', '::/0']");
    let world = World::start(&[everything, ("egress.allow_names", "['.internal']")]).await;
    world.names.flip();
    let probe = format!("/api/v1/app/{SAVED}/endpoint/probe");
    let mut tested = 0;
    for spelling in &world.corpus {
        let leads_there = spelling.word == "never"
            || spelling.answers.first.iter().chain(spelling.answers.later.iter().flatten()).any(|address| {
                let text = address.to_canonical().to_string();
                [
                    "169.254.",
                    "100.100.100.200",
                    "168.63.129.16",
                    "192.0.0.192",
                    "fd00:ec2:",
                    "fd20:ce:",
                    "fe80:",
                ]
                .iter()
                .any(|beginning| text.starts_with(beginning))
            });
        if !leads_there || spelling.url.starts_with("https") {
            continue;
        }
        let (status, answer) =
            world.api().call(Method::POST, &probe, Some(&json!({ "url": spelling.url }))).await;
        let is_refused = status == 422 || answer["outcome"] == "address_forbidden";
        assert!(is_refused && answer.to_string().contains("is never allowed"), "{}: {answer}", spelling.url);
        tested += 1;
    }
    assert_eq!(world.canaries.connected(), []);
    assert!(tested > 50, "{tested}");
    eprintln!("everything allowed: {tested} spellings of metadata services, no connection");
}

#[tokio::test]
async fn a_lenient_guard_connects_to_those_of_several_answers_that_are_public() {
    if !namespace::is_inside("egress::a_lenient_guard_connects_to_those_of_several_answers_that_are_public") {
        return;
    }
    let world = World::start(&[("egress.lenient", "true")]).await;
    world.names.flip();
    let probe = format!("/api/v1/app/{SAVED}/endpoint/probe");
    let (mut reached, mut refused) = (0, 0);
    for spelling in world.corpus.iter().filter(|spelling| said(spelling.word).is_none()) {
        let answer = world.api().post(&probe, &json!({ "url": spelling.url })).await;
        match answer["outcome"].as_str() {
            Some("address_forbidden" | "dns_failed") => refused += 1,
            // The receiver fails on purpose, or nobody in the public answers there.
            Some("bad_status" | "connection_lost") => reached += 1,
            _ => panic!("{}: {answer}", spelling.url),
        }
    }
    assert!(reached > 5 && refused > 5, "{reached} {refused}");
    let strangers = ["93.184.215.15", "93.184.215.16", "93.184.215.17"];
    let forbidden = world.canaries.connected();
    let forbidden = forbidden.iter().filter(|address| !strangers.contains(&&*address.ip().to_string()));
    assert_eq!(forbidden.count(), 0, "{:?}", world.canaries.connected());
}

//! What went wrong in other webhook senders, in servers of this kind and in our own stack, and does not here: each
//! advisory has a test that bears its number. docs/security.md has the table; a test holds it to this.
//!
//! Where an advisory leaves open what exactly was wrong, the test shows the rule that keeps its kind of hole out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use posthaste::core::ids::MessageId;
use posthaste::core::outcome::Outcome;
use posthaste::core::retry::RetryAfterLimits;
use posthaste::delivery::{
    AddressForbidden, DeliveryConfig, EgressPolicy, Ended, MessageHead, PoolLimits, Resolve, ResolveError,
    Resolving, ResponseLimits, Sender, Target, TargetSpec, Timeouts, Trust, UrlError, check_url,
};
use posthaste_storage::EntryId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::features::all_tests;
use crate::harness::{
    APPLICATION, Answer, Api, EVENT_TYPE, Posthaste, Receiver, Resp, Site, World, wait_until,
};
use crate::proxy::Proxy;

const SECURITY: &str = include_str!("../../../docs/security.md");
const LOCK: &str = include_str!("../../../Cargo.lock");
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn policy(allow_cidrs: &[&str]) -> EgressPolicy {
    EgressPolicy {
        allow_http: true,
        allow_cidrs: allow_cidrs.iter().map(|cidr| cidr.parse().expect("a range")).collect(),
        deny_cidrs: Vec::new(),
        allow_names: Vec::new(),
        allow_ports: vec![80, 443],
        deny_ports: Vec::new(),
        lenient: false,
        nat64: false,
        own_addresses: Vec::new(),
    }
}

#[track_caller]
fn refused(policy: &EgressPolicy, host: &str) -> AddressForbidden {
    match check_url(&format!("http://{host}/"), policy) {
        Err(UrlError::Address(forbidden)) => forbidden,
        other => panic!("{host}: {other:?}"),
    }
}

#[track_caller]
fn all_refused(policy: &EgressPolicy, hosts: &[&str]) {
    for host in hosts {
        refused(policy, host);
        // As an answer of DNS it is the same.
        let literal = host.trim_matches(['[', ']']);
        if let Ok(ip) = literal.parse::<IpAddr>() {
            policy.check_address((ip, 443).into()).expect_err(host);
        }
    }
}

/// Answers of DNS: each lookup takes the next list, the last one stays. No list: it could not be asked.
struct Names(RefCell<Vec<Vec<IpAddr>>>);

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let mut lists = self.0.borrow_mut();
            let list = if lists.len() > 1 { lists.pop() } else { lists.last().cloned() };
            let failed = || ResolveError::Failed { name: name.to_owned(), reason: "no answer".to_owned() };
            list.ok_or_else(failed)
        })
    }
}

/// A sender under this policy that is told these answers.
fn sender(egress: EgressPolicy, answers: &[&[&str]]) -> Sender {
    let parse = |list: &&[&str]| list.iter().map(|text| text.parse().expect("an address")).collect();
    let names = Rc::new(Names(RefCell::new(answers.iter().rev().map(parse).collect())));
    let limit = Duration::from_secs(20);
    let config = DeliveryConfig {
        timeouts: Timeouts { dns: limit, connect: limit, tls: limit, first_byte: limit, total: limit },
        pool: PoolLimits {
            idle_timeout: limit,
            age_max: limit,
            connections_per_host_max: 4,
            connections_max: 16,
            streams_per_connection_max: 16,
        },
        response: ResponseLimits {
            body_bytes_read_max: 1_024,
            body_bytes_kept_max: 1_024,
            headers_bytes_kept_max: 0,
        },
        retry_after: RetryAfterLimits { min: Duration::from_secs(1), max: limit },
        http2: true,
        egress,
        trust: Trust::load(None).expect("roots"),
        proxy: None,
        name_servers: Vec::new(),
    };
    Sender::with_resolver(&config, names).expect("TLS")
}

async fn attempt(sender: &Sender, url: &str) -> Ended {
    let target = Target::prepare(TargetSpec::new(url)).expect("a target");
    let head = MessageHead { id: MessageId(EntryId::new(1, 1)), content_type: None, parent: None };
    sender.attempt(&target, head, Bytes::from_static(b"{}"), 1_700_000_000).await
}

/// A listener that answers 204 and closes, and counts who came.
struct Door {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Door {
    async fn at(address: SocketAddr) -> Self {
        Self::answering(address, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned()).await
    }

    async fn answering(address: SocketAddr, answer: String) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let connections = Arc::<AtomicUsize>::default();
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4_096];
                    // Who only knocks gets no answer.
                    if tcp.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                        let _ = tcp.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        Self { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.port)
    }
}

const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const BESIDE: [u8; 4] = [127, 0, 0, 2];

// Addresses and names: Gitea, GitLab, and others who send webhooks.

#[test]
fn cve_2026_22874_no_special_range_is_missing_from_the_guard() {
    all_refused(
        &policy(&[]),
        &[
            "0.1.2.3",
            "100.64.0.1",
            "192.0.0.8",
            "192.88.99.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "[::]",
            "[::1]",
            "[64:ff9b:1::1]",
            "[100::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002::1]",
            "[3fff::1]",
            "[5f00::1]",
            "[fc00::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[4000::1]",
        ],
    );
}

#[tokio::test]
async fn cve_2026_58508_a_name_that_was_judged_is_judged_again_at_the_next_connection() {
    LocalSet::new()
        .run_until(async {
            let (allowed, other) = (Door::at(HERE).await, BESIDE);
            let canary = Door::at((other, allowed.port).into()).await;
            let sender = sender(policy(&["127.0.0.1/32"]), &[&["127.0.0.1"], &["127.0.0.2"]]);
            let first = attempt(&sender, &allowed.url("shop.example")).await;
            assert!(first.outcome.is_success(), "{}", first.detail);
            let second = attempt(&sender, &allowed.url("shop.example")).await;
            assert_eq!(second.outcome, Outcome::AddressForbidden, "{}", second.detail);
            assert_eq!((allowed.connections(), canary.connections()), (1, 0));
        })
        .await;
}

#[tokio::test]
async fn cve_2026_101029_an_address_that_was_not_judged_is_not_dialled() {
    LocalSet::new()
        .run_until(async {
            let allowed = Door::at(HERE).await;
            let canary = Door::at((BESIDE, allowed.port).into()).await;
            for mixed in [&["127.0.0.1", "127.0.0.2"], &["127.0.0.2", "127.0.0.1"]] {
                let strict =
                    attempt(&sender(policy(&["127.0.0.1/32"]), &[mixed]), &allowed.url("a.example")).await;
                assert_eq!(
                    strict.outcome,
                    Outcome::AddressForbidden,
                    "one forbidden answer forbids the name"
                );
                let lenient = EgressPolicy { lenient: true, ..policy(&["127.0.0.1/32"]) };
                let dialled = attempt(&sender(lenient, &[mixed]), &allowed.url("a.example")).await;
                assert!(dialled.outcome.is_success(), "{}", dialled.detail);
            }
            // Where the permitted one refuses, the forbidden one is not the way out.
            let closed =
                TcpListener::bind(HERE).await.expect("a port").local_addr().expect("an address").port();
            let canary_there = Door::at((BESIDE, closed).into()).await;
            let lenient = EgressPolicy { lenient: true, ..policy(&["127.0.0.1/32"]) };
            let url = format!("http://a.example:{closed}/");
            let refused = attempt(&sender(lenient, &[&["127.0.0.1", "127.0.0.2"]]), &url).await;
            assert_eq!(refused.outcome, Outcome::ConnectFailed, "{}", refused.detail);
            assert_eq!((canary.connections(), canary_there.connections()), (0, 0));
        })
        .await;
}

#[tokio::test]
async fn cve_2026_104636_where_a_redirect_leads_is_neither_judged_nor_followed() {
    LocalSet::new()
        .run_until(async {
            // Even to where it would be allowed to.
            let canary = Door::at(HERE).await;
            for status in [301, 302, 303, 307, 308] {
                let location = canary.url("127.0.0.1");
                let answer =
                    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
                let receiver = Door::answering(HERE, answer).await;
                let sender = sender(policy(&["127.0.0.0/8"]), &[]);
                let ended = attempt(&sender, &receiver.url("127.0.0.1")).await;
                assert_eq!(ended.outcome, Outcome::Redirect { status });
            }
            assert_eq!(canary.connections(), 0);
        })
        .await;
}

#[tokio::test]
async fn cve_2026_89430_what_was_accepted_when_it_was_saved_is_judged_again_when_it_is_delivered() {
    let mut world =
        World::with(&[], json!({ "retryPolicy": "none" }), Receiver::answering(Answer::Status(204)).await)
            .await;
    world.site.set("egress.deny_cidrs", "['127.0.0.0/8']");
    world.restart().await;
    world.publish_one().await;
    let follower = world.follow().await;
    follower.saw(1, "exhausted").await;
    assert_eq!(follower.outcomes()[0].outcome, "address_forbidden");
    assert_eq!(world.receiver.count(), 0);
}

#[tokio::test]
async fn gitlab_h1_632101_a_name_that_cannot_be_resolved_is_a_failure_and_no_way_around_the_guard() {
    LocalSet::new()
        .run_until(async {
            let canary = Door::at(HERE).await;
            for name in ["127.0.0.1.shop.example", "shop.example"] {
                let ended = attempt(&sender(policy(&[]), &[]), &canary.url(name)).await;
                assert_eq!(ended.outcome, Outcome::DnsFailed, "{}", ended.detail);
                let empty = attempt(&sender(policy(&[]), &[&[]]), &canary.url(name)).await;
                assert_eq!(empty.outcome, Outcome::DnsFailed, "{}", empty.detail);
            }
            assert_eq!(canary.connections(), 0);
        })
        .await;
}

#[tokio::test]
async fn gitlab_h1_1055816_one_allowed_address_switches_no_other_check_off() {
    LocalSet::new()
        .run_until(async {
            let allowed = Door::at(HERE).await;
            let canary = Door::at((BESIDE, allowed.port).into()).await;
            let one = policy(&["127.0.0.1/32"]);
            let flipping =
                sender(one.clone(), &[&["127.0.0.1"], &["127.0.0.2"], &["169.254.169.254"], &["10.0.0.1"]]);
            assert!(attempt(&flipping, &allowed.url("a.example")).await.outcome.is_success());
            for _ in 0..3 {
                let ended = attempt(&flipping, &allowed.url("a.example")).await;
                assert_eq!(ended.outcome, Outcome::AddressForbidden, "{}", ended.detail);
            }
            all_refused(&one, &["127.0.0.2", "10.0.0.1", "[::1]", "169.254.169.254"]);
            assert!(
                check_url("http://127.0.0.1:22/", &one).is_err()
                    && check_url("ftp://127.0.0.1/", &one).is_err()
            );
            assert_eq!(canary.connections(), 0);
        })
        .await;
}

#[tokio::test]
async fn cve_2021_22214_nobody_without_a_token_makes_the_server_ask_for_anything() {
    let tokens = format!("['{TOKEN}']");
    let site = Site::new(&[("api.tokens", &tokens)]);
    let posthaste = site.start().await;
    let inside = Receiver::answering(Answer::Status(204)).await;
    let admin = Api::at(posthaste.http()).with_token(TOKEN);
    admin.make_application(APPLICATION).await;
    let endpoint = admin.make_endpoint(APPLICATION, &json!({ "url": inside.url() })).await;
    let of = |rest: &str| format!("/api/v1/app/{APPLICATION}/{rest}");
    let message = json!({ "eventType": EVENT_TYPE, "payload": {}, "override": { "url": inside.url() } });
    for (path, body) in [
        (of("endpoint/probe"), json!({ "url": inside.url() })),
        (of(&format!("endpoint/{endpoint}/test")), json!({})),
        (of(&format!("endpoint/{endpoint}/send-example")), json!({ "eventType": EVENT_TYPE })),
        (of("endpoint"), json!({ "url": inside.url() })),
        (of("msg"), message),
    ] {
        for api in [Api::at(posthaste.http()), Api::at(posthaste.http()).with_token("another")] {
            let (status, answer) = api.call(Method::POST, &path, Some(&body)).await;
            assert_eq!(status, 401, "{path}: {answer}");
        }
    }
    assert_eq!(inside.count(), 0);
}

#[test]
fn gitlab_2018_an_ipv4_mapped_address_is_the_address_that_it_maps() {
    let strict = policy(&[]);
    all_refused(
        &strict,
        &["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:10.0.0.1]", "[::FFFF:A9FE:A9FE]"],
    );
    assert!(check_url("http://[::ffff:1.1.1.1]/", &strict).is_ok());
}

#[test]
fn ghsa_qwrf_gfpj_qvj6_brackets_are_no_way_around_the_guard() {
    all_refused(&policy(&[]), &["[::1]", "[::ffff:127.0.0.1]", "[fe80::1]"]);
    for host in ["[[::1]]", "[127.0.0.1]", "[localhost]", "[::1]]", "%5b::1%5d", "[::1].example.com"] {
        let told = check_url(&format!("http://{host}/"), &policy(&[]));
        assert!(matches!(told, Err(UrlError::Unreadable { .. })), "{host}: {told:?}");
    }
}

#[tokio::test]
async fn ghsa_9g3w_r349_3vvw_an_address_in_place_of_a_name_is_judged_when_it_is_dialled_too() {
    LocalSet::new()
        .run_until(async {
            let canary = Door::at(HERE).await;
            // The resolver would answer something public: it is not asked.
            let sender = sender(policy(&[]), &[&["1.1.1.1"]]);
            for host in
                ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "[::ffff:7f00:1]", "0.0.0.0"]
            {
                let ended = attempt(&sender, &canary.url(host)).await;
                assert_eq!(ended.outcome, Outcome::AddressForbidden, "{host}: {}", ended.detail);
            }
            assert_eq!(canary.connections(), 0);
        })
        .await;
}

#[test]
fn ghsa_qhf2_x32h_c288_what_a_tunnel_would_take_out_of_an_address_is_judged_too() {
    all_refused(&policy(&[]), &["[2002:7f00:1::1]", "[2001:0:7f00:1::1]", "[2001:0:808:808:0:0:80ff:fffe]"]);
    // Where an operator allows the tunnels, what nothing can allow stays forbidden inside them.
    let tunnels = policy(&["2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48"]);
    for host in [
        "[2002:a9fe:a9fe::1]",
        "[2001:0:808:808:0:0:5601:5601]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
    ] {
        let forbidden = refused(&tunnels, host);
        assert!(matches!(forbidden, AddressForbidden::Never { .. }), "{host}: {forbidden}");
    }
}

#[test]
fn plunk_449_all_of_link_local_is_refused_and_so_is_the_unspecified_address() {
    all_refused(
        &policy(&[]),
        &["[fe80::1]", "[fe81::1]", "[fea0::1]", "[febf::1]", "[::]", "0.0.0.0", "[::1]"],
    );
}

#[test]
fn formbricks_129_ranges_that_lists_forget_are_refused() {
    all_refused(
        &policy(&[]),
        &["100.64.0.1", "100.127.255.254", "0.0.0.1", "[5f00::1]", "[3fff::1]", "168.63.129.16"],
    );
}

#[test]
fn cal_diy_29935_every_metadata_service_is_refused_and_not_only_the_famous_one() {
    let everything = policy(&["0.0.0.0/0", "::/0"]);
    for host in [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "192.0.0.192",
        "[fd20:ce::254]",
    ] {
        let forbidden = refused(&everything, host);
        assert!(matches!(forbidden, AddressForbidden::Never { .. }), "{host}: {forbidden}");
    }
}

#[tokio::test]
async fn omniroute_3281_allowing_private_networks_opens_no_metadata_service_and_shows_no_answer() {
    let private = policy(&[
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    ]);
    assert!(
        check_url("http://10.0.0.1/", &private).is_ok() && check_url("http://[fd12::1]/", &private).is_ok()
    );
    all_refused(&private, &["169.254.169.254", "100.100.100.200", "[fd00:ec2::254]", "[fe80::a9fe:a9fe]"]);
    the_answer_is_not_shown(Answer::Body(200, "credentials of the machine")).await;
}

#[tokio::test]
async fn cve_2026_15732_a_test_is_no_way_to_read_what_is_in_the_own_network() {
    the_answer_is_not_shown(Answer::Body(500, "credentials of the machine")).await;
    let typed = Answer::Typed(200, "text/credentials", "credentials of the machine".to_owned());
    the_answer_is_not_shown(typed).await;
}

/// Tests a receiver that is allowed and private, and expects that nothing of its answer is seen.
async fn the_answer_is_not_shown(answer: Answer) {
    let world = World::start().await;
    let inside = Receiver::answering(answer).await;
    let path = format!("/api/v1/app/{APPLICATION}/endpoint/probe");
    let shown = world.api().post(&path, &json!({ "url": inside.url() })).await;
    assert_eq!((inside.count(), &shown["responseHidden"]), (1, &json!(true)));
    assert_eq!((&shown["response"], &shown["responseHeaders"]), (&Value::Null, &json!({})));
    assert!(!shown.to_string().contains("credentials"), "{shown}");
}

#[test]
fn cve_2026_69257_a_mapped_address_is_judged_in_every_spelling_of_it() {
    let strict = policy(&[]);
    for v4 in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1"] {
        let v4: std::net::Ipv4Addr = v4.parse().expect("an address");
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        for host in [
            format!("[::ffff:{v4}]"),
            format!("[::FFFF:{high:x}:{low:x}]"),
            format!("[0:0:0:0:0:ffff:{high:04x}:{low:04x}]"),
            format!("[0000:0000:0000:0000:0000:ffff:{v4}]"),
        ] {
            refused(&strict, &host);
        }
    }
}

#[tokio::test]
async fn cve_2026_75511_a_name_that_leads_inside_is_refused_whoever_brings_it() {
    LocalSet::new()
        .run_until(async {
            let canary = Door::at(HERE).await;
            for answer in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"] {
                let sender = sender(policy(&[]), &[&[answer]]);
                let ended = attempt(&sender, &canary.url("hooks.example")).await;
                assert_eq!(ended.outcome, Outcome::AddressForbidden, "{answer}: {}", ended.detail);
            }
            assert_eq!(canary.connections(), 0);
        })
        .await;
}

#[test]
fn cve_2026_39087_what_is_allowed_by_name_is_that_name_and_not_what_contains_it() {
    let names = ["intranet", ".corp.internal", "db.internal"].map(str::to_owned).to_vec();
    let named = EgressPolicy { allow_names: names, ..policy(&[]) };
    let taken = |name: &str| check_url(&format!("http://{name}/"), &named).is_ok();
    assert!(taken("intranet") && taken("a.corp.internal") && taken("db.internal"));
    for name in [
        "intranet2",
        "xintranet",
        "corp.internal",
        "evilcorp.internal",
        "xdb.internal",
        "a.db.internal",
        "db.internal.local",
    ] {
        assert!(!taken(name), "{name}");
    }
    // And an allowed name allows no address.
    all_refused(&named, &["127.0.0.1", "10.0.0.1"]);
}

#[tokio::test]
async fn cve_2026_44492_variables_of_the_environment_lead_no_request_through_or_past_a_proxy() {
    let proxy = Proxy::start().await;
    let configured = format!("'{}'", proxy.url);
    for (settings, expected) in [(vec![], 0), (vec![("delivery.proxy", configured.as_str())], 1)] {
        let site = Site::new(&settings);
        let mut command = site.serve();
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env(name, if expected == 0 { &proxy.url } else { "" });
        }
        for name in ["NO_PROXY", "no_proxy"] {
            command.env(name, if expected == 0 { "" } else { "*,127.0.0.1,::ffff:127.0.0.1,localhost" });
        }
        let posthaste = Posthaste::spawn(command).accepting().await;
        let api = Api::at(posthaste.http());
        api.make_application(APPLICATION).await;
        api.make_event_type(EVENT_TYPE).await;
        let receiver = Receiver::answering(Answer::Status(204)).await;
        api.make_endpoint(APPLICATION, &json!({ "url": receiver.url() })).await;
        let message = json!({ "eventType": EVENT_TYPE, "payload": {} });
        api.post(&format!("/api/v1/app/{APPLICATION}/msg"), &message).await;
        wait_until("the request", || receiver.count() == 1).await;
        assert_eq!(proxy.tunnels(), expected);
    }
}

// Protocols and doors.

#[tokio::test]
async fn cve_2023_37279_a_window_of_all_time_is_answered_and_what_is_out_of_bounds_is_refused() {
    let world = World::start().await;
    world.publish(20).await;
    world.follow().await.saw(20, "delivered").await;
    let api = world.api();
    let stats = format!("/api/v1/app/{APPLICATION}/endpoint/{}/stats", world.endpoint);
    let attempts = format!("/api/v1/app/{APPLICATION}/attempt/endpoint/{}", world.endpoint);
    let all_time = format!("{stats}?since=0001-01-01T00:00:00Z&until=9999-01-01T00:00:00Z");
    assert_eq!(api.get(&all_time).await["success"], 20);
    for path in [
        format!("{stats}?since=99999999999999999999"),
        format!("{stats}?since=2030-01-01T00:00:00Z&until=2020-01-01T00:00:00Z"),
        format!("{attempts}?limit=1000000000"),
        format!("{attempts}?limit=-1"),
        format!("{attempts}?limit=18446744073709551616"),
        "/api/v1/audit?limit=251".to_owned(),
    ] {
        let (status, answer) = api.call(Method::GET, &path, None).await;
        assert_eq!(status, 422, "{path}: {answer}");
    }
}

#[tokio::test]
async fn cve_2025_21605_replies_to_a_client_that_has_not_authenticated_do_not_pile_up() {
    /// Far more than two sockets and the server's own bounds hold together.
    const SENT_MAX: usize = 64 << 20;
    const NO_PROGRESS: Duration = Duration::from_secs(3);
    let site = Site::new(&[("ingest.password", &format!("'{TOKEN}'"))]);
    let posthaste = site.start().await;
    let mut socket = TcpStream::connect(posthaste.tcp()).await.expect("it accepts");
    let commands = b"*1\r\n$4\r\nPING\r\n".repeat(4_096);
    let mut sent = 0;
    // It reads nothing. Sooner or later the server reads no more either, or closes.
    while let Ok(Ok(bytes)) = timeout(NO_PROGRESS, socket.write(&commands)).await {
        sent += bytes;
        assert!(sent < SENT_MAX, "{sent} bytes of commands were taken, and nobody read an answer");
    }
    let answer = Resp::connect(posthaste.tcp()).await.call(&["AUTH", TOKEN]).await;
    assert_eq!(answer.as_bytes().map(Bytes::as_ref), Some(&b"OK"[..]), "others are served: {answer:?}");
}

#[tokio::test]
async fn cross_protocol_a_form_that_a_browser_posts_to_the_tcp_port_publishes_nothing() {
    let world = World::start().await;
    let body = format!("XADD messages:{APPLICATION} * type {EVENT_TYPE} payload {{}}\r\n");
    let request = format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for request in [request.clone(), format!("Host: x\r\n{body}"), request.to_lowercase()] {
        let mut resp = world.resp().await;
        resp.send(request.as_bytes()).await;
        assert_eq!(resp.rest().await, "", "it is closed without an answer");
    }
    assert_eq!(world.resp().await.xlen(APPLICATION).await, 0);
    assert_eq!(world.receiver.count(), 0);
}

// Our own stack: versions in which a hole was closed.

/// Every version of this crate in the lock file is at least this one.
#[track_caller]
fn at_least(name: &str, minimum: [u64; 3]) {
    let marker = format!("name = \"{name}\"\nversion = \"");
    let versions: Vec<[u64; 3]> = LOCK
        .split(&marker)
        .skip(1)
        .map(|rest| {
            let version = rest.split('"').next().expect("a version");
            let mut numbers = version.split(['.', '-', '+']).map(|number| number.parse().expect("a number"));
            std::array::from_fn(|_| numbers.next().expect("three numbers"))
        })
        .collect();
    assert!(!versions.is_empty(), "{name} is not in Cargo.lock: is the advisory still ours?");
    assert!(versions.iter().all(|version| *version >= minimum), "{name} {versions:?}, at least {minimum:?}");
}

#[test]
fn rustsec_2026_0258_h2_bounds_the_queue_of_empty_data_frames() {
    at_least("h2", [0, 4, 16]);
}

#[test]
fn rustsec_2026_0119_hickory_proto_is_of_a_version_without_the_hole() {
    at_least("hickory-proto", [0, 26, 1]);
}

#[test]
fn rustsec_2025_0055_tracing_subscriber_escapes_what_steers_terminals() {
    at_least("tracing-subscriber", [0, 3, 20]);
}

#[test]
fn rustsec_2026_0009_time_is_of_a_version_without_the_hole() {
    at_least("time", [0, 3, 47]);
}

#[test]
fn rustsec_2026_0007_bytes_is_of_a_version_without_the_hole() {
    at_least("bytes", [1, 11, 1]);
}

#[test]
fn there_is_one_tls_stack_and_one_http_stack() {
    for name in ["openssl", "openssl-sys", "native-tls", "reqwest", "ureq", "curl", "isahc", "rustls-pemfile"]
    {
        assert!(!LOCK.contains(&format!("name = \"{name}\"\n")), "{name} is in Cargo.lock");
    }
}

// The table for people.

/// The advisories that the table has, by a part of their row.
const ADVISORIES: &[&str] = &[
    "CVE-2026-22874",
    "CVE-2026-58508",
    "CVE-2026-101029",
    "CVE-2026-104636",
    "CVE-2026-89430",
    "632101",
    "1055816",
    "CVE-2021-22214",
    "GitLab 11.5",
    "GHSA-qwrf-gfpj-qvj6",
    "GHSA-9g3w-r349-3vvw",
    "GHSA-qhf2-x32h-c288",
    "plunk",
    "formbricks",
    "cal.diy",
    "OmniRoute",
    "CVE-2026-69257",
    "CVE-2026-75511",
    "CVE-2026-15732",
    "CVE-2026-39087",
    "CVE-2026-44492",
    "CVE-2024-21491",
    "CVE-2025-53548",
    "CVE-2023-37279",
    "CVE-2025-21605",
    "RUSTSEC-2026-0258",
    "RUSTSEC-2026-0119",
    "RUSTSEC-2025-0055",
    "RUSTSEC-2026-0009",
    "RUSTSEC-2026-0007",
];

#[test]
fn every_test_that_the_security_document_names_exists_and_every_advisory_has_one() {
    let tests: HashMap<String, _> = all_tests();
    // Names in backquotes that read like tests: several words, no path.
    let named: Vec<&str> = SECURITY
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| {
            name.matches('_').count() >= 4 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
        .collect();
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains_key(**name)).collect();
    assert!(missing.is_empty(), "docs/security.md names tests that do not exist: {missing:#?}");
    assert!(named.len() > ADVISORIES.len(), "{}", named.len());
    for advisory in ADVISORIES {
        let row = SECURITY.lines().find(|line| line.starts_with('|') && line.contains(advisory));
        let row = row.unwrap_or_else(|| panic!("docs/security.md has no row for {advisory}"));
        assert!(named.iter().any(|name| row.contains(name)), "no test in: {row}");
    }
}

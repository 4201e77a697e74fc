use proptest::prelude::*;

use super::*;

type Wishes = Option<BTreeSet<String>>;

fn set(texts: &[&str]) -> Wishes {
    Some(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn id(number: u64) -> EndpointId {
    EndpointId::from_u64(number)
}

fn interest<'a>(event_types: &'a Wishes, channels: &'a Wishes) -> Interest<'a> {
    Interest { event_types: event_types.as_ref(), channels: channels.as_ref(), chain: None, filter: None }
}

/// Where a message without a payload to speak of goes.
fn route(routes: &AppRoutes, event_type: &str, channels: &[impl AsRef<str>]) -> Vec<EndpointId> {
    routes.route(event_type, channels, &Payload::new(b"{}", true), &FilterCounts::default()).endpoints
}

/// The endpoints' wishes, in order; answers with the numbers of those that get the message.
fn check(endpoints: &[(Wishes, Wishes)], event_type: &str, channels: &[&str], expect: &[u64]) {
    let mut routes = AppRoutes::default();
    for (number, (event_types, own)) in (0..).zip(endpoints) {
        routes.insert(id(number), interest(event_types, own));
    }
    let expect: Vec<_> = expect.iter().copied().map(id).collect();
    assert_eq!(route(&routes, event_type, channels), expect, "{event_type} on {channels:?}");
}

#[test]
fn an_endpoint_without_event_types_gets_every_message() {
    check(&[(None, None)], "call.started", &[], &[0]);
    check(&[(None, None)], "x", &["a"], &[0]);
}

#[test]
fn an_endpoint_with_event_types_gets_those_and_no_others() {
    let endpoints = [(set(&["a.b", "c"]), None), (set(&["a"]), None)];
    check(&endpoints, "a.b", &[], &[0]);
    check(&endpoints, "a", &[], &[1]);
    check(&endpoints, "c.d", &[], &[]);
}

#[test]
fn a_prefix_wants_what_lies_behind_its_dot_and_not_its_own_name() {
    let endpoints = [(set(&["call.*"]), None), (set(&["call.a.*"]), None)];
    check(&endpoints, "call.started", &[], &[0]);
    check(&endpoints, "call.a.b", &[], &[0, 1]);
    check(&endpoints, "call.a", &[], &[0]);
    for event_type in ["call", "call.", "calls.started", "xcall.started", "started"] {
        check(&endpoints, event_type, &[], &[]);
    }
}

#[test]
fn an_endpoint_with_channels_gets_only_messages_on_one_of_them() {
    let endpoints = [(None, set(&["eu", "us"])), (None, set(&["eu"])), (None, None)];
    check(&endpoints, "x", &[], &[2]);
    check(&endpoints, "x", &["us"], &[0, 2]);
    check(&endpoints, "x", &["eu"], &[0, 1, 2]);
    check(&endpoints, "x", &["asia"], &[2]);
}

#[test]
fn an_endpoint_is_named_once_however_many_wishes_are_fulfilled() {
    let endpoints = [(set(&["a.b", "a.*"]), set(&["x", "y"]))];
    check(&endpoints, "a.b", &["x", "y"], &[0]);
}

#[test]
fn an_endpoint_that_was_removed_leaves_nothing_behind() {
    let mut routes = AppRoutes::default();
    let (event_types, channels) = (set(&["a", "b.*"]), set(&["x"]));
    routes.insert(id(1), interest(&event_types, &channels));
    routes.remove(id(1), interest(&event_types, &channels));
    assert!(routes.any_channel.is_vacant() && routes.by_channel.is_empty());
}

#[test]
fn a_million_endpoints_that_want_something_else_are_not_looked_at() {
    let mut routes = AppRoutes::default();
    let (rare, common) = (set(&["rare"]), set(&["common"]));
    (0..1_000_000).for_each(|number| routes.insert(id(number), interest(&common, &None)));
    routes.insert(id(1_000_000), interest(&rare, &None));
    assert_eq!(route(&routes, "rare", &[] as &[&str]), [id(1_000_000)]);
    assert_eq!(route(&routes, "common", &[] as &[&str]).len(), 1_000_000);
    let before = routes.clone();
    routes.remove(id(500_000), interest(&common, &None));
    assert_eq!(route(&before, "common", &[] as &[&str]).len(), 1_000_000);
    assert_eq!(route(&routes, "common", &[] as &[&str]).len(), 999_999);
}

#[test]
fn an_endpoint_with_a_filter_gets_the_messages_for_which_it_is_true_and_what_is_kept_back_is_counted() {
    let mut routes = AppRoutes::default();
    let wish = |filter| Interest { filter, ..interest(&None, &None) };
    let filters =
        [None, Some("payload.a == 1"), Some("'x' in channels"), Some("payload.b.c == 1"), Some("no filter")];
    (0..).zip(filters).for_each(|(number, filter)| routes.insert(id(number), wish(filter)));
    let counts = FilterCounts::default();
    let to = |payload: &[u8], channels: &[&str]| {
        routes.route("x", channels, &Payload::new(payload, true), &counts).endpoints
    };
    assert_eq!(to(b"{\"a\":1}", &[]), [0, 1].map(id));
    assert_eq!(to(b"{\"a\":2,\"b\":{\"c\":1}}", &["x"]), [0, 2, 3].map(id));
    // No channel, no field b; another a; and twice a filter that cannot be read.
    assert_eq!((counts.kept_back.get(), counts.failed.get()), (2, 3));
    (1..5).for_each(|number| routes.remove(id(number), wish(filters[number as usize])));
    assert!(routes.filters.is_empty());
}

#[test]
fn the_next_of_a_chain_gets_what_the_filter_of_the_first_does_not_want() {
    let mut routes = AppRoutes::default();
    let place =
        |position, filter| Interest { chain: Some(("c", position)), filter, ..interest(&None, &None) };
    routes.insert(id(1), place(0, Some("payload.a == 1")));
    routes.insert(id(2), place(1, None));
    let to = |payload: &[u8]| {
        routes.route("x", &[] as &[&str], &Payload::new(payload, true), &FilterCounts::default())
    };
    assert_eq!(to(b"{\"a\":1}"), Routed { endpoints: vec![id(1)], chains: vec![1, 2] });
    assert_eq!(to(b"{\"a\":2}"), Routed { endpoints: vec![id(2)], chains: vec![] });
}

#[test]
fn filters_that_take_too_many_steps_together_fail_from_then_on() {
    let mut routes = AppRoutes::default();
    let slow = Some("payload.all(a, payload.all(b, a >= 0))");
    (0..30).for_each(|number| routes.insert(id(number), Interest { filter: slow, ..interest(&None, &None) }));
    routes.insert(id(30), Interest { filter: Some("true"), ..interest(&None, &None) });
    let payload = format!("[{}]", ["0"; 100].join(","));
    let counts = FilterCounts::default();
    let found = routes.route("x", &[] as &[&str], &Payload::new(payload.as_bytes(), true), &counts);
    assert_eq!((found.endpoints, counts.failed.get()), (vec![], 31));
}

fn matches(pattern: &str, event_type: &str) -> bool {
    match Pattern::of(pattern) {
        Pattern::Exact(name) => name == event_type,
        Pattern::Prefix(prefix) => {
            event_type.strip_prefix(prefix).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
        }
    }
}

/// The rules, asked of one endpoint, as slowly and clearly as can be.
fn wants(event_types: &Wishes, own: &Wishes, event_type: &str, channels: &[String]) -> bool {
    event_types.as_ref().is_none_or(|all| all.iter().any(|text| matches(text, event_type)))
        && own.as_ref().is_none_or(|own| channels.iter().any(|channel| own.contains(channel)))
}

fn wishes(of: &'static str) -> impl Strategy<Value = Wishes> {
    prop::option::of(prop::collection::btree_set(of, 1..4))
}

proptest! {
    #[test]
    fn routing_agrees_with_asking_every_endpoint(
        endpoints in prop::collection::vec((wishes("[ab](\\.[ab]){0,2}(\\.\\*)?"), wishes("[xyz]")), 0..20),
        removed in prop::collection::vec(any::<bool>(), 20),
        event_type in "[ab](\\.[ab]){0,3}\\.?",
        channels in prop::collection::vec("[xyz]", 0..3),
    ) {
        let mut routes = AppRoutes::default();
        for (number, (event_types, own)) in (0..).zip(&endpoints) {
            routes.insert(id(number), interest(event_types, own));
        }
        let mut expect = Vec::new();
        for (number, (event_types, own)) in (0..).zip(&endpoints) {
            if removed[number as usize] {
                routes.remove(id(number), interest(event_types, own));
            } else if wants(event_types, own, &event_type, &channels) {
                expect.push(id(number));
            }
        }
        prop_assert_eq!(route(&routes, &event_type, &channels), expect);
    }
}

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
    Interest { event_types: event_types.as_ref(), channels: channels.as_ref(), chain: None }
}

/// The endpoints' wishes, in order; answers with the numbers of those that get the message.
fn check(endpoints: &[(Wishes, Wishes)], event_type: &str, channels: &[&str], expect: &[u64]) {
    let mut routes = AppRoutes::default();
    for (number, (event_types, own)) in (0..).zip(endpoints) {
        routes.insert(id(number), interest(event_types, own));
    }
    let expect: Vec<_> = expect.iter().copied().map(id).collect();
    assert_eq!(routes.route(event_type, channels).endpoints, expect, "{event_type} on {channels:?}");
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
    assert_eq!(routes.route("rare", &[] as &[&str]).endpoints, [id(1_000_000)]);
    assert_eq!(routes.route("common", &[] as &[&str]).endpoints.len(), 1_000_000);
    let before = routes.clone();
    routes.remove(id(500_000), interest(&common, &None));
    assert_eq!(before.route("common", &[] as &[&str]).endpoints.len(), 1_000_000);
    assert_eq!(routes.route("common", &[] as &[&str]).endpoints.len(), 999_999);
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
        prop_assert_eq!(routes.route(&event_type, &channels).endpoints, expect);
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::fakes::{FakeLog, editor, rules};
use super::*;
use crate::config::Scope;
use crate::config::UnknownEventTypes::{Accept, Refuse};
use crate::payload::Payload;

fn named(uid: &str) -> ApplicationDraft {
    ApplicationDraft { uid: Some(uid.into()), name: uid.into(), ..ApplicationDraft::default() }
}

fn to(url: &str) -> EndpointDraft {
    EndpointDraft { url: url.into(), ..EndpointDraft::default() }
}

fn set(texts: &[&str]) -> Option<BTreeSet<String>> {
    Some(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn route(editor: &Editor, event_type: &str) -> Vec<EndpointId> {
    editor.catalog().resolve("acme").map_or_else(Vec::new, |found| {
        found.route(event_type, &[] as &[&str], &Payload::new(b"{}", true)).endpoints
    })
}

async fn with_application() -> (Editor, Arc<FakeLog>, Arc<Application>) {
    let (editor, log) = editor(Accept);
    let application = editor.create_application(named("acme")).await.unwrap();
    (editor, log, application)
}

fn problem<T: std::fmt::Debug>(result: Result<T, CatalogError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn what_the_log_does_not_take_is_not_in_the_catalog() {
    let (editor, log) = editor(Accept);
    *log.fails_with.lock() = Some(CommitError::Full);
    let refusal = editor.create_application(named("acme")).await;
    assert_eq!(refusal, Err(CatalogError::Commit(CommitError::Full)));
    assert!(editor.catalog().resolve("acme").is_none() && editor.catalog().application("acme").is_none());
}

#[tokio::test]
async fn a_change_whose_caller_went_away_takes_effect_once_it_is_durable() {
    let (editor, log) = editor(Accept);
    let permit = log.permits.acquire().await.unwrap();
    {
        let mut call = Box::pin(editor.create_application(named("acme")));
        // Far enough to hand the change to the log, which does not answer.
        tokio::select! { biased; _ = &mut call => panic!("the log has not answered"), () = tokio::task::yield_now() => () }
    }
    drop(permit);
    editor.create_application(named("next")).await.unwrap();
    assert!(editor.catalog().resolve("acme").is_some());
}

#[tokio::test]
async fn a_catalog_that_is_loaded_again_routes_as_before() {
    let (editor, log, application) = with_application().await;
    let endpoint = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
    editor.create_event_type("call.started", EventTypeDraft::default()).await.unwrap();
    let again = Catalog::load(log.entries()).unwrap();
    assert_eq!(again.endpoint_by_id(endpoint.id), Some(endpoint.clone()));
    assert_eq!(
        again.resolve("acme").unwrap().route("x", &[] as &[&str], &Payload::new(b"{}", true)).endpoints,
        [endpoint.id]
    );
    assert_eq!(again.event_type_standing("call.started"), EventTypeStanding::Known);
}

#[tokio::test]
async fn applying_a_change_again_changes_nothing_and_tells_nobody() {
    let (editor, log, application) = with_application().await;
    editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
    let told = Arc::new(Mutex::new(0));
    let count = Arc::clone(&told);
    editor.catalog().subscribe(move |_| *count.lock() += 1);
    for change in log.changes.lock().iter() {
        editor.catalog().apply(&change.key, change.value.as_deref()).unwrap();
    }
    assert_eq!(*told.lock(), 0);
    assert_eq!(route(&editor, "x").len(), 1);
}

#[tokio::test]
async fn an_endpoint_whose_application_is_gone_is_not_brought_back_by_reading_its_change_again() {
    let (editor, log, application) = with_application().await;
    let endpoint = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
    editor.remove_application(application.id).await.unwrap();
    let change = log.changes.lock().iter().find(|change| change.key.starts_with(b"ep/")).unwrap().clone();
    editor.catalog().apply(&change.key, change.value.as_deref()).unwrap();
    assert_eq!(editor.catalog().endpoint_by_id(endpoint.id), None);
}

#[tokio::test]
async fn subscribers_hear_of_changes_in_order_and_of_endpoints_before_their_application() {
    let (editor, _, application) = with_application().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    editor.catalog().subscribe(move |event| {
        list.lock().push(match event {
            CatalogEvent::ApplicationChanged(application) => {
                format!("application {:?}", application.throttle_rate)
            }
            CatalogEvent::EndpointChanged(endpoint) => format!("changed to {}", endpoint.revision),
            CatalogEvent::EndpointRemoved(..) => "removed".into(),
            CatalogEvent::ApplicationRemoved(_) => "application removed".into(),
            CatalogEvent::ApiKeyChanged(_) | CatalogEvent::ApiKeyRemoved(_) => "a key".into(),
        });
    });
    let endpoint = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
    editor.edit_endpoint(endpoint.id, |draft| draft.description = "x".into()).await.unwrap();
    editor.edit_application(application.id, |draft| draft.throttle_rate = Some(5)).await.unwrap();
    editor.remove_application(application.id).await.unwrap();
    let in_order = ["changed to 1", "changed to 2", "application Some(5)", "removed", "application removed"];
    assert_eq!(*told.lock(), in_order);
}

#[tokio::test]
async fn removing_an_application_removes_its_endpoints_and_frees_its_uid() {
    let (editor, log, application) = with_application().await;
    editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
    editor.remove_application(application.id).await.unwrap();
    assert!(log.entries().iter().all(|(key, _)| key.starts_with(b"au/")));
    editor.catalog().tell_all(|event| panic!("still there: {event:?}"));
    assert!(editor.catalog().resolve(&application.id.to_string()).is_none());
    editor.create_application(named("acme")).await.unwrap();
}

#[tokio::test]
async fn a_uid_is_given_once_and_can_be_handed_on() {
    let (editor, _, application) = with_application().await;
    let taken = problem(editor.create_application(named("acme")).await);
    assert_eq!(taken, "there is already an application with the uid 'acme'");
    editor.edit_application(application.id, |draft| draft.uid = Some("old".into())).await.unwrap();
    let other = editor.create_application(named("acme")).await.unwrap();
    assert_eq!(editor.catalog().resolve("acme").unwrap().id(), other.id);
    assert_eq!(editor.catalog().resolve("old").unwrap().id(), application.id);
}

#[tokio::test]
async fn a_uid_that_looks_like_an_id_is_refused() {
    let (editor, _, application) = with_application().await;
    let refusal = problem(editor.create_application(named(&application.id.to_string())).await);
    assert_eq!(refusal, "uid must not have the form of an id");
}

#[tokio::test]
async fn an_endpoint_gets_messages_while_it_is_enabled_and_wants_them() {
    let (editor, _, application) = with_application().await;
    let draft = EndpointDraft { event_types: set(&["call.*"]), ..to("https://a.example") };
    let id = editor.create_endpoint(application.id, draft, None).await.unwrap().id;
    assert_eq!((route(&editor, "call.x"), route(&editor, "x")), (vec![id], vec![]));
    editor.edit_endpoint(id, |draft| draft.event_types = set(&["x"])).await.unwrap();
    assert_eq!((route(&editor, "call.x"), route(&editor, "x")), (vec![], vec![id]));
    editor.edit_endpoint(id, |draft| draft.disabled = true).await.unwrap();
    assert_eq!(route(&editor, "x"), []);
    editor.edit_endpoint(id, |draft| draft.disabled = false).await.unwrap();
    assert_eq!(route(&editor, "x"), [id]);
    editor.remove_endpoint(id).await.unwrap();
    assert_eq!(route(&editor, "x"), []);
}

#[tokio::test]
async fn why_an_endpoint_was_disabled_stays_on_record_until_it_is_enabled() {
    let (editor, _, application) = with_application().await;
    let id = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap().id;
    editor.disable_endpoint(id, Disabled::Gone).await.unwrap();
    editor.disable_endpoint(id, Disabled::Failing).await.unwrap();
    let edited = editor.edit_endpoint(id, |draft| draft.description = "x".into()).await.unwrap();
    assert_eq!((edited.disabled, edited.revision), (Some(Disabled::Gone), 3));
    let enabled = editor.edit_endpoint(id, |draft| draft.disabled = false).await.unwrap();
    assert_eq!(enabled.disabled, None);
}

#[tokio::test]
async fn a_rotated_secret_signs_beside_the_new_one_until_its_grace_time_is_over() {
    let (editor, _, application) = with_application().await;
    let first = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
    editor.rotate_secret(first.id, NewSecret::default(), 60).await.unwrap();
    let second = editor.catalog().endpoint_by_id(first.id).unwrap();
    let expires_ms = second.secrets[1].expires_ms.unwrap();
    assert_eq!(second.secrets[1].key, first.secrets[0].key);
    assert_eq!(second.secrets_at(expires_ms - 1).count(), 2);
    assert_eq!(second.secrets_at(expires_ms).count(), 1);
    editor.rotate_secret(first.id, NewSecret::default(), 0).await.unwrap();
    assert_eq!(editor.catalog().endpoint_by_id(first.id).unwrap().secrets.len(), 1);
}

#[tokio::test]
async fn secrets_do_not_pile_up() {
    let (editor, _, application) = with_application().await;
    let id = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap().id;
    for _ in 0..limits::SECRETS_MAX + 3 {
        editor.rotate_secret(id, NewSecret::default(), GRACE_SECONDS_MAX).await.unwrap();
    }
    assert_eq!(editor.catalog().endpoint_by_id(id).unwrap().secrets.len(), limits::SECRETS_MAX);
}

#[tokio::test]
async fn an_endpoint_may_only_ask_for_event_types_that_there_are_where_the_configuration_says_so() {
    let (editor, _) = editor(Refuse);
    let application = editor.create_application(named("acme")).await.unwrap();
    let draft = EndpointDraft { event_types: set(&["a"]), ..to("https://a.example") };
    let refusal = problem(editor.create_endpoint(application.id, draft.clone(), None).await);
    assert_eq!(refusal, "eventTypes names 'a', which the catalog does not have");
    editor.create_event_type("a", EventTypeDraft::default()).await.unwrap();
    let id = editor.create_endpoint(application.id, draft.clone(), None).await.unwrap().id;
    editor.edit_event_type("a", |event_type| event_type.archived = true).await.unwrap();
    let refusal = problem(editor.create_endpoint(application.id, draft, None).await);
    assert_eq!(refusal, "eventTypes names 'a', which is archived");
    let kept = editor.edit_endpoint(id, |draft| draft.description = "x".into()).await;
    assert!(kept.is_ok(), "it asked before the event type was archived");
}

#[tokio::test]
async fn every_field_that_may_not_be_so_is_named_with_the_rule() {
    type Spoil = fn(&mut EndpointDraft);
    let cases: [(Spoil, &str); 14] = [
        (|draft| draft.url = "http://a.example".into(), "url is not https"),
        (
            |draft| draft.uid = Some("a b".into()),
            "uid is 'a b'; it must consist of letters, digits, '-', '_' and '.'",
        ),
        (|draft| draft.description = "x".repeat(4_097), "description is 4097 bytes; the limit is 4096"),
        (|draft| draft.description = "\0".into(), "description must not contain control characters"),
        (|draft| draft.throttle_rate = Some(0), "throttleRate is 0; it must be at least 1, or null for none"),
        (|draft| draft.event_types = set(&[]), "eventTypes has 0 items; it must have 1 to 1000"),
        (
            |draft| draft.event_types = set(&["*"]),
            "eventTypes is '*'; it must consist of letters, digits, '-', '_' and '.'",
        ),
        (
            |draft| draft.channels = set(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]),
            "channels has 11 items; it must have 1 to 10",
        ),
        (
            |draft| draft.headers = BTreeMap::from([("host".into(), "x".into())]),
            "headers must not have 'host'",
        ),
        (
            |draft| draft.authorization = Some(Authorization::Bearer { token: "a\nb".into() }),
            "authorization.token must consist of visible ASCII characters and spaces",
        ),
        (
            |draft| {
                draft.authorization =
                    Some(Authorization::Basic { username: "a:b".into(), password: String::new() })
            },
            "authorization.username must not contain ':'",
        ),
        (|draft| draft.retry_policy = Some("hasty".into()), "retryPolicy is not known"),
        (|draft| draft.timeout_ms = Some(99), "timeoutMs is 99; it must be 100 to 60000"),
        (
            |draft| draft.metadata = BTreeMap::from([("a".into(), "x".repeat(4_096))]),
            "metadata is 4097 bytes; the limit is 4096",
        ),
    ];
    let (editor, _, application) = with_application().await;
    for (spoil, text) in cases {
        let mut draft = to("https://a.example");
        spoil(&mut draft);
        assert_eq!(problem(editor.create_endpoint(application.id, draft, None).await), text);
    }
}

#[tokio::test]
async fn a_url_that_was_accepted_does_not_stand_in_the_way_of_other_changes() {
    let (editor, log, application) = with_application().await;
    let id = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap().id;
    // As if the policy had been laxer then.
    let mut entries = log.entries();
    let stored = String::from_utf8(entries[1].1.clone()).unwrap().replace("https://", "http://");
    entries[1].1 = stored.into();
    editor.catalog().apply(&entries[1].0, Some(&entries[1].1)).unwrap();
    assert!(editor.edit_endpoint(id, |draft| draft.description = "x".into()).await.is_ok());
    assert!(editor.edit_endpoint(id, |draft| draft.url = "http://b.example".into()).await.is_err());
}

#[test]
fn an_entry_that_cannot_be_read_is_named() {
    let load = |key: &str, value: &str| Catalog::load([(key.into(), value.into())]).unwrap_err().to_string();
    assert_eq!(
        load("x/y", "{}"),
        "catalog key 'x/y' is none of app/, ep/, key/, al/, fs/, task/ with an id, et/<name>, au/<number>"
    );
    assert!(load("et/a", "{").starts_with("catalog entry et/a cannot be read: "));
    let misplaced = load("et/a", r#"{"name":"b","created_ms":1,"updated_ms":1}"#);
    assert_eq!(misplaced, "catalog entry et/a holds the value of et/b");
}

#[test]
fn fields_of_a_later_version_are_ignored() {
    let value = r#"{"name":"a","created_ms":1,"updated_ms":1,"colour":"red"}"#;
    assert!(Catalog::load([(b"et/a".to_vec(), value.into())]).is_ok());
}

/// The audit log, line by line.
fn lines(editor: &Editor) -> Vec<serde_json::Value> {
    let parts = editor.catalog().audit_all();
    parts.iter().map(|part| serde_json::from_str(part.line()).unwrap()).collect()
}

/// What the audit log says: action, object, fields.
fn recorded(editor: &Editor) -> Vec<(String, String, serde_json::Value)> {
    let shown = lines(editor).into_iter().map(|line| {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("action"), text("object"), line["fields"].clone())
    });
    shown.collect()
}

#[tokio::test]
async fn every_change_is_recorded_with_the_fields_that_it_changed() {
    let (editor, _, application) = with_application().await;
    let endpoint = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
    let edit = |draft: &mut EndpointDraft| {
        draft.url = "https://b.example".into();
        draft.throttle_rate = Some(5);
    };
    editor.edit_endpoint(endpoint.id, edit).await.unwrap();
    editor.rotate_secret(endpoint.id, NewSecret::default(), 0).await.unwrap();
    editor.disable_endpoint(endpoint.id, Disabled::Gone).await.unwrap();
    editor.create_event_type("a.b", EventTypeDraft::default()).await.unwrap();
    editor.record_deed("message.cancel", "msg_1-1".into(), None).await.unwrap();
    editor.remove_application(application.id).await.unwrap();
    let (application, endpoint) = (application.id.to_string(), endpoint.id.to_string());
    let none = serde_json::json!([]);
    let expected = [
        ("application.create", &application, none.clone()),
        ("endpoint.create", &endpoint, none.clone()),
        ("endpoint.update", &endpoint, serde_json::json!(["throttleRate", "url"])),
        ("endpoint.rotate_secret", &endpoint, serde_json::json!(["secrets"])),
        ("endpoint.update", &endpoint, serde_json::json!(["disabled"])),
        ("event_type.create", &"a.b".to_owned(), none.clone()),
        ("message.cancel", &"msg_1-1".to_owned(), none.clone()),
        ("application.delete", &application, none),
    ];
    let expected = expected.map(|(action, object, fields)| (action.to_owned(), object.clone(), fields));
    assert_eq!(recorded(&editor), expected);
}

#[tokio::test]
async fn a_change_and_its_record_are_durable_together_or_not_at_all() {
    let (editor, log, application) = with_application().await;
    *log.fails_with.lock() = Some(CommitError::Full);
    editor.edit_application(application.id, |draft| draft.throttle_rate = Some(5)).await.unwrap_err();
    assert_eq!(recorded(&editor).len(), 1);
    *log.fails_with.lock() = None;
    editor.edit_application(application.id, |draft| draft.throttle_rate = Some(5)).await.unwrap();
    let again = Catalog::load(log.entries()).unwrap();
    let lines = |catalog: &Catalog| {
        catalog.audit_all().iter().map(|entry| entry.line().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&again), lines(editor.catalog()));
    assert_eq!(lines(&again).len(), 2);
}

#[tokio::test]
async fn what_an_object_is_after_a_change_it_is_before_the_next_one_also_after_a_restart() {
    let (editor, log, application) = with_application().await;
    let endpoint = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
    editor.edit_endpoint(endpoint.id, |draft| draft.description = "x".into()).await.unwrap();
    let again = Editor::new(
        Arc::new(Catalog::load(log.entries()).unwrap()),
        log.clone(),
        rules(Accept),
        crate::catalog::fakes::KEPT,
    );
    again.edit_endpoint(endpoint.id, |draft| draft.description = "y".into()).await.unwrap();
    again.rotate_secret(endpoint.id, NewSecret::default(), 0).await.unwrap();
    again.remove_endpoint(endpoint.id).await.unwrap();
    let about: Vec<_> =
        lines(&again).into_iter().filter(|line| line["object"] == endpoint.id.to_string()).collect();
    assert_eq!(about.len(), 5);
    assert!(about[0]["before"].is_null() && about[4]["after"].is_null());
    for pair in about.windows(2) {
        assert!(pair[0]["after"].is_string() && pair[0]["after"] == pair[1]["before"], "{pair:?}");
        assert_ne!(pair[1]["after"], pair[1]["before"]);
    }
}

#[tokio::test]
async fn an_application_has_so_many_endpoints_at_most_and_room_again_when_one_goes() {
    let (editor, _, application) = with_application().await;
    let max = crate::catalog::fakes::KEPT.endpoints_per_application_max;
    let mut last = None;
    for _ in 0..max {
        let made = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
        last = Some(made.id);
    }
    let refused = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap_err();
    let expected =
        "there are 50 endpoints of this application; the limit is 50 (limits.endpoints_per_application_max)";
    assert_eq!(refused.to_string(), expected);
    let draft = ApplicationDraft { name: "other".into(), ..ApplicationDraft::default() };
    let other = editor.create_application(draft).await.unwrap();
    editor.create_endpoint(other.id, to("https://a.example"), None).await.unwrap();
    editor.remove_endpoint(last.unwrap()).await.unwrap();
    editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
}

fn key_draft(application: Option<crate::core::ids::ApplicationId>) -> ApiKeyDraft {
    ApiKeyDraft { name: "shop".into(), scopes: vec![Scope::Ingest], application, ..ApiKeyDraft::default() }
}

#[tokio::test]
async fn a_key_is_stored_without_its_token_and_goes_with_its_application() {
    let (editor, log, application) = with_application().await;
    let (key, token) = editor.create_api_key(key_draft(Some(application.id)), "test").await.unwrap();
    let (other, _) = editor.create_api_key(key_draft(None), "test").await.unwrap();
    for (_, value) in log.entries() {
        let value = String::from_utf8(value).unwrap();
        assert!(!value.contains(&token.text[20..]), "{value}");
    }
    let again = Catalog::load(log.entries()).unwrap();
    assert_eq!(again.api_key(key.id), Some(key.clone()));
    editor.remove_application(application.id).await.unwrap();
    assert_eq!((editor.catalog().api_key(key.id), editor.catalog().api_key(other.id)), (None, Some(other)));
    let actions: Vec<String> = recorded(&editor).into_iter().map(|(action, ..)| action).collect();
    let expected =
        ["application.create", "api_key.create", "api_key.create", "api_key.revoke", "application.delete"];
    assert_eq!(actions, expected);
}

#[tokio::test]
async fn keys_are_checked_and_counted() {
    let (editor, _, application) = with_application().await;
    let refusal =
        async |draft: ApiKeyDraft| editor.create_api_key(draft, "test").await.unwrap_err().to_string();
    let draft = key_draft(None);
    for (draft, expected) in [
        (ApiKeyDraft { name: String::new(), ..draft.clone() }, "name must not be empty"),
        (ApiKeyDraft { scopes: vec![], ..draft.clone() }, "scopes has 0 items; it must have 1 to 5"),
        (
            ApiKeyDraft { event_types: Some(vec![]), ..draft.clone() },
            "eventTypes has 0 items; it must have 1 to 100",
        ),
        (
            ApiKeyDraft { event_types: Some(vec!["a b".into()]), ..draft.clone() },
            "eventTypes is 'a b'; it must consist of letters, digits, '-', '_' and '.'",
        ),
        (
            ApiKeyDraft { events_per_second: Some(0), ..draft.clone() },
            "eventsPerSecond is 0; it must be 1 to 10000000, or null for the usual",
        ),
        (
            ApiKeyDraft { expires_ms: Some(1), ..draft.clone() },
            "expiresAt is over already; it must be in the future",
        ),
        (
            ApiKeyDraft { application: Some(crate::core::ids::ApplicationId::from_u64(1)), ..draft.clone() },
            "there is no such application",
        ),
    ] {
        assert_eq!(refusal(draft).await, expected);
    }
    for _ in 0..5 {
        editor.create_api_key(key_draft(Some(application.id)), "test").await.unwrap();
    }
    assert_eq!(refusal(draft.clone()).await, "there are 5 API keys; the limit is 5 (limits.api_keys_max)");
}

#[tokio::test]
async fn using_a_key_is_recorded_once_and_revoking_it_is_final() {
    let (editor, log, _) = with_application().await;
    let (key, _) = editor.create_api_key(key_draft(None), "test").await.unwrap();
    let from = Some([203, 0, 113, 7].into());
    let used = |at_ms, is_first| KeyUse { id: key.id, at_ms, from, is_first };
    editor.write_key_uses(&[used(1_000, true)]).await.unwrap();
    editor.write_key_uses(&[used(2_000, false)]).await.unwrap();
    assert_eq!(editor.catalog().api_key(key.id).unwrap().last_used_ms, Some(2_000));
    editor.expire_api_key(key.id, 5_000).await.unwrap();
    editor.expire_api_key(key.id, 9_000).await.unwrap();
    assert_eq!(editor.catalog().api_key(key.id).unwrap().expires_ms, Some(5_000), "never later than before");
    editor.revoke_api_key(key.id).await.unwrap();
    // A use that was noted before comes too late.
    editor.write_key_uses(&[used(3_000, false)]).await.unwrap();
    assert_eq!(Catalog::load(log.entries()).unwrap().api_key(key.id), None);
    let id = key.id.to_string();
    let about: Vec<_> = lines(&editor).into_iter().filter(|line| line["object"] == id).collect();
    let actions: Vec<&str> = about.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["api_key.create", "api_key.first_use", "api_key.expire", "api_key.revoke"]);
    assert_eq!((&about[1]["actor"], &about[1]["address"]), (&id.as_str().into(), &"203.0.113.7".into()));
    assert_eq!(about[0]["after"], about[2]["before"], "being used changes nothing of it");
}

#[tokio::test]
async fn the_audit_log_is_bounded_and_its_chain_goes_on() {
    let (editor, log, application) = with_application().await;
    for rate in 1..=150 {
        editor.edit_application(application.id, |draft| draft.throttle_rate = Some(rate)).await.unwrap();
    }
    let entries = editor.catalog().audit_all();
    assert_eq!(entries.len(), crate::catalog::fakes::KEPT.audit_max);
    assert_eq!(entries.last().unwrap().last(), 151);
    for pair in entries.windows(2) {
        assert!(pair[1].line().contains(&format!("\"previous\":\"{}\"", pair[0].hash())));
    }
    assert_eq!(log.entries().iter().filter(|(key, _)| key.starts_with(b"au/")).count(), entries.len());
}

#[tokio::test]
async fn secrets_and_credentials_never_reach_the_audit_log() {
    let (editor, log, application) = with_application().await;
    let mut draft = to("https://a.example");
    draft.headers.insert("x-key".into(), "very-secret-header".into());
    draft.authorization = Some(Authorization::Bearer { token: "very-secret-token".into() });
    let endpoint = editor.create_endpoint(application.id, draft, None).await.unwrap();
    let edit =
        |draft: &mut EndpointDraft| drop(draft.headers.insert("x-key".into(), "very-secret-other".into()));
    editor.edit_endpoint(endpoint.id, edit).await.unwrap();
    editor.rotate_secret(endpoint.id, NewSecret::default(), 60).await.unwrap();
    let audit = log.entries().into_iter().filter(|(key, _)| key.starts_with(b"au/"));
    for (_, line) in audit {
        let line = String::from_utf8(line).unwrap();
        assert!(!line.contains("very-secret") && !line.contains("whsec_"), "{line}");
    }
}

#[tokio::test]
async fn tasks_are_recorded_when_somebody_begins_or_stops_them_and_not_as_they_go_on() {
    let (editor, _, application) = with_application().await;
    let endpoint = editor.create_endpoint(application.id, to("https://a.example"), None).await.unwrap();
    let new = NewTask {
        kind: TaskKind::Recover,
        application: application.id,
        endpoint: endpoint.id,
        since_ms: 0,
        until_ms: 1,
        rate: 1,
    };
    let task = editor.create_task(new).await.unwrap();
    editor.edit_task(task.id, |task| task.looked_at = 5).await.unwrap();
    editor.edit_task(task.id, |task| task.state = TaskState::Cancelled).await.unwrap();
    let recorded = recorded(&editor).into_iter().skip(2).map(|(action, object, _)| (action, object));
    let expected = [
        ("endpoint.recover".to_owned(), endpoint.id.to_string()),
        ("task.cancel".to_owned(), task.id.to_string()),
    ];
    assert_eq!(recorded.collect::<Vec<_>>(), expected);
}

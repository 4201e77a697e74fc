use std::collections::BTreeSet;

use super::*;

const EVENT_TYPE: &[u8] = br#"{"name":"call.started","created_ms":1,"updated_ms":1}"#;
const ARCHIVED: &[u8] = br#"{"name":"old","archived":true,"created_ms":1,"updated_ms":1}"#;

fn catalog() -> Catalog {
    let application = ApplicationId::from_u64(7);
    let endpoint = EndpointId::from_u64(9);
    let application_value =
        format!(r#"{{"id":"{application}","uid":"acme","name":"Acme","created_ms":1,"updated_ms":1}}"#);
    let endpoint_value = format!(
        r#"{{"id":"{endpoint}","application":"{application}","url":"https://a.example/",
            "event_types":["call.*"],"secrets":[],"revision":1,"created_ms":1,"updated_ms":1}}"#
    );
    Catalog::load([
        (b"et/call.started".to_vec(), EVENT_TYPE.to_vec()),
        (b"et/old".to_vec(), ARCHIVED.to_vec()),
        (format!("ep/{endpoint}").into(), endpoint_value.into()),
        (format!("app/{application}").into(), application_value.into()),
    ])
    .unwrap()
}

fn limits() -> PublishLimits {
    PublishLimits {
        payload_bytes_max: 100,
        unknown_event_types: UnknownEventTypes::Refuse,
        urls: crate::catalog::fakes::urls(),
    }
}

fn message() -> NewMessage<'static> {
    NewMessage {
        event_type: "call.started",
        event_id: None,
        channels: Vec::new(),
        content_type: None,
        payload: Bytes::from_static(b"{ \"a\" : 1 }"),
        deliver_at_ms: None,
        ordering_key: None,
        url: None,
    }
}

fn admitted(change: impl FnOnce(&mut NewMessage<'static>)) -> Result<Admitted, PublishError> {
    let mut new = message();
    change(&mut new);
    admit(&catalog(), &limits(), "acme", new)
}

#[test]
fn a_message_is_routed_and_keeps_every_byte_of_its_payload() {
    let admitted = admitted(|_| ()).unwrap();
    assert_eq!(admitted.application, ApplicationId::from_u64(7));
    assert_eq!(admitted.endpoints, [EndpointId::from_u64(9)]);
    assert_eq!(admitted.payload, b"{ \"a\" : 1 }".as_slice());
    assert_eq!((admitted.content_type, admitted.digest), (None, [0; 16]));
}

#[test]
fn an_application_is_found_by_id_and_by_uid() {
    let id = ApplicationId::from_u64(7).to_string();
    let by_id = admit(&catalog(), &limits(), &id, message());
    assert_eq!(by_id, admit(&catalog(), &limits(), "acme", message()));
    assert!(by_id.is_ok());
}

#[test]
fn an_unknown_event_type_is_accepted_where_the_configuration_says_so() {
    let accepting = PublishLimits { unknown_event_types: UnknownEventTypes::Accept, ..limits() };
    let new = NewMessage { event_type: "call.new", ..message() };
    assert!(admit(&catalog(), &accepting, "acme", new.clone()).is_ok());
    assert!(admit(&catalog(), &limits(), "acme", new).is_err());
}

#[test]
fn the_usual_content_type_is_not_kept_and_another_one_lifts_the_rules_of_json() {
    assert_eq!(admitted(|new| new.content_type = Some("application/json")).unwrap().content_type, None);
    let form = admitted(|new| {
        new.content_type = Some("application/x-www-form-urlencoded");
        new.payload = Bytes::from_static(b"a=b");
    });
    assert_eq!(form.unwrap().content_type.as_deref(), Some("application/x-www-form-urlencoded"));
}

#[test]
fn the_digest_tells_a_repetition_from_every_other_message() {
    let digest = |change: fn(&mut NewMessage<'static>)| {
        admitted(|new| {
            new.event_id = Some("e1");
            change(new);
        })
        .unwrap()
        .digest
    };
    assert_eq!(digest(|_| ()), digest(|new| new.content_type = Some("application/json")));
    let digests: BTreeSet<_> = [
        digest(|_| ()),
        digest(|new| new.payload = Bytes::from_static(b"{\"a\":1}")),
        digest(|new| new.channels = vec!["ab"]),
        digest(|new| new.channels = vec!["a", "b"]),
        digest(|new| new.content_type = Some("application/x+json")),
    ]
    .into();
    assert_eq!(digests.len(), 5);
}

/// The catalog, with an application that wants its payloads checked.
fn checking(schemas: &str) -> Catalog {
    let catalog = catalog();
    let id = ApplicationId::from_u64(7);
    let application = format!(
        r#"{{"id":"{id}","uid":"acme","name":"Acme","validate_payloads":true,"created_ms":1,"updated_ms":1}}"#
    );
    catalog.apply(format!("app/{id}").as_bytes(), Some(application.as_bytes())).unwrap();
    let event_type =
        format!(r#"{{"name":"call.started","schemas":{schemas},"created_ms":1,"updated_ms":1}}"#);
    catalog.apply(b"et/call.started", Some(event_type.as_bytes())).unwrap();
    catalog
}

#[test]
fn a_payload_must_fit_the_newest_schema_where_the_application_asks_for_that() {
    let schemas = r#"{"9":{"type":"array"},"10":{"properties":{"a":{"type":"string"}}}}"#;
    let error = admit(&checking(schemas), &limits(), "acme", message()).unwrap_err();
    let text = "payload does not fit version 10 of the schema of 'call.started': at '/a': value is not of type \"string\" (type)";
    let answer = error.answer();
    assert_eq!((error.to_string().as_str(), answer.status, answer.field), (text, 422, "payload"));
    assert_eq!(answer.resp, posthaste_protocol::reply::ErrorCode::Err);
    assert!(admit(&checking(r#"{"1":{"type":"object"}}"#), &limits(), "acme", message()).is_ok());
    // What cannot be compiled (saved by another version of the server) does not stand in the way.
    assert!(admit(&checking(r#"{"1":{"type":1}}"#), &limits(), "acme", message()).is_ok());
    assert!(admit(&checking("null"), &limits(), "acme", message()).is_ok());
}

#[test]
fn a_payload_that_is_not_json_is_a_text_to_its_schema() {
    let new = NewMessage { content_type: Some("text/plain"), ..message() };
    let refused = admit(&checking(r#"{"1":{"type":"object"}}"#), &limits(), "acme", new.clone());
    assert!(matches!(refused, Err(PublishError::PayloadMisfit { .. })));
    assert!(admit(&checking(r#"{"1":{"type":"string"}}"#), &limits(), "acme", new).is_ok());
}

#[test]
fn every_refusal_names_what_is_wrong_and_the_limit() {
    let long: &'static str = "x".repeat(257).leak();
    type Spoil = fn(&mut NewMessage<'static>, &'static str);
    let cases: [(Spoil, &str, u16); 14] = [
        (
            |new, _| new.event_type = "",
            "event type is ''; it must consist of letters, digits, '-', '_' and '.', at least one",
            422,
        ),
        (
            |new, _| new.event_type = "a b",
            "event type is 'a b'; it must consist of letters, digits, '-', '_' and '.', at least one",
            422,
        ),
        (|new, long| new.event_type = long, "event type is 257 bytes; the limit is 256", 422),
        (
            |new, _| new.event_type = "new",
            "event type 'new' is not in the catalog (limits.unknown_event_types = \"refuse\")",
            422,
        ),
        (|new, _| new.event_type = "old", "event type 'old' is archived", 422),
        (
            |new, _| new.event_id = Some(""),
            "event id is ''; it must consist of letters, digits, '-', '_' and '.', at least one",
            422,
        ),
        (|new, long| new.event_id = Some(long), "event id is 257 bytes; the limit is 256", 422),
        (|new, _| new.channels = vec!["a"; 6], "message is on 6 channels; the limit is 5", 422),
        (|new, long| new.channels = vec![&long[..129]], "channel is 129 bytes; the limit is 128", 422),
        (
            |new, _| new.content_type = Some("a\r\nb"),
            "content type is 'a\\r\\nb'; write type/subtype, such as text/plain",
            422,
        ),
        (
            |new, long| new.content_type = Some(&long[..129]),
            "content type is 129 bytes; the limit is 128",
            422,
        ),
        (
            |new, _| new.payload = vec![b'1'; 101].into(),
            "payload is 101 bytes; the limit is 100 (limits.payload_bytes_max)",
            413,
        ),
        (
            |new, _| new.payload = Bytes::from_static(b"{"),
            "payload is not JSON: EOF while parsing an object at line 1 column 1",
            422,
        ),
        (
            |new, _| new.payload = Bytes::new(),
            "payload is not JSON: EOF while parsing a value at line 1 column 0",
            422,
        ),
    ];
    for (change, text, status) in cases {
        let error = admitted(|new| change(new, long)).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.answer().status), (text, status));
    }
}

#[test]
fn every_refusal_has_an_answer_over_tcp_and_http() {
    use posthaste_protocol::reply::ErrorCode;
    let first = crate::core::ids::MessageId(posthaste_storage::EntryId::new(5, 1));
    let cases = [
        (PublishError::unknown_application("x"), ErrorCode::Err, 404, "not_found"),
        (PublishError::Conflict { event_id: "e".into(), first }, ErrorCode::Conflict, 409, "conflict"),
        (PublishError::Full, ErrorCode::Oom, 507, "disk_full"),
        (PublishError::Overloaded, ErrorCode::Oom, 429, "overloaded"),
        (PublishError::LogPoisoned, ErrorCode::Misconf, 503, "log_stopped"),
        (PublishError::ShuttingDown, ErrorCode::Busy, 503, "shutting_down"),
    ];
    for (error, resp, status, code) in cases {
        let answer = error.answer();
        assert_eq!((answer.resp, answer.status, answer.code), (resp, status, code), "{error}");
    }
}

#[test]
fn an_error_quotes_only_printable_characters_and_not_many() {
    let error = admit(&catalog(), &limits(), &"\u{1b}[31m".repeat(100), message()).unwrap_err().to_string();
    assert!(error.len() < 120 && !error.contains('\u{1b}'), "{error}");
}

fn own_url(url: &'static str) -> NewUrl<'static> {
    NewUrl { url, secret: None, endpoint: None }
}

#[test]
fn a_message_may_bring_along_a_url_for_the_endpoint_that_it_goes_to() {
    let admitted = admitted(|new| new.url = Some(own_url("https://b.example/hook"))).unwrap();
    assert_eq!(admitted.endpoints, [EndpointId::from_u64(9)]);
    assert_eq!(&*admitted.extras.unwrap().url.unwrap().url, "https://b.example/hook");
}

#[test]
fn the_secret_of_a_url_of_ones_own_is_kept_in_the_form_that_signing_needs() {
    let secret = |given: &'static str| {
        let url = NewUrl { secret: Some(given), ..own_url("https://b.example/") };
        let admitted = admitted(|new| new.url = Some(url)).unwrap();
        admitted.extras.unwrap().url.unwrap().secret.unwrap()
    };
    assert_eq!(&*secret("C2FVsBQIhrscChlQIMV+b5sSYspob7oD"), "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    assert_eq!(&*secret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"), "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
}

#[test]
fn an_endpoint_that_did_not_want_the_message_may_lend_its_settings_to_a_url() {
    let name = EndpointId::from_u64(9).to_string();
    let mut new = NewMessage { event_type: "call.started", ..message() };
    new.channels = vec!["elsewhere"];
    new.url = Some(NewUrl { url: "https://b.example/", secret: None, endpoint: Some(&name) });
    let admitted = admit(&catalog(), &limits(), "acme", new).unwrap();
    assert_eq!(admitted.endpoints, [EndpointId::from_u64(9)]);
}

#[test]
fn what_is_wrong_with_a_url_of_ones_own_is_said() {
    let refused = |url: NewUrl<'static>| {
        let error = admitted(|new| new.url = Some(url)).unwrap_err();
        assert_eq!((error.answer().status, error.answer().field), (422, "override"));
        error.to_string()
    };
    assert_eq!(refused(own_url("http://b.example/")), "override url is not https");
    let nobody = NewUrl { endpoint: Some("nobody"), ..own_url("https://b.example/") };
    assert_eq!(refused(nobody), "override url names no endpoint: 'nobody'");
    let secret = NewUrl { secret: Some("whsec_C2FV"), ..own_url("https://b.example/") };
    assert_eq!(refused(secret), "override secret is a key of 3 bytes; it must have 24 to 64");
}

#[test]
fn a_message_may_be_scheduled_up_to_a_year_ahead() {
    let now_ms = crate::clock::unix_ms();
    let due = |at| {
        admitted(|new| new.deliver_at_ms = Some(at)).map(|new| new.extras.and_then(|extras| extras.due_ms))
    };
    assert_eq!(due(now_ms + 60_000), Ok(Some(now_ms + 60_000)));
    assert_eq!(due(now_ms - 60_000), Ok(None));
    assert_eq!(due(u64::MAX).unwrap_err().answer().field, "deliverAt");
}

#[test]
fn an_ordering_key_is_visible_text() {
    let keyed = |key| admitted(|new| new.ordering_key = Some(key));
    let extras = keyed("+15005550011").unwrap().extras.unwrap();
    assert_eq!(extras.ordering_key.as_deref(), Some("+15005550011"));
    for key in ["", "a b", "é"] {
        assert_eq!(keyed(key).unwrap_err().answer().field, "orderingKey");
    }
}

#[test]
fn the_same_message_on_its_way_to_another_url_is_another_message() {
    let digest = |url: Option<NewUrl<'static>>| {
        admitted(|new| {
            new.event_id = Some("e");
            new.url = url;
        })
        .unwrap()
        .digest
    };
    assert_ne!(digest(None), digest(Some(own_url("https://b.example/"))));
    assert_eq!(digest(Some(own_url("https://b.example/"))), digest(Some(own_url("https://b.example/"))));
}

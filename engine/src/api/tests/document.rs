//! The OpenAPI document, and every answer of these tests against it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::world::{Answer, World};
use crate::api::openapi::Document;
use crate::api::route::BASE;
use crate::api::routes;

/// Method, path and id of each operation of the open Svix server API.
const SVIX: &str = include_str!("svix_operations.txt");

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let document = Document::of(&routes::all());
    serde_json::from_slice(&document.json()).expect("the document is JSON")
});

/// The schemas, where objects have nothing that the document does not list.
static CLOSED: LazyLock<Value> = LazyLock::new(|| {
    let mut schemas = DOCUMENT["components"]["schemas"].clone();
    close(&mut schemas);
    schemas
});

static VALIDATORS: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let names = DOCUMENT["components"]["schemas"].as_object().expect("schemas").keys();
    names.map(|name| (name.clone(), validator(name))).collect()
});

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.contains_key("properties") && fields.get("type") == Some(&json!("object")) {
                fields.entry("additionalProperties").or_insert(false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn validator(name: &str) -> Validator {
    let schema = json!({
        "$ref": format!("#/components/schemas/{name}"), "components": { "schemas": *CLOSED },
    });
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema")
}

/// The operation that a request is for.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next()?;
    let paths = DOCUMENT["paths"].as_object()?;
    let matches = |template: &str| {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template.zip(path).all(|(part, given)| part.starts_with('{') || part == given)
    };
    let template = paths.keys().filter(|template| matches(template));
    // What is spelled out goes before what has a parameter in its place.
    let template = template.min_by_key(|template| template.matches('{').count())?;
    paths[template].get(method.to_ascii_lowercase())
}

/// Holds an answer against the document. What the document does not know is another test's matter.
pub(super) fn check(method: &str, path: &str, answer: &Answer) {
    let Some(operation) = operation(method, &format!("{BASE}{path}")) else {
        assert!(matches!(answer.status, 404 | 405), "{method} {path} is answered and not documented");
        return;
    };
    let documented = &operation["responses"][answer.status.to_string()];
    assert!(!documented.is_null(), "{method} {path}: {} is not documented: {}", answer.status, answer.body);
    let Some(reference) = documented["content"]["application/json"]["schema"]["$ref"].as_str() else {
        assert!(documented.get("content").is_some() || answer.body.is_null(), "{method} {path}");
        return;
    };
    let name = reference.rsplit('/').next().expect("a name");
    let problems: Vec<String> =
        VALIDATORS[name].iter_errors(&answer.body).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{method} {path} is no {name}: {problems:?}\n{}", answer.body);
}

#[tokio::test]
async fn every_operation_of_the_document_is_answered_by_the_router_and_the_reverse() {
    let world = World::new();
    let mut documented = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_ascii_uppercase();
            let path = path.strip_prefix(BASE).unwrap();
            let concrete = path.replace(['{', '}'], "");
            let answer = world.raw(&method, &concrete).await;
            assert_ne!(answer.status, 405, "{method} {path}");
            if answer.status == 404 {
                assert_ne!(answer.body["detail"], "There is no such path", "{method} {path}");
            }
            documented.insert((method, path.to_owned()));
        }
    }
    let routed: BTreeSet<(String, String)> =
        routes::all().iter().map(|route| (route.method.to_string(), route.path.to_owned())).collect();
    assert_eq!(documented, routed);
}

#[tokio::test]
async fn a_method_that_the_document_does_not_have_is_refused() {
    let world = World::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let concrete = path.strip_prefix(BASE).unwrap().replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if item.get(method.to_ascii_lowercase()).is_none() {
                assert_eq!(world.raw(method, &concrete).await.status, 405, "{method} {path}");
            }
        }
    }
}

#[test]
fn every_operation_of_the_svix_server_is_there() {
    let mut missing = BTreeSet::new();
    for line in SVIX.lines() {
        let [method, path, id] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let item = &DOCUMENT["paths"][path][method.to_ascii_lowercase()];
        match item["operationId"].as_str() {
            Some(there) => assert!(id == "-" || there == id, "{line}: {there}"),
            None => drop(missing.insert(id)),
        }
    }
    assert_eq!(missing, BTreeSet::new());
}

#[test]
fn ids_are_unique_tags_are_explained_and_references_lead_somewhere() {
    let mut ids = BTreeSet::new();
    let tags: Vec<&Value> = DOCUMENT["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    for item in DOCUMENT["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{operation}");
            assert!(tags.contains(&&operation["tags"][0]), "{operation}");
        }
    }
    let text = DOCUMENT.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(VALIDATORS.contains_key(name), "{name}");
    }
}

#[test]
fn every_schema_is_used() {
    let text = DOCUMENT.to_string();
    for name in VALIDATORS.keys() {
        assert!(text.contains(&format!("#/components/schemas/{name}\"")), "{name}");
    }
}

#[tokio::test]
async fn document_and_page_are_open_and_the_page_can_do_nothing_but_be_read() {
    let world = World::with_tokens(&["right"]);
    let json = world.raw("GET", "/openapi.json").await;
    assert_eq!((json.status, &json.body), (200, &*DOCUMENT));
    let page = world.raw("GET", "/docs").await;
    assert_eq!(
        (page.status, &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let html = page.body.as_str().unwrap();
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("src="));
    let ids: BTreeMap<&str, usize> = html.split("id=\"").skip(1).fold(BTreeMap::new(), |mut ids, rest| {
        *ids.entry(rest.split('"').next().unwrap()).or_default() += 1;
        ids
    });
    assert!(ids.values().all(|count| *count == 1), "{ids:?}");
    for link in html.split("href=\"#").skip(1) {
        let fragment = link.split('"').next().unwrap();
        assert!(ids.contains_key(fragment), "{fragment}");
    }
    for operation in ["v1.message.create", "v1.endpoint.rotate-secret", "schema-EndpointIn"] {
        assert!(ids.contains_key(operation), "{operation}");
    }
}

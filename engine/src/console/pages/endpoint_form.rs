//! The form of an endpoint: a new one, or one that is there. It can be tried before it is saved.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::super::chart;
use super::super::fields::{Field, FormPage, Section};
use super::super::form::Form;
use super::super::html::Html;
use super::super::inside::encoded;
use super::super::shapes::{Endpoint, EventType, Headers, List, Probe, RetryPolicies};
use super::super::trouble::{Problems, Trouble};
use super::super::visit::{Sent, Visit};
use super::message::ProbeShown;
use super::{Answer, off};
use askama::Template as _;

/// Event types that are offered to be ticked.
const EVENT_TYPES_MAX: usize = 250;
/// Stands for "written out below".
const OWN_POLICY: &str = "=own";
/// Stands for "as it is".
const KEEP: &str = "keep";

/// What the form offers.
struct Offers {
    event_types: Vec<EventType>,
    policies: RetryPolicies,
}

impl Offers {
    async fn read(visit: &Visit, policy: &str) -> Result<Self, Trouble> {
        let inside = visit.inside();
        let event_types: List<EventType> =
            inside.get(&format!("/event-type?limit={EVENT_TYPES_MAX}&with_content=false")).await?;
        let policies = match inside.get(&format!("/retry-policy?policy={}", encoded(policy))).await {
            // What is wrong with it is said when the endpoint is saved.
            Err(Trouble::Field { .. }) => inside.get("/retry-policy").await?,
            other => other?,
        };
        Ok(Self { event_types: event_types.data, policies })
    }

    /// Event types that are offered, of those that are ticked; and those that are not, in words.
    fn part(&self, chosen: &[String]) -> (Vec<String>, String) {
        let is_offered = |name: &String| self.event_types.iter().any(|event_type| event_type.name == *name);
        let (offered, others): (Vec<String>, Vec<String>) = chosen.iter().cloned().partition(is_offered);
        (offered, others.join(" "))
    }

    fn sections(&self, is_new: bool) -> Vec<Section> {
        vec![
            Section::new("", self.where_and_what()),
            Section {
                below: self.schedule(),
                ..Section::folded("Delivery: retries, time, rate", self.delivery())
            },
            Section::folded("Request: format, headers, authorization", request(is_new)),
            Section::folded("More: filter, chain, certificates, own id", more()),
        ]
    }

    fn where_and_what(&self) -> Vec<Field> {
        let describe = |one: &EventType| match one.description.as_str() {
            "" => one.name.clone(),
            description => format!("{} — {description}", one.name),
        };
        let options = self.event_types.iter().map(|one| (one.name.clone(), describe(one)));
        let mut fields = vec![
            Field::line("url", "URL")
                .required()
                .wide()
                .placeholder("https://example.com/webhooks")
                .hint("Messages are sent there as POST requests, as they happen."),
            Field::line("description", "Description").wide().hint("For people: what is behind it."),
        ];
        if !self.event_types.is_empty() {
            fields.push(Field::ticks("eventTypes", "Event types", options).hint("None chosen: all of them."));
        }
        fields.push(
            Field::line("eventTypesMore", if self.event_types.is_empty() { "Event types" } else { "Others" })
                .hint("Names, or patterns such as call.*, with spaces between."),
        );
        fields.push(
            Field::line("channels", "Channels")
                .hint("Only messages on one of these. Empty: on any, or none."),
        );
        fields
    }

    fn delivery(&self) -> Vec<Field> {
        let default = [(String::new(), format!("default: {}", self.policies.default.policy))];
        let named = self.policies.named.iter().filter_map(|policy| {
            let name = policy.name.clone()?;
            Some((name.clone(), format!("{name}: {}", policy.policy)))
        });
        let own = [(OWN_POLICY.to_owned(), "written out below".to_owned())];
        vec![
            Field::choice("retryPolicy", "Retries", default.into_iter().chain(named).chain(own)).known_as(&["retryPolicyChoice"]).wide(),
            Field::line("ownPolicy", "Own retry policy")
                .wide()
                .known_as(&["retryPolicy", "policy"])
                .placeholder("5s, 30s, 2m, 1h")
                .hint("Waits between attempts, or: exponential first=5s factor=3 max=12h attempts=11, or: none."),
            Field::line("timeoutMs", "Time for an answer, ms").hint("Empty: delivery.timeout_total."),
            Field::choice("successRule", "Counts as success", [("any_2xx", "any 2xx"), ("only_200", "200 alone")]),
            Field::line("throttleRate", "Messages a second")
                .hint("What is more waits, and uses up no attempt. Empty: no limit."),
            Field::line("concurrency", "Attempts at a time")
                .hint("Empty: as many as it bears, up to shards.endpoint_in_flight_max."),
        ]
    }

    fn schedule(&self) -> Html {
        let policy = self.policies.policy.as_ref().unwrap_or(&self.policies.default);
        chart::schedule(&policy.waits_ms, policy.jitter_percent)
    }
}

fn request(is_new: bool) -> Vec<Field> {
    let kinds = [("none", "none"), ("bearer", "Bearer token"), ("basic", "Basic: user and password")];
    let keep = (!is_new).then_some((KEEP, "as it is"));
    let mut fields = vec![
        Field::choice(
            "format",
            "Body",
            [("json", "as published"), ("form", "form fields (x-www-form-urlencoded)")],
        ),
        Field::choice(
            "headerNames",
            "Names of the signature's headers",
            [("webhook", "webhook-*"), ("svix", "svix-*"), ("both", "both")],
        ),
        Field::area("headers", "Headers", 3)
            .hint("One a line, as name: value. Those that hold secrets are not shown again, and stay."),
        Field::choice("authorization", "Authorization", keep.into_iter().chain(kinds)),
        Field::line("username", "User").known_as(&["username", "authorization.username"]).hint("For Basic."),
        Field::secret("token", "Token or password")
            .known_as(&["token", "authorization"])
            .hint("Not shown again."),
    ];
    if is_new {
        fields.push(
            Field::secret("secret", "Signing secret")
                .hint("Only if receivers have one already: whsec_ and base64. Empty: one is made."),
        );
    }
    fields.push(
        Field::secret("bodySecret", "Secret in the body")
            .hint("For form fields: sent as the field 'secret'. Empty: as it is."),
    );
    fields
}

fn more() -> Vec<Field> {
    vec![
        Field::area("filter", "Filter", 2)
            .placeholder("payload.amount > 100")
            .hint("Only messages of which this is true."),
        Field::line("chain", "Chain").known_as(&["chain"]).hint(
            "Endpoints of one name are tried in the order of their places, until one answers as it should.",
        ),
        Field::line("position", "Place in the chain").known_as(&["position"]),
        Field::tick("tellResponse", "Tell producers what it answers (the outcome stream)"),
        Field::line("uid", "uid").hint("Your own id of it."),
        Field::area("metadata", "Metadata", 2)
            .hint("One a line, as name: value. For you; nothing follows from it."),
        Field::area("caCertificates", "Its certificate authorities (PEM)", 3),
        Field::area("clientCertificate", "Client certificate (PEM)", 3)
            .hint("For mutual TLS. Empty: as it is."),
        Field::area("clientKey", "Its private key (PEM)", 3)
            .known_as(&["clientKey"])
            .hint("Not shown again."),
    ]
}

/// What the API is told. Left out is what is not shown again where it is empty, and of an endpoint that is there what has
/// paths of its own (headers) or reads as it was shown: a text of lines cannot hold everything that may stand there.
fn body(form: &Form, shown: Option<&Shown>) -> Result<Value, Trouble> {
    let types = [form.all("eventTypes"), form.all("eventTypesMore")].concat();
    let types = Form::default().with("types", types).list_or_null("types");
    let policy = match form.text("retryPolicy") {
        OWN_POLICY => form.or_null("ownPolicy"),
        _ => form.or_null("retryPolicy"),
    };
    let pairs = |name: &str| form.pairs(name).map_err(|problem| Trouble::field(name, problem));
    let mut body = json!({
        "url": form.text("url"),
        "description": form.text("description"),
        "eventTypes": types,
        "channels": form.list_or_null("channels"),
        "retryPolicy": policy,
        "timeoutMs": form.number_or_null("timeoutMs"),
        "successRule": form.text("successRule"),
        "throttleRate": form.number_or_null("throttleRate"),
        "concurrency": form.number_or_null("concurrency"),
        "format": form.text("format"),
        "headerNames": form.text("headerNames"),
        "filter": form.or_null("filter"),
        "tellResponse": form.is_ticked("tellResponse"),
        "uid": form.or_null("uid"),
        "caCertificates": form.or_null("caCertificates"),
        "chain": match form.text("chain") {
            "" => Value::Null,
            name => json!({ "name": name, "position": form.number_or_null("position") }),
        },
    });
    if shown.is_none_or(|shown| lines(&shown.endpoint.metadata).trim_end() != form.raw("metadata").trim_end())
    {
        body["metadata"] = pairs("metadata")?.into();
    }
    if shown.is_none() {
        body["headers"] = pairs("headers")?.into();
    }
    match form.text("authorization") {
        "bearer" => body["authorization"] = json!({ "type": "bearer", "token": form.text("token") }),
        "basic" => {
            body["authorization"] =
                json!({ "type": "basic", "username": form.text("username"), "password": form.text("token") });
        }
        "none" => body["authorization"] = Value::Null,
        _ => {}
    }
    let mut set_if_given = |name: &str, value: Value| {
        if !value.is_null() {
            body[name] = value;
        }
    };
    set_if_given("secret", form.or_null("secret"));
    set_if_given("bodySecret", form.or_null("bodySecret"));
    if !form.text("clientCertificate").is_empty() {
        let certificate =
            json!({ "certificate": form.text("clientCertificate"), "key": form.text("clientKey") });
        set_if_given("clientCertificate", certificate);
    }
    Ok(body)
}

/// An endpoint as its form showed it.
struct Shown {
    endpoint: Endpoint,
    headers: Headers,
}

impl Shown {
    async fn read(visit: &Visit, path: &str) -> Result<Self, Trouble> {
        let inside = visit.inside();
        Ok(Self { endpoint: inside.get(path).await?, headers: inside.get(&format!("{path}/headers")).await? })
    }
}

/// Names and values, one pair a line.
fn lines(pairs: &BTreeMap<String, String>) -> String {
    pairs.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
}

/// How the headers that were shown change: those that are gone from the field are removed, and those that were never
/// shown stay.
fn header_changes(form: &Form, shown: &Headers) -> Result<Map<String, Value>, Trouble> {
    if lines(&shown.headers).trim_end() == form.raw("headers").trim_end() {
        return Ok(Map::new());
    }
    let mut changes = form.pairs("headers").map_err(|problem| Trouble::field("headers", problem))?;
    for name in shown.headers.keys() {
        if !changes.keys().any(|kept| kept.eq_ignore_ascii_case(name)) {
            changes.insert(name.clone(), Value::Null);
        }
    }
    Ok(changes)
}

fn form_of(endpoint: &Endpoint, headers: &Headers, offers: &Offers) -> Form {
    let joined = |names: &Option<std::collections::BTreeSet<String>>| {
        names.iter().flatten().cloned().collect::<Vec<_>>()
    };
    let (types, others) = offers.part(&joined(&endpoint.event_types));
    let is_named =
        |text: &str| offers.policies.named.iter().any(|policy| policy.name.as_deref() == Some(text));
    let (policy, own) = match endpoint.retry_policy.clone() {
        Some(text) if !is_named(&text) => (Some(OWN_POLICY.into()), Some(text)),
        other => (other, None),
    };
    Form::of([
        ("url", Some(endpoint.url.clone())),
        ("description", Some(endpoint.description.clone())),
        ("eventTypesMore", Some(others)),
        ("channels", Some(joined(&endpoint.channels).join(" "))),
        ("retryPolicy", policy),
        ("ownPolicy", own),
        ("timeoutMs", endpoint.timeout_ms.map(|ms| ms.to_string())),
        ("successRule", Some(endpoint.success_rule.clone())),
        ("throttleRate", endpoint.throttle_rate.map(|rate| rate.to_string())),
        ("concurrency", endpoint.concurrency.map(|number| number.to_string())),
        ("format", Some(endpoint.format.clone())),
        ("headerNames", Some(endpoint.header_names.clone())),
        ("headers", Some(lines(&headers.headers))),
        ("authorization", Some(KEEP.into())),
        ("filter", endpoint.filter.clone()),
        ("chain", endpoint.chain.as_ref().map(|chain| chain.name.clone())),
        ("position", endpoint.chain.as_ref().map(|chain| chain.position.to_string())),
        ("tellResponse", endpoint.tell_response.then(|| "1".into())),
        ("uid", endpoint.uid.clone()),
        ("metadata", Some(lines(&endpoint.metadata))),
        ("caCertificates", endpoint.ca_certificates.clone()),
    ])
    .with("eventTypes", types)
}

/// The policy that the form asks for at this moment.
fn asked_policy(form: &Form) -> &str {
    match form.text("retryPolicy") {
        OWN_POLICY => form.text("ownPolicy"),
        other => other,
    }
}

pub(super) async fn page(visit: Visit, Path(app): Path<String>) -> Answer {
    // Not there, or somebody else's: said before a form is filled in.
    visit.inside().get::<Value>(&format!("/app/{}", encoded(&app))).await?;
    let form = Form::of([("authorization", Some("none".into()))]);
    new_page(&visit, &app, &form, &Problems::default(), Html::default()).await
}

async fn new_page(visit: &Visit, app: &str, form: &Form, problems: &Problems, below: Html) -> Answer {
    let offers = Offers::read(visit, asked_policy(form)).await?;
    let list = format!("{}/app/{}", visit.base(), encoded(app));
    let f = visit.frame("Add new endpoint", "endpoints", Some(app)).await;
    let page = FormPage::new(f, format!("{list}/endpoint/new"), offers.sections(true), list);
    Ok(finish(FormPage { submit: "Save the endpoint", below, ..page }, form, problems))
}

fn finish(page: FormPage, form: &Form, problems: &Problems) -> Response {
    let also = vec![("probe", "Try it before saving"), ("draw", "Draw the retries")];
    FormPage { also, ..page }.answer(form, problems)
}

async fn tried(visit: &Visit, app: &str, body: &Value) -> Result<Html, Trouble> {
    let probe: Probe = visit.inside().post(&format!("/app/{}/endpoint/probe", encoded(app)), body).await?;
    Ok(Html(ProbeShown::new(probe).render().unwrap_or_default()))
}

pub(super) async fn create(visit: Visit, Path(app): Path<String>, Sent(form): Sent) -> Answer {
    let done = async {
        let body = body(&form, None)?;
        match form.text("do") {
            "probe" => tried(&visit, &app, &body).await.map(Err),
            "draw" => Ok(Err(Html::default())),
            _ => visit
                .inside()
                .post::<Endpoint>(&format!("/app/{}/endpoint", encoded(&app)), &body)
                .await
                .map(Ok),
        }
    };
    match done.await {
        Ok(Ok(made)) => {
            let path = format!("{}/app/{}/endpoint/{}", visit.base(), encoded(&app), encoded(&made.id));
            Ok(off(&path, "created"))
        }
        Ok(Err(below)) => new_page(&visit, &app, &form, &Problems::default(), below).await,
        Err(trouble) => new_page(&visit, &app, &form, &trouble.into(), Html::default()).await,
    }
}

pub(super) async fn edit(visit: Visit, Path((app, name)): Path<(String, String)>) -> Answer {
    let path = format!("/app/{}/endpoint/{}", encoded(&app), encoded(&name));
    let Shown { endpoint, headers } = Shown::read(&visit, &path).await?;
    let offers = Offers::read(&visit, endpoint.retry_policy.as_deref().unwrap_or_default()).await?;
    let form = form_of(&endpoint, &headers, &offers);
    edit_page(&visit, &app, &name, &form, &Problems::default(), Html::default()).await
}

async fn edit_page(
    visit: &Visit,
    app: &str,
    name: &str,
    form: &Form,
    problems: &Problems,
    below: Html,
) -> Answer {
    let offers = Offers::read(visit, asked_policy(form)).await?;
    let path = format!("{}/app/{}/endpoint/{}", visit.base(), encoded(app), encoded(name));
    let f = visit.frame("Edit endpoint", "endpoints", Some(app)).await;
    let page = FormPage::new(f, format!("{path}/edit"), offers.sections(false), path);
    Ok(finish(FormPage { below, ..page }, form, problems))
}

pub(super) async fn save(
    visit: Visit,
    Path((app, name)): Path<(String, String)>,
    Sent(form): Sent,
) -> Answer {
    let inside = visit.inside();
    let path = format!("/app/{}/endpoint/{}", encoded(&app), encoded(&name));
    let shown = Shown::read(&visit, &path).await?;
    let done = async {
        let body = body(&form, Some(&shown))?;
        match form.text("do") {
            "probe" => tried(&visit, &app, &body).await.map(Some),
            "draw" => Ok(Some(Html::default())),
            _ => {
                let changes = header_changes(&form, &shown.headers)?;
                inside.send(Method::PATCH, &path, Some(&body)).await?;
                if !changes.is_empty() {
                    let changes = json!({ "headers": changes });
                    let saved = inside.send(Method::PATCH, &format!("{path}/headers"), Some(&changes)).await;
                    saved.map_err(|trouble| {
                        Trouble::field("headers", format!("{} (all else was saved)", trouble.detail()))
                    })?;
                }
                Ok(None)
            }
        }
    };
    match done.await {
        Ok(None) => {
            let endpoint = format!("{}/app/{}/endpoint/{}", visit.base(), encoded(&app), encoded(&name));
            Ok(off(&endpoint, "saved"))
        }
        Ok(Some(below)) => edit_page(&visit, &app, &name, &form, &Problems::default(), below).await,
        Err(trouble) => edit_page(&visit, &app, &name, &form, &trouble.into(), Html::default()).await,
    }
}

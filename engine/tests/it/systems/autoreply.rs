//! A messaging platform whose customers answer webhooks with what is to be done: messages to send, variables to set,
//! or "I have nothing to say, ask the next one".
//!
//! | there | here |
//! |---|---|
//! | POST parameters with nested brackets, a secret among them | `format: form`, `bodySecret` |
//! | 200 alone is success, within ten seconds; retried for up to a day | `successRule: only_200`, `timeoutMs: 10000` |
//! | services that handle a message in turn, until one handles it | `chain` |
//! | replies and variables in the response | `tellResponse`, and the platform acts on the outcome stream |
//! | a status URL and secret for one outgoing message | `override` |
//! | one id however often it is sent | `id` in the payload, and `webhook-id` |

use posthaste_protocol::client::{Client, NewMessage, NewUrl, Options};
use serde_json::{Value, json};

use super::{CUSTOMER, platform};
use crate::harness::{Answer, Api, Follower, Posthaste, Receiver, Site};

const EVENT_TYPES: [&str; 2] = ["incoming_message", "send_status"];
const SECRET: &str = "a secret that both know";

struct Project {
    _site: Site,
    posthaste: Posthaste,
    /// The services that handle incoming messages, in their order.
    services: Vec<Receiver>,
}

fn json_answer(body: &Value) -> Answer {
    Answer::Typed(200, "application/json", body.to_string())
}

/// A project whose services answer so.
async fn project(answers: Vec<Answer>) -> Project {
    let (site, posthaste) = platform(&[], &EVENT_TYPES).await;
    let api = Api::at(posthaste.http());
    let mut services = Vec::new();
    for (position, answer) in answers.into_iter().enumerate() {
        let receiver = Receiver::answering(answer).await;
        let service = json!({
            "url": receiver.url(), "eventTypes": ["incoming_message"],
            "chain": { "name": "services", "position": position },
            "format": "form", "bodySecret": SECRET, "tellResponse": true,
            "successRule": "only_200", "timeoutMs": 10_000,
            "retryPolicy": "100ms, 100ms jitter=0%",
        });
        api.make_endpoint(CUSTOMER, &service).await;
        services.push(receiver);
    }
    Project { _site: site, posthaste, services }
}

impl Project {
    async fn follow(&self) -> Follower {
        Follower::start(self.posthaste.tcp(), CUSTOMER).await
    }

    /// A message came in over the air.
    async fn incoming(&self, id: &str, content: &str) {
        let payload = json!({
            "event": "incoming_message", "id": id, "content": content, "from_number": "+16505550123",
            "time_created": 1_390_343_565, "starred": false,
            "contact": { "name": "John", "vars": { "birthdate": "1980-01-01" } },
            "media": [{ "url": "https://m.example/1.jpg", "size": 1_200 }],
        })
        .to_string();
        let message = NewMessage::new(CUSTOMER, "incoming_message", payload.as_bytes()).event_id(id);
        self.client().await.publish(&message).await.expect("accepted");
    }

    async fn client(&self) -> Client {
        let address = self.posthaste.tcp().to_string();
        Client::connect(address, Options::default()).await.expect("it accepts")
    }
}

/// What the platform does with an answer: the messages to send.
fn to_send(follower: &Follower, event_id: &str) -> Vec<String> {
    let answered = follower.outcomes().into_iter().filter(|outcome| {
        outcome.event_id.as_deref() == Some(event_id) && outcome.response_json == Some(true)
    });
    let bodies = answered.filter_map(|outcome| outcome.response_body);
    let replies = bodies.map(|body| serde_json::from_slice::<Value>(&body).expect("it is valid"));
    replies
        .flat_map(|reply| reply["messages"].as_array().cloned().unwrap_or_default())
        .map(|message| message["content"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn a_service_that_answers_with_messages_has_them_sent_and_those_behind_it_hear_nothing() {
    let reply = json!({ "messages": [{ "content": "Thanks!" }, { "content": "We are open 9 to 5" }] });
    let answers = vec![Answer::Status(200), json_answer(&reply), Answer::Status(200)];
    let project = project(answers).await;
    let follower = project.follow().await;
    project.incoming("SM-1", "When are you open?").await;
    follower.saw(2, "delivered").await;
    assert_eq!(to_send(&follower, "SM-1"), ["Thanks!", "We are open 9 to 5"]);
    let counts: Vec<usize> = project.services.iter().map(Receiver::count).collect();
    assert_eq!(counts, [1, 1, 0]);
}

#[tokio::test]
async fn a_service_sees_a_form_with_the_secret_and_one_id_however_often_it_is_tried() {
    let project = project(vec![Answer::Status(204)]).await;
    let follower = project.follow().await;
    project.incoming("SM-2", "Hello world & all").await;
    // 204 is not 200.
    follower.saw(1, "exhausted").await;
    let received = project.services[0].received();
    assert_eq!(received.len(), 3);
    for request in &received {
        assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &str| form.iter().find(|(given, _)| given == name).map(|(_, value)| &**value);
        assert_eq!(field("id"), Some("SM-2"));
        assert_eq!(field("content"), Some("Hello world & all"));
        assert_eq!(field("from_number"), Some("+16505550123"));
        assert_eq!(field("time_created"), Some("1390343565"), "numbers come as text");
        assert_eq!(field("starred"), Some("0"));
        assert_eq!(field("contact[vars][birthdate]"), Some("1980-01-01"));
        assert_eq!(field("media[0][size]"), Some("1200"));
        assert_eq!(field("secret"), Some(SECRET));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_json_it_claims_to_be_is_told_as_such() {
    let broken = Answer::Typed(200, "application/json", r#"{"messages": [{"content": "Thanks!"#.into());
    let project = project(vec![broken]).await;
    let follower = project.follow().await;
    project.incoming("SM-3", "hi").await;
    follower.saw(1, "delivered").await;
    let outcome = follower.outcomes().remove(0);
    assert_eq!((outcome.response_json, outcome.event_id.as_deref()), (Some(false), Some("SM-3")));
    assert_eq!(to_send(&follower, "SM-3"), [""; 0]);
}

#[tokio::test]
async fn return_value_says_whether_the_next_service_is_asked_whatever_else_is_in_the_answer() {
    let variables = |value: bool| {
        json_answer(&json!({
            "messages": [{ "content": "one" }], "variables": { "return_value": value, "state.id": "asked" },
        }))
    };
    for (goes_on, asked) in [(false, 1), (true, 0)] {
        let project = project(vec![variables(goes_on), Answer::Status(200)]).await;
        let follower = project.follow().await;
        project.incoming("SM-4", "hi").await;
        follower.saw(1 + asked, "delivered").await;
        assert_eq!(project.services[1].count(), asked, "return_value {goes_on}");
        let told = follower.outcomes()[0].response_body.clone().expect("asked for");
        let told: Value = serde_json::from_slice(&told).expect("JSON");
        assert_eq!(told["variables"]["state.id"], "asked", "for the platform to set");
    }
}

#[tokio::test]
async fn an_outgoing_message_has_its_own_status_url_and_secret() {
    let project = project(vec![Answer::Status(200)]).await;
    let api = Api::at(project.posthaste.http());
    let usual = Receiver::answering(Answer::Status(200)).await;
    let notifications = json!({
        "url": usual.url(), "eventTypes": ["send_status"], "format": "form", "bodySecret": SECRET,
        "successRule": "only_200",
    });
    api.make_endpoint(CUSTOMER, &notifications).await;
    let own = Receiver::answering(Answer::Status(200)).await;
    let follower = project.follow().await;
    let url = own.url();
    let new_url = NewUrl { url: &url, secret: Some("of this message alone"), endpoint: None };
    let message = NewMessage::new(CUSTOMER, "send_status", br#"{"id":"SM-5","status":"sent"}"#).url(new_url);
    project.client().await.publish(&message).await.expect("accepted");
    follower.saw(1, "delivered").await;
    assert_eq!(own.received()[0].body, "id=SM-5&status=sent&secret=of+this+message+alone");
    assert_eq!(usual.count(), 0);
}

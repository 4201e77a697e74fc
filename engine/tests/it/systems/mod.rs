//! Webhook systems as platforms offer them to their customers, each shown as a configuration of this one.
//!
//! | file | the system |
//! |---|---|
//! | `messaging_configs` | a messaging platform: one URL per event type of each messaging config, company-wide ones beside |
//! | `go_live` | a three-step beginning: make a receiver, test it, save it and go live |
//! | `autoreply` | a messaging platform whose customers answer webhooks with what is to be sent |
//! | `portal_rules` | what a portal shows and lets people do: endpoints, event types, tests, signatures, failures |

mod autoreply;
mod go_live;
mod messaging_configs;
mod portal_rules;

use serde_json::{Value, json};

use crate::harness::{Api, Receiver, Site};

/// The customer.
const CUSTOMER: &str = "customer";

fn endpoints() -> String {
    format!("/api/v1/app/{CUSTOMER}/endpoint")
}

/// A platform with these event types, and one customer.
async fn platform(settings: &[(&str, &str)], event_types: &[&str]) -> (Site, crate::harness::Posthaste) {
    let site = Site::new(settings);
    let posthaste = site.start().await;
    let api = Api::at(posthaste.http());
    api.make_application(CUSTOMER).await;
    for name in event_types {
        api.make_event_type(name).await;
    }
    (site, posthaste)
}

/// Publishes over HTTP, as the platform does, and returns the message's id.
async fn publish(api: &Api, event_type: &str, fields: Value) -> String {
    let mut body = json!({ "eventType": event_type, "payload": { "of": event_type } });
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    let made = api.post(&format!("/api/v1/app/{CUSTOMER}/msg"), &body).await;
    made["id"].as_str().expect("an id").to_owned()
}

/// The ids of what a receiver had.
fn ids(receiver: &Receiver) -> Vec<String> {
    receiver.received().iter().map(|received| received.id().to_owned()).collect()
}

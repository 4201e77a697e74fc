//! The schemas of the document, by name.
//!
//! Names and fields are those of the open Svix server API where it has them. What an `...Out` schema lists is all
//! that the server sends; a test holds every answer of the API's tests against it.

mod api_key;
mod application;
mod attempt;
mod endpoint;
mod error;
mod event_type;
mod history;
mod message;
mod operator;
mod portal;
mod probe;
mod task;

use serde_json::{Map, Value, json};

use super::schema;

/// A schema and its name.
type Schema = (&'static str, Value);

/// All of them.
pub(super) fn all() -> Map<String, Value> {
    let all = [
        api_key::schemas(),
        application::schemas(),
        attempt::schemas(),
        endpoint::schemas(),
        error::schemas(),
        event_type::schemas(),
        history::schemas(),
        message::schemas(),
        operator::schemas(),
        portal::schemas(),
        probe::schemas(),
        task::schemas(),
        vec![("Ordering", schema::one_of(&["ascending", "descending"]))],
    ];
    all.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// A page of these.
fn list_of(item: &str) -> Value {
    let iterator = schema::described(schema::text(), "Asks for the page behind this one");
    let prev_iterator =
        schema::described(schema::or_null(schema::text()), "Asks for the page before this one");
    let done = json!({ "type": "boolean", "description": "Whether this is the last page in its direction" });
    schema::object(
        &["data", "done"],
        json!({
            "data": { "type": "array", "items": schema::named(item) },
            "done": done, "iterator": iterator, "prevIterator": prev_iterator,
        }),
    )
}

/// A schema with these properties too.
fn extended(mut schema: Value, properties: Value) -> Value {
    let (Value::Object(all), Value::Object(more)) = (&mut schema["properties"], properties) else {
        return schema;
    };
    all.extend(more);
    schema
}

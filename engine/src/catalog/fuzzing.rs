//! What is stored of the catalog, and the schemas that customers write.

use serde_json::Value;
use serde_json::value::RawValue;

use super::record::Record;
use super::schemas;
use crate::fuzzing::two_texts;

/// Key and value of an entry, separated by a zero byte: what is read is written so that it reads the same.
pub(crate) fn records(data: &[u8]) {
    let Some(separator) = data.iter().position(|byte| *byte == 0) else { return };
    let (key, value) = (&data[..separator], &data[separator + 1..]);
    let Ok(record) = Record::parse(key, value) else { return };
    let change = record.change();
    let written = change.value.clone().expect("an entry has a value");
    let again = Record::parse(&change.key, &written).unwrap_or_else(|error| panic!("{error}: {record:?}"));
    assert_eq!(again.change(), change);
}

/// Schemas and a payload, separated by a zero byte: schemas that may be saved hold payloads against the newest and
/// make an example, again the same.
pub(crate) fn schemas(data: &[u8]) {
    let Some((text, payload)) = two_texts(data) else { return };
    let Ok(raw) = serde_json::from_str::<&RawValue>(text) else { return };
    if schemas::check(raw).is_err() {
        return;
    }
    let compiled = schemas::compile_newest("a.b", raw);
    let example = schemas::example(raw);
    assert_eq!(compiled.is_some(), example.is_some());
    let (Some(compiled), Some(example)) = (compiled, example) else { return };
    assert_eq!(schemas::example(raw).as_ref(), Some(&example));
    let _ = compiled.check(&example);
    if let Ok(payload) = serde_json::from_str::<Value>(payload) {
        assert_eq!(compiled.check(&payload), compiled.check(&payload));
    }
}

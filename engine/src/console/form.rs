//! A form as a browser sends it (`application/x-www-form-urlencoded`), and what of it goes back into the page.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Fields that a form may have.
const FIELDS_MAX: usize = 2_000;

/// See the head of this file. A field may come several times.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(BTreeMap<String, Vec<String>>);

impl Form {
    /// Reads it. Fields beyond [`FIELDS_MAX`] are left out.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut fields = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in url::form_urlencoded::parse(body).take(FIELDS_MAX) {
            // Browsers end lines of a text area with CR LF (HTML, "constructing the entry list").
            fields.entry(name.into_owned()).or_default().push(value.replace("\r\n", "\n"));
        }
        Self(fields)
    }

    /// One that is filled in like this.
    pub(super) fn of(fields: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Self {
        let filled = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), vec![value?])));
        Self(filled.collect())
    }

    /// The same, with all these values of a field.
    pub(super) fn with(mut self, name: &str, values: Vec<String>) -> Self {
        self.0.insert(name.into(), values);
        self
    }

    /// The field as it was typed; empty if it is not there.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.get(name).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// The field without space around it; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// Whether a box was ticked.
    pub(super) fn is_ticked(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// All values of a field.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The field, or `null` where it is empty.
    pub(super) fn or_null(&self, name: &str) -> Value {
        match self.text(name) {
            "" => Value::Null,
            text => json!(text),
        }
    }

    /// A whole number, or what was typed instead, which is then refused by whoever wanted one; `null` where it is empty.
    pub(super) fn number_or_null(&self, name: &str) -> Value {
        match self.text(name) {
            "" => Value::Null,
            text => text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number)),
        }
    }

    /// What is separated by commas or space, or comes several times; `null` where there is nothing.
    pub(super) fn list_or_null(&self, name: &str) -> Value {
        let words = self.all(name).iter().flat_map(|value| value.split([',', '\n', ' ', '\t']));
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        if words.is_empty() { Value::Null } else { json!(words) }
    }

    /// Lines `name: value`, as an object; or the line that is none.
    pub(super) fn pairs(&self, name: &str) -> Result<Map<String, Value>, String> {
        let lines = self.raw(name).lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| match line.split_once([':', '=']) {
                Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().into(), json!(value.trim()))),
                _ => Err(format!("each line must be 'name: value'; one is '{line}'")),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_a_browser_sends_them() {
        let form = Form::parse(
            b"url=+https%3A%2F%2Fa.example%2F&types=a.b%2C+c&types=d&n=7&m=x&h=A%3A+1%0D%0A%0D%0AB%3D2",
        );
        assert_eq!(form.text("url"), "https://a.example/");
        assert_eq!(form.list_or_null("types"), json!(["a.b", "c", "d"]));
        assert_eq!((form.number_or_null("n"), form.number_or_null("m")), (json!(7), json!("x")));
        assert_eq!((form.or_null("absent"), form.list_or_null("absent")), (Value::Null, Value::Null));
        assert_eq!(
            form.pairs("h"),
            Ok([("A".into(), json!("1")), ("B".into(), json!("2"))].into_iter().collect())
        );
        assert!(Form::parse(b"h=nonsense").pairs("h").unwrap_err().contains("'nonsense'"));
        assert!(form.is_ticked("n") && !form.is_ticked("absent"));
    }
}

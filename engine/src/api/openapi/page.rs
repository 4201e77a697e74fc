//! The document as a page: HTML made here, read without a script, with nothing fetched from elsewhere.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

const STYLE: &str = include_str!("page.css");
/// The methods in the order in which they are shown.
const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];

/// What a browser may do with the page: show it with this style, and nothing else (CSP level 3).
pub(super) fn policy() -> String {
    let style = BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page of this document.
pub(super) fn render(document: &Value) -> String {
    let mut page = Page { out: String::new() };
    let title = format!("{} API {}", text(&document["info"]["title"]), text(&document["info"]["version"]));
    page.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.element("title", &title);
    page.raw("<style>");
    page.raw(STYLE);
    page.raw("</style></head><body>");
    page.element("h1", &title);
    page.prose(text(&document["info"]["description"]));
    page.raw("<p>For programs: <a href=\"openapi.json\">openapi.json</a></p>");
    let operations = operations(document);
    page.contents(document, &operations);
    for tag in list(&document["tags"]) {
        page.tag(tag, &operations);
    }
    page.raw("<section id=\"schemas\"><h2>Schemas</h2>");
    for (name, schema) in map(&document["components"]["schemas"]) {
        page.schema(name, schema);
    }
    page.raw("</section></body></html>");
    page.out
}

/// An operation and where it is found.
struct Found<'d> {
    method: &'static str,
    path: &'d str,
    operation: &'d Value,
}

impl Found<'_> {
    fn id(&self) -> &str {
        text(&self.operation["operationId"])
    }

    fn has_tag(&self, tag: &Value) -> bool {
        list(&self.operation["tags"]).contains(&tag["name"])
    }
}

fn operations(document: &Value) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    for (path, item) in map(&document["paths"]) {
        let known = METHODS.into_iter().filter_map(|method| Some((method, item.get(method)?)));
        found.extend(known.map(|(method, operation)| Found { method, path, operation }));
    }
    found
}

struct Page {
    out: String,
}

impl Page {
    fn raw(&mut self, html: &str) {
        self.out.push_str(html);
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.raw("&amp;"),
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '"' => self.raw("&quot;"),
                '\'' => self.raw("&#39;"),
                c => self.out.push(c),
            }
        }
    }

    fn element(&mut self, name: &str, text: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.out, "<{name}>");
        self.text(text);
        let _ = write!(self.out, "</{name}>");
    }

    /// Paragraphs, with `code`.
    fn prose(&mut self, text: &str) {
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
            self.raw("<p>");
            self.phrase(paragraph);
            self.raw("</p>");
        }
    }

    fn phrase(&mut self, text: &str) {
        for (place, part) in text.split('`').enumerate() {
            if place % 2 == 0 { self.text(part) } else { self.element("code", part) }
        }
    }

    fn link(&mut self, fragment: &str, text: &str) {
        self.raw("<a href=\"#");
        self.text(fragment);
        self.raw("\">");
        self.text(text);
        self.raw("</a>");
    }

    fn contents(&mut self, document: &Value, operations: &[Found<'_>]) {
        self.raw("<nav aria-label=\"Contents\"><ul>");
        for tag in list(&document["tags"]) {
            self.raw("<li>");
            self.text(text(&tag["name"]));
            self.raw("<ul>");
            for found in operations.iter().filter(|found| found.has_tag(tag)) {
                self.raw("<li>");
                self.link(found.id(), text(&found.operation["summary"]));
                self.raw("</li>");
            }
            self.raw("</ul></li>");
        }
        self.raw("<li>");
        self.link("schemas", "Schemas");
        self.raw("</li></ul></nav>");
    }

    fn tag(&mut self, tag: &Value, operations: &[Found<'_>]) {
        self.raw("<section>");
        self.element("h2", text(&tag["name"]));
        self.prose(text(&tag["description"]));
        operations.iter().filter(|found| found.has_tag(tag)).for_each(|found| self.operation(found));
        self.raw("</section>");
    }

    fn operation(&mut self, found: &Found<'_>) {
        self.raw("<article id=\"");
        self.text(found.id());
        self.raw("\">");
        if let Some(scope) = found.operation["x-scope"].as_str() {
            self.raw("<span class=\"scope\">scope ");
            self.element("code", scope);
            self.raw("</span>");
        }
        self.raw("<h3><span class=\"method\">");
        self.text(&found.method.to_ascii_uppercase());
        self.raw("</span> ");
        self.element("code", found.path);
        self.raw("</h3>");
        self.element("p", text(&found.operation["summary"]));
        self.prose(text(&found.operation["description"]));
        let parameters = list(&found.operation["parameters"]);
        if !parameters.is_empty() {
            self.table(
                "Parameters",
                parameters.iter().map(|parameter| Row {
                    name: text(&parameter["name"]),
                    kind: text(&parameter["in"]),
                    schema: &parameter["schema"],
                    about: text(&parameter["description"]),
                }),
            );
        }
        self.exchange(found.operation);
        self.raw("</article>");
    }

    /// What is sent, and what may come back.
    fn exchange(&mut self, operation: &Value) {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        if !body.is_null() {
            self.raw("<p>Body: ");
            self.kind(body);
            self.raw("</p>");
        }
        self.raw("<p>Answers: ");
        for (place, (status, answer)) in map(&operation["responses"]).enumerate() {
            self.raw(if place == 0 { "" } else { " · " });
            self.element("code", status);
            self.raw(" ");
            let schema = &answer["content"]["application/json"]["schema"];
            if schema.is_null() { self.text(text(&answer["description"])) } else { self.kind(schema) }
        }
        self.raw("</p>");
    }

    fn schema(&mut self, name: &str, schema: &Value) {
        self.raw("<article id=\"schema-");
        self.text(name);
        self.raw("\">");
        self.element("h3", name);
        self.prose(text(&schema["description"]));
        let required = list(&schema["required"]);
        if schema["properties"].is_object() {
            self.table(
                "Fields",
                map(&schema["properties"]).map(|(name, field)| Row {
                    name,
                    kind: if required.contains(&name.as_str().into()) { "required" } else { "" },
                    schema: field,
                    about: text(&field["description"]),
                }),
            );
        } else {
            self.raw("<p>");
            self.kind(schema);
            self.raw("</p>");
        }
        self.raw("</article>");
    }

    fn table<'d>(&mut self, caption: &str, rows: impl Iterator<Item = Row<'d>>) {
        self.raw("<table>");
        self.element("caption", caption);
        self.raw("<tbody>");
        for row in rows {
            self.raw("<tr><td>");
            self.element("code", row.name);
            self.raw("</td><td>");
            self.text(row.kind);
            self.raw("</td><td>");
            self.kind(row.schema);
            self.raw("</td><td>");
            self.phrase(row.about);
            self.raw("</td></tr>");
        }
        self.raw("</tbody></table>");
    }

    /// What a value of this schema looks like, in a few words.
    fn kind(&mut self, schema: &Value) {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.link(&format!("schema-{name}"), name);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            return self.choices(choices);
        }
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            return self.element("code", &values.join(" | "));
        }
        match &schema["type"] {
            Value::String(kind) => self.text(kind),
            Value::Array(kinds) => self.text(&kinds.iter().map(text).collect::<Vec<_>>().join(" or ")),
            _ => self.text("anything"),
        }
        if let Some(fields) = schema["properties"].as_object() {
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            self.raw(" ");
            self.element("code", &format!("{{ {} }}", names.join(", ")));
        }
        if let Some(parts) =
            [&schema["items"], &schema["additionalProperties"]].into_iter().find(|of| of.is_object())
        {
            self.raw(" of ");
            self.kind(parts);
        }
        self.text(&bounds(schema));
    }

    fn choices(&mut self, choices: &[Value]) {
        for (place, choice) in choices.iter().enumerate() {
            self.raw(if place == 0 { "" } else { " or " });
            self.kind(choice);
        }
    }
}

struct Row<'d> {
    name: &'d str,
    kind: &'d str,
    schema: &'d Value,
    about: &'d str,
}

/// Lengths, limits and the default of a value.
fn bounds(schema: &Value) -> String {
    let words = [
        ("minLength", "from length"),
        ("maxLength", "to length"),
        ("minimum", "from"),
        ("maximum", "to"),
        ("minItems", "items from"),
        ("maxItems", "items to"),
        ("format", "in the form"),
        ("default", "default"),
    ];
    let mut bounds = String::new();
    for (keyword, word) in words {
        match &schema[keyword] {
            Value::Null => {}
            Value::String(value) => bounds += &format!(", {word} {value:?}"),
            value => bounds += &format!(", {word} {value}"),
        }
    }
    bounds
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn map(value: &Value) -> serde_json::map::Iter<'_> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE).iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_markup_is_shown_as_text() {
        let mut page = Page { out: String::new() };
        page.prose("a <b> & `c<d>` \"e\"");
        assert_eq!(page.out, "<p>a &lt;b&gt; &amp; <code>c&lt;d&gt;</code> &quot;e&quot;</p>");
    }

    #[test]
    fn a_kind_says_what_may_stand_there() {
        let kind = |schema: Value| {
            let mut page = Page { out: String::new() };
            page.kind(&schema);
            page.out
        };
        assert_eq!(
            kind(serde_json::json!({ "type": ["integer", "null"], "minimum": 1 })),
            "integer or null, from 1"
        );
        let named =
            serde_json::json!({ "anyOf": [{ "$ref": "#/components/schemas/X" }, { "type": "null" }] });
        let object = serde_json::json!({ "type": "object", "properties": { "a": {}, "b": {} } });
        assert_eq!(kind(object), "object <code>{ a, b }</code>");
        let map = serde_json::json!({ "type": "object", "additionalProperties": { "type": "string" } });
        assert_eq!(kind(map), "object of string");
        assert_eq!(kind(named), "<a href=\"#schema-X\">X</a> or null");
    }
}

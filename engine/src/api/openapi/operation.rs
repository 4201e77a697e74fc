//! An operation as the document tells of it.

use serde_json::{Value, json};

use super::schema;

/// What the document says of a route, beside its method, its path and its scope.
#[derive(Debug, Clone)]
pub(in crate::api) struct Operation {
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    /// Status and schema of each good answer.
    pub(super) answers: Vec<(u16, Option<Answer>)>,
    /// Statuses of errors, beside those that every route like it has.
    pub(super) errors: Vec<u16>,
}

/// A body that a request has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body {
    pub(super) schema: &'static str,
    pub(super) required: bool,
}

/// What a good answer carries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// JSON, of this schema.
    Json(&'static str),
    /// Something else.
    Other(&'static str),
}

/// A parameter of a query.
#[derive(Debug, Clone)]
pub(in crate::api) struct Parameter {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: Value,
    pub(super) is_list: bool,
}

impl Operation {
    /// With an id that is unique, and the tag under which it is found.
    pub(in crate::api) const fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            description: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// What its summary does not say.
    pub(in crate::api) const fn about(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// Takes these parameters in its query.
    pub(in crate::api) fn query(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// Takes a body of this schema.
    pub(in crate::api) const fn body(mut self, schema: &'static str) -> Self {
        self.body = Some(Body { schema, required: true });
        self
    }

    /// Takes a body of this schema, or none.
    pub(in crate::api) const fn body_or_none(mut self, schema: &'static str) -> Self {
        self.body = Some(Body { schema, required: false });
        self
    }

    /// Answers with this status and JSON of this schema.
    pub(in crate::api) fn answers(mut self, status: u16, schema: &'static str) -> Self {
        self.answers.push((status, Some(Answer::Json(schema))));
        self
    }

    /// Answers with this status and a body of this content type.
    pub(in crate::api) fn answers_other(mut self, status: u16, content_type: &'static str) -> Self {
        self.answers.push((status, Some(Answer::Other(content_type))));
        self
    }

    /// Answers with this status and nothing.
    pub(in crate::api) fn answers_nothing(mut self, status: u16) -> Self {
        self.answers.push((status, None));
        self
    }

    /// May also answer with this status and an error.
    pub(in crate::api) fn fails(mut self, status: u16) -> Self {
        self.errors.push(status);
        self
    }
}

impl Parameter {
    pub(in crate::api) const fn new(name: &'static str, description: &'static str, schema: Value) -> Self {
        Self { name, description, schema, is_list: false }
    }

    /// May be repeated, or have several values with commas between.
    pub(in crate::api) fn list(name: &'static str, description: &'static str, item: Value) -> Self {
        let schema = json!({ "type": "array", "items": item });
        Self { name, description, schema, is_list: true }
    }

    pub(super) fn json(&self) -> Value {
        let mut json = json!({
            "name": self.name, "in": "query", "required": false, "description": self.description,
            "schema": self.schema, "style": "form",
        });
        if self.is_list {
            json["explode"] = true.into();
        }
        json
    }
}

impl Answer {
    pub(super) fn content(self) -> Value {
        match self {
            Self::Json(name) => json!({ "application/json": { "schema": schema::named(name) } }),
            Self::Other(content_type) => json!({ content_type: { "schema": {} } }),
        }
    }
}

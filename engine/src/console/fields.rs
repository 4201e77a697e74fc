//! Fields of forms, with their label, their hint, what was typed, and what is wrong with that.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::response::Response;

use super::form::Form;
use super::frame::Frame;
use super::html::Html;
use super::pages::show;
use super::trouble::Problems;

/// See the head of this file.
#[derive(Debug, Clone, Template)]
#[template(path = "field.html")]
pub(super) struct Field {
    id: String,
    name: &'static str,
    label: &'static str,
    hint: String,
    placeholder: &'static str,
    value: String,
    /// Of ticks: those that are set.
    values: Vec<String>,
    problem: Option<String>,
    is_required: bool,
    is_wide: bool,
    kind: Kind,
    /// Ids of what describes it.
    described: String,
    /// As the API calls it.
    api_names: &'static [&'static str],
}

impl HtmlSafe for Field {}

#[derive(Debug, Clone)]
enum Kind {
    /// One line, of this input type.
    Line(&'static str),
    /// Several lines.
    Area(usize),
    /// One of these: value and text.
    Choice(Vec<(String, String)>),
    /// Any of these.
    Ticks(Vec<(String, String)>),
    /// Yes or no.
    Tick,
}

impl Field {
    fn new(name: &'static str, label: &'static str, kind: Kind) -> Self {
        Self {
            id: format!("f-{name}"),
            name,
            label,
            hint: String::new(),
            placeholder: "",
            value: String::new(),
            values: Vec::new(),
            problem: None,
            is_required: false,
            is_wide: false,
            kind,
            described: String::new(),
            api_names: &[],
        }
    }

    pub(super) fn line(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Kind::Line("text"))
    }

    pub(super) fn secret(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Kind::Line("password"))
    }

    pub(super) fn area(name: &'static str, label: &'static str, rows: usize) -> Self {
        Self { is_wide: true, ..Self::new(name, label, Kind::Area(rows)) }
    }

    pub(super) fn tick(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Kind::Tick)
    }

    pub(super) fn choice<V: Into<String>, T: Into<String>>(
        name: &'static str,
        label: &'static str,
        options: impl IntoIterator<Item = (V, T)>,
    ) -> Self {
        Self::new(name, label, Kind::Choice(pairs(options)))
    }

    pub(super) fn ticks<V: Into<String>, T: Into<String>>(
        name: &'static str,
        label: &'static str,
        options: impl IntoIterator<Item = (V, T)>,
    ) -> Self {
        Self { is_wide: true, ..Self::new(name, label, Kind::Ticks(pairs(options))) }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    pub(super) fn placeholder(self, placeholder: &'static str) -> Self {
        Self { placeholder, ..self }
    }

    pub(super) fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    pub(super) fn wide(self) -> Self {
        Self { is_wide: true, ..self }
    }

    /// What the API calls it, where that is something else.
    pub(super) fn known_as(self, api_names: &'static [&'static str]) -> Self {
        Self { api_names, ..self }
    }

    /// As it was typed.
    pub(super) fn filled(self, form: &Form) -> Self {
        Self { value: form.raw(self.name).into(), values: form.all(self.name).to_vec(), ..self }
    }

    fn judged(mut self, problems: &Problems) -> Self {
        self.problem = problems.of(self.names()).map(Into::into);
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.id));
        let problem = self.problem.is_some().then(|| format!("{}-problem", self.id));
        self.described = problem.into_iter().chain(hint).collect::<Vec<_>>().join(" ");
        self
    }

    fn names(&self) -> &[&str] {
        if self.api_names.is_empty() { std::slice::from_ref(&self.name) } else { self.api_names }
    }
}

fn pairs<V: Into<String>, T: Into<String>>(
    options: impl IntoIterator<Item = (V, T)>,
) -> Vec<(String, String)> {
    options.into_iter().map(|(value, text)| (value.into(), text.into())).collect()
}

/// Fields that belong together.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) fields: Vec<Field>,
    /// Whether it is shut at first.
    pub(super) is_folded: bool,
    /// What stands below the fields.
    pub(super) below: Html,
}

impl Section {
    pub(super) fn new(title: &'static str, fields: Vec<Field>) -> Self {
        Self { title, fields, is_folded: false, below: Html::default() }
    }

    pub(super) fn folded(title: &'static str, fields: Vec<Field>) -> Self {
        Self { is_folded: true, ..Self::new(title, fields) }
    }

    /// Something is said in it that must be seen.
    pub(super) fn is_open(&self) -> bool {
        self.fields.iter().any(|field| field.problem.is_some())
    }
}

/// A page that is one form.
#[derive(Template)]
#[template(path = "form.html")]
pub(super) struct FormPage {
    pub(super) f: Frame,
    pub(super) intro: &'static str,
    pub(super) action: String,
    pub(super) sections: Vec<Section>,
    pub(super) submit: &'static str,
    /// Further buttons: what they send as `do`, and what stands on them.
    pub(super) also: Vec<(&'static str, &'static str)>,
    pub(super) cancel: String,
    /// Within the form, below its buttons.
    pub(super) below: Html,
    /// Beside the form.
    pub(super) after: Html,
    pub(super) problem: Option<String>,
}

impl FormPage {
    pub(super) fn new(f: Frame, action: String, sections: Vec<Section>, cancel: String) -> Self {
        Self {
            f,
            intro: "",
            action,
            sections,
            submit: "Save",
            also: Vec::new(),
            cancel,
            below: Html::default(),
            after: Html::default(),
            problem: None,
        }
    }

    /// With what was typed, and what is wrong with it beside each field.
    pub(super) fn answer(mut self, form: &Form, problems: &Problems) -> Response {
        let mut names: Vec<&str> = Vec::new();
        for section in &mut self.sections {
            let fields = std::mem::take(&mut section.fields).into_iter();
            section.fields = fields.map(|field| field.filled(form).judged(problems)).collect();
        }
        for field in self.sections.iter().flat_map(|section| &section.fields) {
            names.extend(field.names());
        }
        self.problem = problems.beyond(&names).map(Into::into);
        show(&self, problems.status())
    }
}

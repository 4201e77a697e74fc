//! Values: what the parts of an expression come to. They point into the message or the expression.

use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::{Map as JsonMap, Value as Json};

use super::number::Number;

#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'a str),
    List(List<'a>),
    Map(&'a JsonMap<String, Json>),
}

#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    Json(&'a [Json]),
    Texts(&'a [&'a str]),
    Made(Rc<[Value<'a>]>),
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Texts(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(super) fn item(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Value::of),
            Self::Texts(items) => items.get(index).map(|text| Value::Text(text)),
            Self::Made(items) => items.get(index).cloned(),
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn of(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(bool) => Self::Bool(*bool),
            Json::Number(number) => Self::Number(Number::of(number)),
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::List(List::Json(items)),
            Json::Object(fields) => Self::Map(fields),
        }
    }

    /// What it is, for errors.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }

    /// `None` for what has no order.
    pub(super) fn compare(&self, other: &Self) -> Option<Compared> {
        match (self, other) {
            (Self::Number(one), Self::Number(two)) => Some(one.compare(*two).into()),
            (Self::Text(one), Self::Text(two)) => Some(Some(one.cmp(two)).into()),
            (Self::Bool(one), Self::Bool(two)) => Some(Some(one.cmp(two)).into()),
            _ => None,
        }
    }

    /// Whether they are the same; of different kinds, they are not. `None` when `step` wants no more.
    pub(super) fn equals(&self, other: &Self, step: &mut impl FnMut(u64) -> Option<()>) -> Option<bool> {
        step(1)?;
        match (self, other) {
            (Self::Null, Self::Null) => Some(true),
            (Self::Bool(one), Self::Bool(two)) => Some(one == two),
            (Self::Number(one), Self::Number(two)) => Some(one.compare(*two) == Some(Ordering::Equal)),
            (Self::Text(one), Self::Text(two)) => {
                step(text_steps(if one.len() == two.len() { one } else { "" }))?;
                Some(one == two)
            }
            (Self::List(one), Self::List(two)) => {
                if one.len() != two.len() {
                    return Some(false);
                }
                for (one, two) in
                    (0..one.len()).filter_map(|index| Some((one.item(index)?, two.item(index)?)))
                {
                    if !one.equals(&two, step)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            (Self::Map(one), Self::Map(two)) => {
                if one.len() != two.len() {
                    return Some(false);
                }
                for (name, value) in *one {
                    step(text_steps(name))?;
                    let Some(other) = two.get(name) else { return Some(false) };
                    if !Value::of(value).equals(&Value::of(other), step)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            _ => Some(false),
        }
    }
}

/// How two values of an ordered kind lie; not a number lies nowhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared(Option<Ordering>);

impl From<Option<Ordering>> for Compared {
    fn from(ordering: Option<Ordering>) -> Self {
        Self(ordering)
    }
}

impl Compared {
    pub(super) fn is(self, test: impl Fn(Ordering) -> bool) -> bool {
        self.0.is_some_and(test)
    }
}

/// Steps that reading a text once costs.
pub(super) const fn text_steps(text: &str) -> u64 {
    text.len() as u64 / 64
}

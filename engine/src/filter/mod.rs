//! Filters: an endpoint's own question about a message. Only messages for which it is true are delivered to it.
//!
//! ```text
//! payload.amount >= 100 && payload.currency in ["EUR", "USD"]
//! event_type.startsWith("order.") && payload.items.exists(item, item.sku == "A-1")
//! !has(payload.test) || "audit" in channels
//! ```
//!
//! The language is a part of the Common Expression Language (CEL, cel.dev), with its syntax and its meaning:
//! `docs/routing.md` lists what there is. Why only a part, and why it is written here: decision 0013.
//!
//!   text --token--> tokens --parse--> tree, once for each revision of an endpoint
//!   tree + message --evaluate--> true, false, or why not
//!
//! Invariants
//! - An expression that cannot be evaluated for a message (a field that is not there, a number where a text should
//!   be, more steps than allowed) is not true: the message is not delivered there, and counted.
//! - Whatever the expression and the message: no panic, no stack deeper than `DEPTH_MAX` of the tree, no more than
//!   `STEPS_MAX` steps. A step is a node of the tree, an item compared or a stretch of text read.
//! - Nothing that an expression makes is larger than itself: it picks out of the message, and joins nothing.

mod evaluate;
mod number;
mod parse;
mod pattern;
mod token;
mod tree;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;

use prometheus_client::metrics::counter::Counter;
use serde_json::Value as Json;

use crate::catalog::limits::FILTER_BYTES_MAX;
use tree::Tree;

/// The deepest nesting of an expression's tree.
const DEPTH_MAX: u16 = 64;
/// The most nodes of an expression's tree.
const NODES_MAX: usize = 500;
/// The most steps that one filter may take for one message.
pub const STEPS_MAX: u32 = 10_000;
/// The most steps that all filters together may take for one message; those whose turn comes after that fail.
pub const MESSAGE_STEPS_MAX: u32 = 250_000;

// One filter alone can never use up what belongs to all.
const _: () = assert!(STEPS_MAX < MESSAGE_STEPS_MAX);
// A tree of one node for every byte would fit a count in 16 bits.
const _: () = assert!(FILTER_BYTES_MAX < u16::MAX as usize);

/// What a filter may ask about.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// `payload`
    pub payload: &'a Json,
    /// `event_type`
    pub event_type: &'a str,
    /// `channels`
    pub channels: &'a [&'a str],
}

/// An expression, ready to be evaluated.
#[derive(Debug)]
pub struct Filter {
    text: Box<str>,
    tree: Tree,
}

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// Of the expression's bytes, the first that is wrong.
    at: usize,
    /// The same, for people: counted in characters, the first is 1.
    character: usize,
    problem: String,
}

impl FilterError {
    fn new(text: &str, at: usize, problem: impl Into<String>) -> Self {
        let character = text.char_indices().take_while(|(start, _)| *start < at).count() + 1;
        Self { at, character, problem: problem.into() }
    }

    /// Where, in characters; the first is 1.
    pub const fn character(&self) -> usize {
        self.character
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at character {}", self.problem, self.character)
    }
}

impl std::error::Error for FilterError {}

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > FILTER_BYTES_MAX {
            let problem = format!("is {} bytes; the limit is {FILTER_BYTES_MAX}", text.len());
            return Err(FilterError::new(text, FILTER_BYTES_MAX, problem));
        }
        Ok(Self { text: text.into(), tree: parse::parse(text)? })
    }

    /// Whether a message is wanted.
    ///
    /// # Errors
    /// Why the expression has no answer for this message.
    pub fn wants(&self, facts: &Facts<'_>) -> Result<bool, FilterError> {
        self.wants_within(facts, &mut { MESSAGE_STEPS_MAX })
    }

    /// As [`Self::wants`], taking its steps out of those that are left for the message.
    pub(crate) fn wants_within(&self, facts: &Facts<'_>, steps_left: &mut u32) -> Result<bool, FilterError> {
        let allowed = STEPS_MAX.min(*steps_left);
        let (answer, taken) = evaluate::evaluate(&self.tree, facts, allowed);
        *steps_left -= taken.min(*steps_left);
        answer.map_err(|failure| FilterError::new(&self.text, failure.at as usize, failure.why.to_string()))
    }
}

/// Counts what filters keep back. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub struct FilterCounts {
    /// Endpoints that a message was kept from: their filter said no.
    pub kept_back: Counter,
    /// Endpoints that a message was kept from: their filter had no answer.
    pub failed: Counter,
}

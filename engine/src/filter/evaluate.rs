//! From tree and message to an answer.
//!
//! As in CEL, `&&` and `||` look at their other parts when one has no answer: `false && x` and `x && false` are
//! false whatever `x` is. The same holds for `all` and `exists`.

use std::fmt;

use super::Facts;
use super::number::Number;
use super::tree::{Literal, Macro, Node, Operator, TextFunction, Tree, Variable};
use super::value::{List, Value, text_steps};

/// Why there is no answer, and which byte of the expression is blamed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure<'a> {
    pub(super) at: u32,
    pub(super) why: Why<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Why<'a> {
    NoField(&'a str),
    NoItem,
    Unfit { wanted: &'static str, found: &'static str },
    Unordered { one: &'static str, other: &'static str },
    NoNumber,
    Range,
    Zero,
    Steps,
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoField(name) => {
                write!(f, "there is no field '{}'", name.escape_debug().take(64).collect::<String>())
            }
            Self::NoItem => f.write_str("there is no such item in the list"),
            Self::Unfit { wanted, found } => write!(f, "this is {found}, and must be {wanted}"),
            Self::Unordered { one, other } => write!(f, "{one} and {other} cannot be compared this way"),
            Self::NoNumber => f.write_str("this text says no number"),
            Self::Range => f.write_str("this number is too large"),
            Self::Zero => f.write_str("this divides by zero"),
            Self::Steps => f.write_str("this takes more steps than a filter may"),
        }
    }
}

type Result<'a, T> = std::result::Result<T, Failure<'a>>;

/// The answer, and how many steps it took.
pub(super) fn evaluate<'a>(tree: &'a Tree, facts: &'a Facts<'a>, steps: u32) -> (Result<'a, bool>, u32) {
    let mut run = Run { facts, steps_left: steps.into(), locals: Vec::new() };
    let answer = run.bool(tree);
    let taken = u64::from(steps) - run.steps_left;
    (answer, u32::try_from(taken).unwrap_or(steps))
}

struct Run<'a> {
    facts: &'a Facts<'a>,
    steps_left: u64,
    locals: Vec<Value<'a>>,
}

const fn fail<'a, T>(tree: &Tree, why: Why<'a>) -> Result<'a, T> {
    Err(Failure { at: tree.at, why })
}

const fn unfit<'a, T>(tree: &Tree, wanted: &'static str, found: &Value<'_>) -> Result<'a, T> {
    fail(tree, Why::Unfit { wanted, found: found.kind() })
}

impl<'a> Run<'a> {
    fn step(&mut self, tree: &Tree, steps: u64) -> Result<'a, ()> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => {
                // Whatever comes now fails too, so that nobody can look past it.
                self.steps_left = 0;
                fail(tree, Why::Steps)
            }
        }
    }

    fn value(&mut self, tree: &'a Tree) -> Result<'a, Value<'a>> {
        self.step(tree, 1)?;
        Ok(match &tree.node {
            Node::Literal(literal) => literal_value(literal),
            Node::Variable(Variable::Payload) => Value::of(self.facts.payload),
            Node::Variable(Variable::EventType) => Value::Text(self.facts.event_type),
            Node::Variable(Variable::Channels) => Value::List(List::Texts(self.facts.channels)),
            Node::Local(place) => match self.locals.get(*place) {
                Some(value) => value.clone(),
                None => return fail(tree, Why::NoItem),
            },
            Node::List(items) => {
                let items: Result<'a, Vec<_>> = items.iter().map(|item| self.value(item)).collect();
                Value::List(List::Made(items?.into()))
            }
            Node::Constants(items) => Value::List(List::Json(items)),
            Node::Field(of, name) => return self.field(tree, of, name),
            Node::Index(of, index) => return self.index(tree, of, index),
            Node::Choice(condition, then, otherwise) => {
                let chosen = if self.bool(condition)? { then } else { otherwise };
                return self.value(chosen);
            }
            Node::Minus(of) => {
                let zero = Number::Int(0);
                let negative = zero.combine(self.number(of)?, i128::checked_sub, |_, double| -double);
                return negative.map(Value::Number).map_or_else(|| fail(tree, Why::Range), Ok);
            }
            Node::Size(of) => Value::Number(Number::Int(self.size(of)?)),
            Node::Int(of) => {
                let whole = self.spelt(of)?.truncate();
                return whole.map(Value::Number).map_or_else(|| fail(tree, Why::Range), Ok);
            }
            Node::Double(of) => Value::Number(Number::Double(self.spelt(of)?.as_f64())),
            Node::Binary(operator, one, two) if operator.is_arithmetic() => {
                Value::Number(self.arithmetic(tree, *operator, one, two)?)
            }
            Node::Binary(operator, one, two) => Value::Bool(self.relation(tree, *operator, one, two)?),
            Node::Has(of, name) => match self.value(of)? {
                Value::Map(fields) => Value::Bool(fields.contains_key(&**name)),
                other => return unfit(of, "an object", &other),
            },
            Node::Not(of) => Value::Bool(!self.bool(of)?),
            Node::All(parts) => Value::Bool(self.until(parts.iter(), false, |run, part| run.bool(part))?),
            Node::Any(parts) => Value::Bool(self.until(parts.iter(), true, |run, part| run.bool(part))?),
            Node::Text(function, of, argument) => {
                Value::Bool(self.text_function(tree, *function, of, argument)?)
            }
            Node::Matches(of, pattern) => {
                let text = self.text(of)?;
                self.step(tree, pattern.steps(text))?;
                Value::Bool(pattern.is_match(text))
            }
            Node::Macro(kind, of, condition) => Value::Bool(self.expand(*kind, of, condition)?),
        })
    }

    fn bool(&mut self, tree: &'a Tree) -> Result<'a, bool> {
        match self.value(tree)? {
            Value::Bool(bool) => Ok(bool),
            other => unfit(tree, "true or false", &other),
        }
    }

    fn text(&mut self, tree: &'a Tree) -> Result<'a, &'a str> {
        match self.value(tree)? {
            Value::Text(text) => Ok(text),
            other => unfit(tree, "a text", &other),
        }
    }

    fn number(&mut self, tree: &'a Tree) -> Result<'a, Number> {
        match self.value(tree)? {
            Value::Number(number) => Ok(number),
            other => unfit(tree, "a number", &other),
        }
    }

    /// A number, or one that is spelt out in a text.
    fn spelt(&mut self, tree: &'a Tree) -> Result<'a, Number> {
        let text = match self.value(tree)? {
            Value::Number(number) => return Ok(number),
            Value::Text(text) => text,
            other => return unfit(tree, "a number or a text", &other),
        };
        self.step(tree, text_steps(text))?;
        match (text.parse::<i128>().ok().and_then(Number::int), text.parse::<f64>()) {
            (Some(number), _) => Ok(number),
            (None, Ok(double)) => Ok(Number::Double(double)),
            (None, Err(_)) => fail(tree, Why::NoNumber),
        }
    }

    fn field(&mut self, tree: &'a Tree, of: &'a Tree, name: &'a str) -> Result<'a, Value<'a>> {
        match self.value(of)? {
            Value::Map(fields) => {
                fields.get(name).map(Value::of).map_or_else(|| fail(tree, Why::NoField(name)), Ok)
            }
            other => unfit(of, "an object", &other),
        }
    }

    fn index(&mut self, tree: &'a Tree, of: &'a Tree, index: &'a Tree) -> Result<'a, Value<'a>> {
        match (self.value(of)?, self.value(index)?) {
            (Value::Map(fields), Value::Text(name)) => {
                fields.get(name).map(Value::of).map_or_else(|| fail(tree, Why::NoField(name)), Ok)
            }
            (Value::Map(_), other) => unfit(index, "a text", &other),
            (Value::List(items), Value::Number(number)) => {
                let whole = match number {
                    Number::Int(int) => Some(int),
                    Number::Double(double) if double.fract() == 0.0 => match number.truncate() {
                        Some(Number::Int(int)) => Some(int),
                        _ => None,
                    },
                    Number::Double(_) => None,
                };
                let item =
                    whole.and_then(|int| usize::try_from(int).ok()).and_then(|index| items.item(index));
                item.map_or_else(|| fail(tree, Why::NoItem), Ok)
            }
            (Value::List(_), other) => unfit(index, "a number", &other),
            (other, _) => unfit(of, "an object or a list", &other),
        }
    }

    fn size(&mut self, of: &'a Tree) -> Result<'a, i128> {
        let size = match self.value(of)? {
            Value::Text(text) => {
                self.step(of, text_steps(text))?;
                text.chars().count()
            }
            Value::List(items) => items.len(),
            Value::Map(fields) => fields.len(),
            other => return unfit(of, "a text, a list or an object", &other),
        };
        Ok(size as i128)
    }

    fn arithmetic(
        &mut self,
        tree: &Tree,
        operator: Operator,
        one: &'a Tree,
        two: &'a Tree,
    ) -> Result<'a, Number> {
        let (one, other) = (self.number(one)?, self.number(two)?);
        if matches!(
            (operator, one, other),
            (Operator::Divide | Operator::Remainder, Number::Int(_), Number::Int(0))
        ) {
            return fail(tree, Why::Zero);
        }
        let combined = match operator {
            Operator::Add => one.combine(other, i128::checked_add, |one, two| one + two),
            Operator::Subtract => one.combine(other, i128::checked_sub, |one, two| one - two),
            Operator::Multiply => one.combine(other, i128::checked_mul, |one, two| one * two),
            Operator::Divide => one.combine(other, i128::checked_div, |one, two| one / two),
            _ => one.combine(other, i128::checked_rem, |one, two| one % two),
        };
        combined.map_or_else(|| fail(tree, Why::Range), Ok)
    }

    fn relation(
        &mut self,
        tree: &'a Tree,
        operator: Operator,
        one: &'a Tree,
        two: &'a Tree,
    ) -> Result<'a, bool> {
        let (left, right) = (self.value(one)?, self.value(two)?);
        match operator {
            Operator::Equal => return self.equals(tree, &left, &right),
            Operator::Unequal => return self.equals(tree, &left, &right).map(|equal| !equal),
            Operator::In => return self.is_in(tree, two, &left, &right),
            _ => (),
        }
        if let (Value::Text(one), Value::Text(_)) = (&left, &right) {
            self.step(tree, text_steps(one))?;
        }
        let Some(compared) = left.compare(&right) else {
            return fail(tree, Why::Unordered { one: left.kind(), other: right.kind() });
        };
        Ok(match operator {
            Operator::Less => compared.is(std::cmp::Ordering::is_lt),
            Operator::LessOrEqual => compared.is(std::cmp::Ordering::is_le),
            Operator::Greater => compared.is(std::cmp::Ordering::is_gt),
            _ => compared.is(std::cmp::Ordering::is_ge),
        })
    }

    fn equals(&mut self, tree: &Tree, one: &Value<'a>, other: &Value<'a>) -> Result<'a, bool> {
        let equal = one.equals(other, &mut |steps| self.step(tree, steps).ok());
        equal.map_or_else(|| fail(tree, Why::Steps), Ok)
    }

    fn is_in(&mut self, tree: &Tree, of: &Tree, one: &Value<'a>, all: &Value<'a>) -> Result<'a, bool> {
        match all {
            Value::List(items) => {
                for item in (0..items.len()).filter_map(|index| items.item(index)) {
                    if self.equals(tree, one, &item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Map(fields) => Ok(matches!(one, Value::Text(name) if fields.contains_key(*name))),
            other => unfit(of, "a list or an object", other),
        }
    }

    fn text_function(
        &mut self,
        tree: &Tree,
        function: TextFunction,
        of: &'a Tree,
        argument: &'a Tree,
    ) -> Result<'a, bool> {
        let (text, part) = (self.text(of)?, self.text(argument)?);
        self.step(tree, text_steps(text) + text_steps(part))?;
        Ok(match function {
            TextFunction::Contains => text.contains(part),
            TextFunction::StartsWith => text.starts_with(part),
            TextFunction::EndsWith => text.ends_with(part),
        })
    }

    fn expand(&mut self, kind: Macro, of: &'a Tree, condition: &'a Tree) -> Result<'a, bool> {
        let items: List<'a> = match self.value(of)? {
            Value::List(items) => items,
            Value::Map(fields) => {
                self.step(of, fields.len() as u64)?;
                List::Made(fields.keys().map(|name| Value::Text(name)).collect())
            }
            other => return unfit(of, "a list or an object", &other),
        };
        let each = (0..items.len()).filter_map(|index| items.item(index));
        let ask = |run: &mut Self, item| {
            run.locals.push(item);
            let answer = run.bool(condition);
            run.locals.pop();
            answer
        };
        match kind {
            Macro::All => self.until(each, false, ask),
            Macro::Exists => self.until(each, true, ask),
            Macro::ExistsOne => {
                let mut found = 0;
                for item in each {
                    found += u32::from(ask(self, item)?);
                }
                Ok(found == 1)
            }
        }
    }

    /// `end` if one of them is, the opposite if none is; a part without an answer counts only if none is.
    fn until<T>(
        &mut self,
        parts: impl Iterator<Item = T>,
        end: bool,
        mut ask: impl FnMut(&mut Self, T) -> Result<'a, bool>,
    ) -> Result<'a, bool> {
        let mut failure = None;
        for part in parts {
            match ask(self, part) {
                Ok(answer) if answer == end => return Ok(end),
                Ok(_) => (),
                Err(why) if matches!(why.why, Why::Steps) => return Err(why),
                Err(why) => failure = failure.or(Some(why)),
            }
        }
        failure.map_or(Ok(!end), Err)
    }
}

fn literal_value(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(bool) => Value::Bool(*bool),
        Literal::Int(int) => Value::Number(Number::Int(*int)),
        Literal::Double(double) => Value::Number(Number::Double(*double)),
        Literal::Text(text) => Value::Text(text),
    }
}

//! The tree of an expression.

use serde_json::Value as Json;

use super::pattern::Pattern;

/// A part of an expression, and the byte of the text it is blamed on.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) at: u32,
    /// Of the tree below, this node included.
    pub(super) depth: u16,
    pub(super) node: Node,
}

#[derive(Debug)]
pub(super) enum Node {
    Literal(Literal),
    Variable(Variable),
    /// What a macro stands at, by how many macros there are around it.
    Local(usize),
    List(Vec<Tree>),
    /// A list of nothing but literals.
    Constants(Vec<Json>),
    /// `of.name`
    Field(Box<Tree>, Box<str>),
    /// `of[index]`
    Index(Box<Tree>, Box<Tree>),
    /// `has(of.name)`
    Has(Box<Tree>, Box<str>),
    Not(Box<Tree>),
    Minus(Box<Tree>),
    /// `&&`, two or more.
    All(Vec<Tree>),
    /// `||`, two or more.
    Any(Vec<Tree>),
    Binary(Operator, Box<Tree>, Box<Tree>),
    /// `condition ? then : otherwise`
    Choice(Box<Tree>, Box<Tree>, Box<Tree>),
    /// `of.function(argument)`
    Text(TextFunction, Box<Tree>, Box<Tree>),
    /// `of.matches("pattern")`
    Matches(Box<Tree>, Pattern),
    Size(Box<Tree>),
    /// `int(of)`
    Int(Box<Tree>),
    /// `double(of)`
    Double(Box<Tree>),
    /// `of.exists(name, condition)` and its like.
    Macro(Macro, Box<Tree>, Box<Tree>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i128),
    Double(f64),
    Text(Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    Payload,
    EventType,
    Channels,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextFunction {
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
}

impl Node {
    /// Whether no message can make it true or false.
    pub(super) fn is_never_bool(&self) -> bool {
        match self {
            Self::Literal(literal) => !matches!(literal, Literal::Bool(_)),
            Self::List(_)
            | Self::Constants(_)
            | Self::Minus(_)
            | Self::Size(_)
            | Self::Int(_)
            | Self::Double(_) => true,
            Self::Variable(variable) => *variable != Variable::Payload,
            Self::Binary(operator, ..) => operator.is_arithmetic(),
            _ => false,
        }
    }

    /// Whether it is a text or a list whatever the message is: `+` would have to join it to another.
    pub(super) fn can_only_be_joined(&self) -> bool {
        match self {
            Self::Literal(literal) => matches!(literal, Literal::Text(_)),
            Self::List(_) | Self::Constants(_) => true,
            Self::Variable(variable) => *variable != Variable::Payload,
            _ => false,
        }
    }

    pub(super) fn children(&self) -> Vec<&Tree> {
        match self {
            Self::Literal(_) | Self::Variable(_) | Self::Local(_) | Self::Constants(_) => Vec::new(),
            Self::List(all) | Self::All(all) | Self::Any(all) => all.iter().collect(),
            Self::Field(of, _)
            | Self::Has(of, _)
            | Self::Not(of)
            | Self::Minus(of)
            | Self::Matches(of, _)
            | Self::Size(of)
            | Self::Int(of)
            | Self::Double(of) => vec![of],
            Self::Index(one, two)
            | Self::Binary(_, one, two)
            | Self::Text(_, one, two)
            | Self::Macro(_, one, two) => {
                vec![one, two]
            }
            Self::Choice(one, two, three) => vec![one, two, three],
        }
    }
}

impl Operator {
    pub(super) const fn is_arithmetic(self) -> bool {
        matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Remainder)
    }
}

//! From text to tree. Precedence as in CEL, from weak to strong:
//!
//! ```text
//! ?:    ||    &&    == != < <= > >= in    + -    * / %    ! -    . [] ()
//! ```
//!
//! What CEL has and this has not is refused by its name, here and not when a message comes.

use serde_json::Value as Json;

use super::pattern::Pattern;
use super::token::{Token, Word, tokens};
use super::tree::{Literal, Macro, Node, Operator, TextFunction, Tree, Variable};
use super::{DEPTH_MAX, FilterError, NODES_MAX};

/// The deepest nesting of brackets, functions and choices.
const NESTING_MAX: usize = 24;
/// Patterns of one filter: each takes time to compile, and memory for as long as the endpoint is there.
const PATTERNS_MAX: usize = 8;

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Tree, FilterError> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        next: 0,
        locals: Vec::new(),
        nodes: 0,
        nesting: 0,
        patterns: 0,
    };
    let tree = parser.expression()?;
    if *parser.word() != Word::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    if tree.node.is_never_bool() {
        return Err(parser.error(tree.at as usize, "is never true or false"));
    }
    Ok(tree)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    /// The variables of the macros around.
    locals: Vec<String>,
    nodes: usize,
    nesting: usize,
    patterns: usize,
}

impl Parser<'_> {
    fn token(&self) -> &Token {
        // The last one is the end, and nobody goes beyond it.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn word(&self) -> &Word {
        &self.token().word
    }

    fn at(&self) -> usize {
        self.token().at
    }

    fn error(&self, at: usize, problem: impl Into<String>) -> FilterError {
        FilterError::new(self.text, at, problem)
    }

    fn unexpected(&self, wanted: &str) -> FilterError {
        let found = match self.word() {
            Word::Name(name) => format!("'{}'", name.chars().take(64).collect::<String>()),
            Word::Int(_) | Word::Double(_) => "a number".into(),
            Word::Text(_) => "a text".into(),
            Word::Sign(sign) => format!("'{sign}'"),
            Word::End => "the end".into(),
        };
        self.error(self.at(), format!("{wanted} is expected instead of {found}"))
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.word(), Word::Sign(found) if *found == sign)
    }

    /// Goes on behind this sign, if it is next.
    fn accept(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), FilterError> {
        if self.accept(sign) { Ok(()) } else { Err(self.unexpected(&format!("'{sign}'"))) }
    }

    fn tree(&mut self, at: usize, node: Node) -> Result<Tree, FilterError> {
        self.nodes += 1;
        let depth = node.children().iter().map(|child| child.depth).max().unwrap_or(0) + 1;
        if self.nodes > NODES_MAX {
            return Err(self.error(at, format!("it has more than {NODES_MAX} parts")));
        }
        if depth > DEPTH_MAX {
            return Err(self.error(at, format!("it is nested deeper than {DEPTH_MAX} levels")));
        }
        // An expression is far shorter than that.
        Ok(Tree { at: u32::try_from(at).unwrap_or(u32::MAX), depth, node })
    }

    fn expression(&mut self) -> Result<Tree, FilterError> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(self.error(self.at(), format!("it is nested deeper than {NESTING_MAX} brackets")));
        }
        let mut tree = self.any()?;
        let at = self.at();
        if self.accept("?") {
            let then = self.any()?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            tree = self.tree(at, Node::Choice(tree.into(), then.into(), otherwise.into()))?;
        }
        self.nesting -= 1;
        Ok(tree)
    }

    fn any(&mut self) -> Result<Tree, FilterError> {
        self.several("||", Self::all, Node::Any)
    }

    fn all(&mut self) -> Result<Tree, FilterError> {
        self.several("&&", Self::relation, Node::All)
    }

    fn several(
        &mut self,
        sign: &str,
        mut part: impl FnMut(&mut Self) -> Result<Tree, FilterError>,
        node: fn(Vec<Tree>) -> Node,
    ) -> Result<Tree, FilterError> {
        let first = part(self)?;
        if !self.is_sign(sign) {
            return Ok(first);
        }
        let at = self.at();
        let mut parts = vec![first];
        while self.accept(sign) {
            parts.push(part(self)?);
        }
        self.tree(at, node(parts))
    }

    fn relation(&mut self) -> Result<Tree, FilterError> {
        let mut tree = self.sum()?;
        loop {
            let operator = match self.word() {
                Word::Sign("==") => Operator::Equal,
                Word::Sign("!=") => Operator::Unequal,
                Word::Sign("<") => Operator::Less,
                Word::Sign("<=") => Operator::LessOrEqual,
                Word::Sign(">") => Operator::Greater,
                Word::Sign(">=") => Operator::GreaterOrEqual,
                Word::Name(name) if name == "in" => Operator::In,
                Word::Sign("=") => return Err(self.error(self.at(), "'==' compares; there is no '='")),
                _ => return Ok(tree),
            };
            tree = self.binary(tree, operator, Self::sum)?;
        }
    }

    fn sum(&mut self) -> Result<Tree, FilterError> {
        let mut tree = self.product()?;
        loop {
            let operator = match self.word() {
                Word::Sign("+") => Operator::Add,
                Word::Sign("-") => Operator::Subtract,
                _ => return Ok(tree),
            };
            tree = self.binary(tree, operator, Self::product)?;
        }
    }

    fn product(&mut self) -> Result<Tree, FilterError> {
        let mut tree = self.unary()?;
        loop {
            let operator = match self.word() {
                Word::Sign("*") => Operator::Multiply,
                Word::Sign("/") => Operator::Divide,
                Word::Sign("%") => Operator::Remainder,
                _ => return Ok(tree),
            };
            tree = self.binary(tree, operator, Self::unary)?;
        }
    }

    fn binary(
        &mut self,
        left: Tree,
        operator: Operator,
        right: impl FnOnce(&mut Self) -> Result<Tree, FilterError>,
    ) -> Result<Tree, FilterError> {
        let at = self.at();
        self.next += 1;
        let right = right(self)?;
        if operator == Operator::Add && (left.node.can_only_be_joined() || right.node.can_only_be_joined()) {
            return Err(self.error(at, "'+' adds numbers; texts and lists are not joined in a filter"));
        }
        self.tree(at, Node::Binary(operator, left.into(), right.into()))
    }

    fn unary(&mut self) -> Result<Tree, FilterError> {
        let mut signs = Vec::new();
        while self.is_sign("!") || self.is_sign("-") {
            signs.push((self.at(), self.is_sign("!")));
            self.next += 1;
        }
        let mut tree = self.member()?;
        for (at, is_not) in signs.into_iter().rev() {
            let node = match tree.node {
                Node::Literal(Literal::Int(int)) if !is_not => Node::Literal(Literal::Int(-int)),
                Node::Literal(Literal::Double(double)) if !is_not => Node::Literal(Literal::Double(-double)),
                _ if is_not => Node::Not(tree.into()),
                _ => Node::Minus(tree.into()),
            };
            tree = self.tree(at, node)?;
        }
        Ok(tree)
    }

    fn member(&mut self) -> Result<Tree, FilterError> {
        let mut tree = self.primary()?;
        loop {
            let at = self.at();
            if self.accept("[") {
                let index = self.expression()?;
                self.expect("]")?;
                tree = self.tree(at, Node::Index(tree.into(), index.into()))?;
            } else if self.accept(".") {
                let (at, name) = self.name("a name")?;
                tree = if self.accept("(") {
                    self.method(at, tree, &name)?
                } else {
                    self.tree(at, Node::Field(tree.into(), name.into()))?
                };
            } else {
                return Ok(tree);
            }
        }
    }

    fn name(&mut self, wanted: &str) -> Result<(usize, String), FilterError> {
        let Word::Name(name) = self.word() else { return Err(self.unexpected(wanted)) };
        let found = (self.at(), name.clone());
        self.next += 1;
        Ok(found)
    }

    fn primary(&mut self) -> Result<Tree, FilterError> {
        let at = self.at();
        let word = self.word().clone();
        self.next += 1;
        match word {
            Word::Int(int) => self.tree(at, Node::Literal(Literal::Int(int))),
            Word::Double(double) => self.tree(at, Node::Literal(Literal::Double(double))),
            Word::Text(text) => self.tree(at, Node::Literal(Literal::Text(text.into()))),
            Word::Sign("(") => {
                let tree = self.expression()?;
                self.expect(")")?;
                Ok(tree)
            }
            Word::Sign("[") => self.list(at),
            Word::Sign("{") => Err(self.error(at, "objects cannot be written down in a filter")),
            Word::Name(name) if self.accept("(") => self.function(at, &name),
            Word::Name(name) => self.named(at, &name),
            Word::Sign(_) | Word::End => {
                self.next -= 1;
                Err(self.unexpected("a value"))
            }
        }
    }

    fn named(&mut self, at: usize, name: &str) -> Result<Tree, FilterError> {
        let node = match name {
            "true" => Node::Literal(Literal::Bool(true)),
            "false" => Node::Literal(Literal::Bool(false)),
            "null" => Node::Literal(Literal::Null),
            _ => match (self.locals.iter().rposition(|local| local == name), name) {
                (Some(place), _) => Node::Local(place),
                (None, "payload") => Node::Variable(Variable::Payload),
                (None, "event_type") => Node::Variable(Variable::EventType),
                (None, "channels") => Node::Variable(Variable::Channels),
                _ => {
                    let shown: String = name.chars().take(64).collect();
                    let problem =
                        format!("there is no '{shown}'; there are payload, event_type and channels");
                    return Err(self.error(at, problem));
                }
            },
        };
        self.tree(at, node)
    }

    fn list(&mut self, at: usize) -> Result<Tree, FilterError> {
        let items = self.items("]")?;
        let constants: Option<Vec<Json>> = items.iter().map(|item| constant(&item.node)).collect();
        self.tree(at, constants.map_or(Node::List(items), Node::Constants))
    }

    /// Expressions up to a closing bracket, a comma between two and perhaps one behind the last.
    fn items(&mut self, close: &str) -> Result<Vec<Tree>, FilterError> {
        let mut items = Vec::new();
        while !self.accept(close) {
            items.push(self.expression()?);
            if !self.accept(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }

    /// `name(` is behind.
    fn function(&mut self, at: usize, name: &str) -> Result<Tree, FilterError> {
        match name {
            "has" => {
                let argument = self.argument()?;
                match argument.node {
                    Node::Field(of, name) => self.tree(at, Node::Has(of, name)),
                    _ => Err(self.error(at, "has() asks for a field, as in has(payload.name)")),
                }
            }
            "size" | "int" | "double" => {
                let of = self.argument()?.into();
                let node = match name {
                    "size" => Node::Size(of),
                    "int" => Node::Int(of),
                    _ => Node::Double(of),
                };
                self.tree(at, node)
            }
            _ => Err(self.no_function(at, name, "has, size, int and double")),
        }
    }

    /// `of.name(` is behind.
    fn method(&mut self, at: usize, of: Tree, name: &str) -> Result<Tree, FilterError> {
        let of = Box::new(of);
        let node = match name {
            "size" => {
                self.expect(")")?;
                Node::Size(of)
            }
            "contains" => Node::Text(TextFunction::Contains, of, self.argument()?.into()),
            "startsWith" => Node::Text(TextFunction::StartsWith, of, self.argument()?.into()),
            "endsWith" => Node::Text(TextFunction::EndsWith, of, self.argument()?.into()),
            "matches" => Node::Matches(of, self.pattern()?),
            "all" => Node::Macro(Macro::All, of, self.condition()?.into()),
            "exists" => Node::Macro(Macro::Exists, of, self.condition()?.into()),
            "exists_one" | "existsOne" => Node::Macro(Macro::ExistsOne, of, self.condition()?.into()),
            _ => {
                let known = "size, contains, startsWith, endsWith, matches, all, exists and exists_one";
                return Err(self.no_function(at, name, known));
            }
        };
        self.tree(at, node)
    }

    fn no_function(&self, at: usize, name: &str, known: &str) -> FilterError {
        let shown: String = name.chars().take(64).collect();
        self.error(at, format!("there is no function '{shown}' here; there are {known}"))
    }

    fn argument(&mut self) -> Result<Tree, FilterError> {
        let argument = self.expression()?;
        self.expect(")")?;
        Ok(argument)
    }

    fn pattern(&mut self) -> Result<Pattern, FilterError> {
        let at = self.at();
        let Word::Text(text) = self.word().clone() else {
            return Err(self.unexpected("a pattern in quotes"));
        };
        self.next += 1;
        self.expect(")")?;
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            return Err(self.error(at, format!("a filter may have {PATTERNS_MAX} patterns")));
        }
        Pattern::compile(&text).map_err(|problem| self.error(at, format!("this is no pattern: {problem}")))
    }

    /// `name, condition)`, of a macro.
    fn condition(&mut self) -> Result<Tree, FilterError> {
        let (_, name) = self.name("a name for the item")?;
        self.expect(",")?;
        self.locals.push(name);
        let condition = self.expression()?;
        self.locals.pop();
        self.expect(")")?;
        Ok(condition)
    }
}

/// A literal that JSON can say, without a loss.
fn constant(node: &Node) -> Option<Json> {
    let Node::Literal(literal) = node else { return None };
    match literal {
        Literal::Null => Some(Json::Null),
        Literal::Bool(bool) => Some((*bool).into()),
        Literal::Int(int) => {
            i64::try_from(*int).map(Json::from).or_else(|_| u64::try_from(*int).map(Json::from)).ok()
        }
        Literal::Double(double) => serde_json::Number::from_f64(*double).map(Json::Number),
        Literal::Text(text) => Some((**text).into()),
    }
}

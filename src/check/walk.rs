//! The walk over a script: scopes and names, and what expressions are.
//!
//! It is made twice. The first time tells which local variables are given another value after their
//! declaration; of those nothing is known in the second, which does the speaking.

use super::value::{Origin, Value, unescaped};
use super::world::World;
use super::{Finding, Severity};
use full_moon::ast::{
    Ast, Block, Call, Expression, Field, FunctionArgs, FunctionBody, Index, LastStmt, Parameter,
    Prefix, Stmt, Suffix, TableConstructor, Var,
};
use full_moon::ast::{BinOp, GenericFor, If};
use full_moon::node::Node;
use full_moon::tokenizer::{StringLiteralQuoteType, TokenReference, TokenType};
use std::collections::BTreeSet;

/// A line and column, from 1.
pub(super) type Place = (usize, usize);

/// A local variable in a scope that is open.
struct Local {
    name: String,
    /// Its number in the order of declarations.
    number: usize,
    value: Value,
    place: Place,
    is_used: bool,
    /// Whether it is worth a word if it is not used: a parameter may be there for its place.
    matters: bool,
}

pub(super) struct Walk<'a> {
    world: &'a World,
    in_library: bool,
    /// Whether it asks for other texts by comments of BullMQ's kind, `--- @include "name"`.
    includes: bool,
    pub(super) read_only: bool,
    scopes: Vec<Vec<Local>>,
    /// How many locals were declared so far.
    declared: usize,
    /// Those that are given another value, found by the first walk and by this one.
    changing: BTreeSet<usize>,
    found_changing: BTreeSet<usize>,
    /// Globals that the script sets: to be told once.
    set_globals: BTreeSet<String>,
    /// How many calls so far may write.
    pub(super) writes: usize,
    /// The first key that is written down, and its slot.
    pub(super) first_key: Option<(String, u16)>,
    findings: Vec<Finding>,
}

impl<'a> Walk<'a> {
    /// What there is to say of a script.
    pub(super) fn over(
        ast: &Ast,
        world: &'a World,
        in_library: bool,
        read_only: bool,
    ) -> Vec<Finding> {
        let includes = ast.to_string().contains("--- @include ");
        let walked = |changing| {
            let mut walk = Walk {
                world,
                in_library,
                includes,
                read_only,
                scopes: Vec::new(),
                declared: 0,
                changing,
                found_changing: BTreeSet::new(),
                set_globals: BTreeSet::new(),
                writes: 0,
                first_key: None,
                findings: Vec::new(),
            };
            walk.block(ast.nodes());
            walk
        };
        walked(walked(BTreeSet::new()).found_changing).findings
    }

    pub(super) fn say(
        &mut self,
        at: Place,
        severity: Severity,
        rule: &'static str,
        message: String,
    ) {
        let (line, column) = at;
        self.findings.push(Finding { line, column, severity, rule, message });
    }
}

/// Scopes and names.
impl Walk<'_> {
    fn scoped(&mut self, work: impl FnOnce(&mut Self)) {
        self.scopes.push(Vec::new());
        work(self);
        for local in self.scopes.pop().unwrap_or_default() {
            if local.matters && !local.is_used && !local.name.starts_with('_') {
                let message = format!("the local '{}' is never used", local.name);
                self.say(local.place, Severity::Note, "unused-local", message);
            }
        }
    }

    fn declare(&mut self, token: &TokenReference, value: Value, matters: bool) {
        self.add(name_of(token), place_of(token), value, matters);
    }

    fn add(&mut self, name: String, place: Place, value: Value, matters: bool) {
        let number = self.declared;
        self.declared += 1;
        let value = if self.changing.contains(&number) { Value::Unknown } else { value };
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(Local { name, number, value, place, is_used: false, matters });
        }
    }

    fn local(&mut self, name: &str) -> Option<&mut Local> {
        let scopes = self.scopes.iter_mut().rev();
        scopes.flat_map(|scope| scope.iter_mut().rev()).find(|local| local.name == name)
    }

    /// The value of a name that is read.
    fn read(&mut self, token: &TokenReference) -> Value {
        let name = name_of(token);
        if let Some(local) = self.local(&name) {
            local.is_used = true;
            return local.value.clone();
        }
        match name.as_str() {
            _ if !self.world.has(&name, self.in_library) => {
                if !self.set_globals.contains(&name) {
                    self.undefined(token, &name);
                }
                Value::Unknown
            }
            "KEYS" => Value::Keys,
            "ARGV" => Value::Argv,
            _ if self.world.is_library(&name) => Value::Library(name),
            _ => Value::Function(String::new(), name),
        }
    }

    fn undefined(&mut self, token: &TokenReference, name: &str) {
        let (severity, message) = match self.includes {
            true => (Severity::Note, format!("'{name}' is left to what the script includes")),
            false => {
                let what = "reading it is an error";
                (Severity::Error, format!("there is no global '{name}', so {what}"))
            }
        };
        self.say(place_of(token), severity, "undefined-global", message);
    }

    /// A name is given a value.
    fn assign(&mut self, token: &TokenReference) {
        let name = name_of(token);
        if let Some(number) = self.local(&name).map(|local| local.number) {
            self.found_changing.insert(number);
        } else if self.set_globals.insert(name.clone()) {
            let message = format!("scripts may not set the global '{name}'; make it local");
            self.say(place_of(token), Severity::Error, "global-assignment", message);
        }
    }
}

/// Statements.
impl Walk<'_> {
    fn block(&mut self, block: &Block) {
        self.scoped(|walk| walk.statements(block));
    }

    fn statements(&mut self, block: &Block) {
        block.stmts().for_each(|statement| self.statement(statement));
        if let Some(LastStmt::Return(values)) = block.last_stmt() {
            values.returns().iter().for_each(|value| drop(self.expression(value)));
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Assignment(assignment) => {
                assignment.expressions().iter().for_each(|value| drop(self.expression(value)));
                assignment.variables().iter().for_each(|variable| self.target(variable));
            }
            Stmt::Do(body) => self.block(body.block()),
            Stmt::FunctionCall(call) => drop(self.chain(call.prefix(), call.suffixes())),
            Stmt::FunctionDeclaration(function) => {
                let name = function.name();
                let first = name.names().iter().next();
                match first {
                    Some(first) if name.names().len() == 1 && name.method_name().is_none() => {
                        self.assign(first);
                    }
                    Some(first) => drop(self.read(first)),
                    None => (),
                }
                self.function(function.body(), name.method_name().is_some());
            }
            Stmt::GenericFor(each) => self.generic_for(each),
            Stmt::If(choice) => self.choice(choice),
            Stmt::LocalAssignment(local) => {
                let mut values: Vec<Value> =
                    local.expressions().iter().map(|value| self.expression(value)).collect();
                // The last may give several values.
                values.resize(local.names().len(), Value::Unknown);
                for (name, value) in local.names().iter().zip(values) {
                    self.declare(name, value, true);
                }
            }
            Stmt::LocalFunction(function) => {
                self.declare(function.name(), Value::Unknown, true);
                self.function(function.body(), false);
            }
            Stmt::NumericFor(count) => {
                let ends = [Some(count.start()), Some(count.end()), count.step()];
                ends.into_iter().flatten().for_each(|end| drop(self.expression(end)));
                self.scoped(|walk| {
                    walk.declare(count.index_variable(), Value::Number, false);
                    walk.statements(count.block());
                });
            }
            Stmt::Repeat(repeat) => self.scoped(|walk| {
                walk.statements(repeat.block());
                walk.expression(repeat.until());
            }),
            Stmt::While(repeat) => {
                self.expression(repeat.condition());
                self.block(repeat.block());
            }
            _ => (),
        }
    }

    fn target(&mut self, variable: &Var) {
        match variable {
            Var::Name(name) => self.assign(name),
            Var::Expression(chain) => drop(self.chain(chain.prefix(), chain.suffixes())),
            _ => (),
        }
    }

    fn choice(&mut self, choice: &If) {
        self.expression(choice.condition());
        self.block(choice.block());
        for other in choice.else_if().into_iter().flatten() {
            self.expression(other.condition());
            self.block(other.block());
        }
        if let Some(otherwise) = choice.else_block() {
            self.block(otherwise);
        }
    }

    fn function(&mut self, body: &FunctionBody, is_method: bool) {
        self.scoped(|walk| {
            if is_method {
                walk.add("self".to_owned(), (1, 1), Value::Unknown, false);
            }
            for parameter in body.parameters() {
                if let Parameter::Name(name) = parameter {
                    walk.declare(name, Value::Unknown, false);
                }
            }
            walk.statements(body.block());
        });
    }

    fn generic_for(&mut self, each: &GenericFor) {
        let over = each.expressions().iter().next().map(|value| (value, self.pairs_of(value)));
        each.expressions().iter().for_each(|value| drop(self.expression(value)));
        let (before, first) = (self.writes, each.names().iter().next());
        self.scoped(|walk| {
            each.names().iter().for_each(|name| walk.declare(name, Value::Unknown, false));
            walk.statements(each.block());
            let name = first.map(name_of).unwrap_or_default();
            let by_key = walk.local(&name).is_some_and(|local| local.is_used);
            let is_ordered = !matches!(over, Some((_, Some(Value::Unknown))));
            if walk.writes > before && by_key && !is_ordered {
                let message = "pairs() has no fixed order, and the loop writes: the result may \
                               differ between servers";
                let place = place_of(each.for_token());
                walk.say(place, Severity::Note, "pairs-order", message.to_owned());
            }
        });
    }

    /// What `pairs` goes over, if it is what an expression calls.
    fn pairs_of(&mut self, value: &Expression) -> Option<Value> {
        let Expression::FunctionCall(call) = value else { return None };
        let Prefix::Name(name) = call.prefix() else { return None };
        if name_of(name) != "pairs" || self.local("pairs").is_some() {
            return None;
        }
        let Some(Suffix::Call(Call::AnonymousCall(arguments))) = call.suffixes().next() else {
            return None;
        };
        let FunctionArgs::Parentheses { arguments, .. } = &**arguments else { return None };
        let Some(Expression::Var(Var::Name(table))) = arguments.iter().next() else {
            return Some(Value::Unknown);
        };
        Some(match (name_of(table).as_str(), self.local(&name_of(table))) {
            (_, Some(local)) => local.value.clone(),
            ("KEYS" | "ARGV", None) => Value::Keys,
            _ => Value::Unknown,
        })
    }
}

/// Expressions.
impl Walk<'_> {
    pub(super) fn expression(&mut self, expression: &Expression) -> Value {
        match expression {
            Expression::BinaryOperator { lhs, binop, rhs } => {
                let (left, right) = (self.expression(lhs), self.expression(rhs));
                match binop {
                    BinOp::TwoDots(_) => left.joined(right),
                    _ => Value::Unknown,
                }
            }
            Expression::Parentheses { expression, .. } => self.expression(expression),
            Expression::UnaryOperator { expression, .. } => {
                self.expression(expression);
                Value::Unknown
            }
            Expression::Function(function) => {
                self.function(function.body(), false);
                Value::Unknown
            }
            Expression::FunctionCall(call) => self.chain(call.prefix(), call.suffixes()),
            Expression::TableConstructor(table) => {
                self.table(table);
                Value::Unknown
            }
            Expression::Number(token) => number(&name_of(token)),
            Expression::String(token) => text_of(token),
            Expression::Var(Var::Name(name)) => self.read(name),
            Expression::Var(Var::Expression(chain)) => self.chain(chain.prefix(), chain.suffixes()),
            _ => Value::Unknown,
        }
    }

    fn table(&mut self, table: &TableConstructor) {
        for field in table.fields() {
            match field {
                Field::ExpressionKey { key, value, .. } => {
                    self.expression(key);
                    self.expression(value);
                }
                Field::NameKey { value, .. } => drop(self.expression(value)),
                Field::NoKey(value) => drop(self.expression(value)),
                _ => (),
            }
        }
    }

    /// Something, and what is done to it: `redis.call(...)[1]`.
    fn chain<'n>(
        &mut self,
        prefix: &'n Prefix,
        suffixes: impl Iterator<Item = &'n Suffix>,
    ) -> Value {
        let mut place = prefix.start_position().map_or((1, 1), |at| (at.line(), at.character()));
        let mut value = match prefix {
            Prefix::Name(name) => self.read(name),
            Prefix::Expression(expression) => self.expression(expression),
            _ => Value::Unknown,
        };
        for suffix in suffixes {
            value = match suffix {
                Suffix::Index(Index::Dot { name, .. }) => {
                    place = place_of(name);
                    field(value, Value::Text(name_of(name)))
                }
                Suffix::Index(Index::Brackets { expression, .. }) => {
                    let index = self.expression(expression);
                    field(value, index)
                }
                Suffix::Call(Call::AnonymousCall(arguments)) => self.call(value, arguments, place),
                Suffix::Call(Call::MethodCall(call)) => {
                    self.arguments(call.args());
                    Value::Unknown
                }
                _ => Value::Unknown,
            };
        }
        value
    }

    fn call(&mut self, function: Value, arguments: &FunctionArgs, place: Place) -> Value {
        let (values, more) = self.arguments(arguments);
        if function.is("redis", &["call", "pcall"]) {
            self.command(&values, more, function.is("redis", &["pcall"]), place);
            return Value::Reply;
        }
        if function.is("math", &["random", "randomseed"]) {
            let message = "math.random is an error unless the engine is opened with seeded numbers; \
                           pass chance in ARGV";
            self.say(place, Severity::Warning, "random", message.to_owned());
        }
        match function {
            Value::Function(library, name) if !library.is_empty() => {
                if !self.world.library_has(&library, &name) {
                    let message = format!("{library} has no function '{name}'");
                    self.say(place, Severity::Warning, "unknown-function", message);
                }
                Value::Unknown
            }
            Value::Function(_, name) if name == "tostring" => {
                values.into_iter().next().map_or(Value::Unknown, |(value, _)| value)
            }
            _ => Value::Unknown,
        }
    }

    /// What a function is called with, and whether the last of it may be several values.
    fn arguments(&mut self, arguments: &FunctionArgs) -> (Vec<(Value, Place)>, bool) {
        match arguments {
            FunctionArgs::Parentheses { arguments, .. } => {
                let mut values: Vec<(Value, Place)> = arguments
                    .iter()
                    .map(|value| {
                        let at = value.start_position();
                        (
                            self.expression(value),
                            at.map_or((1, 1), |at| (at.line(), at.character())),
                        )
                    })
                    .collect();
                let more = arguments.iter().last().is_some_and(is_several);
                if more {
                    values.pop();
                }
                (values, more)
            }
            FunctionArgs::String(token) => (vec![(text_of(token), place_of(token))], false),
            FunctionArgs::TableConstructor(table) => {
                self.table(table);
                let at = table.start_position().map_or((1, 1), |at| (at.line(), at.character()));
                (vec![(Value::Unknown, at)], false)
            }
            _ => (Vec::new(), true),
        }
    }
}

/// Whether an expression may give any number of values.
fn is_several(expression: &Expression) -> bool {
    match expression {
        Expression::FunctionCall(_) => true,
        Expression::Symbol(token) => token.token().to_string() == "...",
        _ => false,
    }
}

/// The value of what is in a table.
fn field(table: Value, index: Value) -> Value {
    match (table, index) {
        (Value::Keys, _) => Value::Key,
        (Value::Argv, _) => Value::Argument,
        (Value::Library(library), Value::Text(name)) => Value::Function(library, name),
        _ => Value::Unknown,
    }
}

/// A number that is written as Lua writes it is as good as its text.
fn number(text: &str) -> Value {
    let is_plain = text.len() < 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    match is_plain && (text == "0" || !text.starts_with('0')) {
        true => Value::Text(text.to_owned()),
        false => Value::Number,
    }
}

fn name_of(token: &TokenReference) -> String {
    token.token().to_string()
}

fn place_of(token: &TokenReference) -> Place {
    let at = token.token().start_position();
    (at.line(), at.character())
}

fn text_of(token: &TokenReference) -> Value {
    let TokenType::StringLiteral { literal, quote_type, .. } = token.token().token_type() else {
        return Value::Unknown;
    };
    let is_long = *quote_type == StringLiteralQuoteType::Brackets;
    // A text that is no UTF-8 is one all the same, and no key that is passed.
    unescaped(literal, is_long).map_or(Value::Joined(Origin::Own), Value::Text)
}

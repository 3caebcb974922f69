//! Formulas in CEL, over the parameters of a record.
//!
//! `value("position.speed") * 1.02` names parameters by `value`, since their names have dots and numbers in them. What CEL can do
//! beyond that is left out where it could take long: no loops, lists or maps, so that a formula's cost is its own length.
//! All numbers are floats here: CEL would not multiply a whole number and a float.

mod sound;

use crate::Fault;
use crate::source::Source;
use cel::common::ast::{CallExpr, Expr, LiteralValue, SourceInfo};
use cel::common::types::CelDouble;
use cel::parser::Parser;
use cel::{Context, IdedExpr, Value};
use odograph_model::Record;

/// Bytes of a formula.
pub const FORMULA_BYTES_MAX: usize = 1_000;
/// Parts of a formula, each of which takes about a microsecond.
pub const NODES_MAX: usize = 200;
/// How deeply parts may be nested: what evaluates them calls itself for each.
pub const DEPTH_MAX: usize = 32;

/// A formula that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Formula {
    expression: IdedExpr,
    uses: Vec<Use>,
}

/// A parameter in a formula, which is the variable of the use's number there.
#[derive(Debug, Clone, PartialEq)]
struct Use {
    source: Source,
    what: What,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    /// Its number; without it, the formula gives nothing, unless it can do without.
    Number,
    /// Its number, or this one.
    Or(f64),
    /// Whether there is one.
    Known,
}

impl Formula {
    /// A formula that is kept already: it gives what it always gave.
    pub(crate) fn of(text: &str) -> Result<Self, Fault> {
        Self::read(text).map(|(formula, _)| formula)
    }

    /// One that is new, with what is odd about it. One that can never give a number is refused.
    pub(crate) fn new(text: &str) -> Result<(Self, Vec<String>), Fault> {
        let (formula, places) = Self::read(text)?;
        let warnings = sound::warnings(&formula.expression, &formula.uses, &places)?;
        Ok((formula, warnings))
    }

    /// What has the form of one.
    fn read(text: &str) -> Result<(Self, Places<'_>), Fault> {
        if text.trim().is_empty() {
            return Err(fault("is empty"));
        }
        if text.len() > FORMULA_BYTES_MAX {
            return Err(fault(format!("has {} bytes, at most {FORMULA_BYTES_MAX} are possible", text.len())));
        }
        check_nesting(text)?;
        let (mut expression, source) = parsed(text)?;
        let mut check = Check { places: Places { text, source }, uses: Vec::new(), nodes: 0 };
        check.expression(&mut expression, 1)?;
        Ok((Self { expression, uses: check.uses }, check.places))
    }

    /// What it gives for a record; `Ok(None)` where the record lacks a parameter that it needs.
    pub(crate) fn result(&self, record: &Record) -> Result<Option<f64>, String> {
        ROOT.with(|root| {
            let mut context = root.new_inner_scope();
            let mut lacks = false;
            for (index, of) in self.uses.iter().enumerate() {
                let number = of.source.number(record);
                let value = match (&of.what, number) {
                    (What::Known, number) => Value::Bool(number.is_some()),
                    (What::Number | What::Or(_), Some(number)) => Value::Float(number),
                    (What::Or(instead), None) => Value::Float(*instead),
                    (What::Number, None) => {
                        lacks = true;
                        continue;
                    }
                };
                context.add_variable_from_value(variable(index), value);
            }
            match Value::resolve(&self.expression, &context) {
                Ok(Value::Float(number)) if number.is_finite() => Ok(Some(number)),
                // Divided by nothing, or the root of a negative number.
                Ok(Value::Float(_)) => Ok(None),
                Ok(Value::Bool(_)) => Err("gives yes or no: write `… ? 1 : 0`".to_owned()),
                Ok(_) => Err("does not give a number".to_owned()),
                // What it lacks is not there as a variable either.
                Err(_) if lacks => Ok(None),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.uses.iter().map(|of| &of.source)
    }
}

/// Parses on a thread of its own: the library calls itself a dozen times for each level, and whoever asks has a small stack.
fn parsed(text: &str) -> Result<(IdedExpr, SourceInfo), Fault> {
    let parse = || {
        let parser = Parser::new().max_recursion_depth(PARSER_DEPTH_MAX);
        parser.parse_with_source_info(text).map_err(|errors| {
            let Some(first) = errors.errors.first() else { return fault("is no formula") };
            let (line, column) = first.pos;
            fault(format!("line {}, column {}: {}", line.max(1), column.max(1), first.msg))
        })
    };
    std::thread::scope(|scope| {
        let spawned = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES).spawn_scoped(scope, parse);
        let joined = spawned.map(std::thread::ScopedJoinHandle::join);
        match joined {
            Ok(Ok(parsed)) => parsed,
            // A panic of the library's, or no thread to be had.
            Ok(Err(_)) | Err(_) => Err(fault("cannot be read")),
        }
    })
}

thread_local! {
    /// What all formulas may call; made once, since it takes longer than a formula.
    static ROOT: Context<'static, 'static> = root();
}

fn root() -> Context<'static, 'static> {
    let mut root = Context::default();
    let added = [
        root.add_function("abs", |number: f64| number.abs()),
        root.add_function("ceil", |number: f64| number.ceil()),
        root.add_function("floor", |number: f64| number.floor()),
        root.add_function("round", |number: f64| number.round()),
        root.add_function("sqrt", |number: f64| number.sqrt()),
        root.add_function("pow", |number: f64, by: f64| number.powf(by)),
        root.add_function("min", least),
        root.add_function("max", greatest),
        root.add_function("clamp", |number: f64, from: f64, to: f64| least(greatest(number, from), to)),
    ];
    assert!(added.iter().all(Result::is_ok), "none of these names is CEL's own");
    root
}

/// What is no number stays none: a division by zero must not become a reading.
fn least(one: f64, other: f64) -> f64 {
    if one.is_nan() || other.is_nan() { f64::NAN } else { one.min(other) }
}

fn greatest(one: f64, other: f64) -> f64 {
    if one.is_nan() || other.is_nan() { f64::NAN } else { one.max(other) }
}

/// What may be called, and with how many arguments.
const FUNCTIONS: &[(&str, usize)] = &[
    ("abs", 1),
    ("ceil", 1),
    ("clamp", 3),
    ("floor", 1),
    ("max", 2),
    ("min", 2),
    ("pow", 2),
    ("round", 1),
    ("sqrt", 1),
];

/// What operators are called in the library.
const OPERATORS: &[&str] =
    &["_?_:_", "_&&_", "_||_", "!_", "_-_", "_+_", "_*_", "_/_", "_==_", "_!=_", "_>=_", "_<=_", "_>_", "_<_", "-_"];

/// Where each part stands in the text.
struct Places<'a> {
    text: &'a str,
    source: SourceInfo,
}

struct Check<'a> {
    places: Places<'a>,
    uses: Vec<Use>,
    nodes: usize,
}

impl Check<'_> {
    /// Holds it to the bounds, and puts variables in the place of parameters.
    fn expression(&mut self, expression: &mut IdedExpr, depth: usize) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(fault(format!("has more than {NODES_MAX} parts")));
        }
        if depth > DEPTH_MAX {
            return Err(self.at(expression.id, format!("is nested more than {DEPTH_MAX} deep")));
        }
        let id = expression.id;
        let replaced = match &mut expression.expr {
            Expr::Literal(LiteralValue::Int(number)) => {
                let number = *number.inner() as f64;
                Expr::Literal(LiteralValue::Double(CelDouble::from(number)))
            }
            Expr::Literal(LiteralValue::Double(_) | LiteralValue::Boolean(_)) => return Ok(()),
            Expr::Literal(_) => return Err(self.at(id, "only numbers, true and false can stand here")),
            Expr::Call(call) if call.target.is_none() && matches!(call.func_name.as_str(), "value" | "known") => {
                let of = self.parameter(id, call)?;
                let index = self.uses.iter().position(|known| *known == of).unwrap_or_else(|| {
                    self.uses.push(of);
                    self.uses.len() - 1
                });
                Expr::Ident(variable(index))
            }
            Expr::Call(call) => {
                self.may_call(id, call)?;
                for argument in &mut call.args {
                    self.expression(argument, depth + 1)?;
                }
                return Ok(());
            }
            Expr::Ident(name) => {
                return Err(self.at(id, format!("{name}: a parameter is written as value(\"{name}\")")));
            }
            Expr::Select(select) => {
                let what = format!(".{}: a parameter is written as value(\"position.speed\")", select.field);
                return Err(self.at(id, what));
            }
            _ => return Err(self.at(id, "lists, maps and what goes through them cannot be used")),
        };
        expression.expr = replaced;
        Ok(())
    }

    fn may_call(&self, id: u64, call: &CallExpr) -> Result<(), Fault> {
        let (name, count) = (call.func_name.as_str(), call.args.len());
        if call.target.is_none() && OPERATORS.contains(&name) {
            return Ok(());
        }
        let function = FUNCTIONS.iter().find(|(known, _)| *known == name && call.target.is_none());
        match function {
            Some((_, takes)) if *takes == count => Ok(()),
            Some((_, takes)) => Err(self.at(id, format!("{name} takes {takes} arguments, and has {count}"))),
            None => {
                let names: Vec<_> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
                let shown = name.trim_matches(['_', '@']);
                Err(self.at(id, format!("{shown} cannot be used; there are value, known, {}", names.join(", "))))
            }
        }
    }

    fn parameter(&self, id: u64, call: &CallExpr) -> Result<Use, Fault> {
        let name = match call.args.first().map(|argument| &argument.expr) {
            Some(Expr::Literal(LiteralValue::String(name))) => name.inner(),
            _ => {
                return Err(
                    self.at(id, format!("{0} takes a parameter's name: {0}(\"position.speed\")", call.func_name))
                );
            }
        };
        let source = Source::of("formula", name).map_err(|fault| self.at(id, fault.reason))?;
        let what = match (call.func_name.as_str(), call.args.get(1).map(|argument| &argument.expr), call.args.len()) {
            ("known", None, _) => What::Known,
            ("value", None, _) => What::Number,
            ("value", Some(instead), 2) => What::Or(self.constant(id, instead)?),
            (name, ..) => return Err(self.at(id, format!("{name} has too many arguments"))),
        };
        Ok(Use { source, what })
    }

    fn constant(&self, id: u64, expression: &Expr) -> Result<f64, Fault> {
        match expression {
            Expr::Literal(LiteralValue::Double(number)) => Ok(*number.inner()),
            Expr::Literal(LiteralValue::Int(number)) => Ok(*number.inner() as f64),
            _ => Err(self.at(id, "what stands for a parameter that is missing must be a number")),
        }
    }

    fn at(&self, id: u64, what: impl std::fmt::Display) -> Fault {
        self.places.at(id, what)
    }
}

impl Places<'_> {
    /// Something is wrong in a place.
    fn at(&self, id: u64, what: impl std::fmt::Display) -> Fault {
        let (start, _) = self.source.offset_for(id).unwrap_or_default();
        let before: String = self.text.chars().take(start as usize).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        fault(format!("line {line}, column {column}: {what}"))
    }
}

/// The parser calls itself for each bracket before anybody can look at what it made.
fn check_nesting(text: &str) -> Result<(), Fault> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' | '?' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(fault(format!("byte {}: is nested more than {DEPTH_MAX} deep", at + 1)));
        }
    }
    Ok(())
}

/// No name that a person could write is that of a parameter.
fn variable(index: usize) -> String {
    format!("@{index}")
}

fn fault(reason: impl Into<String>) -> Fault {
    Fault::new("formula", reason)
}

/// Some hundred kilobytes for each level, where nothing is optimised.
const PARSER_STACK_BYTES: usize = 16 << 20;
/// Brackets are counted before; this is for what else nests in the grammar.
const PARSER_DEPTH_MAX: u16 = 48;

#[cfg(test)]
mod tests;

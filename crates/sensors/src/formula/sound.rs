//! What can be known of a formula before any record: whether each part gets what it can work with, a number or yes and no, and whether
//! what comes out can be a number at all.
//!
//! What never can is a fault. What only sometimes cannot is a warning: `value("a") > 9 ? 0.0 / 0.0 : value("a")` leaves out what
//! cannot be, and may be meant so.

use super::{Places, ROOT, Use, What};
use crate::Fault;
use cel::common::ast::{CallExpr, Expr, LiteralValue};
use cel::{IdedExpr, Value};

/// What is odd about a formula that was checked for its form.
///
/// # Errors
///
/// Where it can never give a number.
pub(super) fn warnings(expression: &IdedExpr, uses: &[Use], places: &Places<'_>) -> Result<Vec<String>, Fault> {
    let mut look = Look { places, uses, warnings: Vec::new() };
    let found = look.part(expression)?;
    if found.kind == Kind::Answer {
        return Err(places.at(expression.id, "gives yes or no: write `… ? 1 : 0`"));
    }
    if let Some(Never { id, what }) = found.never {
        return Err(places.at(id, format!("{what}, so it can never give a number")));
    }
    if uses.is_empty() {
        look.warnings.push("formula: takes no parameter, so it shows the same for every record".to_owned());
    }
    Ok(look.warnings)
}

struct Look<'a> {
    places: &'a Places<'a>,
    uses: &'a [Use],
    warnings: Vec<String>,
}

/// What a part gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    /// Yes or no.
    Answer,
}

struct Found {
    kind: Kind,
    /// The same whatever a record has.
    constant: Option<Constant>,
    /// It is no number whatever a record has.
    never: Option<Never>,
}

#[derive(Clone, Copy)]
enum Constant {
    Number(f64),
    Answer(bool),
}

/// Where that comes from, and why.
#[derive(Clone, Copy)]
struct Never {
    id: u64,
    what: &'static str,
}

impl Found {
    const fn of(kind: Kind) -> Self {
        Self { kind, constant: None, never: None }
    }

    const fn constant(constant: Constant) -> Self {
        let kind = match constant {
            Constant::Number(_) => Kind::Number,
            Constant::Answer(_) => Kind::Answer,
        };
        Self { kind, constant: Some(constant), never: None }
    }

    fn is(&self, is_it: impl Fn(f64) -> bool) -> bool {
        matches!(self.constant, Some(Constant::Number(number)) if is_it(number))
    }
}

impl Look<'_> {
    fn part(&mut self, expression: &IdedExpr) -> Result<Found, Fault> {
        match &expression.expr {
            Expr::Literal(LiteralValue::Double(number)) => Ok(Found::constant(Constant::Number(*number.inner()))),
            Expr::Literal(LiteralValue::Boolean(is)) => Ok(Found::constant(Constant::Answer(*is.inner()))),
            Expr::Ident(name) => self.parameter(expression.id, name),
            Expr::Call(call) => self.call(expression, call),
            // Whatever else there is, the check of the form refused.
            _ => Ok(Found::of(Kind::Number)),
        }
    }

    fn parameter(&mut self, id: u64, variable: &str) -> Result<Found, Fault> {
        let number = variable.strip_prefix('@').and_then(|number| number.parse::<usize>().ok());
        let Some(Use { source, what }) = number.and_then(|number| self.uses.get(number)) else {
            return Ok(Found::of(Kind::Number));
        };
        match source.judged() {
            Err(why) => return Err(self.places.at(id, why)),
            Ok(Some(odd)) => self.warn(id, odd),
            Ok(None) => {}
        }
        Ok(Found::of(if *what == What::Known { Kind::Answer } else { Kind::Number }))
    }

    fn call(&mut self, expression: &IdedExpr, call: &CallExpr) -> Result<Found, Fault> {
        let parts: Result<Vec<Found>, Fault> = call.args.iter().map(|argument| self.part(argument)).collect();
        let (name, parts) = (call.func_name.as_str(), parts?);
        let mut found = match (name, parts.as_slice()) {
            ("_?_:_", [question, yes, no]) => self.choice(call, question, yes, no)?,
            ("_&&_" | "_||_" | "!_", _) => {
                self.all(call, &parts, Kind::Answer)?;
                Found::of(Kind::Answer)
            }
            ("_==_" | "_!=_", [one, other]) => {
                if one.kind != other.kind {
                    let what = "compares a number with yes or no, which are never the same: a state is 1 or 0";
                    self.warn(expression.id, what);
                }
                self.swallow(&parts);
                Found::of(Kind::Answer)
            }
            ("_<_" | "_<=_" | "_>_" | "_>=_", _) => {
                self.all(call, &parts, Kind::Number)?;
                self.swallow(&parts);
                Found::of(Kind::Answer)
            }
            _ => {
                self.all(call, &parts, Kind::Number)?;
                self.number(expression.id, name, &parts)
            }
        };
        if found.constant.is_none() && parts.iter().all(|part| part.constant.is_some()) {
            found.constant = constant(expression);
            if found.never.is_none() && found.is(|number| !number.is_finite()) {
                found.never = Some(Never { id: expression.id, what: "is no number" });
            }
        }
        Ok(found)
    }

    /// What an operator or a function makes of numbers.
    fn number(&mut self, id: u64, name: &str, parts: &[Found]) -> Found {
        let first = |parts: &[Found]| parts.iter().find_map(|part| part.never);
        let never = match (name, parts) {
            ("_/_", [above, below]) => {
                self.swallow(std::slice::from_ref(below));
                let by_nothing = || below.is(|number| number == 0.0).then_some(Never { id, what: "divides by 0" });
                above.never.or_else(by_nothing)
            }
            // One that is infinite may still come to something here.
            ("pow" | "min" | "max" | "clamp", _) => {
                let none = parts.iter().find(|part| part.is(f64::is_nan)).and_then(|part| part.never);
                if none.is_none() {
                    self.swallow(parts);
                }
                none
            }
            _ => first(parts),
        };
        Found { kind: Kind::Number, constant: None, never }
    }

    fn choice(&mut self, call: &CallExpr, question: &Found, yes: &Found, no: &Found) -> Result<Found, Fault> {
        self.is(call, 0, question, Kind::Answer)?;
        self.is(call, 2, no, yes.kind)?;
        let kind = yes.kind;
        if let Some(Constant::Answer(is)) = question.constant {
            let taken = if is { yes } else { no };
            return Ok(Found { kind, constant: taken.constant, never: taken.never });
        }
        let never = yes.never.filter(|_| no.never.is_some());
        if never.is_none() {
            self.swallow(std::slice::from_ref(yes));
            self.swallow(std::slice::from_ref(no));
        }
        Ok(Found { kind, constant: None, never })
    }

    fn all(&self, call: &CallExpr, parts: &[Found], kind: Kind) -> Result<(), Fault> {
        parts.iter().enumerate().try_for_each(|(number, part)| self.is(call, number, part, kind))
    }

    /// Whether an argument is what is needed there.
    fn is(&self, call: &CallExpr, number: usize, part: &Found, kind: Kind) -> Result<(), Fault> {
        if part.kind == kind {
            return Ok(());
        }
        let what = match kind {
            Kind::Number => "is yes or no, and a number is needed here: write `… ? 1 : 0`",
            Kind::Answer => "is a number, and yes or no is needed here: write `… != 0`",
        };
        Err(self.places.at(call.args.get(number).map_or(0, |argument| argument.id), what))
    }

    /// What is no number goes into something that may be one, or is asked for in some records alone.
    fn swallow(&mut self, parts: &[Found]) {
        for Never { id, what } in parts.iter().filter_map(|part| part.never) {
            self.warn(id, format!("{what}: a record for which that counts may have no such sensor"));
        }
    }

    fn warn(&mut self, id: u64, what: impl std::fmt::Display) {
        let warning = self.places.at(id, what).to_string();
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// What a part gives in which no parameter is.
fn constant(expression: &IdedExpr) -> Option<Constant> {
    ROOT.with(|root| match Value::resolve(expression, root) {
        Ok(Value::Float(number)) => Some(Constant::Number(number)),
        Ok(Value::Bool(is)) => Some(Constant::Answer(is)),
        _ => None,
    })
}

//! What a question may be: it reads, it names tables of its tenant, and nothing in it makes much of little.

use crate::{Error, lists, terms};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use datafusion::prelude::{DataFrame, SQLOptions, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{SetExpr, Statement as SqlStatement};

/// Plans a question that can do nothing but read.
pub(crate) async fn plan(context: &SessionContext, sql: &str) -> Result<DataFrame, Error> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(Error::Refused(format!(
            "a question has at most {SQL_BYTES_MAX} bytes, and this one has {}",
            sql.len()
        )));
    }
    terms::check(sql)?;
    for name in EXPLOSIVE {
        context.deregister_udf(name);
    }
    lists::bound(context);
    let state = context.state();
    let statement = state.sql_to_statement(sql, &state.config_options().sql_parser.dialect)?;
    // Planning would find fault with what it names and how, as if it could be put right.
    if writes(&statement) {
        return Err(Error::Refused(ONLY_READ.to_owned()));
    }
    let plan = state.statement_to_plan(statement).await?;
    let only_read = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    only_read.verify_plan(&plan).map_err(|_| Error::Refused(ONLY_READ.to_owned()))?;
    no_lists_for_each_row(&plan)?;
    let pieces = pieces(&plan)?;
    if pieces > PIECES_MAX {
        return Err(Error::Refused(format!(
            "a value is put together from at most {PIECES_MAX} others, sub-queries included, and here one is from {pieces}"
        )));
    }
    Ok(context.execute_logical_plan(plan).await?)
}

/// Whether a statement is one that changes something. What is not known here is refused by its plan, or has none.
fn writes(statement: &Statement) -> bool {
    match statement {
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => true,
        Statement::Explain(explain) => writes(&explain.statement),
        Statement::Statement(statement) => sql_writes(statement),
    }
}

fn sql_writes(statement: &SqlStatement) -> bool {
    use SqlStatement as It;
    match statement {
        It::Explain { statement, .. } => sql_writes(statement),
        // Behind a WITH.
        It::Query(query) => {
            matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_))
        }
        It::Insert(_) | It::Update(_) | It::Delete(_) | It::Merge(_) | It::Truncate(_) | It::Copy { .. } => true,
        It::CreateTable(_) | It::CreateView(_) | It::CreateIndex(_) | It::CreateFunction(_) => true,
        It::CreateSchema { .. } | It::CreateDatabase { .. } | It::CreateSequence { .. } => true,
        It::AlterTable(_) | It::AlterSchema(_) | It::AlterView { .. } | It::AlterIndex { .. } => true,
        It::Drop { .. } | It::DropFunction(_) | It::Set(_) | It::Grant(_) | It::Revoke(_) => true,
        _ => false,
    }
}

/// From how many values of tables and texts of the question one value may be put together. What a function makes is not
/// counted as the query's memory, and a value that is put together from itself again and again takes all there is.
fn pieces(plan: &LogicalPlan) -> Result<usize, Error> {
    let (mut own, mut nested, mut lists) = (1, 1, false);
    plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            lists |= lists::is_list(expr);
            match expr {
                Expr::ScalarFunction(_) => own = own.max(leaves(expr)?),
                Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => own = own.max(leaves(expr)?),
                _ => return Ok(TreeNodeRecursion::Continue),
            }
            // What is within was counted with it.
            Ok(TreeNodeRecursion::Jump)
        })
    })?;
    plan.apply_subqueries(|plan| {
        nested = nested.max(pieces(plan).map_err(|error| datafusion::error::DataFusionError::External(error.into()))?);
        Ok(TreeNodeRecursion::Jump)
    })?;
    let mut below = 1;
    for input in plan.inputs() {
        below = below.max(pieces(input)?);
    }
    let all = own.saturating_mul(nested).saturating_mul(below);
    // Whatever a list is from, it has a bound, and takes as much as may be put together.
    Ok(if lists { all.max(PIECES_MAX) } else { all })
}

/// A list for each row, of all rows before it, is as large as the square of their number.
fn no_lists_for_each_row(plan: &LogicalPlan) -> Result<(), Error> {
    let mut found = false;
    plan.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= lists::is_list_for_each_row(expr);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if found { Err(Error::Refused(NO_LIST_FOR_EACH_ROW.to_owned())) } else { Ok(()) }
}

fn leaves(expr: &Expr) -> datafusion::error::Result<usize> {
    let mut leaves = 0;
    expr.apply(|expr| {
        leaves += usize::from(matches!(expr, Expr::Column(_) | Expr::Literal(..) | Expr::ScalarSubquery(_)));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(leaves)
}

const ONLY_READ: &str = "history can only be read: SELECT, WITH, EXPLAIN, DESCRIBE and SHOW are possible, and nothing that changes anything";

const NO_LIST_FOR_EACH_ROW: &str =
    "array_agg and string_agg are not possible with OVER: they would give each row a list of many";

/// Functions that make a value of any size from a number, or of each character of another. What they take is not counted
/// as the query's memory, so one call could take all that the process has. As tables, `range` and `generate_series` give
/// row after row, and stay.
const EXPLOSIVE: &[&str] = &[
    "generate_series",
    "range",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "array_to_string",
    "list_to_string",
    "array_join",
    "list_join",
    "arrow_cast",
    "arrow_try_cast",
    "cast_to_type",
    "try_cast_to_type",
    "repeat",
    "replace",
    "regexp_replace",
    "lpad",
    "rpad",
];
/// More than any person writes.
const SQL_BYTES_MAX: usize = 64 << 10;
/// Texts of a kilobyte, in the thousands of rows that are worked on at once: some of the memory that a question may take.
const PIECES_MAX: usize = 32;

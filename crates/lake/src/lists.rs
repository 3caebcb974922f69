//! Aggregates that put many values into one, with a bound on what comes out. Wherever such a value goes, to each row of a
//! join for one, it is copied, and what is copied is not counted as the query's memory.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, WindowFunctionDefinition,
};
use datafusion::prelude::SessionContext;
use std::sync::Arc;

/// Whether an expression is such an aggregate.
pub(crate) fn is_list(expr: &Expr) -> bool {
    matches!(expr, Expr::AggregateFunction(function) if is_one(function.func.name()))
}

/// Whether an expression is such an aggregate for each row: of all rows until then, as much as their square.
pub(crate) fn is_list_for_each_row(expr: &Expr) -> bool {
    let Expr::WindowFunction(function) = expr else { return false };
    matches!(&function.fun, WindowFunctionDefinition::AggregateUDF(function) if is_one(function.name()))
}

fn is_one(name: &str) -> bool {
    LISTS.contains(&name)
}

/// Bounds them.
pub(crate) fn bound(context: &SessionContext) {
    for name in LISTS {
        if let Some(inner) = context.state().aggregate_functions().get(*name) {
            context.register_udaf(AggregateUDF::new_from_impl(Bounded { inner: inner.clone() }));
        }
    }
}

/// An aggregate whose result has a bound. What it does not say itself it says as all do: above all, it cannot be exchanged
/// for another one that reads its rows the other way round.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn state_fields(&self, of: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(of)
    }

    fn accumulator(&self, of: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let name = self.inner.name().to_owned();
        Ok(Box::new(BoundedAccumulator { inner: self.inner.accumulator(of)?, name }))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn default_value(&self, of: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(of)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn with_beneficial_ordering(self: Arc<Self>, is_ordered: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = self.inner.as_ref().clone().with_beneficial_ordering(is_ordered)?;
        Ok(inner.map(|inner| Arc::new(Self { inner: Arc::new(inner) }) as _))
    }
}

#[derive(Debug)]
struct BoundedAccumulator {
    inner: Box<dyn Accumulator>,
    name: String,
}

impl Accumulator for BoundedAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.inner.evaluate()?;
        if value.size() > LIST_BYTES_MAX {
            let (name, most) = (&self.name, LIST_BYTES_MAX >> 10);
            return Err(DataFusionError::Execution(format!(
                "{name} puts at most {most} KiB together, and here it is more: ask for fewer rows, or for the rows themselves"
            )));
        }
        Ok(value)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }
}

const LISTS: &[&str] = &["array_agg", "string_agg"];
/// The names of a large group's devices. Copied to each of the thousands of rows that are worked on at once, that is some
/// of the memory that a question may take.
const LIST_BYTES_MAX: usize = 32 << 10;

//! An end for plans that do not come to one: what may turn over and over without giving a row looks whether anyone waits.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::Instant;

/// Until when somebody waits for an answer.
#[derive(Debug)]
pub(crate) struct Watch {
    deadline: Instant,
    gone: AtomicBool,
}

impl Watch {
    pub(crate) fn until(deadline: Instant) -> Arc<Self> {
        Arc::new(Self { deadline, gone: AtomicBool::new(false) })
    }

    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Nobody waits any more.
    pub(crate) fn give_up(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<()> {
        if self.gone.load(Ordering::Relaxed) || Instant::now() >= self.deadline {
            return Err(DataFusionError::Execution("nobody waits for the answer any more".to_owned()));
        }
        Ok(())
    }
}

/// The plan with joins that give way to others between their rows, and end within a row that never comes.
///
/// Everything else takes time only as rows come in, and where rows come from gives way already.
pub(crate) fn watched(plan: Arc<dyn ExecutionPlan>, watch: &Arc<Watch>) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|plan| {
        let join: Arc<dyn ExecutionPlan> = if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            let filter = join.filter().map(|filter| watched_filter(filter, watch));
            Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?)
        } else if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            let filter = join.filter().map(|filter| watched_filter(filter, watch));
            join.builder().with_filter(filter).build_exec()?
        } else if plan.downcast_ref::<CrossJoinExec>().is_some() {
            plan
        } else {
            return Ok(Transformed::no(plan));
        };
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(join)) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(plan.data)
}

fn watched_filter(filter: &JoinFilter, watch: &Arc<Watch>) -> JoinFilter {
    let expression = Arc::new(Watched { expression: filter.expression().clone(), watch: watch.clone() });
    JoinFilter::new(expression, filter.column_indices().to_vec(), filter.schema().clone())
}

/// An expression that fails once nobody waits for it.
#[derive(Debug)]
struct Watched {
    expression: Arc<dyn PhysicalExpr>,
    watch: Arc<Watch>,
}

impl PhysicalExpr for Watched {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.watch.check()?;
        self.expression.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.expression.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.expression]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let expression = children.into_iter().next().unwrap_or_else(|| self.expression.clone());
        Ok(Arc::new(Self { expression, watch: self.watch.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt_sql(f)
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.expression.eq(&other.expression)
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expression.hash(state);
    }
}

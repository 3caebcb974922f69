//! What a question may be: it reads, it names tables of its tenant, and no function in it makes much of little.

use crate::Error;
use datafusion::prelude::{DataFrame, SQLOptions, SessionContext};

/// Plans a question that can do nothing but read.
pub(crate) async fn plan(context: &SessionContext, sql: &str) -> Result<DataFrame, Error> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(Error::Refused(format!(
            "a question has at most {SQL_BYTES_MAX} bytes, and this one has {}",
            sql.len()
        )));
    }
    for name in EXPLOSIVE {
        context.deregister_udf(name);
    }
    let plan = context.state().create_logical_plan(sql).await?;
    let only_read = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    only_read.verify_plan(&plan).map_err(|_| Error::Refused(ONLY_READ.to_owned()))?;
    Ok(context.execute_logical_plan(plan).await?)
}

const ONLY_READ: &str = "history can only be read: SELECT, WITH, EXPLAIN, DESCRIBE and SHOW are possible, and nothing that changes anything";

/// Functions that make a value of any size from a number. What they take is not counted as the query's memory, so one
/// call could take all that the process has. As tables, `range` and `generate_series` give row after row, and stay.
const EXPLOSIVE: &[&str] = &[
    "generate_series",
    "range",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "repeat",
    "lpad",
    "rpad",
];
/// More than any person writes.
const SQL_BYTES_MAX: usize = 64 << 10;

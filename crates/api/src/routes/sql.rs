//! Questions in SQL.

use crate::body::Body;
use crate::server::{Sql, SqlFormat};
use crate::stream::{Kind, QUERIES, streamed};
use crate::{Api, Caller, Problem};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(ask))
}

/// A query.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Its text.
    sql: String,
    /// How the answer is written.
    #[serde(default)]
    format: SqlFormat,
}

/// Ask in SQL
///
/// Over the tenant's tables: `records`, `frames`, `events`, `last`, `devices`. It sees everything that was acknowledged before,
/// can change nothing, and ends at a limit of time, rows and memory. In JSON, whole numbers beyond ±2⁵³ and those of the column `id` are text. For those who see all devices of the tenant.
#[utoipa::path(post, path = "/api/v1/sql", tag = "history", request_body = Query,
    responses((status = 200, description = "The rows: a JSON object a line, or as asked for.",
            content((String = "application/x-ndjson"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 403, description = "Whoever asks sees some groups of devices only.", body = crate::problem::ProblemBody),
        (status = 422, description = "The query is wrong, or takes too much.", body = crate::problem::ProblemBody),
        (status = 429, description = "As many queries are being answered as may be, of the tenant or of all, and none ended for long: `Retry-After` says when to come again.",
            body = crate::problem::ProblemBody),
        (status = 500, description = "History is damaged where the query reads it: the server's log says where.", body = crate::problem::ProblemBody),
        (status = 503, description = "History cannot be read just now, or is behind: `Retry-After` says when to come again.",
            body = crate::problem::ProblemBody)))]
async fn ask(
    State(api): State<Api>,
    caller: Caller,
    Body(Query { sql, format }): Body<Query>,
) -> Result<Response, Problem> {
    // A query names what it likes; which rows are whose only the tenant's tables say.
    caller.access.needs_all_devices()?;
    if sql.len() > SQL_BYTES_MAX {
        return Err(Problem::invalid("sql", format!("has more than {SQL_BYTES_MAX} bytes")));
    }
    let query = Sql { tenant: caller.tenant().to_owned(), text: sql, format };
    let kind = Kind { media_type: format.media_type(), file: None };
    streamed(&api, QUERIES, caller.tenant(), kind, move |api, out| api.server.sql(&query, out)).await
}

/// Bytes of a query.
const SQL_BYTES_MAX: usize = 100_000;

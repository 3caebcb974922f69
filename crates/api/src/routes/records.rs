//! What a device sent: as records, and as bytes.

use crate::body::{Asked, Named};
use crate::routes::sensors::sensors;
use crate::server::{Direction, Frame, Frames, Place, RecordFormat, Records};
use crate::stream::{DOWNLOADS, Kind, streamed, waiting};
use crate::{Api, Caller, Page, Problem};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use odograph_model::Time;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(records)).routes(routes!(frames))
}

/// Which records.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RecordsAsked {
    /// Not before this moment: `2026-11-21T10:00:00Z`, or milliseconds since 1970.
    from: Option<String>,
    /// Before this moment.
    to: Option<String>,
    /// Only these, separated by commas; records without any of them are left out.
    parameters: Option<String>,
    /// Whether what the device's sensors show is there too, as `sensor.NAME`; with all parameters, and in no format for maps.
    sensors: bool,
    /// For drawing a long time: of each step of so many seconds, at most 86,400, only those records that show how it was.
    thin: Option<u32>,
    /// `json` comes in pages; all other formats are all of it, streamed.
    format: RecordFormat,
    /// Records on a page, at most 10,000.
    limit: Option<usize>,
    /// The place behind which the page begins: `next` of the page before.
    cursor: Option<String>,
}

/// A page of records.
#[derive(Serialize, ToSchema)]
struct RecordsPage {
    /// Each an object: `device`, `protocol`, `time`, `received`, `id`, and parameters by their names.
    records: Vec<serde_json::Map<String, serde_json::Value>>,
    /// The cursor of the next page; absent on the last one.
    next: Option<String>,
}

/// A device's records
///
/// In the order of their times, each once. With `thin`, of each step of that many seconds (counted from 1970) there are, unchanged: the
/// first and the last record, for each number those with its least and its greatest value, those in which a text or something that is
/// on or off is another than before, and those with an alarm. Of changes of one parameter, and of alarms, at most sixteen a step are
/// there, which lie evenly among them. What the dictionary does not name keeps no record.
#[utoipa::path(get, path = "/api/v1/devices/{id}/records", tag = "devices",
    params(("id" = String, Path, description = "The device's id, or one of its other names."), RecordsAsked),
    responses((status = 200, description = "A page, or all of it in another format.", body = RecordsPage),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn records(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<String>,
    Asked(asked): Asked<RecordsAsked>,
) -> Result<Response, Problem> {
    let device = caller.within().device(&id).await?.id;
    let format = asked.format;
    let split =
        |list: String| list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let query = Records {
        tenant: caller.tenant().to_owned(),
        device: device.clone(),
        from: moment("from", asked.from.as_deref())?,
        to: moment("to", asked.to.as_deref())?,
        parameters: asked.parameters.map(split).unwrap_or_default(),
        sensors: if asked.sensors { sensors(&caller, &device).await? } else { Vec::new() },
        thin: thin(asked.thin)?,
        format,
    };
    if asked.sensors && (!query.parameters.is_empty() || format.is_map()) {
        let what = "is for all parameters, as json, jsonl, csv or parquet: leave parameters out";
        return Err(Problem::invalid("sensors", what));
    }
    if format != RecordFormat::Json {
        if asked.limit.is_some() || asked.cursor.is_some() {
            return Err(Problem::invalid("limit and cursor", "are for the format json: all others are streamed"));
        }
        let file = Some(format!("{device}.{}", format.extension()));
        let kind = Kind { media_type: format.media_type(), file };
        return streamed(&api, DOWNLOADS, caller.tenant(), kind, move |api, out| api.server.records(&query, out)).await;
    }
    let limit = limit(asked.limit)?;
    let after = asked.cursor.as_deref().map(place).transpose()?;
    let page = waiting(&api, caller.tenant(), move |api| api.server.page(&query, after, limit)).await?;
    Ok(([(CONTENT_TYPE, "application/json")], written(&page)).into_response())
}

/// Which bytes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FramesAsked {
    /// Not received before this moment: `2026-11-21T10:00:00Z`, or milliseconds since 1970.
    from: Option<String>,
    /// Received before this moment.
    to: Option<String>,
    /// Which way; both ways, if it is not given.
    direction: Option<Direction>,
    /// The bytes as they are, one after the other.
    raw: bool,
    /// Behind this place of the journal: `place` of the last line before.
    after: Option<u64>,
    /// At most so many.
    limit: Option<usize>,
}

/// What came from a device and went to it
///
/// Byte for byte, in the order in which it was kept: a JSON object a line.
#[utoipa::path(get, path = "/api/v1/devices/{id}/frames", tag = "devices",
    params(("id" = String, Path, description = "The device's id, or one of its other names."), FramesAsked),
    responses((status = 200, description = "Lines, or bytes.",
            content((Frame = "application/x-ndjson"), (Vec<u8> = "application/octet-stream"))),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn frames(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<String>,
    Asked(asked): Asked<FramesAsked>,
) -> Result<Response, Problem> {
    let device = caller.within().device(&id).await?.id;
    let FramesAsked { direction, raw, after, limit, from, to } = asked;
    let query = Frames {
        tenant: caller.tenant().to_owned(),
        device: device.clone(),
        from: moment("from", from.as_deref())?,
        to: moment("to", to.as_deref())?,
        direction,
        raw,
        after,
        limit,
    };
    let media_type = if raw { "application/octet-stream" } else { "application/x-ndjson" };
    let file = raw.then(|| format!("{device}.bin"));
    let kind = Kind { media_type, file };
    streamed(&api, DOWNLOADS, caller.tenant(), kind, move |api, out| api.server.frames(&query, out)).await
}

/// A moment of the query.
pub(super) fn moment(field: &str, text: Option<&str>) -> Result<Option<Time>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let time = text.parse::<i64>().ok().map(Time).or_else(|| Time::parse(text));
    time.map(Some).ok_or_else(|| {
        let what = "is no moment: write 2026-11-21T10:00:00Z, or milliseconds since 1970";
        Problem::invalid(field, format!("{text:?} {what}"))
    })
}

fn limit(limit: Option<usize>) -> Result<usize, Problem> {
    match limit {
        None => Ok(PAGE_RECORDS),
        Some(limit @ 1..=PAGE_RECORDS_MAX) => Ok(limit),
        Some(_) => Err(Problem::invalid("limit", format!("is from 1 to {PAGE_RECORDS_MAX}"))),
    }
}

fn thin(step: Option<u32>) -> Result<Option<u32>, Problem> {
    match step {
        None | Some(1..=STEP_SECONDS_MAX) => Ok(step),
        Some(_) => Err(Problem::invalid("thin", format!("is from 1 to {STEP_SECONDS_MAX} seconds"))),
    }
}

fn place(cursor: &str) -> Result<Place, Problem> {
    let mut parts = cursor.split('.');
    let mut next = || parts.next();
    let parsed = (|| {
        let place = Place {
            time: next()?.parse().ok()?,
            received: next()?.parse().ok()?,
            id: u64::from_str_radix(next()?, 16).ok()?,
        };
        next().is_none().then_some(place)
    })();
    parsed.ok_or_else(|| Problem::invalid("cursor", "is none: take `next` of the page before as it is"))
}

fn written(page: &Page) -> String {
    let next = page
        .last
        .map_or_else(String::new, |Place { time, received, id }| format!(",\"next\":\"{time}.{received}.{id:x}\""));
    format!("{{\"records\":[{}]{next}}}", page.records)
}

/// Records on a page where nothing else is asked for.
const PAGE_RECORDS: usize = 1000;
/// Records on a page.
const PAGE_RECORDS_MAX: usize = 10_000;
/// Seconds of a step of which not all records are given: those of one step are held until its end is known.
const STEP_SECONDS_MAX: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let last = Place { time: -5, received: 1_700_000_000_123, id: u64::MAX };
        let text = written(&Page { records: "{}".to_owned(), last: Some(last) });
        assert_eq!(text, r#"{"records":[{}],"next":"-5.1700000000123.ffffffffffffffff"}"#);
        assert_eq!(place("-5.1700000000123.ffffffffffffffff").unwrap(), last);
        for wrong in ["", "1", "1.2", "1.2.3.4", "a.2.3", "1.2.g", "1.2.-3"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
        assert_eq!(written(&Page::default()), r#"{"records":[]}"#);
    }

    #[test]
    fn moments_are_text_or_numbers() {
        assert_eq!(moment("from", None).unwrap(), None);
        assert_eq!(moment("from", Some("1700000000123")).unwrap(), Some(Time(1_700_000_000_123)));
        assert_eq!(moment("from", Some("2023-11-14T22:13:20Z")).unwrap(), Some(Time(1_700_000_000_000)));
        assert!(moment("from", Some("yesterday")).is_err());
    }
}

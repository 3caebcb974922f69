//! What the API asks of the process: records, bytes, answers in SQL.

use super::App;
use crate::cli;
use crate::commands::{self, NotTaken};
use crate::config::TlsConfig;
use crate::erase::{Busy, EraseQuery, Of};
use crate::exit::{Failure, Status};
use crate::export::{self, Entries, FrameQuery, Origin, RecordQuery, Sink};
use crate::server::{Fixed, check_listener, tls_of};
use crate::sql;
use odograph_api::{
    Code, CommandType, Decode, Decoded, Erased, Frames, Lately, ListenerStanding, MapFile, NameAs, NameRequest,
    OtherListener, Output, Page, Place, Problem, RecordFormat, Records, Server, Sql, SqlFormat, Stray, StrayQuery,
    System, ToldProtocol,
};
use odograph_catalog::{Device, Listener, ListenerTls, NewCommand};
use odograph_env::{Clock as _, SystemClock};
use odograph_lake::{Fault, Limits};
use odograph_model::{Lsn, Record, Time};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

impl Server for App {
    fn now(&self) -> Time {
        Time(SystemClock::new().now())
    }

    fn records(&self, query: &Records, out: &mut dyn Output) -> Result<(), Problem> {
        let (origin, query) = (self.origin()?, asked(query));
        export::records(&origin, &query, &mut Into(out)).map(drop).map_err(|error| problem(&error))
    }

    fn page(&self, query: &Records, after: Option<Place>, limit: usize) -> Result<Page, Problem> {
        export::page(&self.origin()?, &asked(query), after, limit).map_err(|error| problem(&error))
    }

    fn latest(&self, tenant: &str, device: &str) -> Option<Record> {
        // Live state is newer, where it matters: nobody waits for what is on its way.
        self.history.lake()?.latest_record(tenant, device)
    }

    fn frames(&self, query: &Frames, out: &mut dyn Output) -> Result<(), Problem> {
        let until = Some(self.journal.durable());
        // Whatever the journal has given up was in history before.
        let history = || Ok(self.history.reach(Lsn(0), export::WAIT)?.0);
        let entries = Entries { reader: &self.reader, node: self.history.node(), history: &history, until };
        let Frames { tenant, device, from, to, direction, raw, after, limit } = query;
        let query = FrameQuery {
            devices: vec![device.into()],
            tenant: Some(tenant.into()),
            from: from.map(|time| time.0),
            to: to.map(|time| time.0),
            direction: match direction {
                Some(odograph_api::Direction::In) => export::Direction::In,
                Some(odograph_api::Direction::Out) => export::Direction::Out,
                None => export::Direction::Both,
            },
            raw: *raw,
            after: *after,
            limit: limit.map(|limit| limit as u64),
            ..FrameQuery::default()
        };
        export::frames(&entries, &self.roster, &query, &mut Into(out)).map(drop).map_err(|error| problem(&error))
    }

    fn protocols(&self) -> Vec<ToldProtocol> {
        cli::protocols::all()
    }

    fn decode(&self, request: &Decode) -> Result<Vec<Decoded>, Problem> {
        cli::decode::answer(request).map_err(|error| Problem::new(Code::Invalid, format!("{error:#}")))
    }

    fn unidentified(&self, query: &StrayQuery) -> Result<Vec<Stray>, Problem> {
        self.strays(query).map_err(|error| problem(&error))
    }

    fn name_unidentified(&self, request: &NameRequest) -> Result<NameAs, Problem> {
        self.name(request).map_err(|error| Problem::new(Code::Unprocessable, format!("{error:#}")))
    }

    fn erase(&self, tenant: &str, device: &str, yes: bool) -> Result<Erased, Problem> {
        let of = Of { tenant: tenant.into(), device: Some(device.into()) };
        let erased = self.erase_in_turn(EraseQuery { of, yes }, &Handle::current());
        erased.map_err(|error| {
            if let Some(Busy { what, retry_after }) = error.downcast_ref() {
                return Problem::new(Code::TooMany, *what).retry_after(*retry_after);
            }
            // What is behind it may name paths, and other people's orders: that is for the log.
            tracing::warn!(tenant, device, "not erased: {error:#}");
            Problem::new(Code::Conflict, error.to_string())
        })
    }

    fn speaks(&self, tenant: &str, device: &str) -> Option<&'static str> {
        self.gateway.speaks(tenant, device).map(|protocol| protocol.name)
    }

    fn command_types(&self, protocol: &str) -> Vec<CommandType> {
        odograph_protocols::find(protocol).map(commands::types).unwrap_or_default()
    }

    fn check_command(&self, tenant: &str, device: &Device, new: &NewCommand) -> Result<(), Problem> {
        commands::check(self.gateway.speaks(tenant, &device.id), device, new).map_err(|error| match error {
            NotTaken::Wrong(error) => error.into(),
            NotTaken::Impossible(what) => Problem::new(Code::Unprocessable, what),
        })
    }

    fn system(&self) -> Result<System, Problem> {
        self.looked()
    }

    fn system_of(&self, tenant: &str) -> Result<System, Problem> {
        self.looked_of(tenant)
    }

    fn lately(&self) -> Lately {
        self.looked_lately()
    }

    fn check_listener(&self, listener: &mut Listener, others: &[Listener]) -> Result<(), odograph_catalog::Error> {
        check_listener(listener, others, self.porter.fixed())
    }

    fn read_certificates(&self, tls: &ListenerTls) -> Result<(), Problem> {
        let ListenerTls { cert, key, client_ca } = tls;
        let client_ca = client_ca.as_ref().map(std::path::PathBuf::from);
        let config = TlsConfig { cert: Some(cert.into()), key: Some(key.into()), client_ca };
        tls_of(&config).map(drop).map_err(|error| Problem::new(Code::Invalid, format!("{error:#}")))
    }

    fn listener_standing(&self, id: &str, revision: i64) -> Option<ListenerStanding> {
        self.porter.standing(id, revision)
    }

    fn other_listeners(&self) -> (Vec<OtherListener>, u64) {
        let all = self.porter.fixed();
        let left_out = all.len().saturating_sub(OTHERS_MAX) as u64;
        (all.iter().take(OTHERS_MAX).map(Fixed::shown).collect(), left_out)
    }

    fn map(&self) -> Option<Arc<dyn MapFile>> {
        let file = self.map.clone()?;
        Some(file)
    }

    fn sql(&self, query: &Sql, out: &mut dyn Output) -> Result<(), Problem> {
        // Taken now: whatever was acknowledged before is in the answer.
        let durable = self.journal.durable();
        // Whoever goes away meanwhile leaves the seat to others of the tenant.
        let is_wanted = || !out.is_gone();
        let answer = self.history.query(&query.tenant, &query.text, Limits::default(), durable, is_wanted);
        let mut answer = answer.map_err(|error| match error.is::<odograph_lake::Error>() {
            true => unanswered(&error),
            false => behind(&error),
        })?;
        if out.is_gone() {
            return Err(unread());
        }
        let format = match query.format {
            SqlFormat::Jsonl => sql::SqlFormat::JsonText,
            SqlFormat::Csv => sql::SqlFormat::Csv,
            SqlFormat::Parquet => sql::SqlFormat::Parquet,
        };
        // Whoever goes away gives it up, though there be nothing to write yet.
        let (gone, stop) = (out.gone(), answer.stop());
        let watch = Handle::current().spawn(async move {
            gone.await;
            drop(stop);
        });
        let written = sql::write(&mut answer, format, &mut Into(out));
        watch.abort();
        match written {
            // Nobody reads why.
            Err(_) if out.is_gone() => Err(unread()),
            written => written.map(drop).map_err(|error| unanswered(&error)),
        }
    }
}

impl App {
    /// All that was acknowledged before now.
    fn origin(&self) -> Result<Origin, Problem> {
        let durable = self.journal.durable();
        let (lake, damaged) = self.history.reach(durable, export::WAIT).map_err(|error| behind(&error))?;
        let (reader, node, roster) = (self.reader.clone(), self.history.node(), self.roster.clone());
        let (waits, window) = (self.history.waits().clone(), self.history.window());
        Ok(Origin { lake, damaged, reader, node, roster, waits, window, until: Some(durable) })
    }
}

fn asked(query: &Records) -> RecordQuery {
    RecordQuery {
        devices: vec![query.device.as_str().into()],
        tenant: Some(query.tenant.as_str().into()),
        from: query.from.map(|time| time.0),
        to: query.to.map(|time| time.0),
        sensors: query.sensors.clone(),
        thin: query.thin,
        parameters: query.parameters.iter().map(|name| name.as_str().into()).collect(),
        format: match query.format {
            RecordFormat::Json | RecordFormat::Jsonl => export::RecordFormat::Jsonl,
            RecordFormat::Csv => export::RecordFormat::Csv,
            RecordFormat::Parquet => export::RecordFormat::Parquet,
            RecordFormat::Gpx => export::RecordFormat::Gpx,
            RecordFormat::Kml => export::RecordFormat::Kml,
            RecordFormat::Geojson => export::RecordFormat::Geojson,
        },
        ..RecordQuery::default()
    }
}

/// History is not where it should be. What keeps it may name files and stores: that the log and `/healthz` tell those who run the server.
fn behind(error: &anyhow::Error) -> Problem {
    tracing::debug!("more is asked for than history has: {error:#}");
    let what = "history is behind what devices sent, as the server's log says: try again in a while";
    Problem::new(Code::Unavailable, what).retry_after(LATER)
}

/// Nobody reads the answer any more.
fn unread() -> Problem {
    Problem::from(io::Error::from(io::ErrorKind::BrokenPipe))
}

/// Why a query has no answer: what is wrong with it, whoever asks can put right.
fn unanswered(error: &anyhow::Error) -> Problem {
    match error.downcast_ref::<odograph_lake::Error>() {
        Some(error) if error.fault() == Fault::Question => Problem::new(Code::Unprocessable, error.to_string()),
        _ => problem(error),
    }
}

fn problem(error: &anyhow::Error) -> Problem {
    if let Some(error) = error.downcast_ref::<odograph_lake::Error>() {
        return unreadable(error);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Problem::new(Code::Unavailable, error.to_string()).retry_after(LATER);
    }
    match error.downcast_ref::<Failure>() {
        Some(failure) if failure.status == Status::Usage => Problem::new(Code::Invalid, failure.to_string()),
        Some(failure) => Problem::new(Code::Unprocessable, failure.to_string()),
        None => Problem::internal(&**error),
    }
}

/// Why history cannot be read. That names files, tables and stores, which are for those who run the server, and not for their tenants.
fn unreadable(error: &odograph_lake::Error) -> Problem {
    match error.fault() {
        Fault::Busy => {
            metrics::counter!("odograph_api_seats_refused_total", "of" => "questions").increment(1);
            let what = "as many queries of all tenants are under way as may be at a time: try again in some seconds";
            Problem::new(Code::TooMany, what).retry_after(SOON)
        }
        Fault::Passing => {
            tracing::warn!("history cannot be read just now: {}", error.line());
            let what = "history cannot be read just now, as the server's log says: try again in a while";
            Problem::new(Code::Unavailable, what).retry_after(LATER)
        }
        Fault::Question | Fault::Lasting => Problem::internal(error),
    }
}

/// When a query that did not come to its turn may come again: one of four ends every some seconds.
const SOON: Duration = Duration::from_secs(5);

/// When to ask again for what a machine does not give just now.
const LATER: Duration = Duration::from_secs(10);

/// Listeners of the configuration that are told: it may have thousands, and nobody reads them here.
const OTHERS_MAX: usize = 1000;

struct Into<'a>(&'a mut dyn Output);

impl Sink for Into<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn is_gone(&self) -> bool {
        self.0.is_gone()
    }
}

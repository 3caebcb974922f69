//! `odograph journal dump`: entries as they are.

use super::super::{
    Outcome,
    pairs::moment,
    table::{visible, visible_json},
};
use crate::client;
use crate::config::Source;
use crate::folder::Folder;
use anyhow::Result;
use clap::Args;
use odograph_journal::{Entry, Error, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Binding, Context};
use odograph_wire::notation::to_hex;
use serde_json::{Map, Value, json};
use std::io::Write;

/// Print entries, one a line.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// Only entries of this device.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// From the segment on that holds this place.
    #[arg(long, value_name = "PLACE", default_value_t = 0)]
    place: u64,
    /// Not before this moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Time>,
    /// Before this moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Time>,
    /// At most so many.
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Print JSON lines, with the context and the decision that an entry carries.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    let folder = Folder::of(&config);
    folder.require()?;
    let Some(reader) = folder.reader(config.journal.node)? else { return Ok(Outcome::Done) };
    // What a running server calls durable must be readable; without one, nobody knows how far writing came.
    let until = client::durable(&folder).unwrap_or_default();
    let mut writer = Writer { options, left: options.limit.unwrap_or(u64::MAX), damaged: false, until, out };
    match &options.device {
        Some(device) => writer.device(&reader, device)?,
        None => writer.all(&reader)?,
    }
    if writer.left > 0
        && until.is_none()
        && let Some(broken) = reader.damage_before_end()?
    {
        eprintln!("warning: whole entries behind a damaged place were not read: {broken}");
        writer.damaged = true;
    }
    Ok(if writer.damaged { Outcome::Problems } else { Outcome::Done })
}

struct Writer<'a> {
    options: &'a Options,
    left: u64,
    damaged: bool,
    until: Option<Lsn>,
    out: &'a mut dyn Write,
}

impl Writer<'_> {
    fn all(&mut self, reader: &Reader) -> Result<()> {
        let from = reader.segment_begin(Lsn(self.options.place))?.unwrap_or_default();
        let mut entries = reader.entries(from, self.until)?;
        while self.left > 0 {
            match entries.next() {
                Ok(Some(entry)) => self.entry(&entry)?,
                Ok(None) => break,
                Err(error) => {
                    self.pass_over(error)?;
                    if entries.resynchronise()? == 0 {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn device(&mut self, reader: &Reader, device: &str) -> Result<()> {
        let mut entries = reader.device_entries(device, Lsn(self.options.place), self.until)?;
        while self.left > 0 {
            match entries.next() {
                Ok(Some(entry)) => self.entry(&entry)?,
                Ok(None) => break,
                Err(error) => {
                    self.pass_over(error)?;
                    entries.skip_broken();
                }
            }
        }
        Ok(())
    }

    fn pass_over(&mut self, error: Error) -> Result<()> {
        let Error::Broken(broken) = error else { return Err(error.into()) };
        eprintln!("warning: passed over: {broken}");
        self.damaged = true;
        Ok(())
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<()> {
        let time = Time(entry.at);
        if self.options.from.is_some_and(|from| time < from) || self.options.to.is_some_and(|to| to <= time) {
            return Ok(());
        }
        self.left -= 1;
        if self.options.json {
            writeln!(self.out, "{}", visible_json(&object(entry).to_string()))?;
            return Ok(());
        }
        let Entry { lsn, stream, kind, .. } = entry;
        // Both come from whoever connects.
        let device = visible(entry.identity.map_or("", |identity| identity.device));
        let payload = visible(&payload(entry));
        writeln!(self.out, "{lsn:>12}  {time}  {stream:>12}  {kind:9}  {device:17}  {payload}")?;
        Ok(())
    }
}

/// What an entry of text says, or the bytes.
fn payload(entry: &Entry<'_>) -> String {
    use odograph_journal::Kind;
    match (entry.kind, std::str::from_utf8(entry.payload)) {
        (Kind::CLOSE | Kind::NOTE, Ok(text)) => text.to_owned(),
        _ => to_hex(entry.payload),
    }
}

fn object(entry: &Entry<'_>) -> Value {
    let mut object = Map::new();
    object.insert("place".to_owned(), json!(entry.lsn.0));
    object.insert("time".to_owned(), json!(Time(entry.at)));
    object.insert("stream".to_owned(), json!(entry.stream));
    object.insert("kind".to_owned(), json!(entry.kind.to_string()));
    if let Some(identity) = entry.identity {
        object.insert("device".to_owned(), json!(identity.device));
        if let Ok((binding, others)) = Binding::read_with(identity.device, identity.decision) {
            let decision = |binding: &Binding| json!(format!("{:?}", binding.decision).to_lowercase());
            object.insert("decision".to_owned(), decision(&binding));
            object.insert("tenant".to_owned(), json!(binding.tenant));
            let others = others.iter().map(|other| {
                let Binding { device, tenant, .. } = &*other.binding;
                json!({ "device": device, "decision": decision(&other.binding), "tenant": tenant })
            });
            let others: Vec<Value> = others.collect();
            if !others.is_empty() {
                object.insert("others".to_owned(), json!(others));
            }
        }
    }
    if let Some(Ok(context)) = entry.context.map(Context::read) {
        let device = context.binding.as_ref().map(|binding| &binding.device);
        let context = json!({
            "protocol": context.protocol, "transport": context.transport.name(), "peer": context.peer,
            "local": context.local, "device": device, "session": to_hex(&context.session),
        });
        object.insert("context".to_owned(), context);
    }
    object.insert("payload".to_owned(), json!(payload(entry)));
    Value::Object(object)
}

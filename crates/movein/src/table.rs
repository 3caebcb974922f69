//! Devices from a table as text: what a spreadsheet saves as CSV.

mod headers;
mod records;

use crate::found::{Attributes, Device, Lost, Place};
use crate::gather::{BETWEEN, Gather, counted, speaks};
use crate::ids::{self, trim};
use crate::limits::{COLUMNS_MAX, CSV_BYTES_MAX, ROW_BYTES_MAX};
use crate::source::{Bounded, Source};
use crate::text::Letters;
use crate::{Error, Format, Found, Hint, when};
use csv::ByteRecord;
pub(crate) use headers::is_plate;
use headers::{Column, Columns, Field};
use records::{Records, Stop};
use std::io::Read;

/// Reads a table.
pub(crate) fn read<R: Read>(source: Source<R>, file: &str, hint: &Hint) -> Result<Found, Error> {
    let mut letters = Letters::new(source.encoding, &source.sample);
    let (delimiter, header) = find_header(&source.sample, &mut letters, hint)?;
    let mut table = Table {
        gather: Gather::new(file),
        letters,
        columns: header.columns,
        headers: header.names,
        hint,
        short: None,
        mended: None,
        odd: None,
    };
    let mut records = Records::new(Bounded::new(source.text, CSV_BYTES_MAX), delimiter);
    let (mut rows, mut number) = (0_usize, 0_usize);
    loop {
        match records.next() {
            Ok(false) => break,
            Ok(true) => {}
            Err(Stop::Io(error)) => return Err(error.into()),
            Err(Stop::Endless) => {
                let most = ROW_BYTES_MAX / 1024;
                let reason =
                    format!("a row begins here and has not ended after {most} KiB: is a quotation mark missing?");
                table.gather.row(records.line, None, reason, Lost::Rest);
                break;
            }
        }
        number = number.saturating_add(1);
        if number > header.rows && !records.record.iter().all(|field| field.trim_ascii().is_empty()) {
            rows = rows.saturating_add(1);
            table.row(&records.record, records.line)?;
        }
    }
    table.say(delimiter, &header.before, rows, source.turned_from);
    Ok(table.gather.finish(Format::Csv))
}

struct Table<'a> {
    gather: Gather,
    letters: Letters,
    columns: Columns,
    headers: Vec<String>,
    hint: &'a Hint,
    /// How many rows end before the header does, and the line of the first.
    short: Option<(usize, u64)>,
    /// How many ids were written otherwise, and the line of the first.
    mended: Option<(usize, u64)>,
    /// How many values are in another encoding than the rest, and the place of the first.
    odd: Option<(usize, Place)>,
}

impl Table<'_> {
    fn row(&mut self, record: &ByteRecord, line: u64) -> Result<(), Error> {
        let values: Vec<String> =
            record.iter().enumerate().map(|(index, field)| self.text(field, line, index)).collect();
        let Some(ids) = self.ids(&values, line) else { return Ok(()) };
        let id = ids.first().cloned().unwrap_or_default();
        if values.iter().skip(self.headers.len()).any(|value| !value.is_empty()) {
            let reason = format!(
                "{} and the header has {}: a value with a delimiter in it needs quotes around it",
                counted(values.len(), "value", "values"),
                self.headers.len()
            );
            self.gather.row(line, Some(&id), reason, Lost::Row);
            return Ok(());
        }
        if values.len() < self.headers.len() {
            let (many, first) = self.short.unwrap_or((0, line));
            self.short = Some((many.saturating_add(1), first));
        }
        let mut device = Device::new(ids, self.gather.place(line, None));
        for (index, value) in values.into_iter().enumerate() {
            if value.is_empty() {
                continue;
            }
            match self.columns.all.get(index).cloned() {
                Some(Column::Single(field)) => self.single(&mut device, field, value, index)?,
                Some(Column::Attribute(name)) => drop(device.attributes.insert(name, value.into())),
                Some(Column::Id) | None => {}
            }
        }
        self.gather.device(device)
    }

    /// The ids of a row, unless one of them is none.
    fn ids(&mut self, values: &[String], line: u64) -> Option<Vec<String>> {
        let mut ids: Vec<String> = Vec::new();
        for index in self.columns.ids.clone() {
            let Some(value) = values.get(index).filter(|value| !value.is_empty()) else { continue };
            match ids::clean(value) {
                Ok(id) => {
                    if id.mended {
                        let (many, first) = self.mended.unwrap_or((0, line));
                        self.mended = Some((many.saturating_add(1), first));
                    }
                    if !ids.contains(&id.text) {
                        ids.push(id.text);
                    }
                }
                Err(reason) => {
                    let place = self.gather.place(line, one_based(index));
                    let column = self.headers.get(index).cloned();
                    self.gather.problem(crate::Problem { place, whose: None, column, reason, lost: Lost::Row });
                    return None;
                }
            }
        }
        if ids.is_empty() {
            let column = self.columns.ids.first().and_then(|index| self.headers.get(*index)).cloned();
            let place = self.gather.place(line, self.columns.ids.first().and_then(|index| one_based(*index)));
            let reason = "there is no id".to_owned();
            self.gather.problem(crate::Problem { place, whose: None, column, reason, lost: Lost::Row });
            return None;
        }
        Some(ids)
    }

    fn single(&mut self, device: &mut Device, field: Field, value: String, index: usize) -> Result<(), Error> {
        match field {
            Field::Name => device.name = Some(value),
            Field::Plate => device.plate = Some(value),
            Field::TimeZone => device.time_zone = Some(value),
            Field::Group => return self.group(device, &value, index),
            Field::Protocol => device.protocol = Some(speaks(&value)),
            Field::Model => device.model = Some(value),
            Field::Phone => device.phone = Some(value),
            Field::Contact => device.contact = Some(value),
            Field::Category => device.category = Some(value),
            Field::Notes => device.notes = Some(value),
            Field::Tags => device.tags = tags(&value),
            Field::Disabled | Field::Enabled => match yes_or_no(&value) {
                Some(yes) => device.disabled = Some(yes == (field == Field::Disabled)),
                None => self.lose(device, index, format!("\"{value}\" is neither yes nor no")),
            },
            Field::Expires => match when::parse(&value, &self.hint.time_zone()) {
                Some((moment, _)) => device.expires_at = Some(moment),
                None => self.lose(
                    device,
                    index,
                    format!("\"{value}\" is no time such as 2027-03-31 or 2027-03-31T12:30:00Z"),
                ),
            },
        }
        Ok(())
    }

    fn group(&mut self, device: &mut Device, value: &str, index: usize) -> Result<(), Error> {
        let names: Vec<&str> = value.split(BETWEEN).map(trim).filter(|name| !name.is_empty()).collect();
        match self.gather.group(&names, device.place.line)? {
            Some(path) => device.group = Some(path),
            None => self.lose(device, index, "no group, or too many within each other".to_owned()),
        }
        Ok(())
    }

    /// Says that a value of a device stays behind.
    fn lose(&mut self, device: &Device, index: usize, reason: String) {
        let place = self.gather.place(device.place.line, one_based(index));
        let column = self.headers.get(index).map_or("", String::as_str);
        self.gather.value(place, device.ids.first().map_or("", String::as_str), column, reason);
    }

    fn text(&mut self, field: &[u8], line: u64, index: usize) -> String {
        let (text, is_odd) = self.letters.decode(field);
        if is_odd {
            let first = self.gather.place(line, one_based(index));
            let (many, first) = self.odd.take().unwrap_or((0, first));
            self.odd = Some((many.saturating_add(1), first));
        }
        trim(&text).to_owned()
    }

    fn say(&mut self, delimiter: u8, before: &[u64], rows: usize, turned_from: Option<&'static encoding_rs::Encoding>) {
        let between = match delimiter {
            b'\t' => "a tab".to_owned(),
            other => format!("`{}`", char::from(other)),
        };
        let encoding = match (turned_from, self.letters.encoding()) {
            (Some(encoding), _) => encoding.name().to_owned(),
            (None, Some(encoding)) if encoding == encoding_rs::UTF_8 || self.letters.is_told() => {
                encoding.name().to_owned()
            }
            (None, Some(encoding)) => {
                format!("{}, because it is not UTF-8: if names look wrong, say what it is in", encoding.name())
            }
            (None, None) => "ASCII".to_owned(),
        };
        self.gather
            .say(format!("CSV with {between} between columns, {}, text in {encoding}", counted(rows, "row", "rows")));
        if let (Some(first), Some(last)) = (before.first(), before.last()) {
            self.gather.say(format!("what stands above the header is left out: lines {first} to {last}"));
        }
        self.columns.said(&self.headers).into_iter().for_each(|said| self.gather.say(said));
        if let Some((many, line)) = self.short {
            let rows = counted(many, "row has", "rows have");
            self.gather
                .say(format!("{rows} fewer values than the header, the first on line {line}: the rest is empty"));
        }
        if let Some((many, line)) = self.mended {
            let ids = counted(many, "id is", "ids are");
            self.gather.say(format!("{ids} taken without marks, spaces or `.0`, the first on line {line}"));
        }
        if let Some((many, place)) = &self.odd {
            let said = format!(
                "{} in another encoding than the rest, the first at {place}: look at how they came out",
                counted(*many, "value is", "values are")
            );
            self.gather.say(said);
        }
    }
}

/// A header that was found.
struct Header {
    names: Vec<String>,
    columns: Columns,
    /// Records up to it and with it.
    rows: usize,
    /// Lines above it that hold something.
    before: Vec<u64>,
}

/// Finds out what stands between columns: that with which the header makes most sense.
fn find_header(sample: &[u8], letters: &mut Letters, hint: &Hint) -> Result<(u8, Header), Error> {
    let given = hint.delimiter.or_else(|| told_delimiter(sample));
    let candidates = given.map_or_else(|| DELIMITERS.to_vec(), |one| vec![one]);
    let mut best: Option<(u8, Header)> = None;
    for delimiter in candidates {
        let Some(header) = header_with(sample, delimiter, letters) else { continue };
        let worth = |header: &Header| (header.columns.known(), header.names.len());
        if best.as_ref().is_none_or(|(_, known)| worth(&header) > worth(known)) {
            best = Some((delimiter, header));
        }
    }
    best.ok_or_else(|| {
        let first = sample.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let first: String = letters.decode(first).0.trim().chars().take(FIRST_LINE_MAX).collect();
        Error::NoIds { first }
    })
}

/// The first record, among the first few, in which a column for ids is named.
fn header_with(sample: &[u8], delimiter: u8, letters: &mut Letters) -> Option<Header> {
    let mut records = Records::new(sample, delimiter);
    let mut before = Vec::new();
    for number in 1..=HEADER_ROWS_MAX {
        if !records.next().ok()? {
            return None;
        }
        let mut names: Vec<String> =
            records.record.iter().map(|field| trim(&letters.decode(field).0).to_owned()).collect();
        // A spreadsheet ends each line with as many delimiters as its widest row has.
        while names.last().is_some_and(String::is_empty) {
            names.pop();
        }
        if names.len() <= COLUMNS_MAX
            && let Some(columns) = Columns::of(&names)
        {
            return Some(Header { names, columns, rows: number, before });
        }
        let is_hint = records.record.get(0).is_some_and(|field| field.to_ascii_lowercase().starts_with(b"sep="));
        if !names.is_empty() && !is_hint {
            before.push(records.line);
        }
    }
    None
}

/// `sep=;`, with which some programs begin.
fn told_delimiter(sample: &[u8]) -> Option<u8> {
    let first = sample.split(|byte| *byte == b'\n').next()?.trim_ascii_end();
    let rest = first.strip_prefix(b"sep=").or_else(|| first.strip_prefix(b"SEP="))?;
    match rest {
        [one] => Some(*one),
        // The tab was taken for white space.
        [] => Some(b'\t'),
        _ => None,
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" | "x" | "ja" | "oui" | "si" | "sí" | "да" | "wahr" => Some(true),
        "0" | "false" | "f" | "no" | "n" | "off" | "-" | "nein" | "non" | "нет" | "falsch" => Some(false),
        _ => None,
    }
}

fn tags(text: &str) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in text.split([',', ';', '|']).map(trim).filter(|tag| !tag.is_empty()) {
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    tags
}

fn one_based(index: usize) -> Option<u64> {
    u64::try_from(index).ok()?.checked_add(1)
}

impl Device {
    /// A device of which nothing but its ids is known.
    pub(crate) const fn new(ids: Vec<String>, place: Place) -> Self {
        Self {
            ids,
            name: None,
            plate: None,
            time_zone: None,
            group: None,
            protocol: None,
            model: None,
            phone: None,
            contact: None,
            category: None,
            notes: None,
            tags: Vec::new(),
            attributes: Attributes::new(),
            disabled: None,
            expires_at: None,
            place,
        }
    }
}

const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
const HEADER_ROWS_MAX: usize = 10;
const FIRST_LINE_MAX: usize = 120;

//! Where devices are kept so that a start need not read all files: one object beside the table.
//!
//! ```text
//!  0        8         12    16        24
//!  +--------+---------+-----+---------+----------------------+----------------------------------------------+
//!  | magic  | format  | crc | version | u32 keys, each       | u64 devices, each                            |
//!  | ODOLST | u32 = 2 | u32 | u64     | u32 length + name    | u32 length + name | numbers | latest records |
//!  +--------+---------+-----+---------+----------------------+----------------------------------------------+
//!
//!  numbers: u64 count | first, last, received, by device, by receipt, wrong until, sound: each a u8 and an i64
//!  latest records, without a claim that could not be and with one:
//!           u8 is there | i64 time | i64 received | u64 id | u32 length + packed record
//! ```
//!
//! `crc` is CRC-32C over everything behind it. `version` is the table's: exactly the records of that version's files are
//! counted. What was committed behind it is read from the files of those commits.

use super::packed::{KEYS, Packed, Reader, Wanted};
use super::{Device, Devices, Latest, Order};
use crate::Error;
use compact_str::CompactString;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use odograph_model::{Key, RecordId, Time};

/// What there is at the place of a checkpoint.
pub(super) enum Loaded {
    /// Devices, and the version of the table that they stand for.
    Devices(Devices, u64),
    /// Nothing yet.
    Missing,
    /// Something that is no checkpoint, or not any more.
    Damaged,
}

/// Begins a checkpoint of a version of the table; devices are added with [`Checkpoint::add`].
pub(crate) struct Checkpoint {
    bytes: Vec<u8>,
    /// Where the number of devices stands.
    count_at: usize,
    count: u64,
}

impl Checkpoint {
    pub(crate) fn new(version: u64) -> Self {
        let mut bytes = [MAGIC, &FORMAT.to_le_bytes(), &[0; 4]].concat();
        bytes.extend(version.to_le_bytes());
        bytes.extend((KEYS.list.len() as u32).to_le_bytes());
        for key in KEYS.list.iter().copied() {
            put_text(&mut bytes, &key.map_or_else(String::new, |key| key.to_string()));
        }
        let count_at = bytes.len();
        bytes.extend([0; 8]);
        Self { bytes, count_at, count: 0 }
    }

    /// Adds the devices of a shard.
    pub(crate) fn add(&mut self, devices: &Devices, shard: usize) {
        for (name, device) in &devices.shards[shard] {
            self.count += 1;
            put_text(&mut self.bytes, name);
            put_device(&mut self.bytes, device);
        }
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.bytes[self.count_at..self.count_at + 8].copy_from_slice(&self.count.to_le_bytes());
        let crc = crc32c::crc32c(&self.bytes[BODY..]);
        self.bytes[BODY - 4..BODY].copy_from_slice(&crc.to_le_bytes());
        self.bytes
    }
}

/// The version of the table that a checkpoint says it stands for.
pub(crate) fn saved_version(bytes: &[u8]) -> Option<u64> {
    let version = bytes.get(BODY..BODY + 8)?;
    bytes.starts_with(MAGIC).then(|| version.try_into().ok().map(u64::from_le_bytes))?
}

/// Puts a checkpoint in the place of the one before, durably.
pub(crate) async fn save(store: &dyn ObjectStore, checkpoint: Checkpoint) -> Result<(), Error> {
    store.put(&Path::from(SAVED), checkpoint.into_bytes().into()).await?;
    Ok(())
}

/// What was saved last.
pub(super) async fn load(store: &dyn ObjectStore) -> Result<Loaded, Error> {
    let bytes = match store.get(&Path::from(SAVED)).await {
        Ok(found) => found.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(Loaded::Missing),
        Err(error) => return Err(error.into()),
    };
    Ok(parse(&bytes).map_or(Loaded::Damaged, |(devices, version)| Loaded::Devices(devices, version)))
}

fn parse(bytes: &[u8]) -> Option<(Devices, u64)> {
    let mut bytes = Reader(bytes);
    if bytes.take(MAGIC.len())? != MAGIC || bytes.u32()? != FORMAT || bytes.u32()? != crc32c::crc32c(bytes.0) {
        return None;
    }
    let version = bytes.u64()?;
    let names: Vec<CompactString> = (0..bytes.u32()?).map(|_| bytes.text()).collect::<Option<_>>()?;
    let keys: Vec<Option<Key>> = names.iter().map(|name| Key::from_name(name)).collect();
    let mut devices = Devices::default();
    for _ in 0..bytes.u64()? {
        let name = bytes.text()?;
        *devices.entry(&name) = device(&mut bytes, &keys)?;
    }
    bytes.0.is_empty().then_some((devices, version))
}

fn put_device(out: &mut Vec<u8>, device: &Device) {
    out.extend(device.count.to_le_bytes());
    let Device { first, last, received, by_device, by_receipt, wrong_until, sound, .. } = device;
    for time in [first, last, received, by_device, by_receipt, wrong_until, sound] {
        out.push(u8::from(time.is_some()));
        out.extend(time.unwrap_or(Time(0)).0.to_le_bytes());
    }
    for latest in [&device.best, &device.wrong] {
        out.push(u8::from(latest.is_some()));
        let Some(Latest { order, packed }) = latest else { continue };
        out.extend(order.time.0.to_le_bytes());
        out.extend(order.received.0.to_le_bytes());
        out.extend(order.id.0.to_le_bytes());
        out.extend((packed.0.len() as u32).to_le_bytes());
        out.extend_from_slice(&packed.0);
    }
}

fn device(bytes: &mut Reader<'_>, keys: &[Option<Key>]) -> Option<Device> {
    let count = bytes.u64()?;
    let mut time = || {
        let known = bytes.u8()? != 0;
        let time = bytes.i64()?;
        Some(known.then_some(Time(time)))
    };
    let (first, last, received) = (time()?, time()?, time()?);
    let (by_device, by_receipt, wrong_until, sound) = (time()?, time()?, time()?, time()?);
    let (best, wrong) = (latest(bytes, keys)?, latest(bytes, keys)?);
    Some(Device { count, first, last, received, by_device, by_receipt, wrong_until, sound, best, wrong })
}

fn latest(bytes: &mut Reader<'_>, keys: &[Option<Key>]) -> Option<Option<Latest>> {
    if bytes.u8()? == 0 {
        return Some(None);
    }
    let order = Order { time: Time(bytes.i64()?), received: Time(bytes.i64()?), id: RecordId(bytes.u64()?) };
    let length = usize::try_from(bytes.u32()?).ok()?;
    let mut packed = Packed(bytes.take(length)?.into());
    if keys != KEYS.list {
        // Another version of the program had its keys in other places.
        let (protocol, record) = packed.record_of(&Wanted::all(), keys)?;
        packed = Packed::new(protocol, &record);
    }
    Some(Some(Latest { order, packed }))
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Names that begin so are none of the table's, to all who read or clean such tables.
pub(crate) const SAVED: &str = "_odograph/last";
const MAGIC: &[u8] = b"ODOLST\r\n";
const FORMAT: u32 = 2;
/// Where what the checksum covers begins.
const BODY: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut devices = Devices::default();
        let record = odograph_model::Record::at(Time(5));
        let (device, time) = ("d", Time(5));
        devices.push(&crate::Row { device, time, received: time, id: RecordId(1), protocol: "test", record: &record });
        let mut checkpoint = Checkpoint::new(7);
        (0..super::super::SHARDS).for_each(|shard| checkpoint.add(&devices, shard));
        let bytes = checkpoint.into_bytes();
        assert_eq!(parse(&bytes), Some((devices, 7)));
        // Names of keys are many; what stands before and behind them is flipped at every bit, they at some.
        let places = (0..64).chain((64..bytes.len() - 200).step_by(97)).chain(bytes.len() - 200..bytes.len());
        for place in places {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[place] ^= 1 << bit;
                assert_eq!(parse(&damaged), None, "bit {bit} of byte {place}");
            }
        }
        for length in 0..64 {
            assert_eq!(parse(&bytes[..length]), None, "cut at {length}");
        }
    }
}

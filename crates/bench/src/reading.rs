//! Frames of the journal on their way to tables that take anything.

use crate::{GROUP, Receiving, TELTONIKA_RECORDS, open_reader, teltonika_from};
use odograph_handover::{Outlet, ring};
use odograph_model::Lsn;
use odograph_pipeline::{Device, Event, Found, Frame, History, KnownDevice, Pipeline, Places, Tables, Window};
use odograph_testkit::FaultDisk;
use std::convert::Infallible;

/// A journal with [`GROUP`] frames of a device, and who reads it.
pub struct Reading {
    pipeline: Pipeline<Counting>,
    outlet: Option<Outlet>,
    durable: Lsn,
}

impl Reading {
    /// With what was decoded when the frames came, or without it.
    pub fn new(live: bool) -> Self {
        let (inlet, outlet) = ring(u64::MAX);
        let disk = FaultDisk::new();
        let mut receiving = Receiving::handing_over(&disk, live.then_some(inlet));
        let mut pipeline =
            Pipeline::open(&open_reader(&disk), Counting::default(), Places::default(), Window::default())
                .expect("an empty journal can be read");
        pipeline.read(Some(receiving.durable())).expect("a sound journal can be read");
        for number in 0..GROUP as u64 - 1 {
            receiving.receive(&teltonika_from(number * u64::from(TELTONIKA_RECORDS)));
        }
        receiving.answered(&teltonika_from((GROUP as u64 - 1) * u64::from(TELTONIKA_RECORDS)));
        Self { pipeline, outlet: live.then_some(outlet), durable: receiving.durable() }
    }

    /// Reads it all; gives the number of records.
    pub fn read(&mut self) -> u64 {
        let read = match &mut self.outlet {
            Some(outlet) => self.pipeline.read_live(self.durable, outlet),
            None => self.pipeline.read(Some(self.durable)),
        };
        assert!(read.expect("a sound journal can be read"), "a group is read at once");
        self.pipeline.tables().records
    }

    /// How many frames were not decoded again.
    pub const fn live_frames(&self) -> u64 {
        self.pipeline.progress().frames.live
    }
}

/// Tables that count.
#[derive(Default)]
struct Counting {
    records: u64,
}

impl History for Counting {
    type Error = Infallible;

    fn of_day(&mut self, _: Device<'_>, _: i32) -> Result<Found, Infallible> {
        Ok(Found::default())
    }

    fn of_wrong_clock(&mut self, _: Device<'_>) -> Result<Found, Infallible> {
        Ok(Found::default())
    }
}

impl Tables for Counting {
    fn devices(&mut self) -> Result<Vec<KnownDevice>, Infallible> {
        Ok(Vec::new())
    }

    fn has(&mut self, _: &Event<'_>) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn push(&mut self, _: &Event<'_>) -> Result<(), Infallible> {
        self.records += 1;
        Ok(())
    }

    fn flush(&mut self, _: Lsn, _: bool) -> Result<usize, Infallible> {
        Ok(0)
    }

    fn frame(&mut self, _: &Frame<'_>) -> Result<(), Infallible> {
        Ok(())
    }

    fn committed(&self, read: Lsn) -> Places {
        Places { records: read, frames: read }
    }
}

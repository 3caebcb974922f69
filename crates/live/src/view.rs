//! What is in view of a map: clusters where it is crowded, devices where they stand alone.
//!
//! The map is cut into cells of 64 pixels. Devices are gone through some at a time, so that nobody waits for whoever looks
//! at the whole fleet; what moves in the meantime is counted where it was met.

use crate::area::Spot;
use crate::matcher::Matcher;
use crate::slots::Marker;
use crate::tenant::Seen;
use crate::{Area, Cluster, Counts, Crowds, Options, State, Thresholds};
use odograph_model::Time;

/// Gathers what is in view.
#[derive(Debug)]
pub(crate) struct Gather {
    map: Map,
    now: Time,
    cells: Vec<Cell>,
    /// The devices in view, as long as they are few enough to be shown one by one.
    all: Vec<u32>,
    singles_max: usize,
    counts: Counts,
    /// Which slot is next.
    next: u32,
}

/// The part of the map that is looked at, in cells.
#[derive(Debug, Clone, Copy)]
struct Map {
    zoom: u8,
    first: Spot,
    columns: u32,
    rows: u32,
}

/// One cell.
#[derive(Debug, Clone, Copy)]
struct Cell {
    count: u32,
    sum: [u64; 2],
    least: Spot,
    greatest: Spot,
    worst: State,
    first: [u32; ALONE_MAX as usize],
}

impl Gather {
    pub(crate) fn new(area: Option<Area>, zoom: u8, now: Time, options: &Options) -> Self {
        let map = Map::new(area.unwrap_or(Area::WORLD), zoom);
        let cells = vec![Cell::EMPTY; (map.columns * map.rows) as usize];
        let singles_max = options.singles_max;
        Self { map, now, cells, all: Vec::new(), singles_max, counts: Counts::default(), next: 0 }
    }

    /// Goes through some devices, and tells whether there are more.
    pub(crate) fn step(&mut self, seen: Seen<'_>, matcher: &Matcher) -> bool {
        if self.next == 0
            && let Some(area) = &matcher.filter.area
            && let Some(near) = seen.grid.near(area, STEP_SLOTS as usize)
        {
            for slot in near {
                self.add(slot, seen.slots.marker(slot), seen.thresholds, matcher);
            }
            return false;
        }
        let end = seen.slots.count().min(self.next.saturating_add(STEP_SLOTS));
        for slot in self.next..end {
            self.add(slot, seen.slots.marker(slot), seen.thresholds, matcher);
        }
        self.next = end;
        end < seen.slots.count()
    }

    /// The devices that stand alone, by their slots, and the others.
    pub(crate) fn finish(self) -> (Vec<u32>, Crowds) {
        let Self { map, cells, all, singles_max, counts, .. } = self;
        let mut crowds = Crowds { zoom: map.zoom, clusters: Vec::new(), counts };
        if all.len() <= singles_max {
            return (all, crowds);
        }
        let mut alone = Vec::new();
        for (index, cell) in (0_u32..).zip(&cells) {
            if cell.count <= ALONE_MAX {
                alone.extend_from_slice(&cell.first[..cell.count as usize]);
            } else {
                crowds.clusters.push(cell.cluster(&map, index));
            }
        }
        (alone, crowds)
    }

    fn add(&mut self, slot: u32, marker: &Marker, thresholds: &Thresholds, matcher: &Matcher) {
        let Some(spot) = marker.spot().filter(|_| matcher.shows(slot, marker)) else { return };
        let state = marker.state(self.now, thresholds);
        if !matcher.filter.has_state(state) {
            return;
        }
        self.counts.add(state);
        // One more than are shown says that these are not all.
        if self.all.len() <= self.singles_max {
            self.all.push(slot);
        }
        let cell = &mut self.cells[self.map.index(spot)];
        if let Some(place) = cell.first.get_mut(cell.count as usize) {
            *place = slot;
        }
        cell.add(spot, state);
    }
}

impl Map {
    /// The cells of an area at a zoom, or at the greatest one at which they are not too many.
    fn new(area: Area, zoom: u8) -> Self {
        let mut zoom = zoom.min(ZOOM_MAX);
        loop {
            let bits = cell_bits(zoom);
            // The stretch may begin within a cell.
            let columns = ((area.width >> bits) + 2).min((u32::MAX >> bits) + 1);
            let rows = (area.height >> bits) + 2;
            if zoom == 0 || u64::from(columns) * u64::from(rows) <= CELLS_MAX {
                return Self { zoom, first: Spot { x: area.x >> bits, y: area.y >> bits }, columns, rows };
            }
            zoom -= 1;
        }
    }

    fn index(&self, spot: Spot) -> usize {
        let bits = cell_bits(self.zoom);
        let column = (spot.x >> bits).wrapping_sub(self.first.x) & (u32::MAX >> bits);
        let row = (spot.y >> bits) - self.first.y;
        (row * self.columns + column) as usize
    }
}

impl Cell {
    const EMPTY: Self = Self {
        count: 0,
        sum: [0; 2],
        least: Spot { x: u32::MAX, y: u32::MAX },
        greatest: Spot { x: 0, y: 0 },
        worst: State::Stopped,
        first: [0; ALONE_MAX as usize],
    };

    fn add(&mut self, spot: Spot, state: State) {
        let Spot { x, y } = spot;
        self.count += 1;
        self.sum = [self.sum[0] + u64::from(x), self.sum[1] + u64::from(y)];
        self.least = Spot { x: self.least.x.min(x), y: self.least.y.min(y) };
        self.greatest = Spot { x: self.greatest.x.max(x), y: self.greatest.y.max(y) };
        self.worst = self.worst.max(state);
    }

    fn cluster(&self, map: &Map, index: u32) -> Cluster {
        let bits = cell_bits(map.zoom);
        let mean = |sum: u64| (sum / u64::from(self.count)) as u32;
        let (least, greatest) = (self.least, self.greatest);
        Cluster {
            column: (map.first.x + index % map.columns) & (u32::MAX >> bits),
            row: map.first.y + index / map.columns,
            count: self.count,
            centre: Spot { x: mean(self.sum[0]), y: mean(self.sum[1]) }.place(),
            south_west: Spot { x: least.x, y: greatest.y }.place(),
            north_east: Spot { x: greatest.x, y: least.y }.place(),
            worst: self.worst,
        }
    }
}

/// The map's width in bits less those of its cells: at zoom 0 it is 256 pixels wide, and a cell has 64.
const fn cell_bits(zoom: u8) -> u32 {
    u32::BITS - 2 - zoom as u32
}

/// So many devices in a cell are shown one by one.
const ALONE_MAX: u32 = 2;
/// A large screen has half as many cells.
const CELLS_MAX: u64 = 4096;
/// Then a cell is 4 m wide.
const ZOOM_MAX: u8 = 21;
/// So many devices are gone through while the pipeline may have to wait: some 50 µs.
const STEP_SLOTS: u32 = 4096;

#[cfg(test)]
mod tests;

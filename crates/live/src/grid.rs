//! Which devices are near a place: cells of the map, each with its devices.
//!
//! A cell is some 10 km wide at the equator. Whoever looks at a city looks at some cells; whoever looks at a continent goes
//! through all devices instead, which costs less than that many cells do.

use crate::Area;
use crate::area::Spot;
use crate::slots::Slots;
use hashbrown::HashMap;

/// Devices by the cells they are in.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    cells: HashMap<u32, Vec<u32>>,
}

impl Grid {
    /// Moves a device from one place to another, of which both may be nowhere.
    pub(crate) fn move_device(&mut self, slots: &mut Slots, slot: u32, from: Option<Spot>, to: Option<Spot>) {
        let (from, to) = (from.map(cell_of), to.map(cell_of));
        if from == to {
            return;
        }
        if let Some(from) = from {
            self.take_out(slots, slot, from);
        }
        if let Some(to) = to {
            let cell = self.cells.entry(to).or_default();
            slots.device_mut(slot).in_cell = cell.len() as u32;
            cell.push(slot);
        }
    }

    fn take_out(&mut self, slots: &mut Slots, slot: u32, from: u32) {
        let at = slots.device(slot).in_cell;
        let Some(cell) = self.cells.get_mut(&from) else { return };
        cell.swap_remove(at as usize);
        if let Some(last) = cell.get(at as usize) {
            slots.device_mut(*last).in_cell = at;
        }
        if cell.is_empty() {
            self.cells.remove(&from);
        }
    }

    /// The devices in the cells that an area touches, if these are at most so many and found at once.
    pub(crate) fn near(&self, area: &Area, devices_max: usize) -> Option<Vec<u32>> {
        let columns = axis(area.x, area.width);
        let rows = axis(area.y, area.height);
        let cells = columns.clone().count() * rows.clone().count();
        if cells > CELLS_MAX {
            return None;
        }
        let mut near = Vec::new();
        for column in columns {
            for row in rows.clone() {
                let Some(cell) = self.cells.get(&cell(column, row)) else { continue };
                if near.len() + cell.len() > devices_max {
                    return None;
                }
                near.extend_from_slice(cell);
            }
        }
        Some(near)
    }
}

/// The cells along an axis that a stretch of it touches.
fn axis(begin: u32, length: u32) -> impl Iterator<Item = u32> + Clone {
    let first = begin >> CELL_BITS;
    let within = u64::from(begin % CELL);
    let count = (within + u64::from(length)) / u64::from(CELL) + 1;
    // A stretch all round the world ends in the cell where it began.
    let count = count.min(u64::from(u32::MAX >> CELL_BITS) + 1) as u32;
    (0..count).map(move |step| (first + step) & (u32::MAX >> CELL_BITS))
}

fn cell_of(spot: Spot) -> u32 {
    cell(spot.x >> CELL_BITS, spot.y >> CELL_BITS)
}

fn cell(column: u32, row: u32) -> u32 {
    column << (u32::BITS - CELL_BITS) | row
}

/// The map is 4,096 cells wide.
const CELL_BITS: u32 = 20;
const CELL: u32 = 1 << CELL_BITS;
/// For more cells than this, going through all devices is no slower.
const CELLS_MAX: usize = 1 << 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GroupId, Place};

    fn spot(latitude: f64, longitude: f64) -> Option<Spot> {
        Spot::new(Place { latitude, longitude })
    }

    fn near(grid: &Grid, west: f64, south: f64, east: f64, north: f64) -> Option<Vec<u32>> {
        let area = Area::new(west, south, east, north).expect("a box");
        let mut near = grid.near(&area, 10)?;
        near.sort_unstable();
        Some(near)
    }

    #[test]
    fn devices_are_where_they_went_last() {
        let (mut grid, mut slots) = (Grid::default(), Slots::default());
        let places =
            [spot(48.0, 10.0), spot(48.0, 10.0), spot(48.0, 10.0), spot(-17.0, 180.0), spot(-17.0, 179.99), None];
        for (slot, place) in (0..).zip(places) {
            slots.add(&slot.to_string(), GroupId::NONE);
            grid.move_device(&mut slots, slot, None, place);
        }
        let ulm = |grid: &Grid| near(grid, 9.9, 47.9, 10.1, 48.1);
        let fiji = |grid: &Grid| near(grid, 179.9, -17.1, -179.9, -16.9);
        assert_eq!((ulm(&grid), fiji(&grid)), (Some(vec![0, 1, 2]), Some(vec![3, 4])));
        grid.move_device(&mut slots, 0, places[0], places[3]);
        grid.move_device(&mut slots, 2, places[2], None);
        assert_eq!((ulm(&grid), fiji(&grid)), (Some(vec![1]), Some(vec![0, 3, 4])));
        grid.move_device(&mut slots, 1, places[1], None);
        assert_eq!((ulm(&grid), grid.cells.len()), (Some(Vec::new()), 2), "an empty cell is not kept");
    }

    #[test]
    fn too_large_a_box_and_too_many_devices_are_told() {
        let (mut grid, mut slots) = (Grid::default(), Slots::default());
        assert_eq!(near(&grid, -180.0, -80.0, 180.0, 80.0), None);
        for slot in 0..11 {
            slots.add(&slot.to_string(), GroupId::NONE);
            grid.move_device(&mut slots, slot, None, spot(48.0, 10.0));
        }
        assert_eq!(near(&grid, 9.9, 47.9, 10.1, 48.1), None);
    }

    #[test]
    fn a_strip_round_the_world_has_each_cell_once() {
        let cells: Vec<u32> = axis(5, u32::MAX).collect();
        assert_eq!((cells.len(), cells[0], cells[4095]), (4096, 0, 4095));
        assert_eq!(axis(CELL - 1, 1).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(axis(u32::MAX, 1).collect::<Vec<_>>(), [4095, 0]);
        assert_eq!(axis(7, 0).collect::<Vec<_>>(), [0]);
    }
}

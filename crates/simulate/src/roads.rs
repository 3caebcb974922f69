//! The roads: a graph of the world's main roads, and ways on it.
//!
//! `roads/make.py` makes the file and says how it is laid out; `roads/README.md` says whose the data is.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

static FILE: &[u8] = include_bytes!("../roads/roads.bin");
const HEAD: &[u8] = b"ODOROAD1";
/// Coordinates are thousandths of a degree.
const UNITS: f64 = 1000.0;
/// A way that is so many times as long as the straight line, and so many kilometres more, leads around a sea.
const DETOUR_MAX: f64 = 1.7;
const DETOUR_KM_MAX: f64 = 40.0;
const EARTH_KM: f64 = 6371.0;

/// A place on earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Degrees, north positive.
    pub latitude: f64,
    /// Degrees, east positive.
    pub longitude: f64,
}

impl Place {
    /// Kilometres to another place, in a straight line.
    pub fn km_to(self, other: Self) -> f64 {
        let [la, lo, lb, lp] = [self.latitude, self.longitude, other.latitude, other.longitude].map(f64::to_radians);
        let half = ((lb - la) / 2.0).sin().powi(2) + la.cos() * lb.cos() * ((lp - lo) / 2.0).sin().powi(2);
        2.0 * EARTH_KM * half.sqrt().min(1.0).asin()
    }

    /// Degrees clockwise from north towards another place, 0 to under 360.
    pub fn course_to(self, other: Self) -> f64 {
        let north = other.latitude - self.latitude;
        let east = (other.longitude - self.longitude) * self.latitude.to_radians().cos();
        east.atan2(north).to_degrees().rem_euclid(360.0)
    }

    /// The place between this one and another, at this share of the way.
    pub(crate) fn towards(self, other: Self, share: f64) -> Self {
        Self {
            latitude: self.latitude + (other.latitude - self.latitude) * share,
            longitude: self.longitude + (other.longitude - self.longitude) * share,
        }
    }
}

/// A junction, by number.
pub(crate) type Node = u32;

/// The graph.
pub(crate) struct Roads {
    places: Vec<Place>,
    /// Where the neighbours of each node begin in `neighbours`; one more than there are nodes.
    first: Vec<u32>,
    neighbours: Vec<Node>,
    /// Nodes by cell of a degree.
    cells: HashMap<(i16, i16), Vec<Node>>,
}

impl Roads {
    /// Reads the graph that comes with the program.
    pub(crate) fn read() -> Self {
        let mut numbers = Numbers(FILE.strip_prefix(HEAD).expect("roads.bin begins with its name"));
        let count = numbers.next() as usize;
        let (mut places, mut cells) = (Vec::with_capacity(count), HashMap::<_, Vec<Node>>::new());
        let (mut latitude, mut longitude) = (0, 0);
        for node in 0..count {
            latitude += numbers.signed();
            longitude += numbers.signed();
            let place = Place { latitude: latitude as f64 / UNITS, longitude: longitude as f64 / UNITS };
            places.push(place);
            cells.entry(cell(place)).or_default().push(node as Node);
        }
        let mut edges = Vec::new();
        for node in 0..count as Node {
            let mut other = node;
            for _ in 0..numbers.next() {
                other += numbers.next() as Node;
                edges.push((node, other));
                edges.push((other, node));
            }
        }
        edges.sort_unstable();
        let mut first = vec![0; count + 1];
        for (node, _) in &edges {
            first[*node as usize + 1] += 1;
        }
        for node in 0..count {
            first[node + 1] += first[node];
        }
        Self { places, first, neighbours: edges.into_iter().map(|(_, other)| other).collect(), cells }
    }

    pub(crate) fn place(&self, node: Node) -> Place {
        self.places[node as usize]
    }

    fn neighbours(&self, node: Node) -> &[Node] {
        &self.neighbours[self.first[node as usize] as usize..self.first[node as usize + 1] as usize]
    }

    /// The junctions within so many kilometres, nearest first.
    pub(crate) fn around(&self, place: Place, km: f64) -> Vec<Node> {
        let reach = (km / 111.0 / place.latitude.to_radians().cos().max(0.1)).ceil() as i16;
        let (row, column) = cell(place);
        let mut found = Vec::new();
        for row in row - reach..=row + reach {
            for column in column - reach..=column + reach {
                for node in self.cells.get(&(row, column)).into_iter().flatten() {
                    let away = place.km_to(self.place(*node));
                    if away <= km {
                        found.push((away, *node));
                    }
                }
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.into_iter().map(|(_, node)| node).collect()
    }

    /// The shortest way between two junctions (A*), where there is one without a great detour.
    pub(crate) fn way(&self, from: Node, to: Node) -> Option<Vec<Place>> {
        let goal = self.place(to);
        let km_max = self.place(from).km_to(goal) * DETOUR_MAX + DETOUR_KM_MAX;
        let mut best: HashMap<Node, (f64, Node)> = HashMap::from([(from, (0.0, from))]);
        let mut waiting = BinaryHeap::from([Waiting { through: self.place(from).km_to(goal), gone: 0.0, node: from }]);
        while let Some(Waiting { gone, node, .. }) = waiting.pop() {
            if node == to {
                return Some(self.traced(&best, from, to));
            }
            if best.get(&node).is_some_and(|(least, _)| gone > *least) {
                continue;
            }
            let here = self.place(node);
            for next in self.neighbours(node) {
                let gone = gone + here.km_to(self.place(*next));
                let through = gone + self.place(*next).km_to(goal);
                if through <= km_max && best.get(next).is_none_or(|(least, _)| gone < *least) {
                    best.insert(*next, (gone, node));
                    waiting.push(Waiting { through, gone, node: *next });
                }
            }
        }
        None
    }

    fn traced(&self, best: &HashMap<Node, (f64, Node)>, from: Node, to: Node) -> Vec<Place> {
        let (mut node, mut way) = (to, vec![self.place(to)]);
        while node != from {
            node = best[&node].1;
            way.push(self.place(node));
        }
        way.reverse();
        way
    }
}

/// A node that a search has yet to look at, the nearest to the goal first.
#[derive(PartialEq)]
struct Waiting {
    /// Kilometres gone, and those that are left at least.
    through: f64,
    gone: f64,
    node: Node,
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        other.through.total_cmp(&self.through).then(other.node.cmp(&self.node))
    }
}

fn cell(place: Place) -> (i16, i16) {
    (place.latitude.floor() as i16, place.longitude.floor() as i16)
}

/// LEB128 numbers.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn next(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.0.split_first().expect("roads.bin is whole");
            self.0 = rest;
            number |= u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return number;
            }
        }
    }

    fn signed(&mut self) -> i64 {
        let number = self.next();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(roads: &Roads, latitude: f64, longitude: f64) -> Node {
        roads.around(Place { latitude, longitude }, 15.0)[0]
    }

    #[test]
    fn ways_are_as_long_as_the_real_ones() {
        let roads = Roads::read();
        // Kilometres by road, as signs and atlases have them: Ulm to Hamburg, Paris to Lyon, Chicago to Kansas City.
        for (from, to, km) in [
            ((48.40, 9.99), (53.55, 10.0), 665.0),
            ((48.85, 2.35), (45.76, 4.84), 466.0),
            ((41.88, -87.63), (39.10, -94.58), 820.0),
        ] {
            let (a, b) = (nearest(&roads, from.0, from.1), nearest(&roads, to.0, to.1));
            let way = roads.way(a, b).expect("there is a road");
            let long: f64 = way.windows(2).map(|pair| pair[0].km_to(pair[1])).sum();
            assert!((km * 0.88..km * 1.05).contains(&long), "{from:?} to {to:?}: {long} km");
            let back: f64 = roads.way(b, a).expect("and back").windows(2).map(|pair| pair[0].km_to(pair[1])).sum();
            assert!((long - back).abs() < 1e-6, "a way is the same in both directions");
        }
    }

    #[test]
    fn there_is_no_road_to_an_island() {
        let roads = Roads::read();
        let (reykjavik, ulm) = (nearest(&roads, 64.14, -21.9), nearest(&roads, 48.40, 9.99));
        assert_eq!(roads.way(reykjavik, ulm), None);
    }

    #[test]
    fn courses_and_distances() {
        let ulm = Place { latitude: 48.0, longitude: 10.0 };
        let at = |latitude, longitude| Place { latitude, longitude };
        assert_eq!(ulm.course_to(at(49.0, 10.0)).round(), 0.0);
        assert_eq!(ulm.course_to(at(48.0, 11.0)).round(), 90.0);
        assert_eq!(ulm.course_to(at(48.0, 9.0)).round(), 270.0);
        assert!((ulm.km_to(at(49.0, 10.0)) - 111.2).abs() < 0.1);
    }
}

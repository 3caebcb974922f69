//! What trucks know of the world: the roads, yards in each city, and the ways between them, each sought once.

use crate::cities::CITIES;
use crate::dice::Dice;
use crate::roads::{Node, Place, Roads};
use crate::route::Route;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Yards of a city: depots, cross-docks, markets, customers.
const YARDS: usize = 5;
/// Yards are in or around their city.
const YARD_KM: f64 = 14.0;
/// A truck goes to cities that are this far away.
const TRIP_KM: (f64, f64) = (25.0, 330.0);
/// The other cities that trucks of one go to.
const DESTINATIONS_MAX: usize = 8;
/// Ways that are kept; with all cities, all yards and all destinations there are no more than this.
const ROUTES_MAX: usize = 40_000;

/// A yard: of which city, and which one there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Yard {
    pub(crate) city: usize,
    pub(crate) number: usize,
}

/// The world of one seed, shared by all its trucks.
pub struct Atlas {
    roads: Roads,
    seed: u64,
    cities: Vec<OnceLock<Town>>,
    routes: Mutex<Routes>,
}

/// Ways by their ends; `None` where there is none.
type Routes = HashMap<(Node, Node), Option<Arc<Route>>>;

/// What is known of a city once somebody has asked.
struct Town {
    yards: Vec<Node>,
    destinations: Vec<usize>,
}

impl Atlas {
    /// Reads the roads.
    pub fn new(seed: u64) -> Self {
        let cities = CITIES.iter().map(|_| OnceLock::new()).collect();
        Self { roads: Roads::read(), seed, cities, routes: Mutex::default() }
    }

    fn town(&self, city: usize) -> &Town {
        self.cities[city].get_or_init(|| {
            let middle = CITIES[city].place;
            let mut dice = Dice::new(self.seed, 0xC17E_0000 + city as u64);
            let near = self.roads.around(middle, YARD_KM);
            assert!(!near.is_empty(), "no road leads to {}", CITIES[city].name);
            let yards = (0..YARDS).map(|_| near[dice.pick(near.len())]).collect();
            let mut others: Vec<_> = (0..CITIES.len())
                .map(|other| (middle.km_to(CITIES[other].place), other))
                .filter(|(km, _)| (TRIP_KM.0..TRIP_KM.1).contains(km))
                .collect();
            others.sort_by(|a, b| a.0.total_cmp(&b.0));
            let destinations = others.into_iter().take(DESTINATIONS_MAX).map(|(_, other)| other).collect();
            Town { yards, destinations }
        })
    }

    /// The yard of this number, whatever the number.
    pub(crate) fn yard(&self, city: usize, number: usize) -> Yard {
        Yard { city, number: number % self.town(city).yards.len() }
    }

    fn node(&self, yard: Yard) -> Node {
        self.town(yard.city).yards[yard.number]
    }

    pub(crate) fn place(&self, yard: Yard) -> Place {
        self.roads.place(self.node(yard))
    }

    /// Cities to which trucks of this one go, the nearest first.
    pub(crate) fn destinations(&self, city: usize) -> &[usize] {
        &self.town(city).destinations
    }

    /// The way from one yard to another, where there is one.
    pub(crate) fn route(&self, from: Yard, to: Yard) -> Option<Arc<Route>> {
        let ends = (self.node(from), self.node(to));
        if ends.0 == ends.1 {
            return None;
        }
        if let Some(known) = self.routes.lock().get(&ends) {
            return known.clone();
        }
        let route = self.roads.way(ends.0, ends.1).map(|points| Arc::new(Route::new(points)));
        let mut routes = self.routes.lock();
        if routes.len() < ROUTES_MAX {
            routes.insert(ends, route.clone());
        }
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_city_has_yards_and_somewhere_to_go() {
        let atlas = Atlas::new(1);
        for (city, known) in CITIES.iter().enumerate() {
            let home = atlas.yard(city, 0);
            let reached = |to: Yard| atlas.route(home, to).is_some();
            let near = (1..YARDS).any(|number| reached(atlas.yard(city, number)));
            let far = atlas.destinations(city).iter().any(|other| reached(atlas.yard(*other, 0)));
            assert!(near || far, "{} is cut off", known.name);
            assert!(atlas.place(home).km_to(known.place) <= YARD_KM);
        }
    }
}

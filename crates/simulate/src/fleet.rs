//! A fleet: how many devices, who they are, what they speak, where they are at home, and where they call.

use crate::cities::CITIES;
use crate::dice::Dice;
use crate::speech::Speech;
use crate::truck::Intervals;
use std::net::SocketAddr;
use std::time::Duration;

/// The most devices: their numbers have six digits.
pub const DEVICES_MAX: u32 = 1_000_000;
/// What devices speak where nobody says it: the languages that know refrigeration units, mostly.
const MIX: [(Speech, u32); 5] =
    [(Speech::Galileo, 36), (Speech::Teltonika, 36), (Speech::Wialon, 20), (Speech::Gt06, 4), (Speech::Osmand, 4)];

/// A fleet to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many, at most [`DEVICES_MAX`].
    pub devices: u32,
    /// The same seed is the same fleet.
    pub seed: u64,
    /// Languages, with their weights.
    pub mix: Vec<(Speech, u32)>,
    /// Where they are at home, as indices of [`CITIES`].
    pub cities: Vec<usize>,
    /// How often they report.
    pub intervals: Intervals,
    /// How far back their past goes.
    pub history: Duration,
    /// When their life began, in milliseconds since 1970 UTC: a later run with the same moment goes on where one before
    /// ended. `None` where their past begins.
    pub since_ms: Option<i64>,
    /// How many times as fast as it happened they live through the past; `None` sends it as fast as the server takes it.
    pub speed_up: Option<f64>,
    /// Where devices of each language call.
    pub targets: Vec<(Speech, SocketAddr)>,
    /// By datagrams.
    pub udp: bool,
    /// Threads that drive them.
    pub threads: usize,
    /// End once the past was sent and acknowledged.
    pub until_history_sent: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            devices: 10,
            seed: 1,
            mix: MIX.to_vec(),
            cities: (0..CITIES_OF_SMALL_FLEETS).collect(),
            intervals: Intervals { driving_s: 60, standing_s: 300 },
            history: Duration::ZERO,
            since_ms: None,
            speed_up: None,
            targets: Vec::new(),
            udp: false,
            threads: 1,
            until_history_sent: false,
        }
    }
}

/// So many cities a fleet is spread over where nobody names any; larger fleets are everywhere.
pub const CITIES_OF_SMALL_FLEETS: usize = 7;
/// A fleet of more is a large one.
pub const SMALL_FLEET_MAX: u32 = 500;

/// A device of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number, from 0.
    pub number: u64,
    /// 15 digits, of those that are kept for trials.
    pub imei: String,
    /// What it speaks.
    pub speech: Speech,
    /// Where it is at home, as an index of [`CITIES`].
    pub city: usize,
    /// The truck's plate.
    pub plate: String,
}

impl Plan {
    /// A device of the fleet.
    pub fn member(&self, number: u32) -> Member {
        let mut dice = Dice::new(self.seed, 0x4D45_0000_0000 + u64::from(number));
        let total: u32 = self.mix.iter().map(|(_, weight)| weight).sum();
        // In order and not by chance, so that a small fleet has its share of each.
        let mut place = (u64::from(number) * GOLDEN % 1000 * u64::from(total) / 1000) as u32;
        let chosen = self.mix.iter().find(|(_, weight)| {
            let here = place < *weight;
            place = place.saturating_sub(*weight);
            here
        });
        let city = self.cities[number as usize % self.cities.len()];
        Member {
            number: number.into(),
            imei: imei(self.seed, number),
            speech: chosen.or(self.mix.last()).expect("a fleet speaks something").0,
            city,
            plate: plate(CITIES[city].plate, &mut dice),
        }
    }

    /// All of them.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        (0..self.devices).map(|number| self.member(number))
    }

    /// Where devices of a language call.
    pub fn target(&self, speech: Speech) -> Option<SocketAddr> {
        self.targets.iter().find(|(known, _)| *known == speech).map(|(_, target)| *target)
    }
}

/// Thousandths of the golden section: multiples of it fall evenly.
const GOLDEN: u64 = 618;

impl Member {
    /// Whether its truck is refrigerated: where its language can say so.
    pub fn has_unit(&self) -> bool {
        self.speech.has_unit()
    }

    /// What people call it.
    pub fn name(&self) -> String {
        let kind = if self.has_unit() { "Reefer" } else { "Truck" };
        format!("{kind} {:03}", self.number + 1)
    }

    /// The group that it belongs to: its country, and its city in it.
    pub fn group(&self) -> [&'static str; 2] {
        [CITIES[self.city].country, CITIES[self.city].name]
    }
}

/// A number out of the range that is kept for trials (001), with its check digit.
fn imei(seed: u64, number: u32) -> String {
    let digits = format!("00101{:03}{:06}", seed % 1000, number % 1_000_000);
    let sum: u32 = digits
        .bytes()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            // Every second digit counts twice, by the sum of its digits.
            if place % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// Letters for `@` and digits for `#`; the rest stays.
fn plate(pattern: &str, dice: &mut Dice) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPRSTVWXYZ";
    let sign = |sign| match sign {
        '@' => char::from(LETTERS[dice.pick(LETTERS.len())]),
        '#' => char::from(b'0' + dice.pick(10) as u8),
        other => other,
    };
    pattern.chars().map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_fleet_is_the_same_each_time_and_no_two_devices_are_one() {
        let plan = Plan { devices: 5000, ..Plan::default() };
        let members: Vec<_> = plan.members().collect();
        assert_eq!(members, plan.members().collect::<Vec<_>>());
        let imeis: HashSet<_> = members.iter().map(|member| &member.imei).collect();
        assert_eq!(imeis.len(), 5000);
        for (speech, weight) in MIX {
            let count = members.iter().filter(|member| member.speech == speech).count();
            let share = count as f64 / 50.0;
            assert!((share - f64::from(weight)).abs() < 2.0, "{}: {share} percent", speech.name());
        }
        let few: HashSet<_> = members[..50].iter().map(|member| (member.speech, member.city)).collect();
        assert!(few.len() > 20, "small fleets have everything everywhere: {}", few.len());
    }

    #[test]
    fn imeis_have_their_check_digit() {
        for number in 0..100 {
            let digits: Vec<u32> = imei(7, number).bytes().map(|digit| u32::from(digit - b'0')).collect();
            let sum: u32 = digits
                .iter()
                .rev()
                .enumerate()
                .map(|(place, digit)| if place % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit })
                .sum();
            assert_eq!((digits.len(), sum % 10), (15, 0));
        }
    }

    #[test]
    fn plates_look_like_their_countrys() {
        let plate = plate("HH-@@ ####", &mut Dice::new(1, 1));
        let shape: String = plate
            .chars()
            .map(|sign| match sign {
                '0'..='9' => '#',
                'A'..='Z' => '@',
                other => other,
            })
            .collect();
        assert_eq!((&shape[..], &plate[..3]), ("@@-@@ ####", "HH-"));
        assert!(CITIES.iter().all(|city| city.plate.contains('#')), "no country has one plate for all");
    }
}

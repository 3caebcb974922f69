//! The way of a device, from its records as they come: all of them are read, and what is kept is bounded.

use super::{SharedPoint, SharedTrack};
use crate::Output;
use odograph_model::Time;
use serde::Deserialize;
use std::io;
use tokio::sync::oneshot;

/// The parameters that a way is made of.
pub(super) const PARAMETERS: [&str; 3] = ["position.longitude", "position.latitude", "position.valid"];

/// Takes records, a JSON object a line, for whoever waits for their way.
pub(super) struct Waypoints {
    way: Way,
    /// What came of a line so far.
    line: Vec<u8>,
    asker: oneshot::Sender<()>,
}

impl Waypoints {
    /// For whoever holds the other end of `asker` as long as they wait.
    pub(super) fn of(asker: oneshot::Sender<()>) -> Self {
        Self { way: Way::default(), line: Vec::new(), asker }
    }

    pub(super) fn track(self) -> SharedTrack {
        SharedTrack { points: self.way.points() }
    }
}

impl Output for Waypoints {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_gone() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") {
                let position: Position = serde_json::from_slice(&self.line)?;
                position.point().into_iter().for_each(|point| self.way.push(point));
                self.line.clear();
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn is_gone(&self) -> bool {
        self.asker.is_closed()
    }
}

/// A record, as far as it says where.
#[derive(Deserialize)]
struct Position {
    time: String,
    #[serde(rename = "position.longitude")]
    longitude: Option<f64>,
    #[serde(rename = "position.latitude")]
    latitude: Option<f64>,
    #[serde(rename = "position.valid")]
    valid: Option<bool>,
}

impl Position {
    fn point(&self) -> Option<SharedPoint> {
        let place = [self.longitude?, self.latitude?];
        let time = Time::parse(&self.time)?.0;
        (self.valid != Some(false)).then_some(SharedPoint { time, place })
    }
}

/// A way in bounded memory: once it has many points, every other one goes, and of those that follow as many are left out.
#[derive(Default)]
struct Way {
    kept: Vec<SharedPoint>,
    last: Option<SharedPoint>,
    /// One of so many is kept; 0 stands for each.
    step: usize,
    count: usize,
}

impl Way {
    fn push(&mut self, point: SharedPoint) {
        self.step = self.step.max(1);
        if self.count.is_multiple_of(self.step) {
            self.kept.push(point);
        }
        (self.last, self.count) = (Some(point), self.count + 1);
        if self.kept.len() > POINTS_MAX {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.step *= 2;
        }
    }

    /// The points, and the last one in any case.
    fn points(mut self) -> Vec<SharedPoint> {
        if let Some(last) = self.last.filter(|last| self.kept.last() != Some(last)) {
            self.kept.push(last);
        }
        self.kept
    }
}

/// Points of a way, before half of them go: more than a screen has pixels to draw it with.
const POINTS_MAX: usize = 4000;

#[cfg(test)]
mod tests {
    use super::*;

    fn point(time: i64) -> SharedPoint {
        SharedPoint { time, place: [1.0, 2.0] }
    }

    #[track_caller]
    fn check(count: usize, kept: usize, step: i64) {
        let mut way = Way::default();
        (0..count).for_each(|time| way.push(point(time as i64)));
        let points = way.points();
        assert_eq!(points.len(), kept);
        assert_eq!(points.last().map(|last| last.time), count.checked_sub(1).map(|last| last as i64));
        assert!(points.windows(2).rev().skip(1).all(|pair| pair[1].time - pair[0].time == step));
    }

    #[test]
    fn a_way_of_any_length_has_so_many_points() {
        check(0, 0, 1);
        check(1, 1, 1);
        check(POINTS_MAX, POINTS_MAX, 1);
        // Every other one goes: the first stays, and the last is there.
        check(POINTS_MAX + 1, POINTS_MAX / 2 + 1, 2);
        check(POINTS_MAX + 2, POINTS_MAX / 2 + 2, 2);
        check(4 * POINTS_MAX + 1, POINTS_MAX / 2 + 1, 8);
    }

    #[test]
    fn what_is_no_fix_is_no_point() {
        let of = |text: &str| serde_json::from_str::<Position>(text).unwrap().point();
        let time = r#""time":"1970-01-01T00:00:07.000Z""#;
        assert_eq!(of(&format!(r#"{{{time},"position.longitude":1.0,"position.latitude":2}}"#)), Some(point(7000)));
        assert_eq!(of(&format!(r#"{{{time},"position.longitude":1.0}}"#)), None);
        let stale = format!(r#"{{{time},"position.longitude":1.0,"position.latitude":2.0,"position.valid":false}}"#);
        assert_eq!(of(&stale), None);
    }

    fn line(time: i64) -> Vec<u8> {
        let time = Time(time);
        format!("{{\"time\":\"{time}\",\"position.longitude\":1.0,\"position.latitude\":2.0}}\n").into_bytes()
    }

    #[test]
    fn the_newest_part_of_the_longest_way_is_there() {
        let (asker, _here) = oneshot::channel();
        let mut waypoints = Waypoints::of(asker);
        let count = 600_000;
        for time in 0..count {
            waypoints.write(&line(time)).unwrap();
        }
        let points = waypoints.track().points;
        assert!((POINTS_MAX / 2..=POINTS_MAX + 1).contains(&points.len()));
        assert_eq!((points.first(), points.last()), (Some(&point(0)), Some(&point(count - 1))));
    }

    #[test]
    fn lines_come_in_any_pieces() {
        let (asker, _here) = oneshot::channel();
        let mut waypoints = Waypoints::of(asker);
        let bytes = [line(1), line(2), line(3)].concat();
        bytes.chunks(7).for_each(|piece| waypoints.write(piece).unwrap());
        assert_eq!(waypoints.track().points, [point(1), point(2), point(3)]);
    }

    #[test]
    fn for_whoever_has_left_nothing_is_read() {
        let (asker, here) = oneshot::channel();
        let mut waypoints = Waypoints::of(asker);
        waypoints.write(&line(1)).unwrap();
        assert!(!waypoints.is_gone());
        drop(here);
        assert!(waypoints.is_gone());
        assert_eq!(waypoints.write(&line(2)).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

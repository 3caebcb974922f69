//! The last half an hour of the numbers of which the page of the system draws lines: whoever opens it at night sees what was before.

use odograph_api::{Lately, NumberLately};
use odograph_env::UnixMillis;
use std::collections::VecDeque;
use std::time::Duration;

/// What was seen, the oldest first: some kilobytes.
#[derive(Debug, Default)]
pub(super) struct Ring {
    seen: VecDeque<(UnixMillis, [f64; NUMBERS.len()])>,
}

impl Ring {
    /// Takes in what `/metrics` says at this moment, once in each [`EVERY`]. What is older than half an hour goes.
    pub(super) fn take(&mut self, now: UnixMillis, metrics: &str) {
        if self.seen.len() == TAKEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back((now, read(metrics)));
    }

    pub(super) fn told(&self) -> Lately {
        let number = |(at, &(name, label)): (usize, &Number)| NumberLately {
            name: name.to_owned(),
            labels: label.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
            values: self.seen.iter().map(|(_, values)| values[at]).collect(),
        };
        let times = self.seen.iter().map(|(time, _)| *time).collect();
        Lately { times, numbers: NUMBERS.iter().enumerate().map(number).collect() }
    }
}

/// The value of each of the [`NUMBERS`] by the text of `/metrics`; of those that are not there yet, nothing came.
fn read(metrics: &str) -> [f64; NUMBERS.len()] {
    let mut values = [0.0; NUMBERS.len()];
    for line in metrics.lines() {
        let Some((name, rest)) = line.find(['{', ' ']).map(|at| line.split_at(at)) else { continue };
        let Some((labels, value)) = rest.rsplit_once(' ') else { continue };
        for (sum, &(wanted, label)) in values.iter_mut().zip(&NUMBERS) {
            let has = |(key, value): (&str, &str)| labels.contains(&format!("{key}=\"{value}\""));
            if name == wanted && label.is_none_or(has) {
                *sum += value.parse::<f64>().unwrap_or_default();
            }
        }
    }
    values
}

/// The name of a number, and the label that is meant, where it is not all of that name.
type Number = (&'static str, Option<(&'static str, &'static str)>);

/// What the page makes its lines of.
const NUMBERS: [Number; 10] = [
    ("odograph_connections", None),
    ("odograph_received_bytes_total", None),
    ("odograph_frames_total", None),
    ("odograph_commit_seconds_sum", None),
    ("odograph_commit_seconds_count", None),
    ("odograph_ack_seconds_sum", None),
    ("odograph_ack_seconds_count", None),
    ("odograph_pipeline_records_total", None),
    ("odograph_lake_commits_total", None),
    ("odograph_connections_opened_total", Some(("protocol", "unidentified"))),
];

/// How often it is looked: short enough that what hung for half a minute shows.
pub(super) const EVERY: Duration = Duration::from_secs(10);
/// Half an hour of them, with both of its ends.
const TAKEN_MAX: usize = 30 * 60 / 10 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "# TYPE odograph_connections gauge\n\
        odograph_connections{protocol=\"wialon\",transport=\"tcp\"} 3\n\
        odograph_connections{protocol=\"gt06\",transport=\"tcp\"} 2\n\
        odograph_connections_opened_total{protocol=\"unidentified\",transport=\"tcp\"} 7\n\
        odograph_connections_opened_total{protocol=\"wialon\",transport=\"tcp\"} 9\n\n\
        odograph_ack_seconds_bucket{le=\"0.1\"} 5\n\
        odograph_ack_seconds_sum 1.25\n\
        odograph_ack_seconds_count 5\n";

    /// The values of a number.
    fn values(ring: &Ring, name: &str) -> Vec<f64> {
        ring.told().numbers.into_iter().find(|number| number.name == name).unwrap().values
    }

    #[test]
    fn numbers_are_added_up_by_their_names_and_labels() {
        let mut ring = Ring::default();
        ring.take(1000, "");
        ring.take(11_000, METRICS);
        assert_eq!(ring.told().times, [1000, 11_000]);
        assert_eq!(values(&ring, "odograph_connections"), [0.0, 5.0]);
        assert_eq!(values(&ring, "odograph_connections_opened_total"), [0.0, 7.0]);
        assert_eq!(values(&ring, "odograph_ack_seconds_sum"), [0.0, 1.25]);
        assert_eq!(values(&ring, "odograph_ack_seconds_count"), [0.0, 5.0]);
        assert_eq!(values(&ring, "odograph_lake_commits_total"), [0.0, 0.0]);
        let labelled: Vec<_> = ring.told().numbers.into_iter().filter(|number| !number.labels.is_empty()).collect();
        assert_eq!(labelled.len(), 1);
        assert_eq!(labelled[0].labels["protocol"], "unidentified");
    }

    #[test]
    fn half_an_hour_is_kept_and_no_more() {
        let (mut ring, every) = (Ring::default(), i64::try_from(EVERY.as_millis()).unwrap());
        (0..=TAKEN_MAX as i64).for_each(|look| ring.take(look * every, &format!("odograph_frames_total {look}")));
        let times = ring.told().times;
        assert_eq!((times.len(), times[0]), (TAKEN_MAX, every));
        assert_eq!(times[TAKEN_MAX - 1] - times[0], 30 * 60 * 1000);
        let frames = values(&ring, "odograph_frames_total");
        assert_eq!((frames.len(), frames[0], frames[TAKEN_MAX - 1]), (TAKEN_MAX, 1.0, TAKEN_MAX as f64));
    }
}

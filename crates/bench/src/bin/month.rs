//! Acts as a fleet: sends what its trucks measured in a month, over real sockets, as fast as the server takes it.

use odograph_bench::{Arguments, month};
use std::process::ExitCode;

const HELP: &str = "\
Sends a fleet's history to a server, as its trackers would (Teltonika, codec 8), and waits for every acknowledgement.

  --target 127.0.0.1:5027   where the server listens for them
  --devices 10000           how many trucks
  --days 30                 how many days, the last one being yesterday (UTC)
  --records 100000000       how many records, spread evenly over trucks and days
  --sockets 500             how many are connected at a time, at most 2000
  --hours 24                how much a truck sends in one connection; devices take turns in another order each time
  --frame 60                how many records in one frame, at most 255
  --first 350000000000000   the IMEI of the first truck; the others follow

What was sent is told on standard error as it goes, and in the end on standard output, as JSON.";

fn main() -> ExitCode {
    let mut given = Arguments::of_process(HELP);
    let plan = month::Plan {
        target: given.take("target", "127.0.0.1:5027"),
        devices: given.take::<u64>("devices", "10000").max(1),
        days: given.take::<i64>("days", "30").max(1),
        records: given.take("records", "100000000"),
        sockets: given.take::<usize>("sockets", "500").clamp(1, month::SOCKETS_MAX),
        hours: given.take::<i64>("hours", "24").max(1),
        frame: given.take::<usize>("frame", "60").clamp(1, 255),
        first: given.take("first", "350000000000000"),
    };
    given.done();
    match month::send(&plan) {
        Ok(totals) => {
            println!("{totals}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

//! Asks a running server what people ask of history, many times, and says how long the answers took.

use odograph_bench::{Arguments, questions};
use std::process::ExitCode;

const HELP: &str = "\
Asks a running server over its control socket, and prints p50, p99 and the greatest time of each kind of question, from
connecting to the end of the answer, as JSON lines.

  --data odograph-data      the server's data folder
  --count 100               how many questions of each kind; of the kinds for a fleet a tenth
  --only KIND               day, day-track, last, last-all, devices, fleet-day, fleet-month, fleet-scattered, count
  --fleet 500               devices of the fleet
  --seed 1                  which devices and days

Devices and days are taken from the server's own answers. Ask once more before you believe the numbers: the first run
finds files that are not in memory.";

fn main() -> ExitCode {
    let mut given = Arguments::of_process(HELP);
    let plan = questions::Plan {
        data: given.take("data", "odograph-data"),
        count: given.take::<usize>("count", "100").max(1),
        only: given.take("only", ""),
        fleet: given.take::<usize>("fleet", "500").max(1),
        seed: given.take("seed", "1"),
    };
    given.done();
    match questions::ask(&plan, |line| println!("{line}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

//! What is shown of a running simulation: a line that changes, on a terminal; JSON lines, where they are wanted.

use anyhow::Result;
use odograph_simulate::Counts;
use serde_json::{Value, json};
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

/// Between two changes of the line, and two lines of JSON.
const SHOWN_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Screen {
    devices: u32,
    json: bool,
    shows_line: bool,
    began: Duration,
    shown: Duration,
    /// What was shown before, for the rate.
    before: Counts,
}

impl Screen {
    pub(super) fn new(devices: u32, json: bool, now: Duration) -> Self {
        let shows_line = !json && io::stderr().is_terminal();
        Self { devices, json, shows_line, began: now, shown: now, before: Counts::default() }
    }

    pub(super) fn show(&mut self, counts: Counts, now: Duration, out: &mut dyn Write) -> Result<()> {
        let since = now.saturating_sub(self.shown);
        if since < SHOWN_EVERY {
            return Ok(());
        }
        let rate = (counts.acknowledged - self.before.acknowledged) as f64 / since.as_secs_f64();
        if self.json {
            writeln!(out, "{}", self.line(counts, rate, now, false))?;
            out.flush()?;
        } else if self.shows_line {
            eprint!("\r\x1b[K{}", self.text(counts, rate));
        }
        (self.shown, self.before) = (now, counts);
        Ok(())
    }

    pub(super) fn finish(&self, counts: Counts, now: Duration, out: &mut dyn Write) -> Result<()> {
        let seconds = now.saturating_sub(self.began).as_secs_f64().max(0.001);
        let rate = counts.acknowledged as f64 / seconds;
        if self.json {
            writeln!(out, "{}", self.line(counts, rate, now, true))?;
            return Ok(());
        }
        if self.shows_line {
            eprint!("\r\x1b[K");
        }
        writeln!(
            out,
            "{} records acknowledged of {} sent by {} devices in {seconds:.0} s ({rate:.0} a second), {} sent again, {} \
             connections, {} commands obeyed",
            counts.acknowledged, counts.sent, self.devices, counts.again, counts.connections, counts.commands
        )?;
        Ok(())
    }

    fn text(&self, counts: Counts, rate: f64) -> String {
        let mut text = format!(
            "{rate:.0} records/s  {} acknowledged  {} connected  {} of {} at now",
            counts.acknowledged, counts.connected, counts.caught_up, self.devices
        );
        for (count, what) in [
            (counts.sent.saturating_sub(counts.acknowledged), "on the way"),
            (counts.again, "sent again"),
            (counts.failures, "failed connections"),
            (counts.refused, "refused"),
            (counts.dropped, "dropped"),
            (counts.commands, "commands"),
        ] {
            if count > 0 {
                text += &format!("  {count} {what}");
            }
        }
        text
    }

    fn line(&self, counts: Counts, rate: f64, now: Duration, done: bool) -> Value {
        json!({
            "seconds": now.saturating_sub(self.began).as_secs_f64(),
            "devices": self.devices,
            "connected": counts.connected,
            "caught_up": counts.caught_up,
            "sent": counts.sent,
            "acknowledged": counts.acknowledged,
            "sent_again": counts.again,
            "dropped": counts.dropped,
            "bytes": counts.bytes,
            "connections": counts.connections,
            "failures": counts.failures,
            "refused": counts.refused,
            "commands": counts.commands,
            "records_per_second": rate,
            "done": done,
        })
    }
}

//! The demo's trucks: `odograph simulate`, as a process of its own.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::memory::Memory;
use super::process::Process;

/// What the trucks' devices speak.
pub(super) const PROTOCOLS: [&str; 5] = ["teltonika", "wialon", "galileo", "gt06", "osmand"];
/// Between two looks at whether it is over.
const LOOK: Duration = Duration::from_millis(200);

/// Makes the trucks known to the server, with their names, plates and groups. A second time nothing changes.
pub(super) fn introduce(binary: &Path, folder: &Path, memory: &Memory) -> Result<()> {
    let table = folder.join("fleet.csv");
    let list = Command::new(binary).args(["simulate", "--list", "--devices", &memory.devices.to_string()]).output()?;
    ensure!(list.status.success(), "the fleet cannot be listed: {}", String::from_utf8_lossy(&list.stderr));
    std::fs::write(&table, list.stdout).with_context(|| format!("write {}", table.display()))?;
    let mut import = super::odograph(binary, folder);
    let taken = import.args(["device", "import", "--apply"]).arg(&table).output()?;
    ensure!(taken.status.success(), "the fleet cannot be taken in: {}", String::from_utf8_lossy(&taken.stderr));
    Ok(())
}

/// Trucks on their way.
pub(super) struct Fleet {
    process: Process,
    /// What it says, each second.
    lines: Receiver<Value>,
    memory: Memory,
}

impl Fleet {
    pub(super) fn start(
        binary: &Path,
        folder: &Path,
        memory: Memory,
        ports: &[(&'static str, SocketAddr)],
    ) -> Result<Self> {
        let mut command = super::odograph(binary, folder);
        command.args(["simulate", "--json", "--since", &memory.since()?]);
        command.args(["--devices", &memory.devices.to_string(), "--history", &memory.untold_days().to_string()]);
        command.args(ports.iter().map(|(protocol, address)| format!("--target={protocol}={address}")));
        let mut process = Process::start("odograph simulate", command.stdout(Stdio::piped()))?;
        let output = BufReader::new(process.output()?);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // Where nobody listens any more, it is over.
                let _ = serde_json::from_str(&line).map(|line| sender.send(line));
            }
        });
        Ok(Self { process, lines, memory })
    }

    /// Shows how far it is, until somebody stops it, or until so many seconds have gone by since all of its past was told.
    pub(super) fn follow(&mut self, seconds: Option<u64>) -> Result<()> {
        let changes = std::io::stdout().is_terminal();
        let mut told_at = None;
        loop {
            let line = match self.lines.recv_timeout(LOOK) {
                Ok(line) => Some(line),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => bail!("the fleet ended by itself"),
            };
            if let Some(line) = line {
                if line["caught_up"] == self.memory.devices {
                    self.memory.told_until_now()?;
                    if told_at.is_none() {
                        println!(
                            "\nThe past is told: {} records, each safe before its device was told so.",
                            line["acknowledged"]
                        );
                        told_at = line["seconds"].as_f64();
                    }
                }
                if changes || told_at.is_none() {
                    say(changes, &line);
                }
                let gone = |told_at: f64| line["seconds"].as_f64().unwrap_or_default() - told_at;
                if let (Some(told_at), Some(seconds)) = (told_at, seconds)
                    && gone(told_at) >= seconds as f64
                {
                    return Ok(());
                }
            }
        }
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        self.process.stop()?;
        println!();
        Ok(())
    }
}

/// How far it is: a line that changes on a terminal, and lines elsewhere.
fn say(changes: bool, line: &Value) {
    let rate = line["records_per_second"].as_f64().unwrap_or_default();
    let text = format!(
        "{rate:.0} records/s, {} acknowledged, {} trucks connected, {} have told all of their past",
        line["acknowledged"], line["connected"], line["caught_up"]
    );
    if changes {
        print!("\r\x1b[K{text}");
        // It is only for whoever looks.
        let _ = std::io::stdout().flush();
    } else {
        println!("{text}");
    }
}

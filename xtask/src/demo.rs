//! `cargo xtask demo`: builds the server, starts it on an empty folder, lets devices talk to it, and shows their records
//! as they become durable.
//!
//! First come the messages that the protocols' own vectors hold, many of them captured from real devices; then a few
//! simulated devices go on until somebody stops it.

mod devices;
mod show;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

/// How long the server may take to be ready: it opens an empty folder.
const READY_TRIES: u32 = 300;
const READY_PAUSE: Duration = Duration::from_millis(100);

/// What the demo asks of history at its end.
const QUESTION: &str = "SELECT protocol, count(*) AS records, count(DISTINCT device) AS devices, \
                        count(alarm) AS alarms, min(time) AS first, max(time) AS last \
                        FROM records GROUP BY protocol ORDER BY protocol";

#[derive(Args)]
pub(crate) struct Options {
    /// Stop by itself after so many seconds of simulated devices; without it, Ctrl-C stops it
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = build()?;
    let data = PathBuf::from("demo-data");
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| format!("empty {}", data.display()))?;
    }
    let http = free_address()?;
    let ports = ["teltonika", "gt06", "wialon"].map(|protocol| Ok::<_, anyhow::Error>((protocol, free_address()?)));
    let ports = ports.into_iter().collect::<Result<Vec<_>>>()?;
    let mut server = serve(&binary, &data, http, &ports)?;
    let result = converse(&binary, &data, http, &ports, options, &mut server);
    server.stop()?;
    result
}

fn converse(
    binary: &Path,
    data: &Path,
    http: SocketAddr,
    ports: &[(&'static str, SocketAddr)],
    options: &Options,
    server: &mut Process,
) -> Result<()> {
    wait_until_ready(http, server)?;
    println!("The server is up. Health: http://{http}/healthz  metrics: http://{http}/metrics");
    for (protocol, address) in ports {
        println!("  {protocol} devices call {address}");
    }
    println!("  its data: {}  its log: {}\n", data.display(), log_path(data).display());
    println!("{}", show::HEADING);
    let mut follow = Command::new(binary);
    follow.args(["export", "records", "--follow", "--data"]).arg(data).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut follow = Process::start("odograph export", &mut follow)?;
    let lines = follow.child.stdout.take().context("the export's output is piped")?;
    let printer = std::thread::spawn(move || show::records(lines));
    let played = devices::play_vectors(ports)?;
    println!("\n{played} captured and made-up conversations were held. Simulated devices go on from here.\n");
    devices::drive(ports, options.seconds)?;
    // What was acknowledged last is on its way through the export.
    std::thread::sleep(Duration::from_secs(1));
    follow.stop()?;
    let shown = printer.join().ok().context("the printing thread panicked")?;
    println!("\n{shown} records, each durable before its device was told so, each once.");
    println!("\nHistory, asked in SQL:\n  odograph sql \"{QUESTION}\"");
    let asked = Command::new(binary).args(["sql", QUESTION, "--data"]).arg(data).status().context("ask history")?;
    ensure!(asked.success(), "history gives no answer: the server's log says why");
    println!("Look at them again:  {} export records --data {}", binary.display(), data.display());
    Ok(())
}

/// Builds the server with a profile made for this: fast to compile, fast enough to run.
fn build() -> Result<PathBuf> {
    println!("Building the server (the first time takes some fifteen minutes on two cores) …");
    let status = Command::new(env!("CARGO")).args(["build", "--profile", "demo", "--package", "odograph"]).status()?;
    ensure!(status.success(), "the server does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    Ok(target.join("demo/odograph"))
}

fn serve(binary: &Path, data: &Path, http: SocketAddr, ports: &[(&'static str, SocketAddr)]) -> Result<Process> {
    std::fs::create_dir_all(data)?;
    let log = std::fs::File::create(log_path(data))?;
    let mut command = Command::new(binary);
    command.arg("serve").arg("--data").arg(data).env("ODOGRAPH_HTTP__LISTEN", http.to_string());
    for (protocol, address) in ports {
        command.arg("--listen").arg(format!("{protocol}={address}"));
    }
    Process::start("odograph serve", command.stdout(log.try_clone()?).stderr(log))
}

fn log_path(data: &Path) -> PathBuf {
    data.join("server.log")
}

fn wait_until_ready(http: SocketAddr, server: &mut Process) -> Result<()> {
    for _ in 0..READY_TRIES {
        if is_ready(http).unwrap_or(false) {
            return Ok(());
        }
        if let Some(status) = server.child.try_wait()? {
            bail!("the server ended ({status}): its log says why");
        }
        std::thread::sleep(READY_PAUSE);
    }
    bail!("the server did not become ready: its log says why")
}

fn is_ready(http: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(http)?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

/// An address that nobody has: the usual ports may be taken by a server that is in use.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// A process of ours, which ends with us.
struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        Ok(Self { name, child: command.spawn().with_context(|| format!("start {name}"))? })
    }

    fn stop(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM).with_context(|| format!("stop {}", self.name))?;
            self.child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // If it has ended already, there is nothing to stop.
        let _ = self.stop();
    }
}

//! `cargo xtask demo`: builds everything, starts a server and a fleet of refrigerated trucks with a day of history, and says
//! where to look.
//!
//! Its data stays, so that a second time it goes on where it was. `--reset` begins anew.

mod fleet;
mod memory;
mod pages;
mod process;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use fleet::{Fleet, PROTOCOLS};
use memory::Memory;
use process::Process;

/// Where all of it is kept.
const FOLDER: &str = "demo-data";
/// How long the server may take to be ready.
const READY_TRIES: u32 = 600;
const READY_PAUSE: Duration = Duration::from_millis(100);
/// Where the interface is, unless somebody else is there.
const USUAL_ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);

/// What the demo asks of history at its end.
const QUESTION: &str = "SELECT protocol, count(*) AS records, count(DISTINCT device) AS devices, \
                        count(alarm) AS alarms, min(time) AS first, max(time) AS last \
                        FROM records GROUP BY protocol ORDER BY protocol";

#[derive(Args)]
pub(crate) struct Options {
    /// Stop by itself so many seconds after the history was sent; without it, Ctrl-C stops it
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Begin anew, with empty data
    #[arg(long)]
    reset: bool,
    /// Take this server, instead of building one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// How many trucks
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    devices: u32,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build()?,
    };
    let folder = PathBuf::from(FOLDER);
    if options.reset && folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let memory = Memory::of(&folder, options.devices)?;
    let http = TcpListener::bind(SocketAddr::from(USUAL_ADDRESS))
        .map_or_else(|_| free_address(), |_| Ok(USUAL_ADDRESS.into()))?;
    let ports = PROTOCOLS.map(|protocol| Ok::<_, anyhow::Error>((protocol, free_address()?)));
    let ports = ports.into_iter().collect::<Result<Vec<_>>>()?;
    let mut server = serve(&binary, &folder, &memory, http, &ports)?;
    let result = show(&binary, &folder, memory, http, &ports, options, &mut server);
    server.stop()?;
    result
}

fn show(
    binary: &Path,
    folder: &Path,
    memory: Memory,
    http: SocketAddr,
    ports: &[(&'static str, SocketAddr)],
    options: &Options,
    server: &mut Process,
) -> Result<()> {
    wait_until_ready(http, server, folder)?;
    fleet::introduce(binary, folder, &memory)?;
    tell(folder, &memory, http, ports);
    let mut fleet = Fleet::start(binary, folder, memory, ports)?;
    fleet.follow(options.seconds)?;
    fleet.stop()?;
    println!("\nHistory, asked in SQL:\n  odograph sql \"{QUESTION}\"");
    let mut question = odograph(binary, folder);
    let asked = question.args(["sql", QUESTION]).status().context("ask history")?;
    ensure!(asked.success(), "history gives no answer: {} says why", log_path(folder).display());
    Ok(())
}

/// Says where to look, and at what.
fn tell(folder: &Path, memory: &Memory, http: SocketAddr, ports: &[(&'static str, SocketAddr)]) {
    println!("\n  Odograph is here:  http://{http}");
    println!("  log in as          admin");
    println!("  with the password  {}\n", memory.password);
    println!(
        "{} trucks of seven cities from Hamburg to Zaragoza are on their way, most of them refrigerated, with a day of\n\
         history. They load with open doors, drive, defrost, lose their network and tell the rest later; now and then a\n\
         compressor fails. Groups are countries and cities.\n",
        memory.devices
    );
    println!("  data  {}   log  {}", data(folder).display(), log_path(folder).display());
    println!(
        "  API   http://{http}/api/v1/openapi.json   health  http://{http}/healthz   metrics  http://{http}/metrics"
    );
    for (protocol, address) in ports {
        println!("  {protocol:<10} devices call {address}");
    }
    println!("  --reset begins anew.\n");
}

/// Builds the interface, and the server with a profile made for this: fast to compile, fast enough to run.
fn build() -> Result<PathBuf> {
    pages::make()?;
    println!("Building the server (the first time takes some twenty-five minutes on two cores) …");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--profile", "demo", "--package", "odograph"]);
    crate::steps::forget_package(&mut cargo);
    ensure!(cargo.status()?.success(), "the server does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    Ok(target.join("demo/odograph"))
}

fn serve(
    binary: &Path,
    folder: &Path,
    memory: &Memory,
    http: SocketAddr,
    ports: &[(&'static str, SocketAddr)],
) -> Result<Process> {
    let log = std::fs::File::create(log_path(folder))?;
    let mut command = odograph(binary, folder);
    command.arg("serve").env("ODOGRAPH_HTTP__LISTEN", http.to_string());
    command.env("ODOGRAPH_ADMIN_PASSWORD", &memory.password);
    for (protocol, address) in ports {
        command.arg("--listen").arg(format!("{protocol}={address}"));
    }
    Process::start("odograph serve", command.stdout(log.try_clone()?).stderr(log))
}

/// A command of the server that was built, on the demo's data.
fn odograph(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env("ODOGRAPH_DATA", data(folder));
    command
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

fn wait_until_ready(http: SocketAddr, server: &mut Process, folder: &Path) -> Result<()> {
    let log = log_path(folder);
    for _ in 0..READY_TRIES {
        if is_ready(http).unwrap_or(false) {
            return Ok(());
        }
        if let Some(status) = server.ended()? {
            bail!("the server ended ({status}): {} says why", log.display());
        }
        std::thread::sleep(READY_PAUSE);
    }
    bail!("the server did not become ready: {} says why", log.display())
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

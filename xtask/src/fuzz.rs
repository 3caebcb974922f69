//! `cargo xtask fuzz`: builds the targets in `fuzz/` so that libFuzzer sees which branches are taken, and runs them.
//!
//! Neither a nightly compiler nor clang nor cargo-fuzz is needed: the stable compiler can count branches, and any C++
//! compiler can build libFuzzer. What is found, and the inputs that reached something new, stay in the build folder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{steps, workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// Run just this target: a file of fuzz/src/bin
    target: Option<String>,
    /// End each target after so many seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// End each target after so many inputs
    #[arg(long)]
    runs: Option<u64>,
    /// Begin with the seeds alone and go the same way each time; quiet, and skipped without a C++ compiler
    #[arg(long)]
    smoke: bool,
    /// Try just this file: what an earlier run found
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !has_cxx() {
        let missing = "libFuzzer needs a C++ compiler: on Debian, apt install g++";
        ensure!(options.smoke, "{missing}");
        println!("skipped: {missing}. Blind searches of the same targets run in `cargo test`");
        return Ok(());
    }
    let mut targets = targets()?;
    if let Some(wanted) = &options.target {
        ensure!(targets.contains(wanted), "there is no target `{wanted}`: there are {}", targets.join(", "));
        targets.retain(|target| target == wanted);
    }
    let folder = workspace::metadata()?.target_directory.join("fuzz");
    let programs = build(&folder)?;
    seed(&folder)?;
    for target in &targets {
        fuzz(target, &programs.join(target), &folder, options)?;
    }
    Ok(())
}

fn fuzz(target: &str, program: &Path, folder: &Path, options: &Options) -> Result<()> {
    let mut command = Command::new(program);
    let found = folder.join("found").join(target);
    fs::create_dir_all(&found)?;
    command.arg(format!("-artifact_prefix={}/", found.display()));
    command.args(BOUNDS).arg(format!("-max_total_time={}", options.seconds));
    command.args(options.runs.map(|runs| format!("-runs={runs}")));
    let seeds = folder.join("seeds").join(target);
    match &options.input {
        Some(input) => drop(command.arg(input)),
        None if options.smoke => drop(command.arg("-seed=1").arg(format!("-seed_inputs=@{}", list(&seeds)?.display()))),
        None => {
            let corpus = folder.join("corpus").join(target);
            fs::create_dir_all(&corpus)?;
            command.arg(corpus).arg(seeds);
        }
    }
    if !options.smoke {
        println!("── {target}");
        command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    }
    let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{said}{target} fails ({}); to repeat it: cargo xtask fuzz {target} --input FILE", output.status);
    }
    if options.smoke {
        let inputs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        println!("{target}: {} inputs", inputs.context("the fuzzer does not say what it did")?.trim());
    }
    Ok(())
}

/// The names of the targets, sorted.
fn targets() -> Result<Vec<String>> {
    let files = fs::read_dir(workspace::root().join("fuzz/src/bin"))?;
    let paths: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    let names = paths.iter().filter_map(|path| path.file_stem()?.to_str());
    let mut names: Vec<String> = names.map(ToOwned::to_owned).collect();
    names.sort_unstable();
    Ok(names)
}

/// Builds all targets; says where they are.
fn build(folder: &Path) -> Result<PathBuf> {
    let root = workspace::root();
    lock(&root.join("Cargo.lock"), &root.join("fuzz/Cargo.lock"))?;
    let host = host()?;
    let mut command = Command::new("cargo");
    command.current_dir(root.join("fuzz")).args(["build", "--quiet", "--bins"]);
    // With a target named, the flags are not for build scripts, which know nothing of libFuzzer.
    command.args(["--target", &host, "--target-dir"]).arg(folder);
    command.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    steps::forget_package(&mut command);
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "the targets do not build ({status})");
    Ok(folder.join(host).join("debug"))
}

/// The targets are built with the versions that everything else has: their lock is this workspace's, to which cargo
/// adds libFuzzer.
fn lock(ours: &Path, theirs: &Path) -> Result<()> {
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
    if changed(theirs).is_ok_and(|theirs| changed(ours).is_ok_and(|ours| ours < theirs)) {
        return Ok(());
    }
    fs::copy(ours, theirs).context("cannot write fuzz/Cargo.lock")?;
    Ok(())
}

fn host() -> Result<String> {
    let version = workspace::output_of(Command::new("rustc").arg("-vV"))?;
    let version = String::from_utf8(version).context("rustc says something unexpected")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say for which machine it is")?.to_owned())
}

/// Writes the inputs to begin with.
fn seed(folder: &Path) -> Result<()> {
    let mut command = Command::new("cargo");
    command.current_dir(workspace::root());
    command.args(["run", "--quiet", "--package", "odograph-simtest", "--example", "seeds", "--"]);
    command.arg("crates/protocols/src/devices").arg(folder.join("seeds"));
    steps::forget_package(&mut command);
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "the seeds cannot be written ({status})");
    Ok(())
}

/// Writes the paths of the files in a folder, as libFuzzer takes them; says where.
fn list(folder: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(folder)?;
    let mut paths = files.map(|file| Ok(file?.path().display().to_string())).collect::<Result<Vec<_>>>()?;
    paths.sort_unstable();
    let list = folder.with_extension("list");
    fs::write(&list, paths.join(","))?;
    Ok(list)
}

/// Whether there is what libFuzzer's build asks for.
fn has_cxx() -> bool {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    Command::new(compiler).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Counts branches, and shows libFuzzer what is compared with what.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// No input takes as long as ten seconds or as much as a gibibyte; longer ones than these show nothing that shorter
/// ones do not.
const BOUNDS: &[&str] = &["-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"];

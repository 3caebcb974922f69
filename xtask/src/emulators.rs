//! What tests need beside us. Object stores, each in one fixed version, in the cache of [`tools`]: one that speaks S3, from
//! PyPI, and one that speaks Azure's protocol, from npm. A balancer, HAProxy, a database, PostgreSQL, systemd, which looks at its units,
//! and a browser, Chromium, from the system. The tests start and end them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::tools;

/// The variables by which tests find them, with the programs, which are installed if they are missing.
///
/// Their names do not begin with `ODOGRAPH_`: what does is the server's configuration, and it warns of what it does not know.
pub(crate) fn installed() -> Result<Vec<(&'static str, PathBuf)>> {
    let moto = install(&format!("moto-{MOTO_VERSION}"), "bin/moto_server", moto)?;
    let azurite = install(&format!("azurite-{AZURITE_VERSION}"), "node_modules/.bin/azurite-blob", azurite)?;
    let mut all = vec![("TEST_EMULATOR_MOTO", moto), ("TEST_EMULATOR_AZURITE", azurite)];
    all.extend(of_system("haproxy", HAPROXY_PLACES).map(|program| ("TEST_HAPROXY", program)));
    all.extend(postgres().map(|folder| ("TEST_POSTGRES", folder)));
    all.extend(of_system("systemd", SYSTEMD_PLACES).map(|program| ("TEST_SYSTEMD", program)));
    Ok(all)
}

/// The browser that looks at the pages.
pub(crate) fn chromium() -> Option<PathBuf> {
    of_system("chromium", CHROMIUM_PLACES)
}

/// A program that comes with the system or as a package of it. The tests that need it are left out where there is none: to install
/// it takes root.
fn of_system(package: &str, places: &[&str]) -> Option<PathBuf> {
    let find = || places.iter().map(PathBuf::from).find(|path| path.exists());
    find().or_else(|| {
        if let Err(error) = apt(&[package]) {
            println!("no test with {package}: {error:#}");
        }
        find()
    })
}

/// The folder of PostgreSQL's programs. Its package would begin a database of its own, which nobody needs here.
fn postgres() -> Option<PathBuf> {
    let find = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let mut folders: Vec<_> = versions.flatten().map(|version| version.path().join("bin")).collect();
        folders.retain(|folder| folder.join("initdb").exists());
        folders.sort();
        folders.pop()
    };
    find().or_else(|| {
        let installed = apt(&["postgresql-common"])
            .and_then(|()| std::fs::write(CREATE_CLUSTER, "create_main_cluster = false\n").context(CREATE_CLUSTER))
            .and_then(|()| apt(&["postgresql"]));
        if let Err(error) = installed {
            println!("no test with postgresql: {error:#}");
        }
        find()
    })
}

const HAPROXY_PLACES: &[&str] = &["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/local/bin/haproxy"];
const CHROMIUM_PLACES: &[&str] = &["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const SYSTEMD_PLACES: &[&str] = &["/usr/bin/systemd-analyze", "/bin/systemd-analyze"];
const CREATE_CLUSTER: &str = "/etc/postgresql-common/createcluster.conf";

fn install(name: &str, program: &str, fill: fn(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = tools::cache()?.join("tools").join(name);
    // Written last: what was interrupted is done again.
    let complete = folder.join("complete");
    if !complete.exists() {
        println!("installing {name} into {}", folder.display());
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fill(&folder)?;
        ensure!(folder.join(program).exists(), "{name} was installed and has no {program}");
        std::fs::write(&complete, "").with_context(|| format!("cannot write {}", complete.display()))?;
    }
    Ok(folder.join(program))
}

fn moto(folder: &Path) -> Result<()> {
    let made = |quiet| run(Command::new("python3").args(["-m", "venv"]).arg(folder).stdout(quiet));
    // Debian has this module in a package of its own, and without it leaves half a folder.
    if made(Stdio::null()).is_err() {
        apt(&["python3-venv"])?;
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    }
    let pip = folder.join("bin").join("pip");
    run(Command::new(pip).args(["--quiet", "--disable-pip-version-check", "install"]).args(MOTO_PACKAGES))
}

fn azurite(folder: &Path) -> Result<()> {
    let package = format!("azurite@{AZURITE_VERSION}");
    run(Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(folder)
        .arg(package))
}

fn apt(packages: &[&str]) -> Result<()> {
    let package = packages.join(" ");
    println!("installing {package}");
    let mut install = Command::new("apt-get");
    let install = install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null());
    if run(install).is_ok() {
        return Ok(());
    }
    // Its list of packages may be old, or none.
    run(Command::new("apt-get").arg("update").stdout(Stdio::null()))?;
    run(install).with_context(|| format!("install {package} by hand, as root, and try again"))
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        bail!("{program} ended with {status}: is the package registry within reach?");
    }
    Ok(())
}

const MOTO_VERSION: &str = "5.2.5";
/// With the web server that it needs and does not bring.
const MOTO_PACKAGES: [&str; 3] = ["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"];
const AZURITE_VERSION: &str = "3.35.0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_is_named_everywhere() {
        assert_eq!(MOTO_PACKAGES[0], format!("moto[s3]=={MOTO_VERSION}"));
    }
}

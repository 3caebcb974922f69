//! A PostgreSQL server of our own, which ends with this process, however that ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, of which each test has a database.
struct Server {
    folder: PathBuf,
    // Its standard input: when that closes, which it does at the end of this process, the server ends.
    _child: Child,
}

/// The address of a new database. `None` where `cargo xtask test`, which installs the server, does not run the test.
pub(crate) async fn new_database() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let server = SERVER.get_or_init(start).as_ref()?;
    let url = |database: &str| format!("postgres://catalog@localhost/{database}?host={}", server.folder.display());
    sqlx::any::install_default_drivers();
    let mut connection = connect(&url("postgres")).await;
    let name = format!("catalog{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut connection).await.expect("a database is made");
    connection.close().await.expect("it closes");
    Some(url(&name))
}

async fn connect(url: &str) -> sqlx::AnyConnection {
    let connecting = async {
        loop {
            match sqlx::AnyConnection::connect(url).await {
                Ok(connection) => return connection,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, connecting).await.expect("the server answers")
}

fn start() -> Option<Server> {
    let Ok(programs) = std::env::var("TEST_POSTGRES") else {
        eprintln!("left out: TEST_POSTGRES names no server; `cargo xtask test --only test` installs it");
        return None;
    };
    let folder = TempDir::with_prefix("catalog-").expect("a folder").keep();
    let programs = Path::new(&programs);
    // Ordered by the rules of a language, as many servers are: the catalog must not depend on it.
    let script = "initdb=$1; server=$2; folder=$3; \
        $initdb -D $folder/data -U catalog -A trust -E UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US \
            --no-sync >$folder/log 2>&1 || exit 1; \
        $server -D $folder/data -k $folder -c listen_addresses= -c fsync=off >>$folder/log 2>&1 & \
        cat >$folder/never; kill -INT $!; wait $!; rm -rf $folder";
    let mut command = as_somebody(&folder);
    command.args(["sh", "-c", script, "sh"]).arg(programs.join("initdb")).arg(programs.join("postgres")).arg(&folder);
    let child = command.stdin(Stdio::piped()).spawn().expect("sh starts");
    Some(Server { folder, _child: child })
}

/// PostgreSQL does not run as root: then it runs as the user that its package made.
fn as_somebody(folder: &Path) -> Command {
    let is_root = Command::new("id").arg("-u").output().expect("id runs").stdout.starts_with(b"0\n");
    if !is_root {
        return Command::new("env");
    }
    let given = Command::new("chown").arg("postgres").arg(folder).status().expect("chown runs");
    assert!(given.success(), "there is a user for the server");
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]);
    command
}

//! The password that the first start makes for the user `admin`: a terminal shows it. Where there is none, what is printed is kept, and
//! read by others; there it goes into a file of the data folder, for as long as it is the user's.

use odograph_catalog::{Catalog, Error, Secret};
use odograph_env::{Disk as _, LocalDisk};
use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tells it, once.
pub(super) fn tell(made: &Secret, file: &Path) {
    if io::stdout().is_terminal() {
        // Not into the log, which others may read: to whoever started the server.
        println!("Sign in as `admin` with the password {} (it is shown this once).", made.reveal());
        return;
    }
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    match keep(made.reveal(), &file) {
        Ok(()) => tracing::warn!(
            file = %file.display(),
            "sign in as `admin` with the password in this file, and give that user another one: then the file goes"
        ),
        Err(error) => tracing::error!(
            file = %file.display(), %error,
            "the password of the user `admin` cannot be kept in this file: `odograph user password admin` makes another one"
        ),
    }
}

/// Puts it into a new file, which its owner alone can read.
fn keep(password: &str, file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    made.write_all(format!("{password}\n").as_bytes())?;
    // The catalog has the user already, and keeps it over a power cut.
    LocalDisk.open(file)?.sync()?;
    file.parent().map_or(Ok(()), |folder| LocalDisk.sync_folder(folder))
}

/// Whether this is a password as the first start makes it, and no file of somebody else.
fn is_made(text: &str) -> bool {
    let one = text.trim_end();
    !one.contains(char::is_whitespace) && one.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

/// Removes the file once the user has another password, whoever set it.
pub(super) async fn tidy(catalog: Catalog, file: PathBuf) {
    while let Some(password) = std::fs::read_to_string(&file).ok().filter(|text| is_made(text)) {
        match is_needed(&catalog, password.trim_end(), &file).await {
            Ok(false) => return,
            // It is looked at again: the catalog may be on another machine.
            Ok(true) | Err(_) => tokio::time::sleep(EVERY).await,
        }
    }
}

/// Whether the password is still the user's. If it is not, the file is removed.
async fn is_needed(catalog: &Catalog, password: &str, file: &Path) -> Result<bool, Error> {
    if catalog.is_admin_password(password).await? {
        return Ok(true);
    }
    match std::fs::remove_file(file) {
        Ok(()) => tracing::info!(file = %file.display(), "the user `admin` has another password: this file is removed"),
        Err(error) => tracing::warn!(file = %file.display(), %error, "remove this file: its password holds no more"),
    }
    Ok(false)
}

/// To look takes some tens of milliseconds of a core.
const EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_catalog::{ADMIN, Access};
    use odograph_env::{SystemClock, SystemRng};
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    #[tokio::test]
    async fn the_file_is_its_owners_alone_and_goes_with_the_password() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("catalog.sqlite").display());
        let catalog = Catalog::open(&url, Arc::new(SystemClock::new()), Arc::new(SystemRng)).await.expect("a catalog");
        let made = catalog.ensure_admin(None).await.expect("a catalog").expect("the first user");
        let file = folder.path().join("admin-password");
        // What somebody left there.
        std::fs::write(&file, "old").expect("a file");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("a file");
        keep(made.reveal(), &file).expect("a file");
        let text = std::fs::read_to_string(&file).expect("a file");
        assert_eq!(text, format!("{}\n", made.reveal()));
        assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(is_needed(&catalog, text.trim_end(), &file).await.expect("a catalog"));
        assert!(file.exists());
        catalog.reset_password(&Access::owner("default"), ADMIN, None).await.expect("another one");
        // It ends by itself.
        tidy(catalog.clone(), file.clone()).await;
        assert!(!file.exists());
        std::fs::write(&file, "ODOGRAPH_ADMIN_PASSWORD=else\n").expect("a file");
        tidy(catalog, file.clone()).await;
        assert!(file.exists(), "it is of somebody else");
    }
}

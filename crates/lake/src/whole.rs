//! Whether the files of all tables are as they were written.

use crate::Error;
use crate::checksum::Kept;
use crate::lake::Lake;
use crate::place::{Place, TablePlace};
use crate::shape::Shape;
use crate::table::Table;

/// How the files of all tables are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedFiles {
    /// Files that are as they were written.
    pub sound: u64,
    /// Files that are there, and were written without a checksum: by an earlier version, or by somebody else.
    pub unchecked: u64,
    /// Files that are not as they were written, or not there.
    pub damaged: Vec<DamagedFile>,
}

/// A file that is not as it was written, or not there; or a table's log that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedFile {
    /// Whose it is.
    pub tenant: String,
    /// Of which table.
    pub table: &'static str,
    /// Where it is.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

impl Lake {
    /// Reads all files of all tables at a place, also while a server writes there, and compares them with what was written.
    ///
    /// # Errors
    ///
    /// When that cannot be told now. What is damaged is no error.
    pub fn check_files(place: &Place) -> Result<CheckedFiles, Error> {
        let lake = Self::start(place.clone())?;
        lake.ask(async {
            let mut checked = CheckedFiles::default();
            for (tenant, shape) in place.tables().await? {
                checked.add(&tenant, shape, place.table(&tenant, shape)?).await?;
            }
            Ok(checked)
        })
    }
}

impl CheckedFiles {
    async fn add(&mut self, tenant: &str, shape: &'static Shape, at: TablePlace) -> Result<(), Error> {
        let (name, since, place) = (at.name.clone(), at.place.failures(), at.place.clone());
        let damaged = |file: String, error: &Error| DamagedFile {
            tenant: tenant.to_owned(),
            table: shape.name,
            file,
            why: error.line(),
        };
        // Whose it is does not matter: nothing is written.
        let found = match Table::find(at.clone(), 0, shape).await {
            Ok(None) => {
                at.remains().await?.map_or(Ok(None), |found| Err(Error::LogLost { table: name.clone(), found }))
            }
            found => found,
        };
        let table = match found.map_err(|error| place.explained(since, error)) {
            Ok(Some(table)) => table,
            Ok(None) => return Ok(()),
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                self.damaged.push(damaged(format!("{name}/_delta_log"), &error));
                return Ok(());
            }
        };
        let mut passing = None;
        let each = |file: &object_store::ObjectMeta, kept: Result<Kept, Error>| match kept {
            Ok(Kept::AsWritten) => self.sound += 1,
            Ok(Kept::Unchecked) => self.unchecked += 1,
            Err(error) => match place.explained(since, error) {
                error if error.may_pass() => passing = Some(error),
                Error::Damaged { file, why } => {
                    let file = place.whole_name(&file);
                    self.damaged.push(DamagedFile { tenant: tenant.to_owned(), table: shape.name, file, why });
                }
                error => self.damaged.push(damaged(place.whole_name(file.location.as_ref()), &error)),
            },
        };
        table.provider()?.check(each).await;
        passing.map_or(Ok(()), Err)
    }
}

//! One hub for each SQLite file: what a hub remembers of its database is only true while nobody else changes it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::errors::StartError;

/// Held by the hub that uses the file. The system lets go of it when the process ends, however it ends. Commands that run
/// beside a hub, such as a backup, take none.
#[derive(Debug)]
pub(super) struct HubLock(#[expect(dead_code, reason = "the lock is held as long as the file is open")] File);

impl HubLock {
    /// Takes the lock of the database in the file `database`, whose folder is there. `None` on a filesystem without locks.
    ///
    /// # Errors
    /// When another hub has it, with the process's id.
    pub(super) fn take(database: &Path) -> Result<Option<Self>, StartError> {
        let mut name = OsString::from(database);
        name.push(".lock");
        let path = PathBuf::from(name);
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false);
        let mut file = open.open(&path).map_err(|error| StartError::Database {
            place: format!("the lock {}", path.display()),
            cause: error.to_string(),
        })?;
        match file.try_lock() {
            Ok(()) => {
                // For whoever comes second; a full disk is no reason not to start.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                Ok(Some(Self(file)))
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
                let holder = text.trim().parse().ok();
                Err(StartError::InUse { database: database.to_owned(), holder })
            }
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, path = %path.display(), "no lock here: nothing keeps a second hub from this database");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is_and_the_third_comes_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.sqlite");
        let first = HubLock::take(&database).unwrap();
        assert!(first.is_some());
        let second = HubLock::take(&database).unwrap_err().to_string();
        assert!(second.contains(&format!("another hub (process {})", std::process::id())), "{second}");
        assert!(second.contains("x.sqlite"), "{second}");
        drop(first);
        HubLock::take(&database).unwrap();
    }
}

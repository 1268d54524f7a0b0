//! The folder of the demo's data.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Folder of the demo's data. A temporary one is removed when this is dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Removed,
}

impl DataDir {
    /// A folder that stays; the hub makes it when it is absent.
    pub(super) fn kept(path: PathBuf) -> Self {
        Self { path, fate: Fate::Kept }
    }

    /// A new folder among the system's temporary ones, for this user only: it will hold secrets.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn temporary() -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("bellhop-demo-{}", Uuid::new_v4().simple()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, fate: Fate::Removed })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.fate == Fate::Removed
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "the demo's folder could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_for_its_user_only_and_goes_with_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = DataDir::temporary().unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), "x").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_was_named_stays() {
        let outer = DataDir::temporary().unwrap();
        drop(DataDir::kept(outer.path().to_owned()));
        assert!(outer.path().exists());
    }
}

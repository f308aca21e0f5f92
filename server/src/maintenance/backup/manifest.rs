//! The last file of a backup, which says that it is complete.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::explanations;
use super::tree::{MANIFEST_FILE, restrict};

/// The only format so far.
const FORMAT: u32 = 1;

/// The description of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version of the layout.
    format: u32,
    /// The version of the program that wrote it.
    version: String,
    /// The moment whose state it has.
    pub(super) created_at: Timestamp,
    /// The number of its other files, by name.
    names: u64,
}

impl Manifest {
    pub(super) fn new(created_at: Timestamp, names: usize) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
            names: names as u64,
        }
    }

    /// Writes it into the folder of its backup.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(MANIFEST_FILE);
        fs_err::write(&path, format!("{}\n", serde_json::to_string(self)?))?;
        restrict(&path)?;
        Ok(())
    }

    /// Reads one, and checks that the backup has as many files as it says.
    ///
    /// # Errors
    /// When it is not a manifest, of a newer version, or files are missing.
    pub(super) fn check(text: &[u8], names: usize) -> anyhow::Result<Self> {
        let manifest: Self = serde_json::from_slice(text)
            .map_err(|error| explanations::damaged_manifest(MANIFEST_FILE, &error))?;
        anyhow::ensure!(
            manifest.format == FORMAT,
            explanations::other_format(manifest.format, FORMAT, &manifest.version)
        );
        anyhow::ensure!(
            manifest.names == names as u64,
            explanations::missing_files(names, manifest.names)
        );
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_incomplete_and_newer_backups() {
        let whole = serde_json::to_vec(&Manifest::new(Timestamp::UNIX_EPOCH, 3)).unwrap();
        assert!(Manifest::check(&whole, 3).is_ok());
        let cut = Manifest::check(&whole, 2).unwrap_err().to_string();
        assert!(cut.contains("2 files instead of 3"), "{cut}");
        let mut newer = Manifest::new(Timestamp::UNIX_EPOCH, 3);
        newer.format = 2;
        let newer = serde_json::to_vec(&newer).unwrap();
        let refused = Manifest::check(&newer, 3).unwrap_err().to_string();
        assert!(refused.contains("format 2"), "{refused}");
        assert!(Manifest::check(b"{}", 3).is_err());
    }
}

//! The file that `buildbtw login` writes: the URL of the server and a token, readable by its owner only.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use buildbtw_model::settings;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The contents of the file.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedLogin {
    /// The URL of the server.
    pub(crate) server: Option<String>,
    /// A token of that server; never sent to another one.
    pub(crate) token: Option<String>,
    /// File of certificate authorities that are trusted for that server only.
    pub(crate) ca: Option<PathBuf>,
}

impl SavedLogin {
    /// Returns the path of the file, or `None` without a home folder.
    pub(crate) fn default_path() -> Option<PathBuf> {
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let folder =
            absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
        Some(folder.join("buildbtw/config.toml"))
    }

    /// Reads the file; a missing one is an empty login.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        match settings::read(path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                Error::with_hint(
                    format!("cannot parse `{}`: {}", path.display(), error.message()),
                    "`buildbtw login` replaces the file",
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::with_hint(
                format!("cannot read `{}`: {error}", path.display()),
                "`buildbtw login` wrote this file; fix its permissions, or set XDG_CONFIG_HOME",
            )),
        }
    }

    /// Replaces the file.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(|error| Error::new(error.to_string()))?;
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let mut file = PrivateFile::create(path)?;
        file.write(&text)?;
        file.finish()
    }
}

/// A file that only its owner can read, moved to its path when it is complete.
pub(crate) struct PrivateFile {
    path: PathBuf,
    new: PathBuf,
    file: fs_err::File,
}

impl PrivateFile {
    /// Creates a temporary file next to the path, which shows that the file can be written.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let new = path.with_file_name(name);
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create_new(true);
        options.options_mut().mode(0o600);
        let file = options.open(&new).map_err(|error| {
            Error::with_hint(
                format!("cannot write `{}`: {}", path.display(), error.kind()),
                "check that the folder exists and is writable",
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            new,
            file,
        })
    }

    /// Appends a text.
    pub(crate) fn write(&mut self, text: &str) -> Result<()> {
        Ok(self.file.write_all(text.as_bytes())?)
    }

    /// Moves the file to its path.
    pub(crate) fn finish(self) -> Result<()> {
        self.file.sync_all()?;
        Ok(fs_err::rename(&self.new, &self.path)?)
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        // It is still there only if writing or renaming failed.
        let _ = fs_err::remove_file(&self.new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn saves_login_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.toml");
        assert!(SavedLogin::load(&path).unwrap() == SavedLogin::default());
        let saved = SavedLogin {
            server: Some("http://x".into()),
            token: Some("secret".into()),
            ca: Some("/etc/ca.pem".into()),
        };
        saved.save(&path).unwrap();
        saved.save(&path).unwrap();
        assert!(SavedLogin::load(&path).unwrap() == saved);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = path.parent().unwrap().read_dir().unwrap().count();
        assert_eq!(files, 1);
    }

    #[test]
    fn names_damaged_login_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs_err::write(&path, "server = [").unwrap();
        let error = SavedLogin::load(&path).err().unwrap().to_string();
        assert!(error.contains("config.toml"), "{error}");
    }
}

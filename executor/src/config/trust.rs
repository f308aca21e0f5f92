//! Reads the settings for the root side, which trusts only files that no other user can write.

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use buildbtw_model::Explanation;

use super::{Config, DEFAULT_PATH, PATH_VARIABLE};
use crate::explanations;

/// Far more than the size of any settings.
const MAX_BYTES: u64 = 1 << 20;

/// Loads the settings for the root side. When sudo started it, an ordinary user chose the environment, so only
/// the default path is accepted.
pub(crate) fn load() -> anyhow::Result<Config> {
    let by_sudo = std::env::var("SUDO_UID").is_ok_and(|uid| uid != "0");
    let named = std::env::var_os(PATH_VARIABLE).filter(|_| !by_sudo);
    let path = named.map_or_else(|| PathBuf::from(DEFAULT_PATH), PathBuf::from);
    let context = || format!("cannot load the settings in `{}`", path.display());
    Config::parse(&read(&path).with_context(context)?).with_context(context)
}

fn read(path: &Path) -> anyhow::Result<String> {
    ensure!(
        path.is_absolute(),
        explanations::relative_settings(PATH_VARIABLE)
    );
    let path = fs_err::canonicalize(path)?;
    if let Some(folder) = path.parent() {
        check_folders(folder)?;
    }
    let file = fs_err::File::open(&path)?;
    // Of the open file: the path could lead to another one by now.
    let metadata = file.metadata()?;
    ensure!(metadata.is_file(), explanations::irregular_settings());
    check(&path, &metadata, false)?;
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Checks that the root side would trust the settings in a file.
pub(crate) fn check_file(path: &Path) -> anyhow::Result<()> {
    read(path).map(drop)
}

/// Checks that no user but root and this one can replace the folder or one above it.
pub(crate) fn check_folders(folder: &Path) -> anyhow::Result<()> {
    for folder in folder.ancestors() {
        let metadata = fs_err::symlink_metadata(folder)?;
        ensure!(metadata.is_dir(), "`{}` is not a folder", folder.display());
        check(folder, &metadata, true)?;
    }
    Ok(())
}

fn check(path: &Path, metadata: &Metadata, is_folder: bool) -> Result<(), Explanation> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let (mode, owner) = (metadata.mode(), metadata.uid());
    let own = nix::unistd::geteuid().as_raw();
    if owner != 0 && owner != own {
        return Err(explanations::untrusted_owner(path, owner));
    }
    // In a sticky folder like /tmp, others can add files but not replace those of root.
    let is_sticky = is_folder && mode & STICKY != 0;
    if mode & WRITABLE_BY_OTHERS != 0 && !is_sticky {
        return Err(explanations::untrusted_mode(path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn rejects_config_writable_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let folder = fs_err::canonicalize(folder.path()).unwrap();
        let file = folder.join("executor.toml");
        fs_err::write(&file, "server = 'x'").unwrap();
        let chmod = |path: &Path, mode| {
            fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        chmod(&file, 0o644);
        read(&file).unwrap();
        chmod(&file, 0o664);
        assert!(read(&file).unwrap_err().to_string().contains("go-w"));
        chmod(&file, 0o644);
        chmod(&folder, 0o777);
        assert!(read(&file).unwrap_err().to_string().contains("go-w"));
        assert!(read(Path::new("executor.toml")).is_err());
        chmod(&folder, 0o755);
        assert!(read(&folder).is_err());
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
            let error = read(&file).unwrap_err().to_string();
            assert!(error.contains("12345"), "{error}");
        }
    }
}

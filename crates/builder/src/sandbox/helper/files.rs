//! Operations on a tree that no other process changes at the moment, but that may contain symlinks to
//! anywhere.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;

use fs_err as fs;

/// Changes the owner of a tree, without following symlinks.
pub(super) fn chown_tree(path: &Path, id: u32) -> io::Result<()> {
    lchown(path, Some(id), Some(id))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            chown_tree(&entry?.path(), id)?;
        }
    }
    Ok(())
}

/// Copies a tree: folders, files and symlinks are preserved; devices, sockets and pipes are an error.
pub(super) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        make_dir(to, 0o755)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if kind.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device() {
        return Err(io::Error::other(format!(
            "{} is neither a file, a folder nor a symlink",
            from.display()
        )));
    }
    fs::copy(from, to).map(drop)
}

/// Copies a tree if it exists.
pub(super) fn copy_if_exists(from: &Path, to: &Path) -> io::Result<()> {
    match fs::symlink_metadata(from) {
        Ok(_) => copy_tree(from, to),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The file with all certificate authorities of a machine.
const CERTIFICATES: &str = "ca-certificates.crt";
/// The same for Java, to which Java packages of Debian link.
const JAVA: &str = "java/cacerts";

/// Copies a machine's certificate authorities to the paths of Debian and Arch: the file with all of them, and
/// the links to those of packages. Other files in the folder belong to the host itself.
pub(super) fn copy_certificates(from: &Path, etc: &Path) -> io::Result<()> {
    for folder in ["ssl", "ssl/certs"] {
        make_dir(&etc.join(folder), 0o755)?;
    }
    if !fs::exists(from.join(CERTIFICATES))? {
        return Ok(());
    }
    let to = etc.join("ssl/certs");
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == CERTIFICATES {
            fs::copy(entry.path(), to.join(name))?;
        } else if entry.file_type()?.is_symlink() {
            symlink(fs::read_link(entry.path())?, to.join(name))?;
        }
    }
    if fs::symlink_metadata(from.join(JAVA)).is_ok_and(|found| found.is_file()) {
        make_dir(&to.join("java"), 0o755)?;
        fs::copy(from.join(JAVA), to.join(JAVA))?;
    }
    for folder in ["ca-certificates", "ca-certificates/extracted"] {
        make_dir(&etc.join(folder), 0o755)?;
    }
    let bundle = etc.join("ca-certificates/extracted/tls-ca-bundle.pem");
    symlink("../../ssl/certs/ca-certificates.crt", bundle)?;
    symlink("certs/ca-certificates.crt", etc.join("ssl/cert.pem"))
}

/// Creates a folder with exactly this mode; keeps an existing one.
pub(super) fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_certificate_authorities_without_host_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("certs");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("snakeoil.pem"), "the machine's").unwrap();
        symlink("/usr/share/ca-certificates/a.crt", from.join("a.pem")).unwrap();
        let etc = folder.path().join("etc");
        fs::create_dir(&etc).unwrap();
        copy_certificates(&from, &etc).unwrap();
        assert!(!fs::exists(etc.join("ssl/cert.pem")).unwrap());

        fs::write(from.join(CERTIFICATES), "all").unwrap();
        fs::create_dir(from.join("java")).unwrap();
        fs::write(from.join(JAVA), "all").unwrap();
        copy_certificates(&from, &etc).unwrap();
        for name in [
            "ssl/certs/ca-certificates.crt",
            "ssl/certs/java/cacerts",
            "ssl/cert.pem",
            "ca-certificates/extracted/tls-ca-bundle.pem",
        ] {
            assert_eq!(fs::read_to_string(etc.join(name)).unwrap(), "all");
        }
        assert!(fs::read_link(etc.join("ssl/certs/a.pem")).is_ok());
        assert!(!fs::exists(etc.join("ssl/certs/snakeoil.pem")).unwrap());
    }

    #[test]
    fn copies_symlinks_as_symlinks() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::write(from.join("sub/file"), "x").unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        let to = folder.path().join("to");
        copy_tree(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("sub/file")).unwrap(), "x");
        assert_eq!(
            fs::read_link(to.join("link")).unwrap(),
            Path::new("/etc/passwd")
        );
    }
}

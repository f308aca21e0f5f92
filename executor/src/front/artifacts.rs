//! Writes packages to the job's own folder, from which the runner uploads artifacts. The job's scripts may have
//! created links there, which are not followed.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, ensure};
use buildbtw_builder::RunAs;
use buildbtw_model::PackageFileName;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};

use crate::explanations;

/// The folder of the artifacts, below the project's folder.
const FOLDER: &str = "buildbtw";

/// The folder that artifacts are written to.
#[derive(Debug)]
pub(super) struct Artifacts {
    folder: OwnedFd,
    owner: Option<RunAs>,
    current: Option<File>,
}

impl Artifacts {
    /// Creates the folder. The project must be below `builds`.
    pub(super) fn create(
        builds: &Path,
        project: &Path,
        owner: Option<RunAs>,
    ) -> anyhow::Result<Self> {
        let below = project.strip_prefix(builds).map(Path::to_owned);
        let below = below.unwrap_or_else(|_| PathBuf::from(".."));
        let is_plain = below
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        ensure!(is_plain, explanations::foreign_project(project, builds));
        let mut folder = open(builds, folder_flags(), Mode::empty())
            .with_context(|| format!("cannot open `{}`", builds.display()))?;
        for part in below.iter().chain([FOLDER.as_ref()]) {
            folder = open_or_create_dir(&folder, part.as_ref(), owner).with_context(|| {
                format!(
                    "cannot create the folder {part:?} in `{}`",
                    project.display()
                )
            })?;
        }
        Ok(Self {
            folder,
            owner,
            current: None,
        })
    }

    /// Writes a file with this text.
    pub(super) fn add(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.create_file(name)?.write_all(text.as_bytes())
    }

    /// Creates the file of a package.
    pub(super) fn begin(&mut self, name: &PackageFileName) -> io::Result<()> {
        self.current = Some(self.create_file(name.as_str())?);
        Ok(())
    }

    /// Appends to the file of the current package.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.current {
            Some(file) => file.write_all(bytes),
            None => Err(io::Error::other("package data came before its name")),
        }
    }

    fn create_file(&self, name: &str) -> io::Result<File> {
        // A file of this name was created by the job.
        let _ = unlinkat(&self.folder, name, UnlinkatFlags::NoRemoveDir);
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::from_bits_truncate(0o644))?;
        set_owner(&file, self.owner)?;
        Ok(file.into())
    }
}

fn folder_flags() -> OFlag {
    OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn open_or_create_dir(parent: &OwnedFd, name: &Path, owner: Option<RunAs>) -> io::Result<OwnedFd> {
    let is_new = match mkdirat(parent, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) => true,
        Err(nix::Error::EEXIST) => false,
        Err(error) => return Err(error.into()),
    };
    let folder = openat(parent, name, folder_flags(), Mode::empty())?;
    if is_new {
        set_owner(&folder, owner)?;
    }
    Ok(folder)
}

fn set_owner(file: &OwnedFd, owner: Option<RunAs>) -> io::Result<()> {
    if let Some(RunAs { uid, gid }) = owner {
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_artifacts_below_the_project_folder() {
        let folder = tempfile::tempdir().unwrap();
        let builds = folder.path().join("builds");
        fs_err::create_dir_all(builds.join("g")).unwrap();
        fs_err::create_dir(folder.path().join("outside")).unwrap();
        let mut artifacts = Artifacts::create(&builds, &builds.join("g/demo"), None).unwrap();
        artifacts.add("packages.txt", "one\n").unwrap();
        artifacts.add("packages.txt", "two\n").unwrap();
        let written = fs_err::read_to_string(builds.join("g/demo/buildbtw/packages.txt")).unwrap();
        assert_eq!(written, "two\n");

        std::os::unix::fs::symlink(folder.path().join("outside"), builds.join("link")).unwrap();
        for project in [
            builds.join("../outside"),
            builds.join("link"),
            builds.join("link/x"),
            folder.path().join("outside"),
            PathBuf::from("/etc"),
            PathBuf::from("g/demo"),
        ] {
            assert!(
                Artifacts::create(&builds, &project, None).is_err(),
                "{project:?}"
            );
        }
        let outside = folder.path().join("outside");
        assert_eq!(outside.read_dir().unwrap().count(), 0);

        let target = outside.join("target");
        fs_err::write(&target, "kept").unwrap();
        let link = builds.join("g/demo/buildbtw/packages.html");
        std::os::unix::fs::symlink(&target, link).unwrap();
        artifacts.add("packages.html", "page").unwrap();
        assert_eq!(fs_err::read_to_string(target).unwrap(), "kept");
    }
}

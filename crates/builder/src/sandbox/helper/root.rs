//! Creates the root of a sandbox: a scratch disk, the base system mounted read-only with mapped owners, and
//! an overlay for everything that is written.

use std::fs::File;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use fs_err as fs;
use nix::mount::{MsFlags, mount};

use super::disk::Disk;
use super::files::{chown_tree, make_dir};
use super::mounts::StepMounts;
use super::{failures, host_base, skeleton, userns};
use crate::failure::{Context as _, Failure};
use crate::sandbox::job::{Base, Job};
use crate::seccomp::Memory;
use crate::sys;

/// The size of the scratch disk of a persistent root.
const KEPT_SCRATCH: u64 = 64 << 20;
/// Marks a folder that contains a complete root.
const MARKER: &str = "buildbtw-root";

/// A root in which commands run.
pub(super) struct Root {
    /// The root itself, which package code may have filled with symlinks.
    pub(super) path: PathBuf,
    /// A folder next to it that is invisible to package code unless it is bound.
    pub(super) scratch: PathBuf,
    /// The user namespace of all commands in the root.
    pub(super) namespace: File,
    /// The file systems that are created for each step.
    pub(super) step_mounts: StepMounts,
    pub(super) first_uid: u32,
    /// The mechanism that limits the memory of commands in the root.
    pub(super) memory: Memory,
}

impl Root {
    /// Creates a root that disappears with the disk.
    pub(super) fn temporary(job: &Job, disk: &Disk) -> Result<Self, Failure> {
        let root = Self::new(job, &disk.top, &disk.top)?;
        root.fill(job, &disk.top)?;
        Ok(root)
    }

    /// Creates or opens a persistent root in a folder.
    pub(super) fn kept(job: &Job, dir: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(dir)?;
        let top = Disk::in_memory(KEPT_SCRATCH)?.top;
        let layers = top.join("kept");
        make_dir(&layers, 0o755)?;
        bind(dir, &layers, true)?;
        let marker = layers.join(MARKER);
        let owner = job.first_uid.to_string();
        let root = Self::new(job, &top, &layers)?;
        if !fs::exists(&marker)? {
            if fs::read_dir(dir)?.next().is_some() {
                return Err(failures::not_a_root(dir));
            }
            root.fill(job, &layers)?;
            fs::write(&marker, owner)?;
            return Ok(root);
        }
        if fs::read_to_string(&marker)? != owner {
            return Err(failures::other_owner(dir));
        }
        root.mount_layers(job, &layers)?;
        Ok(root)
    }

    fn new(job: &Job, top: &Path, layers: &Path) -> Result<Self, Failure> {
        let scratch = top.join("scratch");
        make_dir(&scratch, 0o755)?;
        Ok(Self {
            path: layers.join("root"),
            step_mounts: StepMounts::new(&scratch, job.first_uid)?,
            scratch,
            namespace: userns::create(job.first_uid)?,
            first_uid: job.first_uid,
            memory: job.memory(),
        })
    }

    fn fill(&self, job: &Job, layers: &Path) -> Result<(), Failure> {
        for folder in ["root", "upper", "work"] {
            let folder = layers.join(folder);
            make_dir(&folder, 0o755)?;
            lchown(&folder, Some(self.first_uid), Some(self.first_uid))?;
        }
        if let Base::Host { provides } = &job.base {
            skeleton::create(&self.path)?;
            host_base::register(&self.path.join("var/lib/pacman/local"), provides)?;
            chown_tree(&self.path, self.first_uid)?;
        }
        self.mount_layers(job, layers)?;
        match &job.base {
            Base::Host { .. } => skeleton::link_python(&self.path, self.first_uid),
            Base::Root(_) => skeleton::complete(&self.path, self.first_uid),
        }
    }

    fn mount_layers(&self, job: &Job, layers: &Path) -> Result<(), Failure> {
        use std::os::fd::AsFd as _;
        let low = self.scratch.with_file_name("low");
        make_dir(&low, 0o755)?;
        let (source, target) = match &job.base {
            Base::Host { .. } => (Path::new("/usr"), self.path.join("usr")),
            Base::Root(base) => (base.as_path(), self.path.clone()),
        };
        sys::mount_idmapped(source, &low, self.namespace.as_fd())
            .context("mounting the base system with mapped owners")?;
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            low.display(),
            layers.join("upper").display(),
            layers.join("work").display()
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("overlay"),
            &target,
            Some("overlay"),
            flags,
            Some(options.as_str()),
        )
        .context("mounting the overlay")
    }

    /// Makes a folder of the host visible below the scratch folder, to be bound into the root: its own
    /// path may contain folders that the sandbox's user cannot enter.
    pub(super) fn expose(
        &self,
        source: &Path,
        name: &str,
        writable: bool,
    ) -> Result<PathBuf, Failure> {
        let target = self.scratch.join(name);
        if fs::metadata(source)?.is_dir() {
            make_dir(&target, 0o755)?;
        } else {
            fs::write(&target, "")?;
        }
        bind(source, &target, writable)?;
        Ok(target)
    }

    /// Creates a folder below the scratch folder, owned by an id of the sandbox.
    pub(super) fn scratch_dir(&self, name: &str, id: u32, mode: u32) -> Result<PathBuf, Failure> {
        let path = self.scratch.join(name);
        make_dir(&path, mode)?;
        lchown(&path, Some(self.first_uid + id), Some(self.first_uid + id))?;
        Ok(path)
    }
}

fn bind(source: &Path, target: &Path, writable: bool) -> Result<(), Failure> {
    let doing = format!("binding {}", source.display());
    let none = None::<&str>;
    mount(Some(source), target, none, MsFlags::MS_BIND, none).context(&doing)?;
    if !writable {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, target, none, flags, none).context(&doing)?;
    }
    Ok(())
}

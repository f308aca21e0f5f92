//! The order of things: what happens with the network comes before any package's code runs, and
//! nothing of this machine is written to by path after it did. Only the top level of the PKGBUILD is
//! read before, in folders of its own that no later step sees.

use super::bwrap::{BUILD_USER, Sandboxed, View, exit_code};
use super::disk::Disk;
use super::files::{chown_tree, copy_tree, make_dir};
use super::pacman::{self, Repositories};
use super::root::Root;
use super::srcinfo::{Agreement, Asked};
use super::{collect, fetch, heading, makepkg, verify};
use crate::request::{BuildRequest, Source};
use crate::sandbox::RootCommand;
use crate::sandbox::job::{BuildTask, Context as _, Failure, Job, Report};
use crate::source::bump::Pkgbuild;
use crate::source::checkout::{checkout, shown};
use crate::sys::Identity;

/// Builds one package.
pub(super) fn build(job: &Job, task: &BuildTask) -> Result<Report, Failure> {
    heading("making a clean root");
    let disk = Disk::of_build(task)?;
    let result = Root::temporary(job, &disk).and_then(|root| steps(&root, task));
    disk.conclude(result)
}

fn steps(root: &Root, task: &BuildTask) -> Result<Report, Failure> {
    let request = &task.request;
    let build = root.scratch_dir("build", BUILD_USER, 0o755)?;
    for folder in ["home", "packages", "sources", "work"] {
        root.scratch_dir(&format!("build/{folder}"), BUILD_USER, 0o755)?;
    }
    let tree = build.join("tree");
    match &request.source {
        Source::Git { url, commit } => {
            heading(&format!("checking out {} at {commit}", shown(url)));
            make_dir(&tree, 0o755)?;
            checkout(url, commit, &task.git, &root.scratch, &tree)?;
        }
        Source::Directory(folder) => {
            heading("copying the source folder");
            copy_tree(folder, &tree).context("copying the source folder")?;
        }
    }
    let mut pkgbuild = Pkgbuild::open(&tree)?;
    chown_tree(&tree, root.first_uid + BUILD_USER)?;
    let asked = Asked::new(root, task, &tree)?;
    let agreement = asked.compare(&pkgbuild, false)?;
    if agreement == Agreement::Yes {
        bump(&asked, &mut pkgbuild, request)?;
    }

    fetch::fetch(
        root,
        &request.sources,
        &build.join("sources"),
        request.limits.disk_bytes,
    )?;
    let repositories = Repositories::expose(root, &request.repositories, &request.architecture)?;
    pacman::write_config(root, &repositories)?;
    if !request.repositories.is_empty() {
        pacman::install(root, &repositories, request)?;
    }
    if let Some(namespace) = &request.namespace_repository {
        verify::installed(root, namespace, request)?;
    }
    if agreement == Agreement::Undecided {
        asked.compare(&pkgbuild, true)?;
        bump(&asked, &mut pkgbuild, request)?;
    }
    let computed_version = asked.has_pkgver_function(&pkgbuild)?;
    makepkg::run(root, &build, task)?;
    heading("collecting the packages");
    let (packages, notes) = collect::collect(
        &build.join("packages"),
        &task.output_dir,
        request,
        computed_version,
    )?;
    for package in &packages {
        heading(&format!("{} ({} bytes)", package.file_name, package.size));
    }
    Ok(Report::Built { packages, notes })
}

/// Writes the release of a rebuild into the PKGBUILD.
fn bump(asked: &Asked, pkgbuild: &mut Pkgbuild, request: &BuildRequest) -> Result<(), Failure> {
    let Some(release) = &request.pkgrel else {
        return Ok(());
    };
    heading(&format!("setting pkgrel={release}"));
    let before = match pkgbuild.uses_release() {
        true => asked.before_bump()?,
        false => None,
    };
    pkgbuild.set_release(release)?;
    match before {
        Some(before) => asked.check_sources(&before, release),
        None => Ok(()),
    }
}

/// Runs a command in a root that is kept, and returns its exit code.
pub(super) fn run(job: &Job, command: &RootCommand) -> Result<i32, Failure> {
    let root = Root::kept(job, &command.dir)?;
    let repositories = Repositories::expose(&root, &command.repositories, &command.architecture)?;
    if !command.repositories.is_empty() {
        pacman::write_config(&root, &repositories)?;
    }
    let mut sandboxed =
        Sandboxed::new(View::Writable(&root), Identity::Root).network(command.network);
    sandboxed = repositories.bind_into(sandboxed).env("HOME", "/root");
    for (number, bind) in command.binds.iter().enumerate() {
        let target = bind.target.to_str().ok_or_else(|| {
            Failure::infrastructure(format!("{} is not UTF-8", bind.target.display()))
        })?;
        let outside = root.expose(&bind.source, &format!("bind-{number}"), bind.writable)?;
        sandboxed = sandboxed.bind(outside, target, bind.writable);
    }
    let arguments: Vec<&str> = command.command.iter().map(String::as_str).collect();
    Ok(exit_code(sandboxed.run(&arguments)?))
}

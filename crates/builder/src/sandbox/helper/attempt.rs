//! The steps of one attempt. Everything that uses the host's network happens before code of any package
//! runs; only `prepare()` and `pkgver()` may have a restricted network afterwards. After package code has
//! run, no file of the host is written by path except the PKGBUILD of the tree, where links are not
//! followed. Before that, only the top level of the PKGBUILD is evaluated, in separate folders that no later
//! step sees.

use std::path::{Path, PathBuf};

use buildbtw_model::PackageVersion;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::accounts::BUILD_USER;
use super::bwrap::{Sandboxed, View};
use super::disk::Disk;
use super::files::{chown_tree, copy_tree, make_dir};
use super::headings::heading;
use super::makepkg::Makepkg;
use super::network::Network;
use super::pacman::{self, Repositories};
use super::release::{self, AppliedRelease};
use super::root::Root;
use super::run::exit_code;
use super::srcinfo::{Agreement, PkgbuildQuery};
use super::{collect, fetch, kept_pkgbuild, makepkg, shell, verify};
use crate::failure::{Context as _, Failure};
use crate::request::{BuildRequest, Source};
use crate::sandbox::job::{BuildTask, Job, Report};
use crate::sandbox::root_command::RootCommand;
use crate::source::access::SECRETS;
use crate::source::checkout::{checkout, shown};
use crate::source::pkgbuild::Pkgbuild;
use crate::sys::Identity;

/// Builds one package.
pub(super) fn build(job: &Job, task: &BuildTask) -> Result<Report, Failure> {
    heading("creating a clean root");
    let disk = Disk::of_build(task)?;
    let result = Root::temporary(job, &disk).and_then(|root| {
        run_steps(&root, task).inspect_err(|_| {
            if let Some(terminal) = &job.terminal {
                shell::open(&root, task, terminal);
            }
        })
    });
    disk.conclude(result)
}

fn run_steps(root: &Root, planned: &BuildTask) -> Result<Report, Failure> {
    let build = makepkg::make_folders(root, "build")?;
    let tree = build.join("tree");
    place_tree(root, planned, &tree)?;
    let mut pkgbuild = Pkgbuild::open(&tree)?;
    chown_tree(&tree, root.first_uid + BUILD_USER)?;
    let query = PkgbuildQuery::new(root, planned, &tree)?;
    let agreement = query.compare(&pkgbuild, false)?;
    let mut applied = AppliedRelease::default();
    // Sources and dependencies may be named after the release that is written.
    let mut task = planned.clone();
    if agreement == Agreement::Yes {
        applied = release::write_planned(&query, &mut pkgbuild, &task.request, false)?;
        applied.apply_to(&mut task.request);
    }
    let request = &task.request;

    let sources = build.join("sources");
    let network = fetch::fetch(root, &task, &tree, &sources)?;
    applied.copy_files(root, &tree, &sources)?;
    install_dependencies(root, request)?;
    let makepkg = Makepkg::new(root, &build, &task)?;
    makepkg.check_login()?;
    if agreement == Agreement::Undecided {
        query.compare(&pkgbuild, true)?;
        applied = release::write_planned(&query, &mut pkgbuild, request, true)?;
    }
    makepkg.check_signatures()?;
    let version = run_makepkg(&makepkg, &query, &pkgbuild, &tree, request, network)
        .map_err(|failure| applied.explain(failure, request))?;
    heading("collecting the packages");
    let packages = build.join("packages");
    let (packages, mut notes) =
        collect::collect(&packages, &task.output_dir, request, version.as_ref())?;
    for (package, _) in &packages {
        heading(&format!("{} ({} bytes)", package.file_name, package.size));
    }
    let kept = kept_pkgbuild::keep(
        &tree,
        &task.output_dir,
        &request.pkgbase,
        &packages,
        &mut notes,
    );
    let pkgbuild = kept.inspect_err(|_| {
        collect::discard(packages.iter().map(|(package, _)| package.path.as_path()));
    })?;
    let packages = packages.into_iter().map(|(package, _)| package).collect();
    Ok(Report::Built {
        packages,
        notes,
        pkgbuild,
    })
}

/// Installs the dependencies, and checks that they agree with the plan.
fn install_dependencies(root: &Root, request: &BuildRequest) -> Result<(), Failure> {
    let repositories = Repositories::expose(root, &request.repositories, &request.architecture)?;
    pacman::write_config(root, &repositories)?;
    if !request.repositories.is_empty() {
        pacman::install(root, &repositories, request)?;
    }
    if let Some(namespace) = &request.namespace_repository {
        verify::installed(root, namespace, request)?;
    }
    Ok(())
}

/// Puts the tree with the PKGBUILD into place.
fn place_tree(root: &Root, task: &BuildTask, tree: &Path) -> Result<(), Failure> {
    match &task.request.source {
        Source::Git { url, commit } => {
            heading(&format!("checking out {} at {commit}", shown(url)));
            make_dir(tree, 0o755)?;
            let _secrets = match task.git.credentials {
                Some(_) => Some(Secrets::mount(&root.scratch.join(SECRETS))?),
                None => None,
            };
            checkout(url, commit, &task.git, &root.scratch, tree)
        }
        Source::Directory(folder) => {
            heading("copying the source folder");
            copy_tree(folder, tree).context("copying the source folder")
        }
    }
}

/// A tmpfs for secrets, which must not be stored on a disk: the blocks of a removed file keep their contents.
/// Unmounted when this value is dropped.
struct Secrets(PathBuf);

impl Secrets {
    fn mount(folder: &Path) -> Result<Self, Failure> {
        make_dir(folder, 0o700)?;
        let kind = Some("tmpfs");
        let options = Some("size=4m,nr_inodes=64,mode=0700");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(kind, folder, kind, flags, options).context("mounting a tmpfs for secrets")?;
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        // On an error, the file system disappears with the mount namespace.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Builds the packages, and returns the version that they must have, if it is known. If there is a network,
/// only `prepare()` and `pkgver()` have access to it.
fn run_makepkg(
    makepkg: &Makepkg<'_>,
    query: &PkgbuildQuery<'_>,
    pkgbuild: &Pkgbuild,
    tree: &Path,
    request: &BuildRequest,
    network: Option<Network>,
) -> Result<Option<PackageVersion>, Failure> {
    let waits = release::waits_for_pkgver(query, pkgbuild, request)?;
    if !waits && network.is_none() {
        let version = release::planned(query, pkgbuild, request)?;
        makepkg.run_once()?;
        return Ok(version);
    }
    let first = makepkg.prepare(network.as_ref())?;
    drop(network);
    if waits {
        let version = release::write_computed(query, tree, request, first.pkgver.as_deref())?;
        makepkg.build(Some(&version), &first)?;
        return Ok(Some(version));
    }
    let version = release::planned(query, pkgbuild, request)?;
    makepkg.build(None, &first)?;
    Ok(version)
}

/// Runs a command in a persistent root, and returns its exit code.
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
            let target = bind.target.display();
            Failure::infrastructure(format!("the bind target `{target}` is not UTF-8"))
        })?;
        let outside = root.expose(&bind.source, &format!("bind-{number}"), bind.writable)?;
        sandboxed = sandboxed.bind(outside, target, bind.writable);
    }
    let arguments: Vec<&str> = command.command.iter().map(String::as_str).collect();
    let Some(terminal) = &job.terminal else {
        return Ok(exit_code(sandboxed.run(&arguments)?));
    };
    let opened = terminal.open(root.first_uid)?;
    let sandboxed = sandboxed.env("TERM", &terminal.kind);
    Ok(exit_code(sandboxed.run_on(&arguments, &opened)?))
}

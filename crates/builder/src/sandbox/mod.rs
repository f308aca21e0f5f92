//! Real builds: a helper process per attempt creates a clean root from the base system, installs the
//! dependencies and runs makepkg.

mod base;
mod cgroup;
pub(crate) mod config;
pub(crate) mod disk;
mod driver;
mod helper;
mod host_packages;
pub(crate) mod id_ranges;
pub(crate) mod job;
mod root_command;
mod run_in_root;
pub(crate) mod scratch;
mod terminal;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

use self::base::base_of;
use self::cgroup::Exceeded;
use self::driver::Bounds;
use self::id_ranges::IdRange;
use self::job::{Base, BuildTask, Job, Report, SourceAccess, Task};
use self::scratch::Scratch;
use crate::failure::Failure;
use crate::log::{LogSink, Mark};
use crate::outcome::BuildOutcome;
use crate::request::{BuildRequest, Limits};
use crate::source::host_of;

pub use cgroup::has_cgroups;
pub use config::{SandboxConfig, ScratchDisk};
pub use helper::run_helper_if_asked;
pub use root_command::{Bind, RootCommand};
pub use run_in_root::{RootError, run_in_root};
pub use scratch::reap;
pub use terminal::Terminal;

#[derive(Debug)]
pub(crate) struct Sandbox {
    config: SandboxConfig,
    base: OnceLock<Base>,
}

impl Sandbox {
    pub(crate) fn new(config: SandboxConfig) -> Self {
        Self {
            config,
            base: OnceLock::new(),
        }
    }

    pub(crate) fn config(&self) -> &SandboxConfig {
        &self.config
    }

    pub(crate) async fn build(
        &self,
        request: &BuildRequest,
        output_dir: &Path,
        log: &dyn LogSink,
        cancel: CancellationToken,
    ) -> BuildOutcome {
        match self.attempt(request, output_dir, log, &cancel).await {
            Ok(Report::Built {
                packages,
                notes,
                pkgbuild,
            }) => BuildOutcome::Succeeded {
                packages,
                notes,
                pkgbuild,
            },
            Ok(Report::Failed(failure)) => failure.into(),
            Ok(Report::Exited(code)) => not_a_build(code).into(),
            Err(error) => Failure::from(error).into(),
        }
    }

    async fn attempt(
        &self,
        request: &BuildRequest,
        output_dir: &Path,
        log: &dyn LogSink,
        cancel: &CancellationToken,
    ) -> io::Result<Report> {
        let id_range = IdRange::take(self.config.uid_base)?;
        let name = request.attempt.to_string();
        let limits = &request.limits;
        let grouped = self.config.cgroups.then_some(limits);
        let scratch = Scratch::create(&self.config.scratch_root, &name, grouped)?;
        let cgroup = scratch.cgroup();
        let base = self.base().await?;
        let job = Job {
            task: Task::Build(Box::new(BuildTask {
                request: with_absolute_source(request)?,
                git: self.config.git.clone(),
                output_dir: std::path::absolute(output_dir)?,
                jobs: self.jobs(),
                access: self.access(request).await,
                package_extension: base.package_extension(),
                scratch_disk: self.config.scratch_disk,
                scratch_folder: std::path::absolute(scratch.folder())?,
            })),
            base,
            first_uid: id_range.first_uid(),
            cgroup_procs: cgroup.map(cgroup::Cgroup::procs).unwrap_or_default(),
            rlimits: cgroup.is_none().then(|| limits.clone()),
            terminal: self.config.terminal.clone(),
            report: std::path::absolute(scratch.report())?,
            mark: Mark::random()?,
        };
        let bounds = match job.terminal {
            // Its shell may be silent for hours.
            Some(_) => Bounds::NONE,
            None => Bounds {
                time: limits.time,
                silence: limits.silence,
                log_bytes: limits.log_bytes,
            },
        };
        let mut report = driver::run(&self.config.helper, &job, bounds, log, cancel).await;
        if let Report::Failed(failure) = &mut report {
            match cgroup {
                Some(cgroup) => name_exceeded(failure, cgroup.exceeded(), limits),
                None => mention_process_limits(failure, limits),
            }
        }
        if let Err(error) = scratch.remove().await {
            // The result of the build is valid; `reap` removes the folder later.
            tracing::warn!(%error, attempt.id = %name, "could not remove the scratch folder");
        }
        Ok(report)
    }

    fn jobs(&self) -> usize {
        self.config.jobs.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        })
    }

    /// Determines where sources must not be fetched from: the server, under the names that this program and
    /// pacman use for it.
    async fn access(&self, request: &BuildRequest) -> SourceAccess {
        let mut access = SourceAccess {
            allowed: self.config.allow_source_networks.clone(),
            ..SourceAccess::default()
        };
        let hosts: BTreeSet<&str> = self
            .config
            .server
            .iter()
            .chain(servers_of_namespace(request))
            .map(|url| host_of(url))
            .collect();
        for host in hosts {
            match tokio::net::lookup_host((host, 0)).await {
                Ok(addresses) => access.refused.extend(addresses.map(|address| address.ip())),
                Err(error) => {
                    tracing::warn!(%error, server.host = host, "could not resolve the server's name");
                    access.unknown = Some(host.to_owned());
                }
            }
        }
        access
    }

    async fn base(&self) -> io::Result<Base> {
        if let Some(base) = self.base.get() {
            return Ok(base.clone());
        }
        let base = base_of(&self.config).await?;
        Ok(self.base.get_or_init(|| base).clone())
    }
}

/// Returns the URLs from which the namespace repository is served over a network.
fn servers_of_namespace(request: &BuildRequest) -> impl Iterator<Item = &String> {
    let repositories = request.repositories.iter();
    repositories
        .filter(|repository| Some(&repository.name) == request.namespace_repository.as_ref())
        .flat_map(|repository| &repository.servers)
        .filter(|server| server.starts_with("http"))
}

/// Makes a source folder absolute, because the helper runs in another folder.
fn with_absolute_source(request: &BuildRequest) -> io::Result<BuildRequest> {
    let mut request = request.clone();
    if let crate::request::Source::Directory(folder) = &mut request.source {
        *folder = std::path::absolute(&folder)?;
    }
    Ok(request)
}

/// Blames an exceeded limit for the failure, which tools report like any other.
fn name_exceeded(failure: &mut Failure, exceeded: Exceeded, limits: &Limits) {
    use buildbtw_model::FailureKind;
    match failure.kind {
        FailureKind::Timeout | FailureKind::Cancelled | FailureKind::Memory => {}
        FailureKind::Package | FailureKind::Infrastructure => {
            if let Some(what) = exceeded.describe(limits) {
                failure.kind = match exceeded.memory {
                    // Another worker may have more.
                    true => FailureKind::Memory,
                    false => FailureKind::Package,
                };
                let files = failure
                    .memory_files
                    .filter(|files| *files > limits.memory_bytes / 2);
                let files = match files {
                    Some(files) if exceeded.memory => {
                        format!(", {files} bytes of it by files in memory (`--scratch-disk`)")
                    }
                    _ => String::new(),
                };
                failure.message = format!("{what}{files}; {}", failure.message);
            }
        }
    }
}

/// Adds the limits per process to a message, which leave no trace when they are exceeded.
fn mention_process_limits(failure: &mut Failure, limits: &Limits) {
    // Only failures of commands in the root can be caused by these limits.
    if failure.kind == buildbtw_model::FailureKind::Package && failure.see_log {
        let (memory, processes) = (limits.memory_bytes, limits.processes);
        failure.message = format!(
            "{}\n(without a cgroup, each process may use {memory} bytes of memory, and there may be \
             {processes} processes)",
            failure.message
        );
    }
}

/// Returns the failure of a helper that gave no report of a build.
fn not_a_build(code: i32) -> Failure {
    Failure::infrastructure(format!(
        "the sandbox helper reported exit code {code}, not a build"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_without_a_build_matches_snapshot() {
        let text = crate::failure::recorded([("exit code", not_a_build(3))]);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn distinguishes_memory_of_files_from_memory_of_processes() {
        let limits = Limits::default();
        let exceeded = Exceeded {
            memory: true,
            processes: false,
        };
        for (files, is_said) in [
            (None, false),
            (Some(limits.memory_bytes / 4), false),
            (Some(limits.memory_bytes / 4 * 3), true),
        ] {
            let mut failure = Failure::package("it was killed");
            failure.memory_files = files;
            name_exceeded(&mut failure, exceeded, &limits);
            assert!(
                failure.message.starts_with("the memory limit of"),
                "{failure}"
            );
            assert_eq!(
                failure.message.contains("--scratch-disk"),
                is_said,
                "{failure}"
            );
        }
    }
}

//! Whether this machine can build: programs, the kernel, and one real build in the sandbox.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use buildbtw_builder::{
    BuildOutcome, BuildRequest, Builder, BuiltPackage, Requirement, SandboxConfig, Source,
    has_cgroups, inspect_host,
};
use buildbtw_model::{Architecture, Explanation, Pkgbase};
use buildbtw_package::Package;
use buildbtw_telemetry::spawn_blocking_named;
use tokio_util::sync::CancellationToken;

use crate::{Check, Report};

/// How long the build may take. It takes a few seconds on a slow machine.
const BUILD_TIMEOUT: Duration = Duration::from_secs(180);
/// How much longer its preparation may take.
const EXTRA: Duration = Duration::from_secs(30);
/// The checks of the host take no longer than their commands.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of the end of a log a message shows, in lines.
const SHOWN_LINES: usize = 3;
/// The name of the check that builds.
pub const BUILD: &str = "build of a package";

const PKGBASE: &str = "buildbtw-doctor";
/// A package of any architecture, without sources and dependencies, so that the build needs no network.
const PKGBUILD: &str = r#"pkgname=buildbtw-doctor
pkgver=1
pkgrel=1
pkgdesc='Shows that this machine can build packages'
arch=(any)
license=(MIT)

build() {
  echo built >built
}

package() {
  install -Dm644 built "$pkgdir/usr/share/buildbtw-doctor/built"
}
"#;

/// Adds the checks of programs and kernel.
pub async fn check_host(report: &mut Report, config: &SandboxConfig) {
    let inspected = config.clone();
    let requirements = spawn_blocking_named("inspect host", move || inspect_host(&inspected)).await;
    for requirement in requirements.unwrap_or_default() {
        let version = match &requirement.program {
            Some(program) => version_of(program).await,
            None => None,
        };
        report.add(judge(requirement, version));
    }
    let name = "cgroups";
    report.add(match config.cgroups {
        false => Check::skipped(name, "they are disabled by a setting"),
        true => judge_cgroups(name, has_cgroups().await),
    });
    let builder = Builder::sandboxed(config.clone());
    let scratch_disk = builder.warning();
    report.add(judge_scratch_disk(scratch_disk));
}

fn judge_scratch_disk(warning: Option<String>) -> Check {
    let name = "files of builds";
    match warning {
        None => Check::ok(name, "they are kept where the settings say"),
        Some(warning) => Check::warning(
            name,
            warning,
            "provide what is missing, or set the storage of scratch disks to `memory`",
        ),
    }
}

fn judge(requirement: Requirement, version: Option<String>) -> Check {
    match (requirement.missing, requirement.program) {
        (Some(missing), _) => {
            let message = format!("this machine lacks {}", missing.what);
            Check::failure(requirement.name, message, missing.repair)
        }
        (None, Some(program)) => {
            let version = version.map_or_else(String::new, |version| format!(" {version}"));
            let message = format!("`{}`{version}", program.display());
            Check::ok(requirement.name, message)
        }
        (None, None) => Check::ok(requirement.name, "available"),
    }
}

fn judge_cgroups(name: &str, exist: bool) -> Check {
    if exist {
        return Check::ok(name, "they limit the memory and processes of builds");
    }
    Check::warning(
        name,
        "this process cannot create any, so memory is limited per process only",
        "set `Delegate=yes` in the systemd unit of the program, as its packaged unit does",
    )
}

/// Returns the version that a program prints.
async fn version_of(program: &Path) -> Option<String> {
    let is_ip = program.ends_with("ip");
    let mut command = tokio::process::Command::new(program);
    command
        .arg(if is_ip { "-Version" } else { "--version" })
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(COMMAND_TIMEOUT, command.output()).await;
    let output = output.ok()?.ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// Finds the version in the first line that a program prints: the first word with digits around a full stop. The lines
/// after it name licences, which have versions too.
fn parse_version(text: &str) -> Option<String> {
    let is_version = |word: &&str| {
        let bytes = word.as_bytes();
        let mut windows = bytes.windows(3);
        windows.any(|three| {
            let [before, stop, after] = three else {
                return false;
            };
            before.is_ascii_digit() && *stop == b'.' && after.is_ascii_digit()
        })
    };
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let word = line.split_whitespace().find(is_version)?;
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    // `iproute2-6.1.0`, but not the release in `0.0.20240510-1`.
    let version = match word.starts_with(|c: char| c.is_ascii_digit()) {
        true => word,
        false => word.split_once('-').map_or(word, |(_, version)| version),
    };
    Some(version.trim_start_matches('v').to_owned())
}

/// Adds the check that builds a tiny package like a real one, in `scratch`, for this architecture.
pub async fn check_build(
    report: &mut Report,
    config: SandboxConfig,
    limits: buildbtw_builder::Limits,
    architecture: Architecture,
) {
    let cancel = CancellationToken::new();
    let log = Log::default();
    let work = build(config, limits, architecture, &log, cancel.clone());
    let mut work = std::pin::pin!(work);
    let built = tokio::time::timeout(BUILD_TIMEOUT + EXTRA, &mut work).await;
    if built.is_err() {
        cancel.cancel();
        // Every process of the build is killed before it ends.
        let _ = work.await;
    }
    report.add(match built {
        Ok(Ok(message)) => Check::ok(BUILD, message),
        Ok(Err(explanation)) => failed(explanation, &log.end()),
        Err(_) => too_slow(&log.end()),
    });
}

/// Returns the failure of a build. `end` is the end of its log.
fn failed(explanation: Explanation, end: &str) -> Check {
    Check::failed(
        BUILD,
        explanation.map(|message| format!("{message}{end}")),
        "repair what the checks above name, and run the command again",
    )
}

/// Returns the failure of a build that did not end in time. `end` is the end of its log.
fn too_slow(end: &str) -> Check {
    Check::failure(
        BUILD,
        format!("it did not end within {} s{end}", BUILD_TIMEOUT.as_secs()),
        "check the load and the disk of this machine",
    )
}

/// Explains that the build could not begin.
fn not_prepared(error: &io::Error) -> Explanation {
    Explanation::from(format!("cannot prepare it: {error}"))
}

async fn build(
    config: SandboxConfig,
    limits: buildbtw_builder::Limits,
    architecture: Architecture,
    log: &Log,
    cancel: CancellationToken,
) -> Result<String, Explanation> {
    let cannot = |error: io::Error| not_prepared(&error);
    fs_err::create_dir_all(&config.scratch_root).map_err(cannot)?;
    let folder = tempfile::tempdir().map_err(cannot)?;
    let (source, output) = (folder.path().join("source"), folder.path().join("output"));
    for folder in [&source, &output] {
        fs_err::create_dir(folder).map_err(cannot)?;
    }
    fs_err::write(source.join("PKGBUILD"), PKGBUILD).map_err(cannot)?;
    let pkgbase: Pkgbase = parse(PKGBASE)?;
    let mut request = BuildRequest::new(pkgbase.clone(), architecture, Source::Directory(source));
    request.limits = limits;
    request.limits.time = request.limits.time.min(BUILD_TIMEOUT);
    let builder = Builder::sandboxed(config);
    match builder.build(&request, &output, log, cancel).await {
        BuildOutcome::Succeeded { packages, .. } => {
            let read = move || read_packages(&packages, &pkgbase);
            let read = spawn_blocking_named("read packages", read).await;
            read.map_err(|error| Explanation::from(error.to_string()))?
        }
        BuildOutcome::Failed { kind, explanation } => {
            Err(explanation.map(|message| format!("it failed ({kind}): {message}")))
        }
    }
}

fn parse(name: &str) -> Result<Pkgbase, Explanation> {
    name.parse::<Pkgbase>()
        .map_err(|error| Explanation::from(error.to_string()))
}

/// Reads the packages as the server does.
fn read_packages(packages: &[BuiltPackage], pkgbase: &Pkgbase) -> Result<String, Explanation> {
    let [package] = packages else {
        let message = format!("it produced {} packages instead of one", packages.len());
        return Err(message.into());
    };
    Package::read(&package.path, &package.file_name, pkgbase, &|| false)
        .map_err(|error| format!("its package cannot be read: {error}"))?;
    Ok(format!(
        "`{}` was built in the sandbox, and can be read",
        package.file_name
    ))
}

/// Keeps the log of the build.
#[derive(Default)]
struct Log(Mutex<Vec<u8>>);

impl buildbtw_builder::LogSink for Log {
    fn write(&self, bytes: &[u8]) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
    }
}

impl Log {
    /// Returns the last lines, for a message.
    fn end(&self) -> String {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let shown = lines.get(lines.len().saturating_sub(SHOWN_LINES)..);
        match shown.unwrap_or_default() {
            [] => String::new(),
            lines => format!("; its log ends with: {}", lines.join(" / ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_builder::{LogSink as _, Missing};

    use super::*;
    use crate::Status;

    #[test]
    fn finds_version_in_the_output_of_every_program() {
        for (text, version) in [
            ("bubblewrap 0.8.0\n", "0.8.0"),
            (
                "\n .--.                  Pacman v6.0.2 - libalpm v13.0.2\n/ _.-' .-.  .-.",
                "6.0.2",
            ),
            ("makepkg (pacman) 6.0.2\n", "6.0.2"),
            ("fakeroot version 1.31", "1.31"),
            ("bsdtar 3.6.2 - libarchive 3.6.2 zlib/1.2.13", "3.6.2"),
            ("curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1", "7.88.1"),
            (
                "pasta 0.0~git20230309.7c7625d-1\nCopyright",
                "0.0~git20230309.7c7625d-1",
            ),
            ("ip utility, iproute2-6.1.0, libbpf 1.1.0", "6.1.0"),
            ("setpriv from util-linux 2.38.1", "2.38.1"),
        ] {
            assert_eq!(parse_version(text).as_deref(), Some(version), "{text}");
        }
        assert_eq!(parse_version("no version. at all"), None);
        let licence =
            "pasta unknown version\nGNU Affero GPL <https://www.gnu.org/licenses/agpl-3.0.html>";
        assert_eq!(parse_version(licence), None);
    }

    #[test]
    fn names_what_a_machine_lacks_and_the_command_that_installs_it() {
        let requirement = Requirement {
            name: "program bwrap".into(),
            program: None,
            missing: Some(Missing {
                what: "the program `bwrap` (bubblewrap, the sandbox)".into(),
                repair: "apt-get install bubblewrap".into(),
            }),
        };
        let check = judge(requirement, None);
        assert_eq!(check.status, Status::Failure);
        assert_eq!(check.repair.as_deref(), Some("apt-get install bubblewrap"));
        let found = Requirement {
            name: "program bwrap".into(),
            program: Some("/usr/bin/bwrap".into()),
            missing: None,
        };
        let check = judge(found, Some("0.8.0".into()));
        assert_eq!(check.message, "`/usr/bin/bwrap` 0.8.0");
        assert_eq!(judge_cgroups("cgroups", false).status, Status::Warning);
    }

    #[test]
    fn checks_match_snapshot() {
        let pkgbase = parse(PKGBASE).unwrap();
        let requirement = |missing| Requirement {
            name: "program bwrap".into(),
            program: None,
            missing,
        };
        let missing = Missing {
            what: "the program `bwrap` (bubblewrap, the sandbox)".into(),
            repair: "apt-get install bubblewrap".into(),
        };
        let end = "; its log ends with: one / two";
        let mut report = Report::new("buildbtw-worker", "1.0.0");
        report.extend([
            judge(requirement(None), None),
            judge(requirement(Some(missing)), None),
            judge_cgroups("cgroups", true),
            judge_cgroups("cgroups", false),
            judge_scratch_disk(None),
            judge_scratch_disk(Some("there is no loop device".to_owned())),
            failed(read_packages(&[], &pkgbase).unwrap_err(), end),
            failed(Explanation::with_hint("it failed", "look into it"), end),
            failed(not_prepared(&io::ErrorKind::StorageFull.into()), ""),
            too_slow(end),
        ]);
        insta::assert_snapshot!(report.to_text());
    }

    #[test]
    fn shows_end_of_the_log_of_a_failed_build() {
        let log = Log::default();
        assert_eq!(log.end(), "");
        log.write(b"one\ntwo\n\nthree\nfour\n");
        assert_eq!(log.end(), "; its log ends with: two / three / four");
    }

    #[test]
    fn rejects_build_without_a_package() {
        let pkgbase = parse(PKGBASE).unwrap();
        let error = read_packages(&[], &pkgbase).unwrap_err();
        assert!(error.message.contains("0 packages"), "{error}");
    }
}

//! Installs dependencies with pacman: downloads with the network, and runs package code without it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use buildbtw_model::Architecture;
use buildbtw_model::api::Repository;

use super::bwrap::{Sandboxed, View};
use super::headings::heading;
use super::root::Root;
use super::run::text;
use super::skeleton;
use super::transaction::Transaction;
use crate::failure::Failure;
use crate::request::BuildRequest;
use crate::sys::Identity;

/// The folder inside the sandbox for repositories that are folders of the host.
const FOLDERS: &str = "/run/repositories";

/// The repositories, as seen from the sandbox.
pub(super) struct Repositories {
    /// The text of pacman.conf(5).
    pub(super) config: String,
    /// The same for the step without network. Signatures were checked with the download; pacman would look
    /// for missing ones on the servers again.
    offline_config: String,
    /// The folders to bind: outside, inside.
    pub(super) folders: Vec<(PathBuf, String)>,
}

impl Repositories {
    /// Creates the configuration, and makes local repositories visible to the sandbox.
    pub(super) fn expose(
        root: &Root,
        repositories: &[Repository],
        architecture: &Architecture,
    ) -> Result<Self, Failure> {
        let mut folders = Vec::new();
        let mut sections = String::new();
        let mut offline_sections = String::new();
        for repository in repositories {
            let mut section = String::new();
            for server in &repository.servers {
                let mut server = single_line(server)?
                    .replace("$repo", repository.name.as_str())
                    .replace("$arch", architecture.as_str());
                if let Some(path) = server.strip_prefix("file://") {
                    let number = folders.len();
                    let outside =
                        root.expose(path.as_ref(), &format!("repository-{number}"), false)?;
                    let inside = format!("{FOLDERS}/{number}");
                    server = format!("file://{inside}");
                    folders.push((outside, inside));
                }
                let _ = writeln!(section, "Server = {server}");
            }
            // Writing to a string cannot fail.
            let name = &repository.name;
            let level = single_line(&repository.sig_level)?;
            let _ = write!(sections, "\n[{name}]\nSigLevel = {level}\n{section}");
            let _ = write!(offline_sections, "\n[{name}]\nSigLevel = Never\n{section}");
        }
        let text = |level: &str, sections: &str| {
            format!(
                "[options]\nArchitecture = {architecture}\nSigLevel = {level}\n\
                 LocalFileSigLevel = Optional\n{sections}"
            )
        };
        Ok(Self {
            config: text("Required DatabaseOptional", &sections),
            offline_config: text("Never", &offline_sections),
            folders,
        })
    }

    /// Binds the folders into a command's view.
    pub(super) fn bind_into<'a>(&self, mut command: Sandboxed<'a>) -> Sandboxed<'a> {
        for (outside, inside) in &self.folders {
            command = command.bind(outside.clone(), inside, false);
        }
        command
    }
}

/// Rejects a configuration value that would start another line.
fn single_line(value: &str) -> Result<&str, Failure> {
    if value.chars().any(char::is_control) {
        return Err(control_characters(value));
    }
    Ok(value)
}

/// Returns the failure for a value that would start another line of pacman.conf.
fn control_characters(value: &str) -> Failure {
    Failure::infrastructure(format!(
        "{value:?} cannot be written to pacman.conf: it contains control characters"
    ))
    .hint("correct the servers and SigLevel of the repositories")
}

/// Returns the failure for a file of the root that could not be written.
fn not_written(path: &str) -> Failure {
    Failure::infrastructure(format!("{path} could not be written")).see_log()
}

/// Returns the failure for a dependency that pacman would not read as one.
fn invalid_dependency(dependency: &str) -> Failure {
    Failure::package(format!("{dependency:?} is not a valid dependency"))
        .hint("correct it in the PKGBUILD, and regenerate the .SRCINFO")
}

/// Returns the failure for a transaction that pacman did not refuse, but could not complete.
fn incomplete(doing: &str) -> Failure {
    Failure::infrastructure(format!("pacman could not {doing} the dependencies")).see_log()
}

/// Returns the failure for databases that pacman could not read.
fn no_databases() -> Failure {
    Failure::infrastructure("pacman could not read the repositories' databases").see_log()
}

const CONFIG: &str = "/etc/pacman.conf";
const OFFLINE_CONFIG: &str = "/etc/pacman-offline.conf";

/// Replaces the root's `/etc/pacman.conf`.
pub(super) fn write_config(root: &Root, repositories: &Repositories) -> Result<(), Failure> {
    write_file(root, CONFIG, &repositories.config)
}

/// Replaces a file of the root from inside, because a link there may lead anywhere.
fn write_file(root: &Root, path: &str, text: &str) -> Result<(), Failure> {
    let script = "rm -f -- \"$1\" && printf %s \"$2\" >\"$1\"";
    let status = Sandboxed::new(View::Writable(root), Identity::Root)
        .run(&["bash", "-c", script, "bash", path, text])?;
    if status.success() {
        Ok(())
    } else {
        Err(not_written(path))
    }
}

/// Installs the missing dependencies of a build, and upgrades the base system.
pub(super) fn install(
    root: &Root,
    repositories: &Repositories,
    request: &BuildRequest,
) -> Result<(), Failure> {
    let dependencies = &request.dependencies;
    if let Some(bad) = dependencies
        .iter()
        .find(|name| name.starts_with('-') || name.chars().any(|c| c.is_control() || c == ' '))
    {
        return Err(invalid_dependency(bad));
    }
    heading("reading the package databases");
    let missing = missing(root, repositories, dependencies)?;
    let mut targets: Vec<&str> = vec!["--"];
    targets.extend(missing.iter().map(String::as_str));

    heading(&format!(
        "downloading dependencies ({} requested)",
        missing.len()
    ));
    let download = [
        "pacman",
        "-Suw",
        "--noconfirm",
        "--needed",
        "--noprogressbar",
    ];
    let command = Sandboxed::new(View::Writable(root), Identity::Root).network(true);
    let command = repositories.bind_into(command);
    let arguments = [&download[..], &targets].concat();
    transact(root, &command, &arguments, request, "download")?;
    heading("installing dependencies, without network");
    write_file(root, OFFLINE_CONFIG, &repositories.offline_config)?;
    let install = [
        "pacman",
        "-Su",
        "--config",
        OFFLINE_CONFIG,
        "--noconfirm",
        "--needed",
        "--noprogressbar",
    ];
    let command = Sandboxed::new(View::Writable(root), Identity::Root);
    // The configuration still refers to the folders, from which pacman reads packages directly.
    let command = repositories.bind_into(command);
    // Files that are written into every root belong to no package.
    let replaceable = skeleton::replaceable().join(",");
    let overwrite = ["--overwrite", &*replaceable];
    let arguments = [&install[..], &overwrite, &targets].concat();
    transact(root, &command, &arguments, request, "install")
}

/// Runs pacman, and distinguishes refusals from temporary failures.
fn transact(
    root: &Root,
    command: &Sandboxed<'_>,
    arguments: &[&str],
    request: &BuildRequest,
    doing: &str,
) -> Result<(), Failure> {
    let mut transaction = Transaction::default();
    let status = command.watch(arguments, |line| transaction.line(line))?;
    if status.success() {
        return Ok(());
    }
    let refused = transaction.failure(root, request)?;
    Err(refused.unwrap_or_else(|| incomplete(doing)))
}

/// Syncs the databases, and returns the dependencies to install: those that no installed package satisfies,
/// and those that a repository has by name even if the base satisfies them.
fn missing(
    root: &Root,
    repositories: &Repositories,
    dependencies: &[String],
) -> Result<Vec<String>, Failure> {
    let script = "\
        pacman -Sy --noconfirm --noprogressbar >&2 || exit 3
        pacman -Slq || exit 3
        echo
        (( $# == 0 )) || pacman -T -- \"$@\"
        exit 0";
    let mut command = vec!["bash", "-c", script, "bash"];
    command.extend(dependencies.iter().map(String::as_str));
    let sandboxed = Sandboxed::new(View::Writable(root), Identity::Root).network(true);
    let output = repositories.bind_into(sandboxed).output(&command)?;
    if !output.status.success() {
        return Err(no_databases());
    }
    let text = text(output)?;
    let (listed, unmet) = text.split_once("\n\n").unwrap_or((&text, ""));
    let listed: BTreeSet<&str> = listed.lines().collect();
    let unmet: BTreeSet<&str> = unmet.lines().collect();
    Ok(dependencies
        .iter()
        .filter(|name| unmet.contains(name.as_str()) || listed.contains(without_version(name)))
        .cloned()
        .collect())
}

/// Returns the name in `name>=1.0`.
fn without_version(dependency: &str) -> &str {
    dependency
        .split(['<', '>', '='])
        .next()
        .unwrap_or(dependency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_match_snapshot() {
        let text = crate::failure::recorded([
            (
                "line break in a setting",
                control_characters("Never\n[options]"),
            ),
            ("invalid dependency", invalid_dependency("--root=/")),
            ("unwritten file", not_written(CONFIG)),
            ("unreadable databases", no_databases()),
            ("download", incomplete("download")),
            ("installation", incomplete("install")),
        ]);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn strips_constraint_from_package_name() {
        assert_eq!(without_version("glibc>=2.30"), "glibc");
        assert_eq!(without_version("libgreet.so=1-64"), "libgreet.so");
        assert_eq!(without_version("bash"), "bash");
    }

    #[test]
    fn rejects_values_with_line_breaks() {
        assert!(single_line("Optional TrustAll").is_ok());
        assert!(single_line("Never\n[options]").is_err());
    }
}

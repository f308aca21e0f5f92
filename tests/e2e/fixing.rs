//! A pushed fix lets a failed rebuild continue: with a file that changes neither version nor
//! relations, for an origin and for a dependent, from a folder and from GitLab, built in the
//! sandbox.

use std::path::Path;
use std::process::Output;

use buildbtw_model::BuildStatus;
use buildbtw_tests::{
    Forge, Server, Sources, Worker, cli, cli_command, is_root, on_terminal, pacman_upgrades,
    printed,
};

use crate::following::{status, wait_until_done};

const ORIGIN: &str = "libgreet";
const DEPENDENT: &str = "greet";

/// Returns a package that builds only if the file `fixed` is next to its PKGBUILD.
fn pkgbuild(name: &str, is_broken: bool) -> String {
    let depends = if name == DEPENDENT { ORIGIN } else { "" };
    let check = if is_broken {
        "test -e \"$startdir/fixed\""
    } else {
        "true"
    };
    format!(
        "pkgname={name}\npkgver=1\npkgrel=1\narch=(x86_64)\ndepends=({depends})\n\
         build() {{ {check}; }}\n\
         package() {{ install -Dm644 /dev/null \"$pkgdir/usr/share/{name}\"; }}\n"
    )
}

fn srcinfo(name: &str) -> String {
    let depends = if name == DEPENDENT {
        format!("\tdepends = {ORIGIN}\n")
    } else {
        String::new()
    };
    format!(
        "pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n{depends}\npkgname = {name}\n"
    )
}

/// Builds both, waits for `broken` to fail, pushes the fix, and waits for the rest to be built
/// without another request.
fn expect_fix_to_continue(server: &Server, broken: &str, fix: impl FnOnce()) {
    let arguments = [
        "new",
        "libgreet/main",
        "--name=set",
        "--follow-default=1s",
        "--follow",
    ];
    let output = cli(server, &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    fix();
    let (client, name) = (server.client(), "set".parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let second = runtime.block_on(wait_until_done(&client, &name, 2));
    let expected = |pkgbase: &str| {
        if pkgbase == ORIGIN && broken == DEPENDENT {
            BuildStatus::Reused
        } else {
            BuildStatus::Built
        }
    };
    for pkgbase in [ORIGIN, DEPENDENT] {
        assert_eq!(status(&second, pkgbase), expected(pkgbase), "{pkgbase}");
    }
    let changed: Vec<_> = second
        .changes
        .iter()
        .map(|change| change.pkgbase.as_str())
        .collect();
    assert_eq!(changed, [broken]);
    pacman_upgrades(tempfile::tempdir().unwrap().path(), server, "set");
}

#[test]
fn fix_pushed_to_a_folder_continues_failed_rebuild() {
    if !is_root() {
        return;
    }
    for broken in [ORIGIN, DEPENDENT] {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::new(folder.path());
        for name in [ORIGIN, DEPENDENT] {
            sources.commit_with(name, &srcinfo(name), &pkgbuild(name, name == broken));
        }
        let server = Server::start(folder.path(), &sources);
        let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
        expect_fix_to_continue(&server, broken, || sources.commit_file(broken, "fixed", ""));
    }
}

/// Repeats the newest attempt at a package, or another one, on this machine.
fn repeats(server: &Server, folder: &Path, pkgbase: &str, more: &[&str]) -> Output {
    let out = folder.join("repeated").display().to_string();
    let mut arguments = vec!["build", "set", pkgbase, "--output", &out];
    arguments.extend(more);
    cli(server, &arguments)
}

#[test]
fn failed_attempt_fails_again_on_another_machine_until_it_is_fixed() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    for name in [ORIGIN, DEPENDENT] {
        sources.commit_with(name, &srcinfo(name), &pkgbuild(name, name == DEPENDENT));
    }
    let server = Server::start(folder.path(), &sources);
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
    let new = ["new", "libgreet/main", "--name=set", "--follow"];
    let output = cli(&server, &new);
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));

    // The dependent installs the origin from its view of the rebuild.
    let failed = repeats(&server, folder.path(), DEPENDENT, &[]);
    let text = printed(&failed);
    assert_eq!(failed.status.code(), Some(1), "{text}");
    assert!(
        text.contains("repeats attempt 1 of greet 1-1.1 for x86_64 (failed): commit "),
        "{text}"
    );
    assert!(
        text.contains("error: the build failed (package): "),
        "{text}"
    );
    let built = repeats(&server, folder.path(), ORIGIN, &[]);
    assert_eq!(built.status.code(), Some(0), "{}", printed(&built));
    let package = folder
        .path()
        .join("repeated/libgreet-1-1-x86_64.pkg.tar.zst");
    assert!(package.is_file(), "{}", printed(&built));

    let (client, name) = (server.client(), "set".parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let iteration = runtime.block_on(client.iteration(&name, None)).unwrap();
    let mut builds = iteration.builds.iter();
    let greet = builds.find(|build| build.pkgbase.as_str() == DEPENDENT);
    let greet = greet.unwrap();
    let attempt = greet.attempt.unwrap().to_string();
    let shell = cli_command(&server, &["shell", &greet.id.to_string()]);
    let typed = [("exit` leaves it", "pacman -Q libgreet; exit\r")];
    let (code, seen) = on_terminal(&shell, &typed);
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("libgreet 1-1\r\n"), "{seen}");
    sources.commit_file(DEPENDENT, "fixed", "");
    let retry = cli(&server, &["retry", "set", "--latest"]);
    assert!(retry.status.success(), "{}", printed(&retry));
    runtime.block_on(wait_until_done(&client, &name, 2));
    let fixed = repeats(&server, folder.path(), DEPENDENT, &[]);
    assert_eq!(fixed.status.code(), Some(0), "{}", printed(&fixed));
    // The attempt that failed has the commit of that time.
    let again = repeats(&server, folder.path(), DEPENDENT, &["--attempt", &attempt]);
    assert_eq!(again.status.code(), Some(1), "{}", printed(&again));
}

#[test]
fn fix_pushed_to_gitlab_continues_failed_rebuild() {
    if !is_root() {
        return;
    }
    for broken in [ORIGIN, DEPENDENT] {
        let folder = tempfile::tempdir().unwrap();
        let forge = Forge::new(folder.path());
        for name in [ORIGIN, DEPENDENT] {
            forge.push(name, &srcinfo(name), &pkgbuild(name, name == broken));
        }
        let mut server = Server::start_with_gitlab(folder.path(), &forge);
        server.wait_until_logged("finished a full resync");
        forge.hook(&server.url());
        let scratch = folder.path().join("scratch");
        let _worker = Worker::sandboxed_with_credentials(&server, &scratch, &forge.credentials());
        expect_fix_to_continue(&server, broken, || forge.push_file(broken, "fixed", ""));
    }
}

#[test]
fn builds_package_of_sha256_repository() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    sources.make_sha256(ORIGIN);
    sources.commit_with(ORIGIN, &srcinfo(ORIGIN), &pkgbuild(ORIGIN, false));
    let server = Server::start(folder.path(), &sources);
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
    let new = ["new", "libgreet/main", "--name=sha256", "--follow"];
    let output = cli(&server, &new);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    pacman_upgrades(folder.path(), &server, "sha256");
}

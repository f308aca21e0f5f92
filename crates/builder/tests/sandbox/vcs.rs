//! Sources from repositories that makepkg fetches with Subversion, Fossil and Bazaar.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use crate::fetching::{has, request};
use crate::support::{Fixture, file_in};

/// Serves a repository on a free port of loopback with a program that handles one connection on its
/// standard input and output, as inetd starts it.
fn serve(command: impl Fn() -> Command + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.unwrap();
            let input = OwnedFd::from(connection.try_clone().unwrap());
            let mut server = command()
                .stdin(Stdio::from(input))
                .stdout(Stdio::from(OwnedFd::from(connection)))
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::spawn(move || server.wait());
        }
    });
    port
}

/// Builds a package of the older of two revisions, and one of a repository that does not exist.
async fn builds_the_first_revision(fixture: &Fixture, name: &str, source: &str, missing: &str) {
    let (packages, _) = fixture
        .built(&request(fixture, name, source, "up/src.txt"))
        .await;
    let installed = format!("usr/share/{name}");
    assert_eq!(file_in(&packages[0].path, &installed), "one\n");
    let absent = format!("{name}absent");
    let (kind, message, _) = fixture
        .fails(&request(fixture, &absent, missing, "up/src.txt"))
        .await;
    assert!(
        message.contains("could not be fetched"),
        "{kind}: {message}"
    );
}

#[tokio::test]
async fn builds_a_subversion_source_offline() {
    if !has("svnserve") {
        eprintln!("SKIPPED: subversion is not installed");
        return;
    }
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.sh("svnadmin create up && mkdir tree && echo one >tree/src.txt
         svn() { command svn --config-dir svn-settings --non-interactive --quiet \"$@\"; }
         svn import -m one tree \"file://$PWD/up\" && svn checkout \"file://$PWD/up\" work
         echo two >work/src.txt && svn commit -m two work");
    let root = fixture.path(".");
    let port = serve(move || {
        let mut command = Command::new("svnserve");
        command.args(["--inetd", "--root"]).arg(&root);
        command
    });
    builds_the_first_revision(
        &fixture,
        "svnsrc",
        &format!("up::svn://127.0.0.1:{port}/up#revision=1"),
        &format!("up::svn://127.0.0.1:{port}/gone"),
    )
    .await;
}

#[tokio::test]
async fn builds_a_fossil_source_offline() {
    if !has("fossil") {
        eprintln!("SKIPPED: fossil is not installed");
        return;
    }
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.sh(
        "export HOME=$PWD USER=t
         fossil init up.fossil >init.log && mkdir work && cd work && fossil open ../up.fossil >../open.log
         echo one >src.txt && fossil add src.txt && fossil commit -m one --tag first --no-warnings
         echo second >src.txt && fossil commit -m two --no-warnings",
    );
    let (repository, home) = (fixture.path("up.fossil"), fixture.path("."));
    let port = serve(move || {
        let mut command = Command::new("fossil");
        command.args(["http", "--nojail"]).arg(&repository);
        command.env("HOME", &home).env("USER", "t");
        command
    });
    // Fossil serves its one repository at any path.
    let silent = serve(|| Command::new("true"));
    builds_the_first_revision(
        &fixture,
        "fossilsrc",
        &format!("up::fossil+http://127.0.0.1:{port}/#tag=first"),
        &format!("up::fossil+http://127.0.0.1:{silent}/"),
    )
    .await;
}

#[tokio::test]
async fn builds_a_bazaar_source_offline() {
    if !has("bzr") {
        eprintln!("SKIPPED: bazaar is not installed");
        return;
    }
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.sh(
        "export HOME=$PWD BRZ_EMAIL='t <t@localhost>' BZR_EMAIL='t <t@localhost>'
         bzr init --quiet up && cd up && echo one >src.txt && bzr add --quiet src.txt
         bzr commit --quiet -m one && echo two >src.txt && bzr commit --quiet -m two",
    );
    let folder = fixture.path(".");
    let port = serve(move || {
        let mut command = Command::new("bzr");
        command
            .args(["serve", "--inet", "--directory"])
            .arg(&folder);
        command.env("HOME", &folder);
        command
    });
    builds_the_first_revision(
        &fixture,
        "bzrsrc",
        &format!("up::bzr://127.0.0.1:{port}/up#revision=1"),
        &format!("up::bzr://127.0.0.1:{port}/gone"),
    )
    .await;
}

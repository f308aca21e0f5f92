//! End to end: from one command to a repository that pacman installs from.

use std::process::Command;

use buildbtw_tests::{
    Server, Sources, Worker, cli, has_tool, pacman_installs, pacman_upgrades, printed,
};

#[test]
fn rebuilds_library_and_dependents_with_one_command() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let server = Server::start(folder.path(), &sources);
    let _worker = Worker::simulated(&server, &folder.path().join("scratch"), 2, "0");

    let output = cli(
        &server,
        &["new", "libfoo/main", "--name", "foo", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let built = |pkgbase: &str| {
        text.lines()
            .position(|line| line.contains("built") && line.contains(pkgbase))
    };
    let order: Vec<_> = ["libfoo", "left", "top"]
        .iter()
        .map(|pkgbase| built(pkgbase))
        .collect();
    assert!(
        order.iter().all(Option::is_some) && order.is_sorted(),
        "{text}"
    );
    assert!(built("right") < built("top"), "{text}");
    assert!(
        !text.contains("other"),
        "unrelated packages are not rebuilt: {text}"
    );

    pacman_upgrades(folder.path(), &server, "foo");
    if has_tool("pacman") {
        let installed = pacman_installs(
            folder.path(),
            &server,
            "foo",
            &["libfoo", "left", "right", "top"],
        );
        assert_eq!(
            installed,
            ["left 1-1.1", "libfoo 1-1", "right 1-1.1", "top 1-1.1"]
        );
    }
}

#[test]
fn reports_unknown_pkgbase_in_one_line_with_hint() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let server = Server::start(folder.path(), &sources);
    let output = cli(&server, &["new", "nothing/main"]);
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(
        lines[0].starts_with("error: ") && lines[0].contains("nothing"),
        "{error}"
    );
    assert!(lines[1].starts_with("hint: "), "{error}");
}

#[test]
fn reports_port_in_use_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let server = Server::start(folder.path(), &sources);
    let other = folder.path().join("other");
    let address = server.url().replace("http://", "");
    let output = Command::new(buildbtw_tests::program("buildbtw-server"))
        .args(["run", "--listen", &address, "--data-dir"])
        .arg(&other)
        .arg("--sources-dir")
        .arg(sources.folder())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains(&format!("{address} is in use")), "{error}");
}

#[test]
fn shuts_down_server_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let mut server = Server::start(folder.path(), &sources);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!server.data().join("address").exists());
}

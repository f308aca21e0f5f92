//! Downloads: of sources, and in `prepare()`.

use std::net::TcpStream;
use std::process::Command;

use buildbtw_tests::{Process, Server, Sources, Worker, cli, eventually, file_in, printed};

use super::support::{
    LOOPBACK, build, built, can_build, failed_once, has_line, in_own_network, input, new, serve,
};

/// The port that the inputs name.
const PORT: u16 = 23_420;

#[test]
fn case_02_no_network_in_prepare() {
    if !can_build() {
        return;
    }
    in_own_network(|| {
        serve(PORT, "200 OK", "locked\n");
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::new(folder.path());
        sources.commit_folder("netprep", &input("02-no-network-in-prepare/netprep"));
        let server = Server::start_with_lease(folder.path(), &sources, 60);
        let scratch = folder.path().join("scratch");
        let _worker = Worker::sandboxed_and(&server, &scratch, &LOOPBACK);

        // A message with a remedy, on its own line.
        let by_hand = printed(&build(
            folder.path(),
            "02-no-network-in-prepare/netprep",
            &LOOPBACK,
        ));
        let line = "hint: build with `buildbtw build --network prepare`";
        assert!(has_line(&by_hand, line), "{by_hand}");
        let (code, text) = new(&server, "usual", &["netprep/main"]);
        assert_eq!(code, Some(1), "{text}");
        let line = "  hint: plan with `buildbtw new --network prepare`";
        assert!(has_line(&text, line), "{text}");
        let message = failed_once(&server, "usual", "netprep");
        let reason = "prepare() must not use the network: policy `sources`";
        assert!(message.starts_with(reason), "{message}");
        let hint = "buildbtw new --network prepare";
        assert!(message.contains(hint), "{message}");
        let shown = printed(&cli(&server, &["show", "usual"]));
        assert!(shown.contains(reason), "{shown}");

        // A network for the packages that an operator names.
        let (code, text) = new(&server, "online", &["netprep/main", "--network", "prepare"]);
        assert_eq!(code, Some(0), "{text}");
        let log = printed(&cli(&server, &["logs", "online", "netprep"]));
        assert!(has_line(&log, "locked"), "{log}");
        let shown = printed(&cli(&server, &["show", "online"]));
        assert!(shown.contains("prepare"), "{shown}");
    });
}

#[test]
fn case_09_source_signatures_not_checked() {
    if !can_build() {
        return;
    }
    in_own_network(|| {
        serve(PORT, "200 OK", "any bytes\n");
        let folder = tempfile::tempdir().unwrap();
        let path = "09-source-signatures-not-checked/tampered";
        let output = build(folder.path(), path, &LOOPBACK);
        let text = printed(&output);
        assert!(!output.status.success(), "{text}");
        let message =
            "the build failed (package): the signature of `src.txt` could not be verified";
        assert!(text.contains(message), "{text}");
    });
}

#[test]
fn case_14_missing_source_is_retried() {
    if !can_build() {
        return;
    }
    in_own_network(|| {
        serve(PORT, "404 Not Found", "");
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::new(folder.path());
        let missing = input("14-missing-source-is-retried/missing404");
        sources.commit_folder("missing404", &missing);
        let server = Server::start_with_lease(folder.path(), &sources, 60);
        let scratch = folder.path().join("scratch");
        let _worker = Worker::sandboxed_and(&server, &scratch, &LOOPBACK);
        let (code, text) = new(&server, "missing", &["missing404/main"]);
        assert_eq!(code, Some(1), "{text}");
        let message = failed_once(&server, "missing", "missing404");
        assert!(
            message.contains("http://127.0.0.1:23420/missing.tar.gz")
                && message.contains("HTTP status 404 (Not Found)"),
            "{message}"
        );
    });
}

#[test]
fn case_15_source_behind_a_cookie() {
    if !can_build() {
        return;
    }
    in_own_network(|| {
        let script = input("15-source-behind-a-cookie/web.py");
        let _web = Process::start("web.py", Command::new("python3").arg(script));
        eventually("web.py serves", || {
            TcpStream::connect(("127.0.0.1", PORT)).ok()
        });
        let folder = tempfile::tempdir().unwrap();
        let path = "15-source-behind-a-cookie/cookie";
        let (packages, _) = built(folder.path(), path, &LOOPBACK);
        assert_eq!(
            file_in(&packages[0], "usr/share/cookiesrc/x"),
            "cookie file\n"
        );
    });
}

//! A package that searches for the worker's token and the server, built by a real worker.

use buildbtw_model::BuildStatus;
use buildbtw_tests::{Server, Sources, Worker, cli, is_root, pacman_upgrades, printed};

/// The worker has the most powerful token, on its command line, where it is easiest to find.
#[test]
fn build_cannot_reach_tokens_or_server() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let server = Server::start_with_lease(folder.path(), &sources, 60);
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    let token = server.admin_token();
    // Half of it, reversed: the package must find it, not contain it.
    let wanted: String = token.chars().rev().take(12).collect();
    let pkgbuild = format!(
        r#"pkgname=thief
pkgver=1
pkgrel=1
arch=(x86_64)
build() {{
  wanted=$(echo {wanted} | rev)
  env | grep -q "$wanted" && echo FOUND in the environment
  for pid in /proc/[0-9]*; do
    cat $pid/environ $pid/cmdline 2>/dev/null | tr '\0' '\n' | grep -v grep | grep -q "$wanted" \
      && echo FOUND in $pid
  done
  grep -rlIs --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev "$wanted" \
    /etc /build /tmp /run /home /root /var /opt /srv /mnt && echo FOUND in a file
  for host in 127.0.0.1 127.0.0.2 0.0.0.0 localhost ::1; do
    (: </dev/tcp/$host/{port}) 2>/dev/null && echo CONNECTED to $host
  done
  curl --silent --max-time 2 http://127.0.0.1:{port}/ && echo CONNECTED with curl
  [[ $(tail -n +3 /proc/net/dev | grep -vc '^ *lo:') == 0 ]] || echo INTERFACES
  echo the search is over
}}
package() {{ install -Dm644 /dev/null "$pkgdir/usr/share/thief"; }}
"#
    );
    let srcinfo =
        "pkgbase = thief\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = thief\n";
    sources.commit_with("thief", srcinfo, &pkgbuild);

    let output = cli(
        &server,
        &["new", "thief/main", "--name", "thief", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let iteration = runtime
        .block_on(server.client().iteration(&"thief".parse().unwrap(), None))
        .unwrap();
    assert_eq!(iteration.builds[0].status, BuildStatus::Built);
    pacman_upgrades(folder.path(), &server, "thief");
    let log = cli(&server, &["logs", "thief", "thief"]);
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert!(log.contains("the search is over"), "{log}");
    for word in ["FOUND", "CONNECTED", "INTERFACES", &token] {
        assert!(!log.contains(word), "{word}: {log}");
    }
}

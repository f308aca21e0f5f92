//! Sources in GitLab: pushed over HTTP, announced by a signed webhook, fetched by a worker with
//! credentials, and built in the sandbox.

use buildbtw_model::{BuildStatus, EventId, IterationStatus};
use buildbtw_tests::{Forge, Server, Worker, cli, is_root, pacman_upgrades, printed};

fn pkgbuild(version: &str, search_for: &str) -> String {
    format!(
        r#"pkgname=hello
pkgver={version}
pkgrel=1
arch=(x86_64)
build() {{
  wanted=$(echo {search_for} | rev)
  env | grep -q "$wanted" && echo FOUND in the environment
  grep -rlIs --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev "$wanted" \
    /etc /build /tmp /run /home /root /var /opt /srv /mnt && echo FOUND in a file
  echo built version {version}
}}
package() {{ install -Dm644 /dev/null "$pkgdir/usr/share/hello"; }}
"#
    )
}

fn srcinfo(version: &str) -> String {
    format!(
        "pkgbase = hello\n\tpkgver = {version}\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = hello\n"
    )
}

#[test]
fn push_over_http_becomes_packages_without_leaking_the_token() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let forge = Forge::new(folder.path());
    // Half of it, reversed: the package must find it, not contain it.
    let wanted: String = forge.worker_token.chars().rev().take(12).collect();
    forge.push("hello", &srcinfo("1"), &pkgbuild("1", &wanted));
    let mut server = Server::start_with_gitlab(folder.path(), &forge);
    server.wait_until_logged("finished a full resync");
    forge.hook(&server.url());
    let scratch = folder.path().join("scratch");
    let _worker = Worker::sandboxed_with_credentials(&server, &scratch, &forge.credentials());
    let output = cli(
        &server,
        &["new", "hello/main", "--name", "hello", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));

    // Only the webhook announces it.
    forge.push("hello", &srcinfo("2"), &pkgbuild("2", &wanted));
    let name = "hello".parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let iteration = runtime.block_on(async {
        let client = server.client();
        let mut events = client.events(&name, Some(EventId(0))).await.unwrap();
        while let Some(event) = events.next().await.unwrap() {
            if event.iteration == Some(2) && event.kind.is_about_iteration() {
                let iteration = client.iteration(&name, Some(2)).await.unwrap();
                if iteration.summary.status.is_final() {
                    return iteration;
                }
            }
        }
        panic!("the events ended");
    });
    assert_eq!(iteration.summary.status, IterationStatus::Done);
    assert_eq!(iteration.builds[0].status, BuildStatus::Built);
    pacman_upgrades(folder.path(), &server, "hello");
    let log = cli(&server, &["logs", "hello", "hello"]);
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert!(log.contains("built version 2"), "{log}");
    for word in ["FOUND", &forge.worker_token] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    // Git's copy is removed, and the operator's own file is unchanged.
    let kept = std::fs::read_to_string(forge.credentials()).unwrap();
    assert!(kept.contains(&forge.worker_token));
    // The commit was fetched by its hash, without listing refs.
    let fetches = forge.gitlab.requests();
    let fetches = fetches
        .iter()
        .filter(|request| request.path.ends_with("/git-upload-pack"));
    assert_eq!(fetches.count(), 2, "two builds, and one fetch each");
}

//! What the commands of the command line print, as [`crate::messages`] records it.

use std::path::Path;

use buildbtw_model::api::{ClaimedBuild, Outcome};
use buildbtw_model::client::Client;
use buildbtw_model::{EventId, EventKind, Explanation, FailureKind, IterationStatus};
use buildbtw_tests::worker_pool::{Packages, claim, done, persist, report};
use buildbtw_tests::{Package, Server, Sources, pacman_upgrades};
use tokio::runtime::Runtime;

use crate::following::wait_until_done;
use crate::messages::Transcript;

/// Why the dependent fails, as a builder says it.
const FAILURE: &str = "build() failed: greet.c:1: hello.h: No such file";
const HINT: &str = "depend on hello";

/// Creates a library, a program that needs it, and a repository that cannot be used.
fn sources(folder: &Path) -> Sources {
    let sources = Sources::new(folder);
    sources.commit(&Package {
        pkgbase: "libgreet",
        pkgver: "1",
        base: &["provides = libgreet.so=1-64"],
        packages: &[],
    });
    sources.commit(&Package {
        pkgbase: "greet",
        pkgver: "1",
        base: &["depends = libgreet"],
        packages: &[],
    });
    sources.commit_text("broken", "pkgver = 1\n");
    sources
}

/// A worker that does what the test says.
struct Builder {
    client: Client,
    packages: Packages,
    runtime: Runtime,
}

impl Builder {
    fn new(folder: &Path, server: &Server) -> Self {
        Self {
            client: server.client(),
            packages: Packages::new(folder),
            runtime: Runtime::new().unwrap(),
        }
    }

    /// Claims the next build, which must be of this pkgbase, and writes its log.
    async fn begin(&self, pkgbase: &str) -> ClaimedBuild {
        let build = claim(&self.client, "builder", 50).await.unwrap();
        assert_eq!(build.pkgbase.as_str(), pkgbase);
        persist(|| self.client.heartbeat(build.attempt)).await;
        let log = format!("building {pkgbase}\n").into_bytes();
        persist(|| self.client.append_log(build.attempt, 0, log.clone())).await;
        build
    }

    fn build(&self, pkgbase: &str) {
        self.runtime.block_on(async {
            let build = self.begin(pkgbase).await;
            let packages = self.packages.upload(&self.client, &build).await;
            report(&self.client, &build, packages).await;
        });
    }

    /// Lets a build fail, and waits for the end of the iteration.
    fn fail(&self, pkgbase: &str, explanation: Explanation) {
        self.runtime.block_on(async {
            let build = self.begin(pkgbase).await;
            let outcome = Outcome::failed(FailureKind::Package, explanation);
            persist(|| self.client.report_outcome(build.attempt, &outcome)).await;
            let mut events = self
                .client
                .events(&"set".parse().unwrap(), Some(EventId(0)))
                .await
                .unwrap();
            while let Some(event) = events.next().await.unwrap() {
                if event.kind == EventKind::Iteration(IterationStatus::Failed) {
                    return;
                }
            }
            panic!("the events ended");
        });
    }
}

#[test]
fn offline_outputs_match_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join("tree").join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(".SRCINFO"), text).unwrap();
    };
    for package in [
        Package {
            pkgbase: "libgreet",
            pkgver: "2",
            base: &["provides = libgreet.so=2-64"],
            packages: &[],
        },
        Package {
            pkgbase: "greet",
            pkgver: "1",
            base: &["depends = libgreet"],
            packages: &[],
        },
        Package {
            pkgbase: "party",
            pkgver: "1",
            base: &["depends = greet", "makedepends = nothing"],
            packages: &[],
        },
    ] {
        write(package.pkgbase, &package.srcinfo());
    }
    let mut transcript = Transcript::new(folder.path());
    for line in [
        "buildbtw plan libgreet --srcinfo tree --arch x86_64",
        "buildbtw plan libgreet --srcinfo tree --arch x86_64 --scope direct --no-bump",
        "buildbtw plan libgreet --srcinfo tree --arch x86_64 --format dot",
    ] {
        transcript.succeed(line);
    }
    write("nameless", "pkgver = 1\n");
    write(
        "twice",
        "pkgbase = greet\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = any\n\npkgname = greet\n",
    );
    std::fs::create_dir_all(folder.path().join("tree/folder/.SRCINFO")).unwrap();
    transcript.succeed("buildbtw plan greet --srcinfo tree --arch x86_64");
    insta::assert_snapshot!("offline", transcript.finish());
}

#[test]
fn rebuild_outputs_match_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let server = Server::start(folder.path(), &sources);
    let builder = Builder::new(folder.path(), &server);
    let transcript = || {
        let mut transcript = Transcript::with_server(folder.path(), &server);
        transcript.set("BUILDBTW_TOKEN", &server.admin_token());
        transcript
    };

    let mut planned = transcript();
    for line in [
        "buildbtw list",
        "buildbtw sources",
        "buildbtw sources --broken",
        "buildbtw plan libgreet",
        "buildbtw sources gre --json pkgbase,version",
        "buildbtw list --json",
        "buildbtw new libgreet/main --name set --follow-default never",
        "buildbtw new libgreet/main --scope origin",
        "buildbtw cancel libgreet-1",
        "buildbtw delete libgreet-1 --yes",
        "buildbtw list",
        "buildbtw show set",
        "buildbtw why set libgreet",
        "buildbtw why set greet",
        "buildbtw status",
        "buildbtw open set --print",
    ] {
        planned.succeed(line);
    }
    insta::assert_snapshot!("planned", planned.finish());

    builder.build("libgreet");
    builder.fail("greet", Explanation::with_hint(FAILURE, HINT));
    let mut failed = transcript();
    let code = failed.run("buildbtw watch set");
    assert_eq!(code, Some(1));
    for line in [
        "buildbtw list",
        "buildbtw show set",
        "buildbtw why set greet",
        "buildbtw logs set greet",
        "buildbtw logs set --failed --tail 1",
        "buildbtw list --failed --json name,iteration.counts.failed",
        "buildbtw show set --jq '.builds[] | [.pkgbase, .status] | @tsv'",
        "buildbtw retry set",
        "buildbtw cancel set",
        "buildbtw show set",
        "buildbtw resume set",
    ] {
        failed.succeed(line);
    }
    insta::assert_snapshot!("failed", failed.finish());

    builder.build("greet");
    builder.runtime.block_on(done(&builder.client, "set"));
    pacman_upgrades(folder.path(), &server, "set");
    let mut built = transcript();
    built.succeed("buildbtw watch set");
    built.succeed("buildbtw new-iteration set");
    let name = "set".parse().unwrap();
    let again = wait_until_done(&builder.client, &name, 2);
    builder.runtime.block_on(again);
    for line in [
        "buildbtw show set",
        "buildbtw show set --iteration 1",
        "buildbtw diff set",
        "buildbtw logs set libgreet",
        "buildbtw new libgreet/main --name again --no-bump",
        "buildbtw delete again --yes",
    ] {
        built.succeed(line);
    }
    insta::assert_snapshot!("built", built.finish());
}

#[test]
fn token_outputs_match_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let server = Server::start(folder.path(), &sources);
    let mut transcript = Transcript::with_server(folder.path(), &server);
    transcript.name("{token}", &server.admin_token());
    for line in [
        "BUILDBTW_TOKEN={token} buildbtw login",
        "buildbtw token create --scope worker --name builders",
        "buildbtw token create --scope client --name me --expires 30d --output token",
        "buildbtw token list",
        "buildbtw token revoke 2",
        "buildbtw token list",
    ] {
        transcript.succeed(line);
    }
    insta::assert_snapshot!("tokens", transcript.finish());
}

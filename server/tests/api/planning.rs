//! Plans that use base repositories and the libraries that built packages link.

use buildbtw_model::api::{CreateIteration, CreateNamespace, PlanFormat, PlanPreview, ProblemKind};
use buildbtw_model::{BuildStatus, IterationStatus};
use buildbtw_server::repos::database::{Entry, render};
use tempfile::TempDir;

use crate::support::{
    Repository, ServerOptions, SourceTree, Srcinfo, TestServer, elf, eventually, new_namespace,
    parse, refusal, reported,
};

/// A package of a base repository.
pub(crate) struct Based {
    name: &'static str,
    version: &'static str,
    depends: &'static [&'static str],
    provides: &'static [&'static str],
}

impl Based {
    fn desc(&self) -> String {
        let list = |key: &str, values: &[&str]| format!("%{key}%\n{}\n\n", values.join("\n"));
        list("NAME", &[self.name])
            + &list("VERSION", &[self.version])
            + &list("DEPENDS", self.depends)
            + &list("PROVIDES", self.provides)
    }
}

/// Starts a server with a base repository `core` that contains these packages.
pub(crate) async fn server_over(
    packages: &[Based],
    prepare: impl FnOnce(&SourceTree),
) -> (TestServer, TempDir) {
    let base = tempfile::tempdir().unwrap();
    let described: Vec<_> = packages
        .iter()
        .map(|package| (parse(package.name), parse(package.version), package.desc()))
        .collect();
    let entries = described.iter().map(|(name, version, desc)| Entry {
        name,
        version,
        desc,
        files: None,
    });
    fs_err::write(base.path().join("core.db"), render(entries).unwrap()).unwrap();
    let config = base.path().join("base.toml");
    let text = format!(
        "[[repository]]\nname = \"core\"\narchitectures = [\"x86_64\"]\n\
         servers = [\"file://{}\"]\nsig_level = \"Never\"\n",
        base.path().display()
    );
    fs_err::write(&config, text).unwrap();
    let options = ServerOptions {
        extra: vec!["--base-repositories".into(), config.display().to_string()],
        ..Default::default()
    };
    (TestServer::start_with(options, prepare).await, base)
}

pub(crate) fn preview(origin: &str) -> PlanPreview {
    serde_json::from_value(serde_json::json!({ "changesets": [origin], "format": "json" })).unwrap()
}

/// Pushes a library whose new version has another soname, and a cycle above it.
pub(crate) fn cycle(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libcyc", "2-1").with("provides", "libcyc.so"));
    for (name, other) in [("cyc-a", "cyc-b"), ("cyc-b", "cyc-a")] {
        sources.push(
            &Srcinfo::new(name, "1-1")
                .depends(&["libcyc.so"])
                .with("makedepends", other),
        );
    }
}

pub(crate) const OLD_CYCLE: [Based; 3] = [
    Based {
        name: "libcyc",
        version: "1-1",
        depends: &[],
        provides: &["libcyc.so=1-64"],
    },
    Based {
        name: "cyc-a",
        version: "1-1",
        depends: &["libcyc.so=1-64"],
        provides: &[],
    },
    Based {
        name: "cyc-b",
        version: "1-1",
        depends: &["libcyc.so=1-64"],
        provides: &[],
    },
];

#[tokio::test]
async fn offers_bootstrap_build_for_cycle_above_new_soname() {
    let (server, _base) = server_over(&OLD_CYCLE, cycle).await;
    let admin = server.admin();
    let request = new_namespace(&["libcyc/main"]);
    let problem = refusal(admin.create_namespace(&request).await);
    assert_eq!(problem.kind, ProblemKind::BootstrapNeeded, "{problem:?}");
    let detail = problem.detail.unwrap();
    assert!(
        detail.contains("the old cyc-b 1-1 needs libcyc.so=1-64"),
        "{detail}"
    );
    let hint = problem.hint.unwrap();
    for choice in ["--bootstrap cyc-a", "--bootstrap cyc-b"] {
        assert!(hint.contains(choice), "{hint}");
    }
    let text = admin
        .preview_plan(&PlanPreview {
            format: PlanFormat::Text,
            ..preview("libcyc/main")
        })
        .await
        .unwrap();
    assert!(text.contains("it builds with --bootstrap cyc-b"), "{text}");
    let plan: serde_json::Value =
        serde_json::from_str(&admin.preview_plan(&preview("libcyc/main")).await.unwrap()).unwrap();
    let choices = serde_json::json!(["cyc-a", "cyc-b"]);
    assert_eq!(plan["needs_bootstrap"][0]["choices"], choices, "{plan}");

    let request = CreateNamespace {
        name: Some(parse("cyc")),
        bootstrap: vec![parse("cyc-b")],
        ..request
    };
    admin.create_namespace(&request).await.unwrap();
    let worker = server.worker("w").await;
    worker.builds("libcyc").await;
    let first = worker.builds("cyc-b").await;
    assert!(first.claimed.bootstrap);
    assert_eq!(first.claimed.dependencies, ["libcyc.so"]);
    let other = worker.builds("cyc-a").await;
    assert!(!other.claimed.bootstrap);
    let last = worker.builds("cyc-b").await;
    assert!(!last.claimed.bootstrap);
    assert_eq!(last.claimed.stage, 2);
    assert_eq!(last.claimed.dependencies, ["libcyc.so", "cyc-a"]);
    let seen = |build| Repository::new(server.url(), "cyc", "1", "x86_64").seen_by(build);
    assert_eq!(seen(first.claimed.build).lists().await, ["libcyc-2-1"]);
    let all = ["cyc-a-1-1.1", "cyc-b-1-1.1", "libcyc-2-1"];
    assert_eq!(seen(last.claimed.build).lists().await, all);

    // A later iteration bootstraps the same package, and reuses its build.
    admin
        .create_iteration(&parse("cyc"), CreateIteration::default())
        .await
        .unwrap();
    // Reused builds are published after the response.
    let second = eventually("the second iteration is done", async || {
        let second = server.iteration("cyc").await;
        (second.summary.status == IterationStatus::Done).then_some(second)
    })
    .await;
    assert_eq!(second.summary.number, 2);
    for build in second.builds {
        assert_eq!(build.status, BuildStatus::Reused, "{build:?}");
        let is_first = build.pkgbase.as_str() == "cyc-b" && build.stage == 1;
        assert_eq!(build.bootstrap, is_first, "{build:?}");
    }
}

#[tokio::test]
async fn builds_cycle_with_old_packages_when_soname_is_unchanged() {
    let (server, _base) = server_over(&OLD_CYCLE, |sources| {
        cycle(sources);
        // The same upstream version, only rebuilt.
        sources.push(&Srcinfo::new("libcyc", "1-2").with("provides", "libcyc.so"));
    })
    .await;
    server.namespace("same", &["libcyc/main"]).await;
    let builds = server.iteration("same").await.builds;
    assert!(builds.iter().all(|build| !build.bootstrap));

    server
        .sources
        .push(&Srcinfo::new("libcyc", "2-1").with("provides", "libcyc.so"));
    server.source_at("libcyc", "2-1").await;
    let request = CreateNamespace {
        same_sonames: true,
        ..new_namespace(&["libcyc/main"])
    };
    server.admin().create_namespace(&request).await.unwrap();

    // The first one cannot continue without a bootstrap build, and can with one.
    let name = parse("same");
    let again = server
        .admin()
        .create_iteration(&name, CreateIteration::default())
        .await;
    assert_eq!(refusal(again).kind, ProblemKind::BootstrapNeeded);
    let request = CreateIteration {
        bootstrap: vec![parse("cyc-a")],
        ..CreateIteration::default()
    };
    server
        .admin()
        .create_iteration(&name, request)
        .await
        .unwrap();
    let builds = server.iteration("same").await.builds;
    let bootstrapped: Vec<&str> = builds
        .iter()
        .filter(|build| build.bootstrap)
        .map(|build| build.pkgbase.as_str())
        .collect();
    assert_eq!(bootstrapped, ["cyc-a"]);
}

#[tokio::test]
async fn reports_bootstrap_build_outside_a_cycle() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "2-1"));
    })
    .await;
    let request = CreateNamespace {
        name: Some(parse("plain")),
        bootstrap: vec![parse("libgreet")],
        ..new_namespace(&["libgreet/main"])
    };
    server.admin().create_namespace(&request).await.unwrap();
    let notes = server.iteration("plain").await.notes;
    let found = notes
        .iter()
        .any(|note| note.text.contains("nothing to bootstrap"));
    assert!(found, "{notes:?}");
}

#[tokio::test]
async fn rebuilds_packages_that_link_a_library_without_declaring_it() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libfoo", "1-1"));
        sources.push(&Srcinfo::new("quiet", "1-1"));
        sources.push(&Srcinfo::new("other", "1-1"));
    })
    .await;
    let changesets = ["libfoo/main", "quiet/main", "other/main"];
    server.namespace("first", &changesets).await;
    let worker = server.worker("w").await;
    for _ in changesets {
        let job = worker.claims().await;
        job.starts().await;
        let files: Vec<(&str, Vec<u8>)> = match job.claimed.pkgbase.as_str() {
            "libfoo" => vec![(
                "usr/lib/libfoo.so.1.0",
                elf(Some("libfoo.so.1"), &["libc.so.6"]),
            )],
            "quiet" => vec![("usr/bin/quiet", elf(None, &["libc.so.6", "libfoo.so.1"]))],
            // A private library that others cannot link.
            _ => vec![
                ("usr/lib/other/libfoo.so.1", elf(Some("libfoo.so.1"), &[])),
                ("usr/bin/other", elf(None, &["libc.so.6"])),
            ],
        };
        let packages = job.makes_with_files(&files);
        for package in &packages {
            job.uploads(package).await.unwrap();
        }
        job.reports(&reported(&packages)).await.unwrap();
    }
    // The recorded libraries outlive the packages.
    server
        .admin()
        .delete_namespace(&parse("first"))
        .await
        .unwrap();

    server.sources.push(&Srcinfo::new("libfoo", "2-1"));
    server.source_at("libfoo", "2-1").await;
    server.namespace("second", &["libfoo/main"]).await;
    let builds = server.iteration("second").await.builds;
    let names: Vec<&str> = builds.iter().map(|build| build.pkgbase.as_str()).collect();
    assert_eq!(names, ["libfoo", "quiet"]);
    assert_eq!(builds[1].via.as_deref(), Some("links libfoo.so.1"));
    let text = server
        .admin()
        .preview_plan(&preview("libfoo/main"))
        .await
        .unwrap();
    assert!(text.contains("links libfoo.so.1"), "{text}");
    let page = server
        .request(reqwest::Method::GET, "/namespaces/second")
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("(links libfoo.so.1)"), "{page}");

    // The new library has another soname, which the latest `quiet` links.
    let job = worker.claims_build_of("libfoo").await;
    let files = [("usr/lib/libfoo.so.2", elf(Some("libfoo.so.2"), &[]))];
    let packages = job.makes_with_files(&files);
    job.uploads(&packages[0]).await.unwrap();
    job.reports(&reported(&packages)).await.unwrap();
    // It has not been rebuilt yet, so it still links the old soname.
    server.namespace("third", &["libfoo/main"]).await;
    assert_eq!(server.iteration("third").await.builds.len(), 2);
}

#[tokio::test]
async fn rebuilds_packages_listed_as_linked_in_base() {
    let packages = [
        Based {
            name: "libfoo",
            version: "1-1",
            depends: &[],
            provides: &["lib:libfoo.so.1"],
        },
        Based {
            name: "quiet",
            version: "1-1",
            depends: &["lib:libfoo.so.1"],
            provides: &[],
        },
    ];
    let (server, _base) = server_over(&packages, |sources| {
        sources.push(&Srcinfo::new("libfoo", "2-1"));
        sources.push(&Srcinfo::new("quiet", "1-1"));
    })
    .await;
    server.namespace("bump", &["libfoo/main"]).await;
    let builds = server.iteration("bump").await.builds;
    assert_eq!(builds[1].pkgbase.as_str(), "quiet");
    assert_eq!(builds[1].via.as_deref(), Some("links libfoo.so.1"));
}

#[tokio::test]
async fn follows_chains_through_packages_of_base() {
    let packages = [Based {
        name: "middle",
        version: "1-1",
        depends: &["libfoo"],
        provides: &["between"],
    }];
    let (server, _base) = server_over(&packages, |sources| {
        sources.push(&Srcinfo::new("libfoo", "2-1"));
        sources.push(&Srcinfo::new("app", "1-1").depends(&["between"]));
    })
    .await;
    server.namespace("bump", &["libfoo/main"]).await;
    let builds = server.iteration("bump").await.builds;
    let reason: Vec<&str> = builds[1].reason.iter().map(|name| name.as_str()).collect();
    assert_eq!(reason, ["libfoo", "middle", "app"]);
    assert_eq!(builds.len(), 2);
}

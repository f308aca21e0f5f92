//! Releases and plans above base repositories: unreadable ones, several architectures, and packages
//! that moved from one pkgbase to another.

use buildbtw_model::api::{CreateIteration, CreateNamespace, PlanFormat, PlanPreview, ProblemKind};
use buildbtw_model::{NoteKind, PackageVersion, Scope};
use buildbtw_server::repos::database::{Entry, render};
use tempfile::TempDir;

use crate::support::{
    Job, Repository, ServerOptions, SourceTree, Srcinfo, TestServer, eventually, make_package,
    new_namespace, parse, refusal, reported,
};

const OLDER: &str = "older than base, `pacman -Syu` will not install it";
const NOT_CHECKED: &str = "were not checked against the base repositories";

/// A base repository `core` with a database per architecture.
struct Base(TempDir);

/// A package of it: pkgbase, name and version.
type Based = (&'static str, &'static str, &'static str);

impl Base {
    fn new(architectures: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[[repository]]\nname = \"core\"\narchitectures = {architectures:?}\n\
             servers = [\"file://{}/$arch\"]\nsig_level = \"Never\"\n",
            folder.path().display()
        );
        fs_err::write(folder.path().join("base.toml"), text).unwrap();
        let base = Self(folder);
        for architecture in architectures {
            base.set_packages(architecture, &[]);
        }
        base
    }

    fn database(&self, architecture: &str) -> std::path::PathBuf {
        self.0.path().join(architecture).join("core.db")
    }

    /// Writes its new content.
    fn set_packages(&self, architecture: &str, packages: &[Based]) {
        let packages: Vec<_> = packages
            .iter()
            .map(|(pkgbase, name, version)| {
                let desc = format!("%NAME%\n{name}\n\n%BASE%\n{pkgbase}\n\n");
                (parse(name), parse(version), desc)
            })
            .collect();
        let entries = packages.iter().map(|(name, version, desc)| Entry {
            name,
            version,
            desc,
            files: None,
        });
        fs_err::create_dir_all(self.0.path().join(architecture)).unwrap();
        fs_err::write(self.database(architecture), render(entries).unwrap()).unwrap();
    }

    /// Removes the database of an architecture from its mirror.
    fn remove_database(&self, architecture: &str) {
        fs_err::remove_file(self.database(architecture)).unwrap();
    }

    fn options(&self, architectures: &'static str) -> ServerOptions {
        let config = self.0.path().join("base.toml").display().to_string();
        ServerOptions {
            architectures,
            extra: vec!["--base-repositories".into(), config],
            ..Default::default()
        }
    }
}

/// Starts a server over a base repository for x86_64.
async fn server_over(packages: &[Based], prepare: impl FnOnce(&SourceTree)) -> (TestServer, Base) {
    let base = Base::new(&["x86_64"]);
    base.set_packages("x86_64", packages);
    let server = TestServer::start_with(base.options("x86_64"), prepare).await;
    (server, base)
}

fn library(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-3").depends(&["libgreet"]));
}

fn preview(value: serde_json::Value) -> PlanPreview {
    serde_json::from_value(value).unwrap()
}

async fn plan(server: &TestServer, preview: PlanPreview) -> String {
    let preview = PlanPreview {
        format: PlanFormat::Text,
        ..preview
    };
    server.admin().preview_plan(&preview).await.unwrap()
}

async fn problems(server: &TestServer, namespace: &str) -> Vec<String> {
    let notes = server.iteration(namespace).await.notes;
    let problems = notes
        .into_iter()
        .filter(|note| note.kind == NoteKind::Problem);
    problems.map(|note| note.text).collect()
}

async fn version(server: &TestServer, namespace: &str, pkgbase: &str) -> String {
    server.build(namespace, pkgbase).await.version.to_string()
}

/// Uploads a package of this version and reports success.
async fn delivers(job: &Job, version: &str) -> Result<(), buildbtw_model::api::Problem> {
    let name = job.claimed.pkgbase.as_str();
    let architecture = job.claimed.architecture.as_str();
    let package = make_package(name, version, architecture, job.folder());
    job.uploads(&package).await.unwrap();
    match job.reports(&reported(&[package])).await {
        Ok(_) => Ok(()),
        refused => Err(refusal(refused)),
    }
}

async fn plans_again(server: &TestServer, request: CreateIteration) {
    let (admin, name) = (server.admin(), parse("bump"));
    admin.create_iteration(&name, request).await.unwrap();
}

#[tokio::test]
async fn does_not_replan_namespace_without_its_base_repository() {
    let (server, base) = server_over(&[("greet", "greet", "1.0-3.1")], library).await;
    server.namespace("bump", &["libgreet/main"]).await;
    assert_eq!(version(&server, "bump", "greet").await, "1.0-3.2");
    base.remove_database("x86_64");
    for refresh_base in [false, true] {
        let request = CreateIteration {
            refresh_base,
            ..CreateIteration::default()
        };
        let (admin, name) = (server.admin(), parse("bump"));
        let problem = refusal(admin.create_iteration(&name, request).await);
        assert_eq!(problem.kind, ProblemKind::Unavailable, "{problem:?}");
        assert!(problem.title.contains("repository `core`"), "{problem:?}");
    }
    assert_eq!(server.iteration("bump").await.summary.number, 1);
    base.set_packages("x86_64", &[("greet", "greet", "1.0-3.4")]);
    plans_again(&server, CreateIteration::default()).await;
    assert_eq!(version(&server, "bump", "greet").await, "1.0-3.5");
}

#[tokio::test]
async fn first_plan_without_base_repository_reports_skipped_checks() {
    let (server, base) = server_over(&[], library).await;
    base.remove_database("x86_64");
    let text = plan(
        &server,
        preview(serde_json::json!({ "changesets": ["libgreet/main"] })),
    )
    .await;
    assert!(text.contains(NOT_CHECKED), "{text}");
    server.namespace("bump", &["libgreet/main"]).await;
    let problems = problems(&server, "bump").await;
    assert!(problems[0].contains("base repository core"), "{problems:?}");
    assert!(problems[1].contains(NOT_CHECKED), "{problems:?}");
    // A repository that the first plan could not read does not prevent replanning.
    plans_again(&server, CreateIteration::default()).await;
}

/// Pushes `newbase`, to which `moved` has moved from `oldbase`; both still build it.
fn moved(sources: &SourceTree, new_version: &str) {
    sources.push(&Srcinfo::new("libfoo", "2-4"));
    let old = Srcinfo::new("oldbase", "1-3").depends(&["libfoo"]);
    sources.push(&old.pkgname("oldbase").pkgname("moved"));
    let new = Srcinfo::new("newbase", new_version).depends(&["libfoo"]);
    sources.push(&new.pkgname("moved"));
}

#[tokio::test]
async fn ignores_release_of_package_that_moved_to_another_pkgbase() {
    let base = [("oldbase", "oldbase", "1-3"), ("newbase", "moved", "2-1")];
    let (server, _base) = server_over(&base, |sources| moved(sources, "2-1")).await;
    server.namespace("bump", &["libfoo/main"]).await;
    let problems_of_all = problems(&server, "bump").await;
    let [same_package] = &problems_of_all[..] else {
        panic!("{problems_of_all:?}");
    };
    assert!(
        same_package.contains("several source packages"),
        "{same_package}"
    );
    let worker = server.worker("w").await;
    worker.builds("libfoo").await;
    for _ in 0..2 {
        let job = worker.claims().await;
        if job.claimed.pkgbase.as_str() == "oldbase" {
            let rule = job.claimed.release.clone().unwrap();
            assert_eq!(rule.base, [parse::<PackageVersion>("1-3")]);
        }
        job.succeeds().await;
    }
    let repository = Repository::new(server.url(), "bump", "1", "x86_64");
    let listed = ["libfoo-2-4", "moved-2-1.1", "oldbase-1-3.1"];
    assert_eq!(repository.lists().await, listed);

    // Built alone, it names the owner of the remaining package.
    let request = CreateNamespace {
        name: Some(parse("alone")),
        scope: Scope::Origin,
        ..new_namespace(&["oldbase/main"])
    };
    server.admin().create_namespace(&request).await.unwrap();
    let expected =
        "oldbase: `pacman -Syu` will not install moved 1-3.1: base has 2-1, built from newbase";
    let found = problems(&server, "alone").await;
    assert!(found.iter().any(|text| text == expected), "{found:?}");
    let alone = serde_json::json!({ "changesets": ["oldbase/main"], "scope": "origin" });
    let text = plan(&server, preview(alone)).await;
    assert!(text.contains(expected), "{text}");
}

#[tokio::test]
async fn assigns_distinct_releases_to_two_pkgbases_with_equal_version() {
    for newer_last in [true, false] {
        let server = TestServer::start(|sources| moved(sources, "1-3")).await;
        server.namespace("bump", &["libfoo/main"]).await;
        assert_eq!(version(&server, "bump", "oldbase").await, "1-3.1");
        assert_eq!(version(&server, "bump", "newbase").await, "1-3.2");
        let expected = "newbase: several source packages produce moved: newbase 1-3.2, oldbase 1-3.1; the \
                        repository lists the highest version that is built, 1-3.2 of newbase";
        assert_eq!(problems(&server, "bump").await, [expected]);
        let changesets = serde_json::json!({ "changesets": ["libfoo/main"] });
        let text = plan(&server, preview(changesets)).await;
        for line in ["  newbase 1-3.2 ", "  oldbase 1-3.1 ", expected] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let worker = server.worker("w").await;
        worker.builds("libfoo").await;
        let (one, other) = (worker.claims().await, worker.claims().await);
        let is_new = one.claimed.pkgbase.as_str() == "newbase";
        for job in match is_new == newer_last {
            true => [other, one],
            false => [one, other],
        } {
            job.succeeds().await;
        }
        let repository = Repository::new(server.url(), "bump", "1", "x86_64");
        let listed = ["libfoo-2-4", "moved-1-3.2", "oldbase-1-3.1"];
        assert_eq!(repository.lists().await, listed);
    }
}

const BOTH: &str = "x86_64,aarch64";

#[tokio::test]
async fn bumps_any_package_above_the_base_of_each_architecture() {
    let base = Base::new(&["x86_64", "aarch64"]);
    base.set_packages("x86_64", &[("greet", "greet", "1.0-3")]);
    base.set_packages("aarch64", &[("greet", "greet", "1.0-3.3")]);
    let server = TestServer::start_with(base.options(BOTH), |sources| {
        let library = Srcinfo::new("libgreet", "2.0-1").arch(&["x86_64", "aarch64"]);
        sources.push(&library);
        let greet = Srcinfo::new("greet", "1.0-3").arch(&["any"]);
        sources.push(&greet.depends(&["libgreet"]));
        let pinned = Srcinfo::new("pinned", "1-1").arch(&["x86_64", "aarch64"]);
        sources.push(&pinned.depends(&["greet=1.0-3.4", "libgreet"]));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    for architecture in ["x86_64", "aarch64"] {
        let build = server.build_for("bump", "greet", architecture).await;
        assert_eq!(build.version.as_str(), "1.0-3.4", "{architecture}");
    }
    // The built packages satisfy the pin of both.
    assert_eq!(problems(&server, "bump").await, [""; 0]);
}

fn with_a_vcs_package(sources: &SourceTree) {
    let both = ["x86_64", "aarch64"];
    sources.push(&Srcinfo::new("libgreet", "2.0-1").arch(&both));
    let vcs = Srcinfo::new("greet-git", "1-1").arch(&both);
    let vcs = vcs.depends(&["libgreet"]);
    sources.push(&vcs.with("source", "git+https://example.org/greet"));
}

async fn follows_to(server: &TestServer, version: &str, number: u32) {
    let library = Srcinfo::new("libgreet", version).arch(&["x86_64", "aarch64"]);
    server.sources.push(&library);
    eventually("a new iteration", async || {
        (server.iteration("bump").await.summary.number == number).then_some(())
    })
    .await;
}

#[tokio::test]
async fn builds_planned_version_when_pkgver_is_unchanged() {
    let options = ServerOptions {
        architectures: BOTH,
        ..Default::default()
    };
    let server = TestServer::start_with(options, with_a_vcs_package).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greet-git").await;
    job.starts().await;
    delivers(&job, "1-1.1").await.unwrap();

    // The other architecture uses it.
    follows_to(&server, "2.1-1", 2).await;
    let other = server.worker_for("o", &["aarch64"]).await;
    other.builds("libgreet").await;
    let job = other.claims_build_of("greet-git").await;
    job.starts().await;
    assert_eq!(job.claimed.version.as_str(), "1-1.2");
    let rule = job.claimed.release.clone().unwrap();
    assert_eq!(rule.version(&parse("1-1")), job.claimed.version);

    // A plan that is created during the build does not include its result.
    follows_to(&server, "2.2-1", 3).await;
    let planned = server.build_for("bump", "greet-git", "aarch64").await;
    assert_eq!(planned.version.as_str(), "1-1.2");
    delivers(&job, "1-1.2").await.unwrap();
    other.builds("libgreet").await;
    let job = other.claims_build_of("greet-git").await;
    job.starts().await;
    let rule = job.claimed.release.clone().unwrap();
    let version = rule.version(&parse("1-1"));
    assert_eq!(version.as_str(), "1-1.3");
    delivers(&job, "1-1.3").await.unwrap();
}

#[tokio::test]
async fn bumps_release_again_only_above_versions_of_the_namespace() {
    let server = TestServer::start(with_a_vcs_package).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greet-git").await;
    job.starts().await;
    let problem = delivers(&job, "1-1.2").await.unwrap_err();
    assert!(
        problem
            .title
            .contains("does not have the planned version 1-1.1"),
        "{problem:?}"
    );
}

#[tokio::test]
async fn does_not_downgrade_origin_within_its_namespace() {
    let (server, base) = server_over(&[("libgreet", "libgreet", "2.0-1")], library).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    assert_eq!(version(&server, "bump", "libgreet").await, "2.0-1.1");
    // The package is removed from base.
    base.set_packages("x86_64", &[]);
    let request = CreateIteration {
        refresh_base: true,
        ..CreateIteration::default()
    };
    plans_again(&server, request).await;
    assert_eq!(version(&server, "bump", "libgreet").await, "2.0-1.2");
}

#[tokio::test]
async fn reports_older_than_base_without_bump() {
    let base = [
        ("libgreet", "libgreet", "1:1.0-1"),
        ("greet", "greet", "1.0-3"),
    ];
    let (server, _base) = server_over(&base, library).await;
    let expected = format!("libgreet: 2.0-1 is {OLDER} (base has 1:1.0-1)");
    let request = CreateNamespace {
        name: Some(parse("plain")),
        no_bump: true,
        ..new_namespace(&["libgreet/main"])
    };
    server.admin().create_namespace(&request).await.unwrap();
    assert_eq!(
        problems(&server, "plain").await,
        std::slice::from_ref(&expected)
    );
    let build = server.build("plain", "libgreet").await;
    assert!(build.version_note.unwrap().starts_with(OLDER));
    assert_eq!(version(&server, "plain", "greet").await, "1.0-3");
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greet").await;
    assert!(job.claimed.release.clone().unwrap().base.is_empty());
    job.succeeds().await;

    let value = serde_json::json!({ "changesets": ["libgreet/main"], "no_bump": true });
    let text = plan(&server, preview(value)).await;
    assert!(text.contains(&expected), "{text}");
    assert!(!text.contains("1.0-3.1"), "{text}");
}

//! Versions of builds: above those of the base repositories and earlier results, computed ones, and
//! constraints they no longer satisfy.

use buildbtw_model::api::{PlanFormat, PlanPreview, ProblemKind};
use buildbtw_model::{BuildStatus, NoteKind, PackageVersion, Scope, VersionNoteKind};
use buildbtw_server::repos::database::{Entry, render};
use reqwest::Method;

use crate::support::{
    Job, ServerOptions, SourceTree, Srcinfo, TestServer, make_package, parse, refusal, reported,
};

const OLDER: &str = "older than base, `pacman -Syu` will not install it";
const COMPUTED: &str = "version computed at build time";

/// Starts a server with a base repository `core` that contains these packages.
pub(crate) async fn server_over(
    packages: &[(&str, &str)],
    prepare: impl FnOnce(&SourceTree),
) -> (TestServer, tempfile::TempDir) {
    let base = tempfile::tempdir().unwrap();
    let packages: Vec<_> = packages
        .iter()
        .map(|(name, version)| (parse(name), parse(version)))
        .collect();
    let entries = packages.iter().map(|(name, version)| Entry {
        name,
        version,
        desc: "",
        files: None,
    });
    fs_err::write(base.path().join("core.db"), render(entries).unwrap()).unwrap();
    let config = base.path().join("base.toml");
    let text = format!(
        "[[repository]]\nname = \"core\"\narchitectures = [\"x86_64\"]\n\
         servers = [\"file://{}\"]\nsig_level = \"Optional TrustAll\"\n",
        base.path().display()
    );
    fs_err::write(&config, text).unwrap();
    let options = ServerOptions {
        extra: vec!["--base-repositories".into(), config.display().to_string()],
        ..Default::default()
    };
    (TestServer::start_with(options, prepare).await, base)
}

fn library(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-3").depends(&["libgreet"]));
}

/// Pushes the same, and a program that is built from the current content of its repository.
fn with_a_vcs_package(sources: &SourceTree) {
    library(sources);
    let vcs = Srcinfo::new("greet-git", "r9.aaaaaaa-1").depends(&["libgreet"]);
    sources.push(&vcs.with("source", "git+https://example.org/greet"));
}

async fn plan(server: &TestServer, format: PlanFormat) -> String {
    let preview = PlanPreview {
        changesets: vec![parse("libgreet/main")],
        scope: Scope::Transitive,
        architecture: None,
        include: Vec::new(),
        exclude: Vec::new(),
        bootstrap: Vec::new(),
        same_sonames: false,
        no_bump: false,
        max_builds: None,
        limit: None,
        lines: None,
        format,
    };
    server.admin().preview_plan(&preview).await.unwrap()
}

async fn page(server: &TestServer, path: &str) -> String {
    let response = server.request(Method::GET, path).send().await.unwrap();
    assert!(response.status().is_success(), "{path}");
    response.text().await.unwrap()
}

async fn problems(server: &TestServer, namespace: &str) -> Vec<String> {
    let notes = server.iteration(namespace).await.notes;
    let problems = notes
        .into_iter()
        .filter(|note| note.kind == NoteKind::Problem);
    problems.map(|note| note.text).collect()
}

/// Uploads a package of this version, and reports success.
async fn delivers(job: &Job, version: &str) -> Result<(), buildbtw_model::api::Problem> {
    let name = job.claimed.pkgbase.as_str();
    let package = make_package(name, version, "x86_64", job.folder());
    job.uploads(&package).await.unwrap();
    match job.reports(&reported(&[package])).await {
        Ok(_) => Ok(()),
        refused => Err(refusal(refused)),
    }
}

#[tokio::test]
async fn bumps_release_of_origin_with_version_of_base() {
    let (server, _base) = server_over(&[("libgreet", "2.0-1")], library).await;
    server.namespace("equal", &["libgreet/main"]).await;
    let build = server.build("equal", "libgreet").await;
    assert_eq!(build.version.as_str(), "2.0-1.1");
    assert_eq!(build.version_note, None);
    let worker = server.worker("w").await;
    let job = worker.builds("libgreet").await;
    assert_eq!(job.claimed.pkgrel.as_deref(), Some("1.1"));
    assert_eq!(problems(&server, "equal").await, [""; 0]);
}

#[tokio::test]
async fn builds_and_reports_origin_older_than_base() {
    let (server, _base) = server_over(&[("libgreet", "1:1.0-1")], library).await;
    let text = plan(&server, PlanFormat::Text).await;
    let expected = format!("libgreet: 2.0-1 is {OLDER} (base has 1:1.0-1)");
    assert!(text.contains(&expected), "{text}");
    server.namespace("older", &["libgreet/main"]).await;
    assert_eq!(problems(&server, "older").await, [expected]);
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let build = server.build("older", "libgreet").await;
    assert_eq!(build.status, BuildStatus::Built);
    assert_eq!(build.version.as_str(), "2.0-1");
    let kind = build.version_note_kind;
    assert_eq!(kind, Some(VersionNoteKind::OlderThanBase));
    let note = build.version_note.unwrap();
    assert!(note.starts_with(OLDER), "{note}");
    for path in [
        "/namespaces/older".to_owned(),
        format!("/builds/{}", build.id),
    ] {
        let html = page(&server, &path).await;
        assert!(html.contains(OLDER), "{path}: {html}");
    }
}

#[tokio::test]
async fn rejects_rebuild_that_would_not_upgrade_base() {
    let (server, _base) = server_over(&[("greet", "1.1-1")], library).await;
    server.namespace("behind", &["libgreet/main"]).await;
    assert_eq!(
        problems(&server, "behind").await,
        ["greet: 1.0-3.1 would not install over 1.1-1 of the base repositories: its build fails"]
    );
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greet").await;
    let rule = job.claimed.release.clone().unwrap();
    assert!(rule.is_rebuild);
    assert_eq!(rule.base, [parse::<PackageVersion>("1.1-1")]);
    job.starts().await;
    let problem = delivers(&job, "1.0-3.1").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnexpectedPackage);
    assert!(
        problem.title.contains("would not install over 1.1-1"),
        "{problem:?}"
    );
}

#[tokio::test]
async fn marks_version_as_computed_until_it_is_known() {
    let base = [("greet-git", "r2.bbbbbbb-1")];
    let (server, _base) = server_over(&base, with_a_vcs_package).await;
    for format in [PlanFormat::Text, PlanFormat::Json] {
        let text = plan(&server, format).await;
        assert_eq!(text.matches(COMPUTED).count(), 1, "{text}");
    }
    server.namespace("vcs", &["libgreet/main"]).await;
    let build = server.build("vcs", "greet-git").await;
    assert_eq!(build.version_note.as_deref(), Some(COMPUTED));
    assert_eq!(build.version_note_kind, Some(VersionNoteKind::Computed));
    assert_eq!(server.build("vcs", "greet").await.version_note, None);
    assert!(page(&server, "/namespaces/vcs").await.contains(COMPUTED));
    assert_eq!(problems(&server, "vcs").await, [""; 0]);

    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    let job = worker.claims_build_of("greet-git").await;
    job.starts().await;
    let rule = job.claimed.release.clone().unwrap();
    assert_eq!(rule.base, [parse::<PackageVersion>("r2.bbbbbbb-1")]);
    let problem = delivers(&job, "r2.bbbbbbb-1").await.unwrap_err();
    assert!(
        problem
            .title
            .contains("would not install over r2.bbbbbbb-1"),
        "{problem:?}"
    );
}

/// A computed version in `.SRCINFO` is not reliable: the version in base counts.
#[tokio::test]
async fn accepts_computed_version_that_upgrades_base() {
    let base = [("greet-git", "r2.bbbbbbb-1")];
    let (server, _base) = server_over(&base, with_a_vcs_package).await;
    server.namespace("vcs", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    let job = worker.claims_build_of("greet-git").await;
    job.starts().await;
    delivers(&job, "r2.bbbbbbb-1.1").await.unwrap();
    let build = server.build("vcs", "greet-git").await;
    assert_eq!(build.version.as_str(), "r2.bbbbbbb-1.1");
    assert_eq!(build.version_note, None);

    // The next iteration uses the version that this one built.
    server.sources.push(&Srcinfo::new("libgreet", "2.1-1"));
    let worker = server.worker("x").await;
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greet").await;
    job.succeeds().await;
    let job = worker.claims_build_of("greet-git").await;
    job.starts().await;
    let rule = job.claimed.release.clone().unwrap();
    assert_eq!(rule.earlier, [parse::<PackageVersion>("r2.bbbbbbb-1.1")]);
    let version = rule.version(&parse("r2.bbbbbbb-1"));
    assert_eq!(version.as_str(), "r2.bbbbbbb-1.2");
    let problem = delivers(&job, "r2.bbbbbbb-1.1").await.unwrap_err();
    assert!(
        problem.title.contains("already had another package"),
        "{problem:?}"
    );
}

#[tokio::test]
async fn reports_pin_on_bumped_release_before_building() {
    let (server, _base) = server_over(&[("greet", "1.0-3")], |sources| {
        library(sources);
        let module = Srcinfo::new("greet-module", "5-1");
        sources.push(&module.depends(&["greet=1.0-3"]));
    })
    .await;
    let expected = "greet-module: constraint no longer met: greet=1.0-3 (met by greet 1.0-3, but not by \
                    the planned 1.0-3.1)";
    let text = plan(&server, PlanFormat::Text).await;
    assert!(text.contains(expected), "{text}");
    server.namespace("pins", &["libgreet/main"]).await;
    assert_eq!(problems(&server, "pins").await, [expected]);
}

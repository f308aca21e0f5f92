//! Tests of the refusals of sources.

use buildbtw_model::SourceProblemKind;

use super::*;
use crate::sources::kind::no_srcinfo;
use crate::testing::{self, TestState};
use crate::time::Millis;

fn row(problem: Option<&str>) -> SourceRepositoryRow {
    SourceRepositoryRow {
        path: "libgreet".to_owned(),
        pkgbase: Some("libgreet".parse().unwrap()),
        branch: Some("main".to_owned()),
        commit: None,
        tree: None,
        commit_time: None,
        srcinfo_sha256: None,
        problem: problem
            .map(|message| SourceProblem::new(SourceProblemKind::InvalidSrcinfo, message)),
        changed_at: Millis(0),
        project_id: None,
        http_url: None,
        ssh_url: None,
    }
}

fn failed(kind: GitlabErrorKind) -> GitlabError {
    GitlabError {
        request: "project",
        about: "packages/libgreet".to_owned(),
        request_id: None,
        kind,
    }
}

#[tokio::test]
async fn refusals_match_snapshot() {
    let state = TestState::new().await;
    let sources = &state.sources;
    let pkgbase: Pkgbase = "libgreet".parse().unwrap();
    let changeset = |git_ref: &str| Changeset {
        pkgbase: pkgbase.clone(),
        git_ref: git_ref.parse().unwrap(),
    };
    let reason = "connection refused";
    let stale_index = Freshness::Stale {
        as_of: None,
        reason: reason.to_owned(),
    };
    let unless_stale = |error| Sources::unless_stale(&pkgbase, &stale_index, error);
    let explain = async |error| sources.explain(&changeset("next"), &row(None), error).await;
    let gone = ReadError::Gitlab(failed(GitlabErrorKind::NotFound("project")));
    let text = testing::refusals([
        (
            "initial sync not finished",
            sources.ensure_complete().unwrap_err(),
        ),
        ("unknown pkgbase", sources.unknown(&pkgbase)),
        (
            "unknown pkgbase in a stale index",
            unless_stale(sources.unknown(&pkgbase)),
        ),
        ("broken repository", broken(&row(Some("no pkgbase")))),
        (
            "broken repository in a stale index",
            unless_stale(broken(&row(Some("no pkgbase")))),
        ),
        ("project in a stale index", unknown_project("x", reason)),
        (
            "unknown pkgbase in an outage",
            unknown_in_outage(&pkgbase, reason.to_owned()),
        ),
        (
            "ref without a package",
            unusable_ref(&changeset("next"), &row(None), no_srcinfo()),
        ),
        (
            "broken default branch",
            unusable_ref(&changeset("main"), &row(Some("no pkgbase")), no_srcinfo()),
        ),
        ("unknown ref", explain(ReadError::UnknownRef).await),
        ("project that is gone", explain(gone).await),
        (
            "damaged repository",
            explain(ReadError::Broken("object missing".to_owned())).await,
        ),
        (
            "GitLab out of reach",
            unavailable(&failed(GitlabErrorKind::Timeout)),
        ),
        (
            "GitLab that refuses",
            unavailable(&failed(GitlabErrorKind::Forbidden("no".to_owned()))),
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn refusals_of_merge_requests_match_snapshot() {
    let url = "https://gitlab.example/packages/libgreet/-/merge_requests/1";
    let url: MergeRequestUrl = url.parse().unwrap();
    let watched = "the group packages on https://gitlab.example";
    let text = testing::refusals([
        ("folder of sources", no_merge_requests(&url)),
        ("other GitLab", other_gitlab(&url, watched)),
        ("unknown merge request", unknown_merge_request(&url)),
        (
            "project outside the group",
            other_project("other/x", watched),
        ),
        ("merged merge request", not_open(&url, "merged", &row(None))),
        ("unusual branch", invalid_branch("it contains a space")),
    ]);
    insta::assert_snapshot!(text);
}

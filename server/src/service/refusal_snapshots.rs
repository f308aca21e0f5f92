//! The texts of refusals that no test of a route produces: title, detail and hint. `tests/api/refusals.rs` has the
//! others.

use std::net::IpAddr;
use std::time::Duration;

use buildbtw_gitlab::{GitlabError, GitlabErrorKind, IdTokenError};
use buildbtw_model::api::{NewerCommit, NotBuilt, PlanPreview, ProblemKind};
use buildbtw_model::{
    Architecture, AttemptId, BuildId, BuildStatus, CommitHash, MissingKeys, NamespaceName,
    NetworkPolicy, SourceProblemKind, TokenId, TokenScope, WorkerName,
};

use super::read::{build_page, find, logs};
use super::{
    adopt_attempt, append_log, attempt_guard, claim_build, create_namespace, delete,
    exchange_id_token, expire_leases, hold, job_attempt, new_iteration, plan_iteration,
    preview_plan, retry, tokens,
};
use crate::db::source_repositories::{SourceProblem, SourceRepositoryRow};
use crate::db::tokens::TokenRow;
use crate::error::{Error, Refusal};
use crate::network::NetworkSettings;
use crate::planning::queue;
use crate::state::failed_logins::FailedLogins;
use crate::testing;
use crate::time::Millis;

fn attempt() -> AttemptId {
    "00000000-0000-7000-8000-000000000001".parse().unwrap()
}

fn internal(error: sqlx::Error) -> Error {
    Error::from(error)
}

fn not_built() -> [NotBuilt; 3] {
    let row = SourceRepositoryRow {
        path: "libgreet".to_owned(),
        pkgbase: Some("libgreet".parse().unwrap()),
        branch: Some("main".to_owned()),
        commit: None,
        tree: None,
        commit_time: None,
        srcinfo_sha256: None,
        problem: Some(SourceProblem::new(
            SourceProblemKind::InvalidSrcinfo,
            "no pkgbase",
        )),
        changed_at: Millis(0),
        project_id: None,
        http_url: None,
        ssh_url: None,
    };
    [
        retry::not_built_for(&row),
        retry::not_planned(queue::too_long(Duration::from_secs(60))),
        retry::not_planned(internal(sqlx::Error::RowNotFound)),
    ]
}

fn newer_commit() -> NewerCommit {
    let commit = |digit: &str| -> CommitHash { digit.repeat(40).parse().unwrap() };
    NewerCommit {
        pkgbase: "libgreet".parse().unwrap(),
        from: commit("0"),
        to: commit("1"),
    }
}

fn admin_token(expires_at: Option<Millis>) -> TokenRow {
    TokenRow {
        id: TokenId(1),
        name: "admin".to_owned(),
        scope: TokenScope::Admin,
        created_at: Millis(0),
        expires_at,
        revoked_at: None,
    }
}

#[test]
fn refusals_of_services_match_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let config = testing::config(folder.path());
    let network = NetworkSettings {
        default: NetworkPolicy::None,
        max: NetworkPolicy::Sources,
        missing_keys: MissingKeys::Fail,
    };
    let conflict = || Refusal::new(ProblemKind::Conflict, "no build has failed");
    let name = "set".parse().unwrap();
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let text = testing::refusals([
        ("unknown attempt", attempt_guard::no_attempt(attempt())),
        ("ended attempt", attempt_guard::attempt_ended(attempt())),
        ("existing namespace", create_namespace::name_taken(&name)),
        ("no free name", create_namespace::no_free_name("libgreet")),
        ("deleted namespace", find::deleted_meanwhile(&name)),
        (
            "namespace that others plan",
            new_iteration::planned_concurrently(&name),
        ),
        (
            "network policy above the maximum",
            network
                .for_new_namespace(Some(NetworkPolicy::Prepare))
                .unwrap_err(),
        ),
        (
            "job without an attempt",
            exchange_id_token::unknown_attempt(attempt()),
        ),
        (
            "job of another ref",
            exchange_id_token::not_allowed("it runs on `main`", None),
        ),
        (
            "ID token used twice",
            job_attempt::token_already_exchanged(),
        ),
        (
            "retry of a finished job",
            job_attempt::not_retried("it is finished"),
        ),
        (
            "no architecture in common",
            plan_iteration::check_size(&config, &[], 10).unwrap_err(),
        ),
        (
            "unreadable base repository",
            plan_iteration::unreadable(
                &"core".parse().unwrap(),
                &"x86_64".parse().unwrap(),
                "connection refused",
            ),
        ),
        (
            "plan over its time limit",
            queue::too_long(Duration::from_secs(60)),
        ),
        (
            "plan without a token",
            preview_plan::needs_token("planning this requires a token".to_owned()).into(),
        ),
        (
            "newer commits",
            retry::with_hint(conflict(), &name, &[newer_commit()], &[]),
        ),
        (
            "retry with notes",
            retry::with_hint(conflict(), &name, &[], &not_built()),
        ),
        ("unknown token number", tokens::no_token(TokenId(9))),
        (
            "only admin token",
            tokens::last_admin_token(&admin_token(None), true),
        ),
        (
            "last admin token that does not expire",
            tokens::last_admin_token(&admin_token(None), false),
        ),
        (
            "last admin token",
            tokens::last_admin_token(&admin_token(Some(Millis(0))), false),
        ),
        ("invalid token", tokens::not_valid()),
        ("busy database", internal(sqlx::Error::PoolTimedOut)),
        ("full disk", full.into()),
        ("internal error", internal(sqlx::Error::RowNotFound)),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn refusals_of_attempts_match_snapshot() {
    let gitlab = || GitlabError {
        request: "read signing keys",
        about: "ID tokens".to_owned(),
        request_id: None,
        kind: GitlabErrorKind::Timeout,
    };
    let address = Some(IpAddr::from([192, 0, 2, 1]));
    let logins = FailedLogins::default();
    let not_verified = |error| exchange_id_token::not_verified(&logins, None, error);
    let expired = || IdTokenError::Refused("it has expired".to_owned());
    let repeated = || exchange_id_token::not_verified(&logins, address, expired());
    let worker: WorkerName = "builder".parse().unwrap();
    let text = testing::refusals([
        (
            "attempt of another token",
            attempt_guard::check_owner(TokenId(1), TokenId(2)).unwrap_err(),
        ),
        (
            "attempt of another worker",
            adopt_attempt::of_other_worker(attempt(), &worker),
        ),
        (
            "attempt of a valid token",
            adopt_attempt::of_valid_token(attempt()),
        ),
        ("claim of another worker", claim_build::of_other_worker()),
        (
            "claim without architectures",
            claim_build::invalid_architectures(),
        ),
        ("long log", append_log::too_long(256 << 20)),
        ("event beyond the log", logs::beyond_end(9, attempt(), 5)),
        ("expired ID token", not_verified(expired())),
        (
            "unknown signing key",
            not_verified(IdTokenError::UnknownKey(gitlab())),
        ),
        (
            "unavailable signing keys",
            not_verified(IdTokenError::Unavailable(gitlab())),
        ),
        (
            "many invalid ID tokens",
            std::iter::repeat_with(repeated)
                .find(|error| error.to_string().starts_with("too many"))
                .unwrap(),
        ),
        ("unknown pipeline", exchange_id_token::unknown_pipeline()),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn refusals_of_iterations_match_snapshot() {
    let name: NamespaceName = "set".parse().unwrap();
    let architectures: [Architecture; 2] = ["x86_64", "aarch64"].map(|text| text.parse().unwrap());
    let preview: PlanPreview = serde_json::from_value(serde_json::json!({
        "changesets": ["libgreet/main"], "architecture": "riscv64"
    }))
    .unwrap();
    let text = testing::refusals([
        ("deletion of reused packages", delete::in_use(3, &name)),
        (
            "concurrent plans",
            new_iteration::planned_concurrently(&name),
        ),
        ("cancelled namespace", new_iteration::cancelled(&name)),
        (
            "large plan without a token",
            preview_plan::too_many_builds(301, 300),
        ),
        (
            "unknown architecture",
            preview_plan::architecture(&architectures, &preview).unwrap_err(),
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn refusals_of_states_match_snapshot() {
    let name: NamespaceName = "set".parse().unwrap();
    let worker: WorkerName = "builder".parse().unwrap();
    let not_retried = |status| job_attempt::not_retried(job_attempt::describe_state(status));
    let text = testing::refusals([
        (
            "cancellation of a finished rebuild",
            hold::nothing_to_cancel(&name, 3),
        ),
        ("namespace without an iteration", find::no_iteration(&name)),
        (
            "attempt of another build",
            build_page::no_attempt_of(BuildId(7), attempt()),
        ),
        ("requested token in use", job_attempt::token_in_use()),
        (
            "retry in a cancelled namespace",
            job_attempt::namespace_is_cancelled(),
        ),
        (
            "retry in a superseded iteration",
            job_attempt::superseded(4),
        ),
        ("retry of a built package", not_retried(BuildStatus::Built)),
        (
            "retry of a blocked build",
            not_retried(BuildStatus::Blocked),
        ),
        (
            "retry of a running build",
            not_retried(BuildStatus::Building),
        ),
        ("retry of a ready build", not_retried(BuildStatus::Ready)),
    ]);
    insta::assert_snapshot!(format!(
        "{text}\n\n## lost worker\n{}",
        expire_leases::lost_contact(&worker)
    ));
}

//! The texts of checks, as a report shows them. `files` and `build_host` have those that need their private parts.

use std::path::Path;
use std::time::Duration;

use buildbtw_model::api::{HealthCheck, Problem, ProblemKind, ReadyResponse, TokenIdentity};
use buildbtw_model::client::{Client, ClientError, ConnectionProblem};
use buildbtw_model::{Explanation, TokenScope};
use jiff::{SignedDuration, Timestamp};

use crate::clock::Reading;
use crate::token::Need;
use crate::{Check, Report, clock, command, disk, report, server, token, version};

const MIB: u64 = 1 << 20;

/// Returns the lines of a report with these checks.
fn printed(checks: impl IntoIterator<Item = Check>) -> String {
    let mut report = Report::new("buildbtw", "1.0.0");
    report.extend(checks);
    report.to_text()
}

fn clock_at(offset_s: i64) -> Check {
    let theirs: Timestamp = "2026-10-21T07:28:00Z".parse().unwrap();
    let reading = Reading {
        theirs,
        ours: theirs + SignedDuration::from_secs(offset_s),
        took: Duration::ZERO,
    };
    clock::check("clock", "the server", reading)
}

#[test]
fn checks_of_machines_match_snapshot() {
    let folder = Path::new("/srv/data");
    let reserve = |free| disk::check("disk", folder, free * MIB, 100 * MIB, "--disk-reserve-mib");
    let builds = |free| {
        let limit = 40_960 * MIB;
        disk::for_builds("disk", folder, free * MIB, limit, "--limit-disk-mib")
    };
    let why = Explanation::with_hint("`x` is not a setting", "remove it");
    let unusable = command::unusable("buildbtw", "1.0.0", why);
    let checks = [
        clock_at(0),
        clock_at(-30),
        clock_at(90),
        clock::unknown("clock", "the server"),
        reserve(99),
        reserve(199),
        reserve(200),
        builds(1),
        builds(2_000),
        builds(50_000),
        report::overdue("disk", Duration::from_secs(10)),
        report::panicked("disk", "a bug"),
    ];
    insta::assert_snapshot!(printed(checks.into_iter().chain(unusable.checks)));
}

fn refused(kind: ProblemKind) -> ClientError {
    ClientError::Refused(Problem {
        kind,
        title: "no".to_owned(),
        status: 400,
        detail: None,
        hint: None,
        trace_id: None,
    })
}

fn unreachable(problem: ConnectionProblem) -> Check {
    let client = Client::new("http://127.0.0.1:8080", None).unwrap();
    let error = ClientError::Connection {
        server: "http://127.0.0.1:8080".to_owned(),
        reason: "Connection refused (os error 111)".to_owned(),
        problem,
    };
    server::unreachable(&client, "server", &error)
}

#[test]
fn checks_of_servers_match_snapshot() {
    let need = |is_optional| Need {
        scope: TokenScope::Worker,
        create: "buildbtw token create --scope worker",
        is_optional,
    };
    let token = |has_token, answer| token::check("token", need(false), has_token, answer);
    let identity = |scope| {
        let name = "builder-1".to_owned();
        Ok(TokenIdentity { name, scope })
    };
    let no_token = || Err(refused(ProblemKind::Unauthenticated));
    let failed = |problem: Option<&str>| HealthCheck {
        name: "disk".into(),
        ok: false,
        problem: problem.map(str::to_owned),
    };
    let ready = ReadyResponse {
        ready: false,
        version: None,
        checks: vec![failed(Some("no room")), failed(None)],
    };
    let checks = [
        unreachable(ConnectionProblem::Network),
        unreachable(ConnectionProblem::UnknownAuthority),
        unreachable(ConnectionProblem::Certificate),
        server::unknown_readiness("server", &refused(ProblemKind::NotFound)),
        version::check("version", "1.0.0", Some("1.0.0")),
        version::check("version", "1.0.0", Some("1.2.0")),
        version::check("version", "1.0.0", Some("2.0.0")),
        version::check("version", "0.1.0", Some("0.2.0")),
        version::check("version", "1.0.0", None),
        token(true, identity(TokenScope::Worker)),
        token(true, identity(TokenScope::Client)),
        token(true, no_token()),
        token(false, no_token()),
        token(true, Err(refused(ProblemKind::Forbidden))),
        token::check("token", need(true), false, no_token()),
    ];
    let readiness = server::readiness(&ready, |_| "run `buildbtw-server doctor`");
    insta::assert_snapshot!(printed(checks.into_iter().chain(readiness)));
}

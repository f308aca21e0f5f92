//! The texts of checks, as a report shows them.

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use buildbtw_doctor::{Check, Report};
use buildbtw_model::Explanation;
use buildbtw_model::api::ReadyResponse;
use buildbtw_model::client::{ClientError, ConnectionProblem};

use super::listening::Holder;
use super::{PROGRAM, base, configuration, data, database, listening, running, sources};
use crate::cli::TelemetryArgs;
use crate::db::inspection::Schema;
use crate::owner::{Foreign, Owner};
use crate::repos::base::BaseSnapshot;
use crate::sources::SourceConfig;
use crate::sources::directory::Inspection;

/// Returns the lines of a report with these checks.
fn printed(checks: impl IntoIterator<Item = Check>) -> String {
    let mut report = Report::new(PROGRAM, "1.0.0");
    report.extend(checks);
    report.to_text()
}

fn denied() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

#[test]
fn checks_of_settings_match_snapshot() {
    let args = TelemetryArgs {
        otlp: true,
        tokio_console: None,
    };
    let traces = |enabled| configuration::traces(&args, || enabled);
    let wrong = Explanation::from("OTEL_X: `y` is not supported");
    let hint = Explanation::with_hint("--architectures is empty", "name one");
    let mut snapshot = BaseSnapshot::default();
    let no_base = base::judge("base repositories of x86_64", &snapshot);
    snapshot.databases = vec![
        ("core".parse().unwrap(), Ok("digest".into())),
        ("extra".parse().unwrap(), Err("404 Not Found".into())),
    ];
    let bases = base::judge("base repositories of x86_64", &snapshot);
    let folder = SourceConfig::Directory {
        folder: "/srv/sources".into(),
        clone_base: None,
        resync_interval: Duration::from_secs(60),
    };
    let settings = [
        configuration::usable("https://build.example.org"),
        configuration::usable_sources(&folder),
        configuration::failed("configuration", &anyhow!("no hint")),
        configuration::failed("sources", &hint.into()),
        base::unusable(Explanation::from("`base.toml` has no repository")),
    ];
    let checks = settings.into_iter().chain(
        [Ok(true), Ok(false), Err(wrong)]
            .into_iter()
            .filter_map(traces),
    );
    insta::assert_snapshot!(printed(checks.chain(no_base).chain(bases)));
}

#[test]
fn checks_of_data_match_snapshot() {
    let folder = Path::new("/srv/data");
    let file = folder.join("buildbtw.sqlite3");
    let owner = Owner { user: 7, group: 8 };
    let foreign = Foreign {
        path: folder.join("repos"),
        user: 0,
    };
    let missing = Path::new("/nonexistent/repos");
    insta::assert_snapshot!(printed([
        data::no_folder(folder),
        data::judge_owners(folder, owner, &[]),
        data::judge_owners(folder, owner, &[foreign]),
        data::check_folder(missing, false),
        data::check_folder(missing, true),
        data::check_folder(Path::new("/dev/null"), true),
        data::unmeasured(&anyhow!("cannot measure the disk of `/srv/data`")),
        database::interrupted(folder),
        database::unreadable("read", &file, &denied()),
        database::unreadable("open", &file, &denied()),
        database::damaged(&file, "file is not a database"),
        database::of_another_program(&file, &"no such table: _sqlx_migrations"),
        database::judge(&Schema::Current { count: 4 }),
        database::judge(&Schema::Older {
            applied: 3,
            known: 4,
        }),
        database::judge(&Schema::Newer { version: 5 }),
        database::judge(&Schema::Different { version: 4 }),
    ]));
}

#[test]
fn checks_of_repositories_match_snapshot() {
    let folder = Path::new("/srv/sources");
    let judge = |usable, broken: usize| {
        let names = ["a", "b", "c", "d"].iter().take(broken);
        let unusable =
            names.map(|name| ((*name).to_owned(), Explanation::from("it has no .SRCINFO")));
        let unusable = unusable.collect();
        sources::judge(folder, Ok(Inspection { usable, unusable }))
    };
    insta::assert_snapshot!(printed([
        judge(2, 0),
        judge(0, 0),
        judge(0, 4),
        judge(3, 1),
        sources::judge(folder, Err(denied())),
    ]));
}

#[test]
fn checks_of_addresses_match_snapshot() {
    let judge =
        |bound, holder| listening::judge("--listen", ([127, 0, 0, 1], 8080).into(), bound, holder);
    let in_use = || Err(anyhow!("127.0.0.1:8080 is in use by another program"));
    let no_answer = || ClientError::Connection {
        server: "http://127.0.0.1:8080".to_owned(),
        reason: "Connection refused (os error 111)".to_owned(),
        problem: ConnectionProblem::Network,
    };
    let public = |asked| running::judge_public("https://build.example.org", "1.0.0", asked);
    let ready = |version: Option<&str>| {
        Ok(ReadyResponse {
            ready: true,
            version: version.map(str::to_owned),
            checks: Vec::new(),
        })
    };
    let failed = ["disk", "sources", "shutdown", "writer"];
    let failed = failed.map(|check| Check::warning(check, "failed", running::repair(check)));
    let checks = [
        judge(Ok(()), None),
        judge(in_use(), Some(Holder::Server)),
        judge(in_use(), Some(Holder::Systemd)),
        judge(
            in_use(),
            Some(Holder::Unknown("probably by the running server")),
        ),
        judge(in_use(), Some(Holder::Other)),
        running::unknown(&denied()),
        running::not_served(),
        running::no_answer(&no_answer()),
        public(ready(Some("1.0.0"))),
        public(ready(Some("2.0.0"))),
        public(ready(None)),
        public(Err(no_answer())),
    ];
    insta::assert_snapshot!(printed(checks.into_iter().chain(failed)));
}

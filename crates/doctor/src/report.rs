//! A report of settings and checks.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use buildbtw_telemetry::spawn_blocking_named;
use serde::Serialize;

use crate::{Check, ShownSetting, Status};

/// The exit code when a check failed. Warnings do not count.
pub const EXIT_FAILURE: u8 = 1;
/// How long a check may take by default.
const DEADLINE: Duration = Duration::from_secs(10);
/// The width of the column of states.
const WIDTH: usize = 7;

/// All settings of a program, and all checks that were performed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The program.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The worst state of all checks.
    pub status: Status,
    /// The settings.
    pub settings: Vec<ShownSetting>,
    /// The checks, in the order in which they were performed.
    pub checks: Vec<Check>,
}

impl Report {
    /// Creates an empty report.
    #[must_use]
    pub fn new(program: &'static str, version: &'static str) -> Self {
        Self {
            program,
            version,
            status: Status::Ok,
            settings: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Adds a check that was performed.
    pub fn add(&mut self, check: Check) {
        // A skipped check does not count as a problem.
        if check.status != Status::Skipped {
            self.status = self.status.max(check.status);
        }
        self.checks.push(Check {
            message: in_one_line(&check.message),
            ..check
        });
    }

    /// Adds checks that were performed.
    pub fn extend(&mut self, checks: impl IntoIterator<Item = Check>) {
        for check in checks {
            self.add(check);
        }
    }

    /// Runs checks, and adds a failure if they do not end in time.
    pub async fn run(&mut self, name: &str, checks: impl Future<Output = Vec<Check>>) {
        self.run_within(DEADLINE, name, checks).await;
    }

    /// Runs checks that take longer than others.
    pub async fn run_within(
        &mut self,
        deadline: Duration,
        name: &str,
        checks: impl Future<Output = Vec<Check>>,
    ) {
        match tokio::time::timeout(deadline, checks).await {
            Ok(checks) => self.extend(checks),
            Err(_) => self.add(overdue(name, deadline)),
        }
    }

    /// Runs checks that block, for example on a file system that does not answer.
    pub async fn run_blocking(
        &mut self,
        name: &str,
        checks: impl FnOnce() -> Vec<Check> + Send + 'static,
    ) {
        let task = spawn_blocking_named("check", checks);
        let checks = async {
            task.await
                .unwrap_or_else(|error| vec![panicked(name, error)])
        };
        match tokio::time::timeout(DEADLINE, checks).await {
            Ok(checks) => self.extend(checks),
            Err(_) => self.add(overdue(name, DEADLINE)),
        }
    }

    /// Returns human-readable text: one line per setting and check, and one for each repair.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        for setting in &self.settings {
            let (status, described) = (Status::Ok, in_one_line(&setting.describe()));
            let _ = writeln!(
                text,
                "{status:WIDTH$}  setting {}: {described}",
                setting.name
            );
        }
        for check in &self.checks {
            let Check {
                name,
                status,
                message,
                repair,
            } = check;
            let _ = writeln!(text, "{status:WIDTH$}  {name}: {message}");
            if let Some(repair) = repair {
                let margin = " ".repeat(WIDTH + 2);
                let repair = repair
                    .lines()
                    .collect::<Vec<_>>()
                    .join(&format!("\n{margin}"));
                let _ = writeln!(text, "{margin}repair: {repair}");
            }
        }
        let count = |status| {
            let checks = self.checks.iter();
            checks.filter(|check| check.status == status).count()
        };
        let _ = writeln!(
            text,
            "{} {}: ok: {}, warnings: {}, failures: {}, skipped: {}",
            self.program,
            self.version,
            count(Status::Ok),
            count(Status::Warning),
            count(Status::Failure),
            count(Status::Skipped),
        );
        text
    }

    /// Returns the same as one JSON object.
    ///
    /// # Errors
    /// Never: all of it is text.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Returns 0 if no check failed, else [`EXIT_FAILURE`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.status {
            Status::Ok | Status::Skipped | Status::Warning => 0,
            Status::Failure => EXIT_FAILURE,
        }
    }
}

/// Returns the failure of a check that has a bug.
pub(crate) fn panicked(name: &str, error: impl Display) -> Check {
    let message = format!("the check ended unexpectedly: {error}");
    Check::failure(name, message, "report this as a bug")
}

/// Returns the failure of a check that did not end in time.
pub(crate) fn overdue(name: &str, deadline: Duration) -> Check {
    Check::failure(
        name,
        format!("there was no result within {} s", deadline.as_secs()),
        "check the disk or the machine that it asks, and run the command again",
    )
}

/// Joins the lines of a message, and removes the control characters of foreign texts.
fn in_one_line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    lines.join("; ").replace(char::is_control, "")
}

#[cfg(test)]
mod tests {
    use buildbtw_settings::{Origin, Setting};

    use super::*;

    fn report() -> Report {
        let mut report = Report::new("buildbtw-server", "1.2.3");
        report.settings.push(ShownSetting::from(Setting {
            name: "listen".into(),
            value: Some("127.0.0.1:8080".into()),
            origin: Origin::Default,
            secret: false,
        }));
        report.extend([
            Check::ok("database", "all migrations are applied"),
            Check::skipped("GitLab", "the sources are in a folder"),
            Check::warning("clock", "6 s apart", "timedatectl set-ntp true"),
        ]);
        report
    }

    #[test]
    fn prints_one_line_per_check_and_its_repair_below() {
        let mut report = report();
        assert_eq!(report.exit_code(), 0);
        report.add(Check::failure("disk", "full\nof\x1b files", "delete\nsome"));
        assert_eq!(report.exit_code(), EXIT_FAILURE);
        let expected = "\
ok       setting listen: 127.0.0.1:8080 (default)
ok       database: all migrations are applied
skipped  GitLab: the sources are in a folder
warning  clock: 6 s apart
         repair: timedatectl set-ntp true
failure  disk: full; of files
         repair: delete
         some
buildbtw-server 1.2.3: ok: 1, warnings: 1, failures: 1, skipped: 1
";
        assert_eq!(report.to_text(), expected);
    }

    #[test]
    fn describes_the_same_as_json() {
        let report: serde_json::Value = serde_json::from_str(&report().to_json().unwrap()).unwrap();
        assert_eq!(report["program"], "buildbtw-server");
        assert_eq!(report["status"], "warning");
        assert_eq!(report["settings"][0]["value"], "127.0.0.1:8080");
        assert_eq!(report["checks"][2]["repair"], "timedatectl set-ntp true");
        assert_eq!(report["checks"][1]["status"], "skipped");
        assert_eq!(report["checks"][1].get("repair"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn reports_check_that_hangs_and_runs_the_next() {
        let mut report = Report::new("buildbtw", "1");
        report.run("server", std::future::pending()).await;
        report
            .run("token", async { vec![Check::ok("token", "valid")] })
            .await;
        let states: Vec<_> = report.checks.iter().map(|check| check.status).collect();
        assert_eq!(states, [Status::Failure, Status::Ok]);
        assert_eq!(report.checks[0].message, "there was no result within 10 s");
    }

    #[tokio::test]
    async fn reports_check_that_panics_and_runs_the_next() {
        let mut report = Report::new("buildbtw", "1");
        report.run_blocking("disk", || panic!("a bug")).await;
        report
            .run_blocking("files", || vec![Check::ok("files", "private")])
            .await;
        let states: Vec<_> = report.checks.iter().map(|check| check.status).collect();
        assert_eq!(states, [Status::Failure, Status::Ok]);
    }
}

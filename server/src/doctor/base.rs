//! The base repositories: that their file can be used, and their databases be read.

use std::time::Duration;

use buildbtw_doctor::{Check, Report};
use buildbtw_model::Explanation;

use crate::cli::RunArgs;
use crate::repos::base::{BaseRepositories, BaseSnapshot};

const NAME: &str = "base repositories";
/// Mirrors may be slow, and databases have tens of MiB.
const DEADLINE: Duration = Duration::from_secs(60);

/// Reads the databases of every architecture.
pub(super) async fn check(report: &mut Report, args: &RunArgs) {
    let Some(path) = &args.base_repositories else {
        report.add(Check::skipped(NAME, "--base-repositories is not set"));
        return;
    };
    let base = match BaseRepositories::read(path) {
        Ok(base) => base,
        Err(explanation) => {
            report.add(unusable(explanation));
            return;
        }
    };
    for architecture in &args.architectures {
        let name = format!("{NAME} of {architecture}");
        let read = async { judge(&name, &base.snapshot(architecture).await) };
        report.run_within(DEADLINE, &name, read).await;
    }
}

/// Returns the failure of a file that cannot be used.
pub(super) fn unusable(explanation: Explanation) -> Check {
    Check::failed(NAME, explanation, "correct the file")
}

/// Judges what was read of the databases of an architecture.
pub(super) fn judge(name: &str, snapshot: &BaseSnapshot) -> Vec<Check> {
    if snapshot.databases.is_empty() {
        let message = "none are configured, so builds can only install what the namespace builds";
        let repair = "add them to the file of --base-repositories";
        return vec![Check::warning(name, message, repair)];
    }
    let checks = snapshot.databases.iter().map(|(repository, digest)| {
        let name = format!("{name}, {repository}");
        match digest {
            Ok(_) => Check::ok(name, "its database can be read"),
            Err(problem) => Check::failure(
                name,
                format!("cannot read its database: {problem}"),
                "check its servers in the file of --base-repositories",
            ),
        }
    });
    checks.collect()
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    #[test]
    fn names_repository_that_cannot_be_read() {
        let mut snapshot = BaseSnapshot::default();
        assert_eq!(judge("base", &snapshot)[0].status, Status::Warning);
        snapshot.databases = vec![
            ("core".parse().unwrap(), Ok("digest".into())),
            (
                "extra".parse().unwrap(),
                Err("https://m/extra.db: 404".into()),
            ),
        ];
        let found = judge("base", &snapshot);
        assert_eq!(found[0].status, Status::Ok);
        assert_eq!(found[1].name, "base, extra");
        assert!(found[1].message.ends_with("https://m/extra.db: 404"));
    }
}

//! The requests of the front. An ordinary user can send them, so they contain no paths.

use buildbtw_model::AttemptId;
use serde::{Deserialize, Serialize};

use crate::contract::JobId;
use crate::id_token::IdToken;
use crate::runner::Process;

/// The line that the front sends before it stops a build whose runner is gone.
pub(crate) const LOST: &str = "lost\n";

/// A request to the root side.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Check whether this host can build and reach the server; remove what killed builds left.
    Check {},
    /// Report whether this host can build and reach the server, one check at a time.
    Doctor {
        /// Whether to build a package as a test.
        build: bool,
    },
    /// Build the package of a job.
    Build {
        /// The job.
        job: JobId,
        /// The attempt that the job was created for.
        attempt: AttemptId,
        /// The job's proof for the server.
        id_token: IdToken,
        /// The processes that wait for the build. It stops when one of them ends.
        #[serde(default)]
        runners: Vec<Process>,
    },
    /// Stop the build of a job and remove what it left.
    Clean {
        /// The job.
        job: JobId,
    },
    /// Remove what killed builds left.
    Reap {},
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_unknown_requests() {
        let build = r#"{"build":{"job":1,"attempt":"01890a5d-ac96-774b-bcce-b302099a8057","id_token":"a.b.c"}}"#;
        let request: Request = serde_json::from_str(build).unwrap();
        assert!(!format!("{request:?}").contains("a.b.c"));
        for text in [
            "{}",
            "null",
            r#"{"shell":{}}"#,
            r#"{"check":{"path":"/etc"}}"#,
            r#"{"clean":{"job":"../1"}}"#,
            r#"{"clean":{"job":-1}}"#,
            &build.replace("a.b.c", ""),
            &build.replace("a.b.c", "a b"),
            &build.replace("a.b.c", &"a".repeat(40_000)),
            &build.replace("01890a5d", "../../etc"),
        ] {
            assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        }
    }
}

//! What the front can ask for. It comes from an ordinary user: there are no paths in it.

use buildbtw_model::AttemptId;
use serde::{Deserialize, Serialize};

use crate::contract::JobId;
use crate::id_token::IdToken;
use crate::runner::Process;

/// What the front says before it stops a build whose runner is gone.
pub(crate) const LOST: &str = "lost\n";

/// One request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Say whether this host can build and the server answers; remove what dead builds left.
    Check {},
    /// Build what a job was made for.
    Build {
        /// The job.
        job: JobId,
        /// What it was made for.
        attempt: AttemptId,
        /// Proves it to the server.
        id_token: IdToken,
        /// Who waits for it. The build ends with the first of them.
        #[serde(default)]
        runners: Vec<Process>,
    },
    /// Stop the build of a job and remove what it left.
    Clean {
        /// The job.
        job: JobId,
    },
    /// Remove what dead builds left.
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

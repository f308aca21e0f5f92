//! What the front can ask for. It comes from an ordinary user: there are no paths in it.

use std::fmt;

use buildbtw_model::AttemptId;
use serde::{Deserialize, Serialize};

use crate::contract::JobId;
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

/// The ID token of a job; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct IdToken(String);

impl IdToken {
    /// More than any ID token has.
    const MAX_BYTES: usize = 32 << 10;

    /// The token's text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl TryFrom<String> for IdToken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("that is no ID token");
        }
        if text.len() > Self::MAX_BYTES {
            return Err("the ID token is too long");
        }
        Ok(Self(text))
    }
}

impl From<IdToken> for String {
    fn from(token: IdToken) -> Self {
        token.0
    }
}

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
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

//! The logs of jobs.

use buildbtw_model::{JobId, ProjectId};

use crate::client::Gitlab;
use crate::error::GitlabError;
use crate::http::{Patience, Subject};

/// No more of a log is kept: why a job failed is at its end.
const KEPT: usize = 64 << 10;

impl Gitlab {
    /// The end of a job's log, with the timestamps, section marks and colours that GitLab keeps.
    ///
    /// # Errors
    /// When GitLab does not answer, or the token may not read it.
    pub async fn job_trace(
        &self,
        project: ProjectId,
        about: &str,
        job: JobId,
    ) -> Result<String, GitlabError> {
        let subject = Subject {
            request: "read job log",
            about,
        };
        let path = format!("api/v4/projects/{project}/jobs/{job}/trace");
        let answer = self.http.get(subject, &path, Patience::Short).await?;
        let start = answer.body.len().saturating_sub(KEPT);
        Ok(String::from_utf8_lossy(&answer.body.slice(start..)).into_owned())
    }
}

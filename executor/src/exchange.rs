//! Exchanges the ID token of a job for the build that it was created for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use buildbtw_model::api::{ExchangeIdToken, ExchangedIdToken, ProblemKind};
use buildbtw_model::client::{Client, ClientError};
use buildbtw_model::{AttemptId, Explanation, WorkerName};

use crate::explanations;
use crate::failure::Failure;
use crate::id_token::IdToken;
use crate::retry;

/// How long requests are retried. A job can start before the server has GitLab's response with the pipeline's id.
const RETRY_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The result of an exchange: the build, and a client whose token may report its outcome.
pub(crate) struct Exchanged {
    pub(crate) response: ExchangedIdToken,
    pub(crate) client: Client,
}

/// Exchanges the ID token for the build of an attempt and a token that is valid for it.
pub(crate) async fn run(
    client: Client,
    attempt: AttemptId,
    id_token: IdToken,
    worker: WorkerName,
) -> Result<Exchanged, Failure> {
    let secret: [u8; 32] = rand::random();
    let exchange = ExchangeIdToken {
        id_token: id_token.into_text(),
        // Generated here: when the response is lost, the request can be repeated with the same token.
        token: format!("bbtw_{}", URL_SAFE_NO_PAD.encode(secret)),
        worker,
    };
    let response = retry(|| client.exchange_id_token(attempt, &exchange))
        .await
        .map_err(|error| failure(attempt, client.server(), &error))?;
    let client = client
        .with_token(exchange.token)
        .map_err(anyhow::Error::from)?;
    Ok(Exchanged { response, client })
}

/// Repeats a request while the server is unreachable, for at most [`RETRY_TIMEOUT`].
pub(crate) async fn retry<T, F>(request: impl Fn() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut is_first = true;
    let on_pause = |error: &ClientError| {
        if std::mem::take(&mut is_first) {
            tracing::warn!("waiting for the server: {error}");
        }
    };
    retry::retry(RETRY_TIMEOUT, MAX_PAUSE, on_pause, request).await
}

fn failure(attempt: AttemptId, server: &str, error: &ClientError) -> Failure {
    let sent = explanations::of_client(error).hint;
    let explain = |message: String, own: Option<&str>| {
        let hints: Vec<String> = own
            .map(str::to_owned)
            .into_iter()
            .chain(sent.clone())
            .collect();
        Explanation {
            message,
            hint: Some(hints.join("; ")).filter(|hint| !hint.is_empty()),
        }
    };
    match error.problem_kind() {
        Some(ProblemKind::AttemptEnded) => Failure::build(explain(
            format!("attempt {attempt} has ended: {error}"),
            Some("retry the build with `buildbtw retry`"),
        )),
        Some(ProblemKind::NotFound) => Failure::build(explain(
            format!("{server} has no attempt {attempt}: {error}"),
            // The server's hint says the same.
            sent.is_none().then_some(
                "pipelines that were started by hand cannot build; `buildbtw new` and `buildbtw retry` start one",
            ),
        )),
        // Permanent: repeating the request cannot succeed.
        Some(
            ProblemKind::Forbidden | ProblemKind::Unauthenticated | ProblemKind::InvalidRequest,
        ) => Failure::build(explain(
            format!("the server refused to assign attempt {attempt} to this job: {error}"),
            None,
        )),
        _ => Failure::system(explain(
            format!("cannot get attempt {attempt} from the server: {error}"),
            None,
        )),
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_model::api::Problem;

    use super::*;

    /// Returns what the log of a job says when the server refuses its ID token.
    fn refused(kind: ProblemKind, hint: Option<&str>) -> String {
        let attempt = "00000000-0000-7000-8000-000000000001".parse().unwrap();
        let problem = Problem {
            kind,
            title: "it was refused".to_owned(),
            status: 400,
            detail: None,
            hint: hint.map(str::to_owned),
            trace_id: None,
        };
        let error = ClientError::Refused(problem);
        failure(attempt, "http://server", &error).to_string()
    }

    #[test]
    fn refusals_match_snapshot() {
        let text = [
            refused(ProblemKind::AttemptEnded, Some("`buildbtw show` shows why")),
            refused(ProblemKind::NotFound, None),
            refused(ProblemKind::NotFound, Some("retry it")),
            refused(ProblemKind::Forbidden, Some("use the template")),
            refused(ProblemKind::Unavailable, None),
        ];
        insta::assert_snapshot!(text.join("\n\n"));
    }
}

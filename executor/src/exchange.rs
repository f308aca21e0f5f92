//! From the ID token of a job to the build it was made for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use buildbtw_model::api::{ExchangeIdToken, ExchangedIdToken, ProblemKind};
use buildbtw_model::client::{Client, ClientError};
use buildbtw_model::{AttemptId, WorkerName};

use crate::failure::Failure;
use crate::id_token::IdToken;
use crate::persist;

/// A job can be faster than the answer that tells the server which pipeline it belongs to.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What was exchanged: the build, and the server for whoever may report about it.
pub(crate) struct Exchanged {
    pub(crate) answer: ExchangedIdToken,
    pub(crate) client: Client,
}

/// Exchanges the ID token.
pub(crate) async fn run(
    client: Client,
    attempt: AttemptId,
    id_token: IdToken,
    worker: WorkerName,
) -> Result<Exchanged, Failure> {
    let secret: [u8; 32] = rand::random();
    let exchange = ExchangeIdToken {
        id_token: id_token.into_text(),
        // Made here: when the answer is lost, the same one can be asked for again.
        token: format!("bbtw_{}", URL_SAFE_NO_PAD.encode(secret)),
        worker,
    };
    let answer = persist(|| client.exchange_id_token(attempt, &exchange))
        .await
        .map_err(|error| explain(attempt, client.server(), &error))?;
    let client = client
        .with_token(exchange.token)
        .map_err(anyhow::Error::from)?;
    Ok(Exchanged { answer, client })
}

/// Repeats a request for as long as a server may be away.
pub(crate) async fn persist<T, F>(request: impl Fn() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut is_first = true;
    let on_pause = |error: &ClientError| {
        if std::mem::take(&mut is_first) {
            tracing::warn!("waiting for the server: {error}");
        }
    };
    persist::persist(PATIENCE, LONGEST_PAUSE, on_pause, request).await
}

fn explain(attempt: AttemptId, server: &str, error: &ClientError) -> Failure {
    let hint = error.hint().map(|hint| format!("\n{hint}"));
    let hint = hint.unwrap_or_default();
    match error.problem_kind() {
        Some(ProblemKind::AttemptEnded) => Failure::build(format!(
            "attempt {attempt} is over: {error}; start the build again in buildbtw{hint}"
        )),
        Some(ProblemKind::NotFound) => Failure::build(format!(
            "{server} knows no attempt {attempt}: {error}.\nWas this pipeline started by hand? buildbtw \
             starts pipelines by itself; `buildbtw new` and `buildbtw retry` ask for one{hint}"
        )),
        // It stays so however often it is asked.
        Some(
            ProblemKind::Forbidden | ProblemKind::Unauthenticated | ProblemKind::InvalidRequest,
        ) => Failure::build(format!(
            "the server does not hand out attempt {attempt} to this job: {error}{hint}"
        )),
        _ => Failure::system(format!(
            "the server does not hand out attempt {attempt} to this job: {error}{hint}"
        )),
    }
}

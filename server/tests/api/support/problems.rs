//! The form of error responses.

use buildbtw_model::api::{PROBLEM_CONTENT_TYPE, Problem, ProblemKind};
use buildbtw_model::client::ClientError;
use reqwest::{Response, header};

/// Returns the problem with which a request was rejected.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Problem {
    match result {
        Err(ClientError::Refused(problem)) => {
            check(&problem);
            problem
        }
        other => panic!("expected a problem, got {other:?}"),
    }
}

/// Checks that a response is a problem of this status and kind, in every detail of its form.
pub(crate) async fn expect_problem(response: Response, status: u16, kind: ProblemKind) -> Problem {
    let headers = response.headers().clone();
    let url = response.url().clone();
    let found = response.status().as_u16();
    let text = response.text().await.expect("the response was interrupted");
    assert_eq!(found, status, "{url}: {text}");
    assert_eq!(
        headers
            .get(header::CONTENT_TYPE)
            .map(|value| value.as_bytes()),
        Some(PROBLEM_CONTENT_TYPE.as_bytes()),
        "{url}: {text}"
    );
    let problem: Problem =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error} in {text}"));
    assert_eq!(problem.kind, kind, "{url}: {text}");
    assert_eq!(problem.status, status, "{url}: {text}");
    check(&problem);
    problem
}

fn check(problem: &Problem) {
    assert!(!problem.title.is_empty(), "{problem:?}");
    assert!(!problem.title.contains('\n'), "{problem:?}");
    if let Some(hint) = &problem.hint {
        assert!(!hint.is_empty() && !hint.contains('\n'), "{problem:?}");
    }
}

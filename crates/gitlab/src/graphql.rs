//! Sends GraphQL queries and handles incomplete responses. The queries are in [`crate::queries`].

use std::collections::BTreeMap;

use graphql_client::{GraphQLQuery, PathFragment};
use jiff::Timestamp;

use crate::error::{GitlabError, GitlabErrorKind};
use crate::http::{Http, RetryBudget, Subject};

/// How often a query is sent when the response is incomplete.
const PARTIAL_TRIES: usize = 3;
const PARTIAL_PAUSE: std::time::Duration = std::time::Duration::from_millis(300);
/// How many errors of a response a message shows.
const SHOWN: usize = 3;

/// The response to a query.
pub(crate) struct Reply<T> {
    pub(crate) data: T,
    /// GitLab's own clock.
    pub(crate) date: Option<Timestamp>,
    /// Errors of single items, by their index in the queried list.
    pub(crate) broken: BTreeMap<usize, String>,
}

/// Sends a query. An incomplete response is an error.
pub(crate) async fn query<Q: GraphQLQuery>(
    http: &Http,
    subject: Subject<'_>,
    variables: Q::Variables,
    budget: RetryBudget,
) -> Result<Q::ResponseData, GitlabError> {
    Ok(query_list::<Q>(http, subject, variables, budget, &[])
        .await?
        .data)
}

/// Sends a query of a list at `list`. When only some of its items are incomplete, also after retries, the others
/// are returned.
pub(crate) async fn query_list<Q: GraphQLQuery>(
    http: &Http,
    subject: Subject<'_>,
    variables: Q::Variables,
    budget: RetryBudget,
    list: &[&str],
) -> Result<Reply<Q::ResponseData>, GitlabError> {
    let unexpected = |reason: String, request_id| GitlabError {
        request: subject.request,
        about: subject.about.to_owned(),
        request_id,
        kind: GitlabErrorKind::Unexpected(reason),
    };
    let body = serde_json::to_value(Q::build_query(variables))
        .map_err(|error| unexpected(error.to_string(), None))?;
    let mut tries = 0;
    loop {
        tries += 1;
        let response = http.post(subject, "api/graphql", &body, budget).await?;
        let fail = |kind| GitlabError {
            request: subject.request,
            about: subject.about.to_owned(),
            request_id: response.request_id.clone(),
            kind,
        };
        let parsed: graphql_client::Response<Q::ResponseData> =
            match serde_json::from_slice(&response.body) {
                Ok(parsed) => parsed,
                // If there are errors without data, they say more than the parser about the missing data.
                Err(error) => match refusal(&response.body) {
                    Some(kind) => return Err(fail(kind)),
                    None => return Err(unexpected(error.to_string(), response.request_id)),
                },
            };
        let errors = parsed.errors.unwrap_or_default();
        let Some(data) = parsed.data else {
            return Err(fail(refused(&errors)));
        };
        if errors.is_empty() {
            return Ok(Reply {
                data,
                date: response.date,
                broken: BTreeMap::new(),
            });
        }
        if tries < PARTIAL_TRIES {
            tokio::time::sleep(PARTIAL_PAUSE).await;
            continue;
        }
        return match by_item(&errors, list) {
            Some(broken) => Ok(Reply {
                data,
                date: response.date,
                broken,
            }),
            None => Err(fail(GitlabErrorKind::Partial(joined(&errors)))),
        };
    }
}

/// Sends the introspection query, and returns the whole response.
pub(crate) async fn introspect(http: &Http, query: &str) -> Result<serde_json::Value, GitlabError> {
    let subject = Subject {
        request: "IntrospectionQuery",
        about: "the schema",
    };
    let body = serde_json::json!({ "query": query, "operationName": "IntrospectionQuery" });
    let response = http
        .post(subject, "api/graphql", &body, RetryBudget::Background)
        .await?;
    serde_json::from_slice(&response.body).map_err(|error| GitlabError {
        request: subject.request,
        about: subject.about.to_owned(),
        request_id: response.request_id,
        kind: GitlabErrorKind::Unexpected(error.to_string()),
    })
}

/// Returns the errors of a response whose data cannot be parsed.
fn refusal(body: &[u8]) -> Option<GitlabErrorKind> {
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<graphql_client::Error>,
    }
    let Errors { errors } = serde_json::from_slice(body).ok()?;
    (!errors.is_empty()).then(|| GitlabErrorKind::Partial(joined(&errors)))
}

fn refused(errors: &[graphql_client::Error]) -> GitlabErrorKind {
    let text = joined(errors);
    let says = |phrase| errors.iter().any(|error| error.message.contains(phrase));
    if says("exceeds max complexity") {
        GitlabErrorKind::TooComplex(text)
    } else if says("insufficient_scope") {
        GitlabErrorKind::MissingScope {
            scope: "read_api".to_owned(),
        }
    } else if says("Timeout on") || says("Request timed out") {
        GitlabErrorKind::Partial(text)
    } else if errors.is_empty() {
        GitlabErrorKind::Unexpected("neither data nor errors".to_owned())
    } else {
        GitlabErrorKind::Refused(text)
    }
}

fn joined(errors: &[graphql_client::Error]) -> String {
    let shown: Vec<_> = errors
        .iter()
        .take(SHOWN)
        .map(|error| error.message.trim())
        .collect();
    let more = errors.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!(" (and {more} more)")
    } else {
        String::new()
    };
    format!("{}{more}", shown.join("; "))
}

/// Groups errors by the list item that they are about; `None` if any is not about an item.
fn by_item(errors: &[graphql_client::Error], list: &[&str]) -> Option<BTreeMap<usize, String>> {
    if list.is_empty() {
        return None;
    }
    let mut broken = BTreeMap::new();
    for error in errors {
        let path = error.path.as_ref()?;
        let (head, rest) = path.split_at_checked(list.len())?;
        let is_there = head
            .iter()
            .zip(list)
            .all(|(part, name)| matches!(part, PathFragment::Key(key) if key == name));
        let Some(PathFragment::Index(index)) = rest.first().filter(|_| is_there) else {
            return None;
        };
        let index = usize::try_from(*index).ok()?;
        broken.insert(index, error.message.trim().to_owned());
    }
    Some(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(json: serde_json::Value) -> Vec<graphql_client::Error> {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn keeps_other_items_when_single_items_fail() {
        let list = ["group", "projects", "nodes"];
        let two = errors(serde_json::json!([
            {"message": "Timeout on Repository.tree", "path": ["group", "projects", "nodes", 3, "repository", "tree"]},
            {"message": "x", "path": ["group", "projects", "nodes", 7]},
        ]));
        let broken = by_item(&two, &list).unwrap();
        assert_eq!(broken.keys().copied().collect::<Vec<_>>(), [3, 7]);
        let elsewhere = errors(serde_json::json!([
            {"message": "x", "path": ["group", "projects", "count"]}, {"message": "y"},
        ]));
        assert!(by_item(&elsewhere[..1], &list).is_none());
        assert!(by_item(&elsewhere[1..], &list).is_none());
    }

    #[test]
    fn distinguishes_graphql_errors() {
        let text = "Query has complexity of 341, which exceeds max complexity of 250";
        let complex = errors(serde_json::json!([{ "message": text }]));
        assert!(matches!(refused(&complex), GitlabErrorKind::TooComplex(_)));
        let unknown = errors(serde_json::json!([{
            "message": "Field 'x' doesn't exist on type 'Project'",
            "extensions": {"code": "undefinedField"},
        }]));
        assert!(matches!(refused(&unknown), GitlabErrorKind::Refused(_)));
        assert!(matches!(refused(&[]), GitlabErrorKind::Unexpected(_)));
    }
}

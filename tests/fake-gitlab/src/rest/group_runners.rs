//! The runners that the projects of a group can use.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::{Refusal, authenticate, scope};
use super::pages::{Page, api_uri};
use crate::FakeGitlab;
use crate::state::runners::Runner;

/// GitLab reports a runner as offline after this long without contact.
const ONLINE_FOR: SignedDuration = SignedDuration::from_hours(2);

/// The filter of runners.
#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    status: Option<String>,
    paused: Option<bool>,
    tag_list: Option<String>,
}

/// Lists the runners.
pub(super) async fn list(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let caller = authenticate(&gitlab, &headers)?;
    scope(&caller, &["read_api", "api"])?;
    let tags = filter.tag_list.unwrap_or_default();
    let tags: Vec<&str> = tags.split(',').filter(|tag| !tag.is_empty()).collect();
    let rows: Vec<Value> = {
        let state = gitlab.state();
        let group = match id.parse::<u64>() {
            Ok(number) => state.groups.get(&number).cloned(),
            Err(_) => state.group_at(&id),
        };
        if group.is_none() {
            return Err(Refusal::not_found("Group"));
        }
        let runners = state.runners.values().filter(|runner| {
            let status = status(&gitlab, runner);
            let has = |tag: &&str| runner.options.tags.iter().any(|own| own == tag);
            filter
                .status
                .as_deref()
                .is_none_or(|wanted| wanted == status)
                && filter.paused.is_none_or(|wanted| wanted == runner.paused)
                && tags.iter().all(has)
        });
        runners.map(|runner| entry(&gitlab, runner)).collect()
    };
    let total = rows.len();
    Ok(page.respond(gitlab.url(), &api_uri(&uri), rows, Some(total)))
}

fn status(gitlab: &FakeGitlab, runner: &Runner) -> &'static str {
    let now = gitlab.clock().now();
    let contacted = runner
        .managers
        .values()
        .map(|manager| manager.contacted_at)
        .max();
    match contacted {
        None => "never_contacted",
        Some(at) if now.duration_since(at) < ONLINE_FOR => "online",
        Some(_) => "offline",
    }
}

fn entry(gitlab: &FakeGitlab, runner: &Runner) -> Value {
    let status = status(gitlab, runner);
    json!({
        "id": runner.id.0,
        "description": runner.options.description,
        "paused": runner.paused,
        "is_shared": false,
        "runner_type": "group_type",
        "name": "gitlab-runner",
        "online": status == "online",
        "status": status,
    })
}

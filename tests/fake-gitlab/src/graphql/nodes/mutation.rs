//! Mutations.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Args, NO_PERMISSION, Node, NodeValue, RequestContext, Resolved, internal, job, number_of_gid,
    pipeline,
};
use crate::actions::hooks::new_uuid;
use crate::auth::Caller;
use crate::ci::create::{Actor, CreateError, NewPipeline};
use crate::state::jobs::{Job, JobId};
use crate::state::pipelines::{Pipeline, PipelineId, Source, Variable};
use crate::state::projects::Project;
use crate::state::roles::Role;

/// The response to a mutation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    client_mutation_id: Option<String>,
    errors: Vec<String>,
    pipeline: Option<Arc<Pipeline>>,
    job: Option<Arc<Job>>,
    request_id: Option<String>,
}

impl Payload {
    pub(super) fn resolve(&self, field: &str) -> NodeValue {
        match field {
            "clientMutationId" => NodeValue::from(self.client_mutation_id.clone()),
            "errors" => {
                let errors = self.errors.iter().map(|text| text.as_str().into());
                NodeValue::Value(async_graphql::Value::List(errors.collect()))
            }
            "pipeline" => NodeValue::node(self.pipeline.clone().map(Node::Pipeline)),
            "job" => NodeValue::node(self.job.clone().map(Node::Job)),
            "requestId" => NodeValue::from(self.request_id.clone()),
            "success" => NodeValue::from(self.errors.is_empty()),
            _ => NodeValue::Null,
        }
    }
}

fn no_permission() -> async_graphql::Error {
    async_graphql::Error::new(NO_PERMISSION)
}

/// Performs a mutation.
pub(crate) fn mutate(name: &str, args: &Args<'_>, context: &RequestContext) -> Resolved {
    let input = args.input();
    let text = |key: &str| input.get(key).and_then(Value::as_str).unwrap_or_default();
    let caller = context.who.as_ref().ok_or_else(no_permission)?;
    let change = Change { context, caller };
    let mut payload = match name {
        "pipelineCreate" => change.create(&input)?,
        "pipelineCancel" => {
            let row = change.pipeline(text("id"), Role::Developer)?;
            let changed = context.gitlab.change().cancel_pipeline(row.id);
            changed
                .map(|_| Payload::default())
                .map_err(|error| internal(&error))?
        }
        "pipelineRetry" => {
            let row = change.pipeline(text("id"), Role::Developer)?;
            let changed = context.gitlab.change().retry_pipeline(row.id);
            Payload {
                pipeline: Some(changed.map_err(|error| internal(&error))?),
                ..Payload::default()
            }
        }
        "pipelineDestroy" => {
            let row = change.pipeline(text("id"), Role::Owner)?;
            let deleted = context.gitlab.delete_pipeline(row.id);
            deleted
                .map(|()| Payload::default())
                .map_err(|error| internal(&error))?
        }
        "jobPlay" | "jobRetry" | "jobCancel" => change.job(name, text("id"))?,
        _ => {
            return Err(async_graphql::Error::new(format!(
                "{name} is not supported by this stand-in yet"
            )));
        }
    };
    let client = input.get("clientMutationId").and_then(Value::as_str);
    payload.client_mutation_id = client.map(str::to_owned);
    Ok(NodeValue::Node(Node::Payload(Arc::new(payload))))
}

/// The caller and context of a mutation.
struct Change<'a> {
    context: &'a RequestContext,
    caller: &'a Caller,
}

impl Change<'_> {
    fn allow(&self, project: &Project, least: Role) -> async_graphql::Result<()> {
        match Actor::from(self.caller).role_in(project) >= least {
            true => Ok(()),
            false => Err(no_permission()),
        }
    }

    fn pipeline(&self, id: &str, least: Role) -> async_graphql::Result<Arc<Pipeline>> {
        let id = PipelineId(number_of_gid(pipeline::MODEL, id)?);
        let state = self.context.gitlab.state();
        let row = state.pipelines.get(&id.0).ok_or_else(no_permission)?;
        let project = state
            .projects
            .get(&row.project.0)
            .ok_or_else(no_permission)?;
        self.allow(project, least)?;
        Ok(Arc::clone(row))
    }

    fn job(&self, name: &str, id: &str) -> async_graphql::Result<Payload> {
        let id = JobId(number_of_gid(job::MODEL, id)?);
        {
            let state = self.context.gitlab.state();
            let row = state.jobs.get(&id.0).ok_or_else(no_permission)?;
            let project = state
                .projects
                .get(&row.project.0)
                .ok_or_else(no_permission)?;
            self.allow(project, Role::Developer)?;
        }
        let gitlab = &self.context.gitlab;
        let changed = match name {
            "jobPlay" => gitlab.change().play_job(id),
            "jobRetry" => gitlab.change().retry_job(id),
            _ => gitlab.cancel_job(id).and_then(|()| gitlab.change().job(id)),
        };
        Ok(match changed {
            Ok(row) => Payload {
                job: Some(row),
                ..Payload::default()
            },
            Err(error) => Payload {
                errors: vec![error.to_string()],
                ..Payload::default()
            },
        })
    }

    fn create(&self, input: &Map<String, Value>) -> async_graphql::Result<Payload> {
        let text = |key: &str| input.get(key).and_then(Value::as_str).unwrap_or_default();
        let project = self.context.gitlab.state().project_at(text("projectPath"));
        let project = project.ok_or_else(no_permission)?;
        let new = NewPipeline {
            git_ref: text("ref").to_owned(),
            variables: variables(input),
            inputs: inputs(input),
            source: Source::Api,
            merge_request: None,
        };
        let actor = Actor::from(self.caller);
        let created = self
            .context
            .gitlab
            .create_pipeline_as(&actor, &project, new);
        let is_async = input
            .get("async")
            .and_then(Value::as_bool)
            .unwrap_or_default();
        match created {
            // A pipeline that is created later is not returned.
            _ if is_async => Ok(Payload {
                request_id: Some(new_uuid().to_string()),
                ..Payload::default()
            }),
            Ok(row) => Ok(Payload {
                pipeline: Some(row),
                ..Payload::default()
            }),
            Err(CreateError::Forbidden) => Err(no_permission()),
            Err(CreateError::Refused(text)) => Ok(Payload {
                errors: vec![text],
                ..Payload::default()
            }),
            Err(CreateError::Broken(error)) => Err(internal(&error)),
        }
    }
}

fn entries<'a>(input: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a Value> {
    input
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn variables(input: &Map<String, Value>) -> Vec<Variable> {
    let entries = entries(input, "variables");
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    entries
        .map(|entry| Variable {
            key: text(entry, "key"),
            value: text(entry, "value"),
            is_file: entry["variableType"] == "FILE",
        })
        .collect()
}

fn inputs(input: &Map<String, Value>) -> Map<String, Value> {
    let entries = entries(input, "inputs");
    entries
        .filter_map(|entry| Some((entry["name"].as_str()?.to_owned(), entry["value"].clone())))
        .collect()
}

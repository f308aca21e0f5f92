//! The objects behind the fields of the schema: one kind of node for each object type.

mod group;
mod job;
mod merge_request;
pub(crate) mod mutation;
mod pipeline;
mod project;
mod repository;
mod root;

use std::sync::Arc;

use async_graphql::Value;
use async_graphql::dynamic::ObjectAccessor;
use jiff::Timestamp;

use super::connection::{Connection, PageInfo, Row};
use crate::FakeGitlab;
use crate::auth::MaybeCaller;
use crate::state::jobs::Job;
use crate::state::merge_requests::MergeRequest;
use crate::state::pipelines::Pipeline;
use crate::state::projects::{Group, Project};
use crate::state::tokens::User;

use mutation::Payload;
use pipeline::Stage;
use repository::{CommitNode, EntryNode, FileNode, TreeNode};

/// GitLab's message for anything that the caller lacks permission for.
pub(crate) const NO_PERMISSION: &str = "The resource that you are attempting to access does not \
     exist or you don't have permission to perform this action";

/// The context of a request, shared by all resolvers.
#[derive(Clone)]
pub(crate) struct RequestContext {
    pub(crate) gitlab: FakeGitlab,
    pub(crate) who: MaybeCaller,
    pub(crate) score: u64,
    pub(crate) limit: u64,
}

/// An object of a response.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Query,
    CurrentUser(Arc<User>),
    Metadata,
    QueryComplexity,
    Connection(Arc<Connection>),
    Edge(Box<Row>),
    PageInfo(PageInfo),
    Group(Arc<Group>),
    Project(Arc<Project>),
    CiCdSettings(Arc<Project>),
    Repository(Arc<Project>),
    Tree(Arc<TreeNode>),
    Commit(Arc<CommitNode>),
    Entry(Arc<EntryNode>),
    File(Arc<FileNode>),
    MergeRequest(Arc<MergeRequest>),
    Pipeline(Arc<Pipeline>),
    Stage(Arc<Stage>),
    Job(Arc<Job>),
    Payload(Arc<Payload>),
}

/// The value of a field.
pub(crate) enum NodeValue {
    Null,
    Value(Value),
    Node(Node),
    Nodes(Vec<Node>),
}

/// The value of a field, or an error.
pub(crate) type Resolved = async_graphql::Result<NodeValue>;

impl Node {
    pub(crate) fn edge(row: Row) -> Self {
        Self::Edge(Box::new(row))
    }

    pub(crate) fn resolve(
        &self,
        field: &str,
        args: &Args<'_>,
        context: &RequestContext,
    ) -> Resolved {
        match self {
            Self::Query => root::query(field, args, context),
            Self::CurrentUser(user) => Ok(root::user(user, field)),
            Self::Metadata => Ok(root::metadata(field)),
            Self::QueryComplexity => Ok(root::query_complexity(field, context)),
            Self::Connection(connection) => connection.resolve(field),
            Self::Edge(row) => Ok(match field {
                "cursor" => NodeValue::from(row.position.cursor()),
                _ => NodeValue::Node(row.node.clone()),
            }),
            Self::PageInfo(info) => info.resolve(field),
            Self::Group(group) => group::resolve(group, field, args, context),
            Self::Project(project) => project::resolve(project, field, args, context),
            Self::CiCdSettings(project) => Ok(project::ci_cd_settings(project, field)),
            Self::Repository(project) => repository::resolve(project, field, args),
            Self::Tree(tree) => tree.resolve(field, args),
            Self::Commit(commit) => Ok(commit.resolve(field, context)),
            Self::Entry(entry) => Ok(entry.resolve(field, context)),
            Self::File(file) => Ok(file.resolve(field)),
            Self::MergeRequest(row) => merge_request::resolve(row, field, context),
            Self::Pipeline(row) => pipeline::resolve(row, field, args, context),
            Self::Stage(stage) => Ok(stage.resolve(field)),
            Self::Job(row) => Ok(job::resolve(row, field, context)),
            Self::Payload(payload) => Ok(payload.resolve(field)),
        }
    }
}

impl NodeValue {
    pub(crate) fn connection(rows: Vec<Row>, args: &Args<'_>) -> Resolved {
        let connection = Connection::new(rows, args)?;
        Ok(Self::Node(Node::Connection(Arc::new(connection))))
    }

    pub(crate) fn node(node: Option<Node>) -> Self {
        node.map_or(Self::Null, Self::Node)
    }
}

impl From<&str> for NodeValue {
    fn from(text: &str) -> Self {
        Self::Value(Value::from(text))
    }
}

impl From<String> for NodeValue {
    fn from(text: String) -> Self {
        Self::Value(Value::from(text))
    }
}

impl<T: Into<NodeValue>> From<Option<T>> for NodeValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<bool> for NodeValue {
    fn from(value: bool) -> Self {
        Self::Value(Value::from(value))
    }
}

impl From<usize> for NodeValue {
    fn from(value: usize) -> Self {
        Self::Value(Value::from(value))
    }
}

impl From<Timestamp> for NodeValue {
    fn from(time: Timestamp) -> Self {
        Self::from(time.to_string())
    }
}

/// The validated arguments of a field.
pub(crate) struct Args<'a>(&'a ObjectAccessor<'a>);

impl<'a> Args<'a> {
    pub(crate) fn new(arguments: &'a ObjectAccessor<'a>) -> Self {
        Self(arguments)
    }

    /// Returns a string, an id or an enum value.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.as_index_map().get(name)? {
            Value::String(text) => Some(text),
            Value::Enum(item) => Some(item),
            _ => None,
        }
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.i64().ok()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.boolean().ok()
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.flag(name).unwrap_or_default()
    }

    /// Returns a list of enum values.
    pub(crate) fn enums(&self, name: &str) -> Option<Vec<String>> {
        let one = |value: &Value| match value {
            Value::Enum(item) => Some(item.to_string()),
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        match self.0.as_index_map().get(name)? {
            Value::List(values) => Some(values.iter().filter_map(one).collect()),
            value => one(value).map(|value| vec![value]),
        }
    }

    /// Returns the input of a mutation.
    pub(crate) fn input(&self) -> serde_json::Map<String, serde_json::Value> {
        let value = self.0.as_index_map().get("input").cloned();
        match value.and_then(|value| value.into_json().ok()) {
            Some(serde_json::Value::Object(input)) => input,
            _ => serde_json::Map::new(),
        }
    }

    /// Returns a list of strings; a single string counts as a list.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let value = self.0.get(name)?;
        if let Ok(one) = value.string() {
            return Some(vec![one.to_owned()]);
        }
        let list = value.list().ok()?;
        let texts = list
            .iter()
            .filter_map(|value| value.string().ok().map(str::to_owned));
        Some(texts.collect())
    }
}

/// Formats the global id of an object.
pub(crate) fn gid(model: &str, id: impl std::fmt::Display) -> String {
    format!("gid://gitlab/{model}/{id}")
}

/// Parses the number in a global id of a model.
pub(crate) fn number_of_gid(model: &str, text: &str) -> async_graphql::Result<u64> {
    let number = text
        .strip_prefix("gid://gitlab/")
        .and_then(|rest| rest.strip_prefix(model))
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|number| number.parse().ok());
    number.ok_or_else(|| {
        async_graphql::Error::new(format!(
            "\"{text}\" does not represent an instance of {model}"
        ))
    })
}

/// Converts an error in a repository, which is not the caller's fault.
pub(crate) fn internal(error: &anyhow::Error) -> async_graphql::Error {
    tracing::warn!(error = format!("{error:#}"), "a resolver failed");
    async_graphql::Error::new("Internal server error")
}

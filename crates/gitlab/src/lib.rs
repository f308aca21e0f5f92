//! Client of GitLab's REST and GraphQL APIs for sources, pipelines and statuses, with verification of ID tokens and
//! webhooks. It knows nothing about packages.

mod ci_config;
mod client;
mod error;
mod failure_reason;
mod graphql;
mod http;
mod id_token;
mod inspection;
mod job_log;
mod lookups;
mod observer;
mod pipelines;
mod queries;
mod rate_limit;
mod reports;
mod response;
mod rest;
mod settings;
mod tree;
mod types;
pub mod webhook;

pub use buildbtw_model::{JobId, MergeRequestIid, NoteId, PipelineId, PipelineStatus, ProjectId};
pub use ci_config::{CiConfig, CiConfigPage};
pub use client::Gitlab;
pub use error::{GitlabError, GitlabErrorKind};
pub use failure_reason::{FailureReason, JobFailureReason};
pub use id_token::{IdTokenError, IdTokens, JobClaims};
pub use inspection::{Contact, Hook, HookEvent, HookOwner, Runner};
pub use lookups::RefNames;
pub use observer::{RateLimitState, RequestObserver};
pub use pipelines::{Job, NewPipeline, Parameters, Pipeline};
pub use queries::Selection;
pub use reports::{CommitState, CommitStatus};
pub use rest::TokenInfo;
pub use settings::{CloneBy, GitlabArgs, GitlabSettings, Secret, SigningKey, WebhookSecrets};
pub use types::{Blob, Contents, MergeRequest, MergeRequestState, Project, ProjectPage, TreeAt};

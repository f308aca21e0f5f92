//! Questions about the configuration of GitLab itself, for `doctor`: the token, the group's webhooks and runners.
//!
//! None of them changes anything, and some need a higher role than the server does.

use std::time::{Duration, Instant};

use buildbtw_model::ProjectId;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client::Gitlab;
use crate::error::{GitlabError, GitlabErrorKind};
use crate::http::{Response, RetryBudget, Subject};
use crate::observer::RateLimitState;
use crate::queries;
use crate::rest::{self, TokenInfo};

/// A GitLab instance that was reached.
#[derive(Clone, Copy, Debug)]
pub struct Contact {
    /// GitLab's clock, in whole seconds.
    pub date: Option<Timestamp>,
    /// How long the response took, with all retries.
    pub took: Duration,
    /// The state of the rate limit, if there is one.
    pub rate_limit: Option<RateLimitState>,
}

impl Contact {
    /// Returns what a response shows. `began` is when its request was sent first.
    fn of(response: &Response, began: Instant) -> Self {
        Self {
            date: response.date,
            took: began.elapsed(),
            rate_limit: response.rate_limit,
        }
    }
}

/// The owner of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookOwner {
    /// The group of the settings.
    Group,
    /// A project of it.
    Project(ProjectId),
}

/// A webhook. GitLab does not show its secrets.
#[derive(Clone, Debug, Deserialize)]
pub struct Hook {
    /// Its number.
    pub id: u64,
    /// The receiver.
    pub url: String,
    /// Whether it sends pushes to branches.
    #[serde(default)]
    pub push_events: bool,
    /// Whether it sends pushes of tags.
    #[serde(default)]
    pub tag_push_events: bool,
    /// Whether it sends merge requests.
    #[serde(default)]
    pub merge_requests_events: bool,
    /// Whether it sends pipelines.
    #[serde(default)]
    pub pipeline_events: bool,
    /// Whether it sends jobs.
    #[serde(default)]
    pub job_events: bool,
    /// `executable`, or why GitLab has stopped sending.
    #[serde(default)]
    pub alert_status: Option<String>,
}

/// A delivery of a webhook, as GitLab recorded it.
#[derive(Clone, Debug, Deserialize)]
pub struct HookEvent {
    /// The kind, for example `push_hooks`.
    #[serde(default)]
    pub trigger: String,
    /// The status of the response, or a word for a request without one.
    #[serde(default)]
    pub response_status: String,
}

/// A runner.
#[derive(Clone, Debug, Deserialize)]
pub struct Runner {
    /// Its number.
    pub id: u64,
    /// Its description.
    #[serde(default)]
    pub description: Option<String>,
}

#[derive(Deserialize)]
struct Member {
    access_level: u32,
}

impl Gitlab {
    /// Sends a request that needs no scope, and returns the properties of the response.
    ///
    /// # Errors
    /// When GitLab cannot be reached, or rejects the token.
    pub async fn contact(&self) -> Result<(Contact, Option<TokenInfo>), GitlabError> {
        let subject = self.about_group("read token info");
        let began = Instant::now();
        let path = rest::TOKEN_INFO;
        let response = self.http.get(subject, path, RetryBudget::Interactive).await;
        match response {
            Ok(response) => {
                let contact = Contact::of(&response, began);
                Ok((contact, Some(response.json(subject)?)))
            }
            // Other kinds of tokens cannot read their own info.
            Err(error) if is_status(&error) => {
                let subject = self.about_group("read version");
                let path = "api/v4/version";
                let response = self.http.get(subject, path, RetryBudget::Interactive);
                Ok((Contact::of(&response.await?, began), None))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns GitLab's version.
    ///
    /// # Errors
    /// When the request fails, or the token sees no such group.
    pub async fn group_access(&self) -> Result<Option<String>, GitlabError> {
        queries::group_access(&self.http).await
    }

    /// Returns the access level of a user in the group, by GitLab's numbers: 30 is a Developer, 40 a Maintainer.
    /// `None` if the user is not a member.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn access_level(&self, user: u64) -> Result<Option<u32>, GitlabError> {
        let path = format!("members/all/{user}");
        let found: Result<Member, _> = self.of_group("read group member", &path, &[]).await;
        match found {
            Ok(member) => Ok(Some(member.access_level)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the webhooks of the group or of a project; the first hundred.
    ///
    /// # Errors
    /// When the request fails. The token needs the role Owner in the group, or Maintainer in the project; and groups
    /// have webhooks in some editions only.
    pub async fn hooks(&self, owner: HookOwner) -> Result<Vec<Hook>, GitlabError> {
        let page = [("per_page", "100")];
        self.of_owner("list webhooks", owner, "hooks", &page).await
    }

    /// Returns the last delivery of a webhook. `None` if there was none in the last days, or this GitLab does not tell.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn last_delivery(
        &self,
        owner: HookOwner,
        hook: u64,
    ) -> Result<Option<HookEvent>, GitlabError> {
        let (request, path) = ("list webhook deliveries", format!("hooks/{hook}/events"));
        let page = [("per_page", "1")];
        let found: Result<Vec<HookEvent>, _> = self.of_owner(request, owner, &path, &page).await;
        match found {
            Ok(events) => Ok(events.into_iter().next()),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the runners that are online, not paused and have all of these tags: those of the group, and those of
    /// the instance that it may use.
    ///
    /// # Errors
    /// When the request fails. The token needs the role Owner or Maintainer in the group.
    pub async fn online_runners(&self, tags: &[&str]) -> Result<Vec<Runner>, GitlabError> {
        let tags = tags.join(",");
        let filter = [
            ("status", "online"),
            ("paused", "false"),
            ("tag_list", tags.as_str()),
        ];
        self.of_group("list runners", "runners", &filter).await
    }

    async fn of_owner<T: DeserializeOwned>(
        &self,
        request: &'static str,
        owner: HookOwner,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, GitlabError> {
        match owner {
            HookOwner::Group => self.of_group(request, path, parameters).await,
            HookOwner::Project(id) => {
                let about = &format!("project {id}");
                let path = format!("api/v4/projects/{id}/{path}");
                self.read(Subject { request, about }, &path, parameters)
                    .await
            }
        }
    }

    async fn of_group<T: DeserializeOwned>(
        &self,
        request: &'static str,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, GitlabError> {
        let group = self.settings().group.replace('/', "%2F");
        let path = format!("api/v4/groups/{group}/{path}");
        self.read(self.about_group(request), &path, parameters)
            .await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        subject: Subject<'_>,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, GitlabError> {
        let budget = RetryBudget::Interactive;
        let response = self.http.get_with(subject, path, parameters, budget);
        response.await?.json(subject)
    }

    fn about_group(&self, request: &'static str) -> Subject<'_> {
        Subject {
            request,
            about: &self.settings().group,
        }
    }
}

fn is_status(error: &GitlabError) -> bool {
    matches!(error.kind, GitlabErrorKind::Status { .. })
}

fn is_not_found(error: &GitlabError) -> bool {
    matches!(error.kind, GitlabErrorKind::Status { status: 404, .. })
}

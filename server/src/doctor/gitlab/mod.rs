//! The GitLab instance with the sources: reachable, its clock, the token, the group, and what builds there need.

#[cfg(test)]
mod check_snapshots;
mod ci_config;
mod runners;
mod subject;
mod webhooks;

use buildbtw_doctor::clock::{self, Reading};
use buildbtw_doctor::{Check, Report};
use buildbtw_gitlab::{Contact, GitlabError, GitlabErrorKind, RateLimitState, TokenInfo};
use jiff::Timestamp;

use crate::time::Millis;

use subject::REACH;
pub(super) use subject::Subject;

const NAME: &str = "GitLab";
const TOKEN: &str = "GitLab token";
const GROUP: &str = "GitLab group";
/// A token that expires within this many days causes a warning.
const EXPIRES_SOON: i64 = 14;
/// GitLab's number of the role Reporter, which can read code.
const REPORTER: u32 = 20;
/// GitLab's number of the role Developer, which can create pipelines.
const DEVELOPER: u32 = 30;
/// Less of the rate limit is too little for a resync.
const MIN_REMAINING: u64 = 20;

impl Subject<'_> {
    /// Adds all checks. Those that need GitLab are skipped when it cannot be used.
    pub(super) async fn check(&self, report: &mut Report) {
        let mut contact = None;
        let reached = async {
            match self.gitlab.contact().await {
                Ok((found, token)) => {
                    contact = Some((found, token, self.clock.now()));
                    let url = &self.gitlab.settings().url;
                    let took = found.took.as_millis();
                    vec![Check::ok(NAME, format!("{url} answered within {took} ms"))]
                }
                Err(error) => vec![refused(&error)],
            }
        };
        report.run(NAME, reached).await;
        let Some((contact, token, now)) = contact else {
            for name in [TOKEN, GROUP, webhooks::NAME] {
                report.add(Check::skipped(name, "GitLab cannot be used"));
            }
            return;
        };
        report.add(check_clock(&contact, now));
        report.extend(contact.rate_limit.map(judge_rate_limit));
        let today = Timestamp::from(now);
        let needed = self.gitlab.needed_scopes();
        report.add(match &token {
            Some(token) => judge_token(token, needed, today),
            None => Check::skipped(
                TOKEN,
                "GitLab does not tell the scopes of this kind of token",
            ),
        });
        let group = self.check_group(token.as_ref());
        report.run(GROUP, group).await;
        webhooks::check(self, report).await;
        match &self.config.pipelines {
            Some(pipelines) => {
                ci_config::check(self, report).await;
                runners::check(self, pipelines, report).await;
            }
            None => report.add(Check::skipped(
                "builds on GitLab",
                "--run-builds-on-gitlab is not set",
            )),
        }
    }

    /// Checks that the token sees the group, and its role there.
    async fn check_group(&self, token: Option<&TokenInfo>) -> Vec<Check> {
        let group = &self.gitlab.settings().group;
        let version = match self.gitlab.group_access().await {
            Ok(version) => version.unwrap_or_else(|| "of unknown version".to_owned()),
            Err(error) => return vec![no_group(&error)],
        };
        let found = format!("the token sees `{group}` of GitLab {version}");
        let Some(user) = token.and_then(|token| token.user_id) else {
            return vec![Check::ok(GROUP, found)];
        };
        let needed = match self.config.pipelines.is_some() || self.reports {
            true => DEVELOPER,
            false => REPORTER,
        };
        vec![match self.gitlab.access_level(user).await {
            Ok(level) => judge_role(group, level, needed, &found),
            // The role only explains what other requests would show.
            Err(error) => unknown_role(&found, &error),
        }]
    }
}

/// Returns the check for a GitLab instance that gave no usable answer.
fn refused(error: &GitlabError) -> Check {
    let repair = match error.kind {
        GitlabErrorKind::InvalidToken(_) => {
            "create a token, and write it into the file of --gitlab-token-file"
        }
        GitlabErrorKind::Paused { .. } => "wait until GitLab accepts requests again",
        _ => REACH,
    };
    Check::failure(NAME, error.to_string(), repair)
}

/// Returns the failure of a group that the token does not see.
fn no_group(error: &GitlabError) -> Check {
    let repair = "check --gitlab-group, and give the token's user a role in the group";
    Check::failure(GROUP, error.to_string(), repair)
}

/// Returns the warning about a token whose role GitLab does not tell.
fn unknown_role(found: &str, error: &GitlabError) -> Check {
    Check::warning(
        GROUP,
        format!("{found}, but its role there is unknown: {error}"),
        "give the token's user a role in the group",
    )
}

fn check_clock(contact: &Contact, now: Millis) -> Check {
    const CLOCK: &str = "clock of GitLab";
    match contact.date {
        Some(theirs) => {
            let reading = Reading {
                theirs,
                ours: now.into(),
                took: contact.took,
            };
            clock::check(CLOCK, "GitLab", reading)
        }
        None => clock::unknown(CLOCK, "GitLab"),
    }
}

fn judge_rate_limit(state: RateLimitState) -> Check {
    const NAME: &str = "rate limit of GitLab";
    let limit = state
        .limit
        .map_or(String::new(), |limit| format!(" of {limit}"));
    let message = format!("{}{limit} requests are left", state.remaining);
    if state.remaining >= MIN_REMAINING {
        return Check::ok(NAME, message);
    }
    let repair =
        "raise the rate limit of the token's user, or poll less often (--gitlab-poll-seconds)";
    Check::warning(NAME, message, repair)
}

fn judge_token(token: &TokenInfo, needed: &[&str], today: Timestamp) -> Check {
    let scopes = token.scopes.join(", ");
    let has = |scope: &&str| token.scopes.iter().any(|own| own == scope);
    if !token.scopes.is_empty() && !needed.iter().any(has) {
        let scope = needed.first().copied().unwrap_or_default();
        return Check::failure(
            TOKEN,
            format!(
                "`{}` has the scopes {scopes}, and lacks {scope}",
                token.name
            ),
            format!(
                "create a token of scope {scope}, and write it into the file of --gitlab-token-file"
            ),
        );
    }
    let valid = format!("`{}` is valid and has the scopes {scopes}", token.name);
    let Some(day) = &token.expires_at else {
        return Check::ok(TOKEN, format!("{valid}; it does not expire"));
    };
    let left = days_until(day, today);
    match left {
        Some(left) if left <= EXPIRES_SOON => Check::warning(
            TOKEN,
            match left {
                ..=0 => format!("{valid}, but expires today"),
                1 => format!("{valid}, but expires tomorrow"),
                _ => format!("{valid}, but expires on {day}, in {left} days"),
            },
            "create another one, and write it into the file of --gitlab-token-file",
        ),
        _ => Check::ok(TOKEN, format!("{valid} until {day}")),
    }
}

/// Returns the number of days until a date.
fn days_until(day: &str, today: Timestamp) -> Option<i64> {
    let day: jiff::civil::Date = day.parse().ok()?;
    let today = today.to_zoned(jiff::tz::TimeZone::UTC).date();
    Some(today.until(day).ok()?.get_days().into())
}

fn judge_role(group: &str, level: Option<u32>, needed: u32, found: &str) -> Check {
    let role = |level: u32| match level {
        50.. => "Owner",
        40.. => "Maintainer",
        30.. => "Developer",
        20.. => "Reporter",
        10.. => "Guest",
        _ => "Minimal Access",
    };
    let needs = role(needed);
    let repair = format!("give the token's user the role {needs} in `{group}`");
    match level {
        Some(level) if level >= needed => {
            Check::ok(GROUP, format!("{found}, with the role {}", role(level)))
        }
        Some(level) => Check::failure(
            GROUP,
            format!(
                "the token has the role {} in `{group}`, and needs {needs}",
                role(level)
            ),
            repair,
        ),
        None => Check::warning(
            GROUP,
            format!("{found}, but its user is not a member of the group"),
            repair,
        ),
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::check_snapshots::token;
    use super::*;

    #[test]
    fn judges_scopes_and_expiry_of_a_token() {
        assert_eq!(token(&["api"], None).status, Status::Ok);
        let lacking = token(&["read_user"], None);
        assert_eq!(lacking.status, Status::Failure);
        assert_eq!(
            lacking.message,
            "`buildbtw` has the scopes read_user, and lacks read_api"
        );
        assert_eq!(token(&["api"], Some("2027-11-30")).status, Status::Ok);
        let soon = token(&["api"], Some("2026-12-05"));
        assert_eq!(soon.status, Status::Warning);
        assert!(soon.message.ends_with("in 5 days"), "{soon:?}");
    }

    #[test]
    fn judges_role_in_the_group() {
        let judge = |level, needed| judge_role("g", level, needed, "found").status;
        assert_eq!(judge(Some(20), REPORTER), Status::Ok);
        assert_eq!(judge(Some(10), REPORTER), Status::Failure);
        assert_eq!(judge(Some(20), DEVELOPER), Status::Failure);
        assert_eq!(judge(Some(50), DEVELOPER), Status::Ok);
        assert_eq!(judge(None, REPORTER), Status::Warning);
    }

    #[test]
    fn warns_about_exhausted_rate_limit() {
        let judge = |remaining| {
            judge_rate_limit(RateLimitState {
                limit: Some(600),
                remaining,
            })
        };
        assert_eq!(judge(599).message, "599 of 600 requests are left");
        assert_eq!(judge(3).status, Status::Warning);
    }
}

//! Statuses of pipelines and jobs.

use std::fmt;
use std::str::FromStr;

/// The status of a pipeline or job, with GitLab's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Not processed yet.
    Created,
    /// Waits for a resource group.
    WaitingForResource,
    /// Waits for prerequisites.
    Preparing,
    /// Waits for an external gate.
    WaitingForCallback,
    /// Waits for a runner.
    Pending,
    /// A runner works on it.
    Running,
    /// Succeeded.
    Success,
    /// Failed.
    Failed,
    /// Cancelled, while the runner still cleans up.
    Canceling,
    /// Cancelled.
    Canceled,
    /// Not run.
    Skipped,
    /// Waits for a user.
    Manual,
    /// Waits for its scheduled time.
    Scheduled,
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 13] = [
        Self::Created,
        Self::WaitingForResource,
        Self::Preparing,
        Self::WaitingForCallback,
        Self::Pending,
        Self::Running,
        Self::Success,
        Self::Failed,
        Self::Canceling,
        Self::Canceled,
        Self::Skipped,
        Self::Manual,
        Self::Scheduled,
    ];

    /// Returns the name in REST and webhooks.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::WaitingForResource => "waiting_for_resource",
            Self::Preparing => "preparing",
            Self::WaitingForCallback => "waiting_for_callback",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceling => "canceling",
            Self::Canceled => "canceled",
            Self::Skipped => "skipped",
            Self::Manual => "manual",
            Self::Scheduled => "scheduled",
        }
    }

    /// Returns whether it is final, unless a user intervenes.
    pub fn is_complete(self) -> bool {
        matches!(
            self,
            Self::Success | Self::Failed | Self::Canceled | Self::Skipped
        )
    }

    /// Returns whether it is unfinished and not waiting for a user.
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Self::WaitingForResource
                | Self::Preparing
                | Self::WaitingForCallback
                | Self::Pending
                | Self::Running
        )
    }

    /// Returns whether it can be cancelled.
    pub fn is_cancelable(self) -> bool {
        self.is_active() || matches!(self, Self::Created | Self::Scheduled | Self::Manual)
    }

    /// Returns the name in GraphQL.
    pub(crate) fn upper(self) -> String {
        self.name().to_uppercase()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An unknown status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a status")]
pub struct UnknownStatus(String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let found = Self::ALL.into_iter().find(|status| status.name() == text);
        found.ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// The contribution of a job to its pipeline's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Of(Status),
    /// Failed, but allowed to fail.
    Forgiven,
    /// Manual, and does not block the pipeline.
    Ignored,
}

/// Returns the status of a pipeline or stage with these parts. `None` without parts.
pub(crate) fn composite(parts: &[Part]) -> Option<Status> {
    use Status::{
        Canceled, Canceling, Created, Failed, Manual, Pending, Preparing, Running, Scheduled,
        Skipped, Success, WaitingForCallback, WaitingForResource,
    };
    if parts.is_empty() {
        return None;
    }
    let only = |statuses: &[Status], neutral: bool| {
        parts.iter().all(|part| match part {
            Part::Of(status) => statuses.contains(status),
            Part::Forgiven => neutral,
            Part::Ignored => true,
        })
    };
    let any = |wanted: Status| parts.contains(&Part::Of(wanted));
    Some(if only(&[Skipped], false) {
        Skipped
    } else if only(&[Success, Skipped], true) {
        Success
    } else if only(&[Created], true) {
        Created
    } else if only(&[Preparing], true) {
        Preparing
    } else if only(&[Canceled, Success, Skipped], true) {
        Canceled
    } else if only(&[Pending, Created, Skipped], true) {
        Pending
    } else if any(Running) || any(Pending) {
        Running
    } else if any(Canceling) {
        Canceling
    } else if any(WaitingForResource) {
        WaitingForResource
    } else if any(WaitingForCallback) {
        WaitingForCallback
    } else if any(Manual) {
        Manual
    } else if any(Scheduled) {
        Scheduled
    } else if any(Preparing) {
        Preparing
    } else if any(Created) {
        Running
    } else {
        Failed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_status_names() {
        for status in Status::ALL {
            assert_eq!(status.name().parse(), Ok(status));
        }
        assert!("done".parse::<Status>().is_err());
    }

    #[test]
    fn derives_pipeline_status_from_jobs() {
        use Status::{Canceled, Canceling, Created, Failed, Pending, Running, Skipped, Success};
        for (parts, whole) in [
            (&[Pending][..], Pending),
            (&[Success, Pending][..], Running),
            (&[Success, Failed][..], Failed),
            (&[Failed, Skipped][..], Failed),
            (&[Success, Canceled][..], Canceled),
            (&[Failed, Canceled][..], Failed),
            (&[Canceling][..], Canceling),
            (&[Success, Created][..], Running),
            (&[Pending, Created][..], Pending),
            (&[Success, Skipped][..], Success),
        ] {
            let parts: Vec<Part> = parts.iter().copied().map(Part::Of).collect();
            assert_eq!(composite(&parts), Some(whole), "{parts:?}");
        }
        assert_eq!(
            composite(&[Part::Forgiven, Part::Of(Running)]),
            Some(Running)
        );
        assert_eq!(composite(&[Part::Forgiven, Part::Ignored]), Some(Success));
        assert_eq!(composite(&[]), None);
    }
}

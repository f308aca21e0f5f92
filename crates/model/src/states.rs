//! The states of the design's state machines, with their questions as exhaustive matches: a new
//! variant breaks the build wherever it matters.

/// Text that names no variant of a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is not a valid {kind}; expected one of: {expected}")]
pub struct UnknownState {
    /// Which state it should have been.
    pub kind: &'static str,
    /// The text.
    pub value: String,
    /// The variants there are.
    pub expected: &'static str,
}

/// Makes an enum whose variants have one fixed text each, used in JSON, SQL and on the terminal. `_ => Other,` as
/// its end is what JSON with another text is read as: that of a newer program, or of GitLab.
macro_rules! text_enum {
    (
        $(#[$doc:meta])* $name:ident, $kind:literal
        {
            $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+
            $(_ => $(#[$odoc:meta])* $other:ident,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
            $($(#[$odoc])* #[serde(rename = "unknown", other)] $other,)?
        }

        impl $name {
            /// Every variant, in the order of its definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text of the variant.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    $(Self::$other => "unknown",)?
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::states::UnknownState;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    $("unknown" => Ok(Self::$other),)?
                    _ => Err($crate::states::UnknownState {
                        kind: $kind,
                        value: text.chars().take(60).collect(),
                        expected: concat!($($text, " "),+).trim_ascii_end(),
                    }),
                }
            }
        }

        $crate::ids::macros::sqlx_text!($name);
    };
}
pub(crate) use text_enum;

text_enum! {
    /// Where a build stands.
    BuildStatus, "build status" {
        /// Waits for another build of its iteration.
        Blocked = "blocked",
        /// Can be handed out.
        Ready = "ready",
        /// Handed out, not yet confirmed by whoever got it.
        Dispatched = "dispatched",
        /// Being built.
        Building = "building",
        /// Built, its packages are in the repository.
        Built = "built",
        /// Its last attempt failed.
        Failed = "failed",
        /// Taken over from an earlier build with the same inputs.
        Reused = "reused",
        /// Will not be built.
        Cancelled = "cancelled",
    }
}

impl BuildStatus {
    /// Whether its packages are in the namespace repository.
    #[must_use]
    pub fn has_packages(self) -> bool {
        match self {
            Self::Built | Self::Reused => true,
            Self::Blocked
            | Self::Ready
            | Self::Dispatched
            | Self::Building
            | Self::Failed
            | Self::Cancelled => false,
        }
    }

    /// Whether it keeps an iteration running.
    #[must_use]
    pub fn is_active(self) -> bool {
        match self {
            Self::Ready | Self::Dispatched | Self::Building => true,
            Self::Blocked | Self::Built | Self::Failed | Self::Reused | Self::Cancelled => false,
        }
    }
}

text_enum! {
    /// Where an attempt stands.
    AttemptStatus, "attempt status" {
        /// Handed out, not yet started.
        Queued = "queued",
        /// Being worked on.
        Running = "running",
        /// Its packages were accepted.
        Succeeded = "succeeded",
        /// It failed; the kind says how.
        Failed = "failed",
        /// Its worker was not heard of again.
        Lost = "lost",
    }
}

impl AttemptStatus {
    /// Whether nothing can change it any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Lost => true,
        }
    }
}

text_enum! {
    /// Whose fault a failed attempt is.
    FailureKind, "failure kind" {
        /// The PKGBUILD or the software it builds.
        Package = "package",
        /// The machine, the network, the repositories or the plan.
        Infrastructure = "infrastructure",
        /// A limit of time was exceeded.
        Timeout = "timeout",
        /// Somebody stopped it.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// Where an iteration stands.
    IterationStatus, "iteration status" {
        /// Something is ready or being built.
        Running = "running",
        /// Every build has packages.
        Done = "done",
        /// Something failed and nothing can move.
        Failed = "failed",
        /// Stopped by somebody.
        Cancelled = "cancelled",
    }
}

impl IterationStatus {
    /// Whether nothing is going on any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Running => false,
            Self::Done | Self::Failed | Self::Cancelled => true,
        }
    }

    /// What a command that waited for the end exits with.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done | Self::Running => 0,
            Self::Failed => 1,
            Self::Cancelled => 2,
        }
    }
}

text_enum! {
    /// How far a rebuild spreads from its origins.
    Scope, "scope" {
        /// Only the origins themselves.
        Origin = "origin",
        /// And what depends on them directly, at run time.
        Direct = "direct",
        /// And what depends on them through soname dependencies, directly or not.
        Soname = "soname",
        /// And everything that depends on them at run time, directly or not.
        Transitive = "transitive",
        /// And what needs any of those to be built or checked.
        All = "all",
    }
}

text_enum! {
    /// What a token allows.
    TokenScope, "token scope" {
        /// Create and steer namespaces.
        Client = "client",
        /// Claim builds and report on them.
        Worker = "worker",
        /// Everything, tokens included.
        Admin = "admin",
        /// Report on one attempt: what a job of a GitLab gets for its ID token.
        Attempt = "attempt",
    }
}

impl TokenScope {
    /// Whether a token of this scope may do what `needed` allows.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        match self {
            Self::Admin => true,
            // A worker's token is good for the attempts it claimed.
            Self::Worker => matches!(needed, Self::Worker | Self::Attempt),
            Self::Client | Self::Attempt => self == needed,
        }
    }
}

text_enum! {
    /// What a build reaches of the network; each policy allows what those before it allow.
    #[derive(Default)]
    NetworkPolicy, "network policy" {
        /// Nothing: packages with sources to download are not built.
        None = "none",
        /// The sources that `.SRCINFO` lists are fetched first; all functions run offline.
        #[default]
        Sources = "sources",
        /// `prepare()` and `pkgver()` also have a network; `build()`, `check()` and `package()` run offline.
        Prepare = "prepare",
    }
}

text_enum! {
    /// What happens when a source is signed with a key that is not known.
    #[derive(Default)]
    MissingKeys, "policy for missing keys" {
        /// The build fails.
        #[default]
        Fail = "fail",
        /// The build goes on, with a warning.
        Warn = "warn",
    }
}

impl NetworkPolicy {
    /// Whether sources are fetched.
    #[must_use]
    pub fn fetches_sources(self) -> bool {
        match self {
            Self::None => false,
            Self::Sources | Self::Prepare => true,
        }
    }

    /// Whether `prepare()` and `pkgver()` have a network.
    #[must_use]
    pub fn prepares_online(self) -> bool {
        match self {
            Self::None | Self::Sources => false,
            Self::Prepare => true,
        }
    }
}

text_enum! {
    /// Where a pipeline or a job of GitLab stands: GitLab's own words, and what the server says of pipelines that
    /// GitLab does not have.
    PipelineStatus, "pipeline status" {
        /// The server has not asked for it yet.
        ToBeCreated = "to be created",
        /// The server has asked for it, and GitLab has not confirmed it.
        NotConfirmed = "not confirmed",
        /// It was created, and nothing of it has begun.
        Created = "created",
        /// It waits for a resource that another job holds.
        WaitingForResource = "waiting_for_resource",
        /// Its environment is being prepared.
        Preparing = "preparing",
        /// It waits for another service.
        WaitingForCallback = "waiting_for_callback",
        /// It waits for a runner.
        Pending = "pending",
        /// It runs.
        Running = "running",
        /// It succeeded.
        Success = "success",
        /// It failed.
        Failed = "failed",
        /// It is being cancelled.
        Canceling = "canceling",
        /// It was cancelled.
        Canceled = "canceled",
        /// It did not run.
        Skipped = "skipped",
        /// It waits for a person.
        Manual = "manual",
        /// It waits for a time.
        Scheduled = "scheduled",
        /// GitLab does not have it any more.
        Deleted = "deleted",
        _ => /// A word this version of the program does not know.
        Unknown,
    }
}

impl PipelineStatus {
    /// Whether no job of it runs or will run, unless somebody starts one again.
    #[must_use]
    pub fn is_completed(self) -> bool {
        match self {
            Self::Success | Self::Failed | Self::Canceled | Self::Skipped | Self::Deleted => true,
            Self::ToBeCreated
            | Self::NotConfirmed
            | Self::Created
            | Self::WaitingForResource
            | Self::Preparing
            | Self::WaitingForCallback
            | Self::Pending
            | Self::Running
            | Self::Canceling
            | Self::Manual
            | Self::Scheduled
            | Self::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_every_state_text() {
        for status in BuildStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
        for policy in NetworkPolicy::ALL {
            assert_eq!(policy.as_str().parse(), Ok(*policy));
        }
        for status in PipelineStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        let unknown = PipelineStatus::Unknown;
        assert_eq!(unknown.as_str().parse(), Ok(unknown));
        let error = "everything".parse::<Scope>().unwrap_err().to_string();
        assert!(error.contains("transitive"), "{error}");
    }
}

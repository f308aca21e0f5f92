//! The states of the state machines. Predicates are exhaustive matches, so that a new variant does not compile until
//! each of them handles it.

/// A text that is not a variant of a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a valid {kind}; expected one of: {expected}")]
pub struct UnknownState {
    /// The kind of state that was expected.
    pub kind: &'static str,
    /// The text.
    pub value: String,
    /// The valid variants.
    pub expected: &'static str,
}

/// Defines an enum whose variants have one fixed text each, used in JSON, SQL and on the terminal. An optional last
/// `_ => Other,` is the variant for unknown texts in JSON, which a newer program or GitLab may send. In a crate with a
/// feature `sqlx`, it maps to a TEXT column.
#[macro_export]
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
            /// Every variant, in the order of definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the text of the variant.
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
            type Err = $crate::UnknownState;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    $("unknown" => Ok(Self::$other),)?
                    _ => Err($crate::UnknownState {
                        kind: $kind,
                        value: text.chars().take(60).collect(),
                        expected: concat!($($text, " "),+).trim_ascii_end(),
                    }),
                }
            }
        }

        $crate::sqlx_text!($name);
    };
}

/// Defines an enum as [`text_enum`], with its schema for the OpenAPI document: a derived one would have the names of
/// variants.
macro_rules! api_enum {
    (
        $(#[doc = $doc:literal])* $(#[derive($derive:ident)])? $name:ident, $($rest:tt)+
    ) => {
        $crate::text_enum! {
            $(#[doc = $doc])*
            $(#[derive($derive)])?
            $name, $($rest)+
        }

        $crate::schema::schema!($name, $crate::schema::choice(
            &[$($doc),*],
            Self::ALL.iter().map(|variant| variant.as_str()),
        ));
    };
}
pub(crate) use api_enum;

api_enum! {
    /// The status of a build.
    BuildStatus, "build status" {
        /// Waits for another build of its iteration.
        Blocked = "blocked",
        /// Can be dispatched.
        Ready = "ready",
        /// Assigned to a builder that has not confirmed it yet.
        Dispatched = "dispatched",
        /// A builder is building it.
        Building = "building",
        /// Its packages are in the namespace repository.
        Built = "built",
        /// Its last attempt failed.
        Failed = "failed",
        /// It has the packages of an earlier build with the same input hash.
        Reused = "reused",
        /// Will not be built.
        Cancelled = "cancelled",
    }
}

impl BuildStatus {
    /// Returns whether its packages are in the namespace repository.
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

    /// Returns whether it keeps its iteration running.
    #[must_use]
    pub fn is_active(self) -> bool {
        match self {
            Self::Ready | Self::Dispatched | Self::Building => true,
            Self::Blocked | Self::Built | Self::Failed | Self::Reused | Self::Cancelled => false,
        }
    }
}

api_enum! {
    /// The status of an attempt.
    AttemptStatus, "attempt status" {
        /// Assigned, not started yet.
        Queued = "queued",
        /// A builder is working on it.
        Running = "running",
        /// Its packages were accepted.
        Succeeded = "succeeded",
        /// It failed; the failure kind has the details.
        Failed = "failed",
        /// The server lost contact with its builder.
        Lost = "lost",
    }
}

impl AttemptStatus {
    /// Returns whether the status can no longer change.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Lost => true,
        }
    }
}

api_enum! {
    /// Whose fault a failed attempt is.
    FailureKind, "failure kind" {
        /// The PKGBUILD or the software it builds.
        Package = "package",
        /// The machine, the network, the repositories or the plan.
        Infrastructure = "infrastructure",
        /// A timeout was exceeded.
        Timeout = "timeout",
        /// It needs more memory than a build may use on the worker.
        Memory = "memory",
        /// A user stopped it.
        Cancelled = "cancelled",
    }
}

api_enum! {
    /// The status of an iteration.
    IterationStatus, "iteration status" {
        /// A build is ready, dispatched or building.
        Running = "running",
        /// Every build has packages.
        Done = "done",
        /// A build failed, and no other build can make progress.
        Failed = "failed",
        /// A user cancelled it.
        Cancelled = "cancelled",
    }
}

impl IterationStatus {
    /// Returns whether the iteration has ended.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Running => false,
            Self::Done | Self::Failed | Self::Cancelled => true,
        }
    }

    /// Returns the exit code of a command that waited for the end.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done | Self::Running => 0,
            Self::Failed => 1,
            Self::Cancelled => 2,
        }
    }
}

api_enum! {
    /// How far a rebuild spreads from its origins.
    Scope, "scope" {
        /// The origins only.
        Origin = "origin",
        /// Plus what depends on them directly at run time.
        Direct = "direct",
        /// The origins plus what depends on them through soname dependencies, directly or indirectly.
        Soname = "soname",
        /// Plus everything that depends on them at run time, directly or indirectly.
        Transitive = "transitive",
        /// Plus everything that needs any of those to be built or checked.
        All = "all",
    }
}

api_enum! {
    /// What a token allows.
    TokenScope, "token scope" {
        /// Create and control namespaces.
        Client = "client",
        /// Claim builds and report on them.
        Worker = "worker",
        /// Everything, including tokens.
        Admin = "admin",
        /// Report on one attempt. A GitLab job gets such a token for its ID token.
        Attempt = "attempt",
    }
}

impl TokenScope {
    /// Returns whether a token of this scope may do what `needed` allows.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        match self {
            Self::Admin => true,
            // A worker's token is valid for the attempts that it claimed.
            Self::Worker => matches!(needed, Self::Worker | Self::Attempt),
            Self::Client | Self::Attempt => self == needed,
        }
    }
}

api_enum! {
    /// What a build can access on the network; each policy includes the previous ones.
    #[derive(Default)]
    NetworkPolicy, "network policy" {
        /// Nothing: packages with sources to download cannot be built.
        None = "none",
        /// The sources listed in the `.SRCINFO` are fetched first; all functions run offline.
        #[default]
        Sources = "sources",
        /// `prepare()` and `pkgver()` also have a network; `build()`, `check()` and `package()` run offline.
        Prepare = "prepare",
    }
}

api_enum! {
    /// What happens if a source is signed with an unknown key.
    #[derive(Default)]
    MissingKeys, "policy for missing keys" {
        /// The build fails.
        #[default]
        Fail = "fail",
        /// The build continues with a warning.
        Warn = "warn",
    }
}

impl NetworkPolicy {
    /// Returns whether sources are fetched.
    #[must_use]
    pub fn fetches_sources(self) -> bool {
        match self {
            Self::None => false,
            Self::Sources | Self::Prepare => true,
        }
    }

    /// Returns whether `prepare()` and `pkgver()` have a network.
    #[must_use]
    pub fn prepares_online(self) -> bool {
        match self {
            Self::None | Self::Sources => false,
            Self::Prepare => true,
        }
    }
}

api_enum! {
    /// The status of a GitLab pipeline or job: GitLab's own statuses, and the server's for pipelines that do not exist
    /// in GitLab.
    PipelineStatus, "pipeline status" {
        /// The server has not requested it yet.
        ToBeCreated = "to be created",
        /// The server has requested it, and GitLab has not confirmed it.
        NotConfirmed = "not confirmed",
        /// It was created, and none of its jobs has started.
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
        /// It waits to be started by hand.
        Manual = "manual",
        /// It is scheduled for later.
        Scheduled = "scheduled",
        /// It no longer exists in GitLab.
        Deleted = "deleted",
        _ => /// A status that this version of the program does not know.
        Unknown,
    }
}

impl PipelineStatus {
    /// Returns whether none of its jobs runs or will run, unless a user restarts one.
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

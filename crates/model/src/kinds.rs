//! Kinds of notes, changes, source problems, stalls and tasks. Programs branch on the kind, never on the message
//! that comes with it.

use crate::states::api_enum;

api_enum! {
    /// The subject of a note about a plan.
    NoteKind, "kind of note" {
        /// A problem that probably needs a change of a package.
        Problem = "problem",
        /// A dependency cycle.
        Cycle = "cycle",
        /// A name that no source repository provides.
        Unresolved = "unresolved",
        /// A base repository that has changed since the plan.
        Base = "base",
        /// The state of the sources that the plan used.
        Sources = "sources",
        _ => /// A kind that this version of the program does not know.
        Other,
    }
}

api_enum! {
    /// How a build differs from the previous iteration.
    ChangeKind, "kind of change" {
        /// It is new.
        Added = "added",
        /// It no longer exists.
        Removed = "removed",
        /// Its commit changed.
        Changed = "changed",
        /// It waits for different builds.
        Rewired = "rewired",
        _ => /// A kind that this version of the program does not know.
        Other,
    }
}

api_enum! {
    /// The reason why a source repository cannot be used.
    SourceProblemKind, "kind of source problem" {
        /// GitLab has archived the project.
        Archived = "archived",
        /// Another repository holds the same pkgbase.
        Claimed = "claimed",
        /// The project moved, and its new path is not known yet.
        Moved = "moved",
        /// The repository is not named after its pkgbase.
        Misnamed = "misnamed",
        /// It has no commits.
        Empty = "empty",
        /// The default branch does not exist.
        NoDefaultBranch = "no-default-branch",
        /// It has no `.SRCINFO`.
        NoSrcinfo = "no-srcinfo",
        /// Its `.SRCINFO` is malformed or exceeds a limit.
        InvalidSrcinfo = "invalid-srcinfo",
        /// It cannot be read.
        Unreadable = "unreadable",
        _ => /// A kind that this version of the program does not know.
        Other,
    }
}

api_enum! {
    /// Why no build of an architecture makes progress.
    StallKind, "kind of stall" {
        /// No worker builds for the architecture.
        NoWorker = "no-worker",
        /// The disk of the server is below its reserve.
        DiskReserve = "disk-reserve",
        /// GitLab, which builds for the architecture, cannot be used.
        Gitlab = "gitlab",
        _ => /// A kind that this version of the program does not know.
        Other,
    }
}

api_enum! {
    /// The subject of a note about the version of a build's packages.
    VersionNoteKind, "kind of version note" {
        /// The build computes it.
        Computed = "computed",
        /// A base repository has a newer one.
        OlderThanBase = "older-than-base",
        _ => /// A kind that this version of the program does not know.
        Other,
    }
}

api_enum! {
    /// Why newer commits are not built.
    NotBuiltKind, "reason not to build" {
        /// Their source repository cannot be used.
        UnusableSource = "unusable-source",
        /// They cannot be planned.
        NotPlanned = "not-planned",
        _ => /// A kind that this version of the program does not know.
        Other,
    }
}

api_enum! {
    /// A background task of the server.
    BackgroundTask, "task" {
        /// Checkpoints the write-ahead log of the database.
        Checkpoints = "checkpoints",
        /// Assigns builds to workers.
        Claims = "claims",
        /// Watches the space of the disk.
        DiskReserve = "disk reserve",
        /// Writes the file lists of repositories.
        FileLists = "file lists",
        /// Reports the state of rebuilds to GitLab.
        ForgeReports = "forge reports",
        /// Ends attempts whose lease has expired.
        Leases = "leases",
        /// Creates pipelines in GitLab.
        PipelineCreation = "pipeline creation",
        /// Polls pipelines in GitLab.
        PipelineFollowing = "pipeline following",
        /// Publishes accepted packages.
        Publisher = "publisher",
        /// Watches the objective of the queue.
        QueueObjective = "queue objective",
        /// Reads settings again.
        Reloading = "reloading",
        /// Plans namespaces again after changes of their sources.
        Replanner = "replanner",
        /// Removes old iterations.
        Retention = "retention",
        /// Watches the source repositories.
        SourceWatching = "source watching",
        /// Measures the data folder.
        Storage = "storage",
        /// Records the traces of attempts.
        TraceRecording = "trace recording",
        /// Deletes unreferenced `.SRCINFO` texts.
        UnusedSrcinfos = "unused .SRCINFO texts",
        /// Feeds the watchdog of the service manager.
        Watchdog = "watchdog",
        _ => /// A task that this version of the program does not know.
        Other,
    }
}

impl SourceProblemKind {
    /// Returns whether no ref of the repository may be built.
    #[must_use]
    pub fn forbids_builds(self) -> bool {
        match self {
            Self::Archived | Self::Claimed => true,
            Self::Moved
            | Self::Misnamed
            | Self::Empty
            | Self::NoDefaultBranch
            | Self::NoSrcinfo
            | Self::InvalidSrcinfo
            | Self::Unreadable
            | Self::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_unknown_note_kinds_of_a_newer_server() {
        let kind: NoteKind = serde_json::from_str("\"weather\"").unwrap();
        assert_eq!(kind, NoteKind::Other);
        assert!("weather".parse::<NoteKind>().is_err());
    }
}

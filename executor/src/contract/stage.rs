//! The stages of a job.

/// The purpose of one of the runner's scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The job's own commands, which are replaced by building the package.
    Build,
    /// Talks to GitLab: sources, caches, artifacts.
    Transfer,
    /// Everything else.
    Local,
}

impl Stage {
    /// Returns the stage with this name. Unknown ones, of future runners, get no network.
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            // The name depends on the runner's version.
            "build_script" | "step_script" => Self::Build,
            "get_sources" | "restore_cache" | "download_artifacts" => Self::Transfer,
            name if name.starts_with("archive_cache") || name.starts_with("upload_artifacts") => {
                Self::Transfer
            }
            _ => Self::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_the_script_stage() {
        for (name, stage) in [
            ("build_script", Stage::Build),
            ("step_script", Stage::Build),
            ("step_release", Stage::Local),
            ("after_script", Stage::Local),
            ("prepare_script", Stage::Local),
            ("get_sources", Stage::Transfer),
            ("upload_artifacts_on_failure", Stage::Transfer),
            ("archive_cache", Stage::Transfer),
            ("", Stage::Local),
        ] {
            assert_eq!(Stage::from_name(name), stage, "{name}");
        }
    }
}

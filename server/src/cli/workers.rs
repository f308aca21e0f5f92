//! Arguments about which workers get which builds.

use clap::Args;

use crate::config::build_tags::{BuildTagRule, BuildTags};

/// Options about workers.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Workers")]
pub struct WorkerArgs {
    /// Builds that need workers with a tag, as PATTERN=TAG
    ///
    /// PATTERN is a shell pattern of pkgbases, TAG one of `buildbtw-worker run --tag`. The first
    /// one that matches counts. Repeatable, or separated by commas.
    #[arg(
        long = "build-tag",
        env = "BUILDBTW_BUILD_TAGS",
        value_delimiter = ',',
        value_name = "PATTERN=TAG"
    )]
    build_tags: Vec<BuildTagRule>,
}

impl WorkerArgs {
    /// Returns which builds need workers with a tag.
    #[must_use]
    pub fn build_tags(&self) -> BuildTags {
        BuildTags::new(self.build_tags.clone())
    }
}

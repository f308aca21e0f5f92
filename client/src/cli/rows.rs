//! Options that choose the rows of a list.

use buildbtw_model::settings::any_number;
use buildbtw_model::{Architecture, BuildStatus, IterationStatus};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use crate::completion;

/// How many rows are printed.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct LimitArgs {
    /// Print at most this many rows
    ///
    /// [default: as many as the screen has lines, 24 in a pipe; with --json, all]
    #[arg(long, value_name = "N", value_parser = any_number::<u32>)]
    pub limit: Option<u32>,
    /// Print all rows
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

impl LimitArgs {
    /// Returns how many rows to print when `room` lines are left for them.
    #[must_use]
    pub fn rows(self, room: usize) -> usize {
        match (self.limit, self.all) {
            (_, true) => usize::MAX,
            (Some(limit), false) => buildbtw_model::saturating(limit),
            (None, false) => room,
        }
    }

    /// Returns whether the screen decides.
    #[must_use]
    pub fn is_unset(self) -> bool {
        self.limit.is_none() && !self.all
    }

    /// Returns how many rows are printed as JSON, for programs that ask for no limit.
    #[must_use]
    pub fn rows_of_json(self) -> Option<u32> {
        self.limit
    }
}

/// Which builds are printed.
#[derive(Args, Clone, Debug, Default)]
pub struct BuildRowArgs {
    /// Print failed builds only
    #[arg(long, conflicts_with = "states")]
    pub failed: bool,
    /// Print builds in this state only
    ///
    /// One of blocked, ready, dispatched, building, built, failed, reused and cancelled.
    /// Repeatable, or separated by commas.
    #[arg(
        long = "state",
        value_name = "STATE",
        value_delimiter = ',',
        add = completion::build_states()
    )]
    pub states: Vec<BuildStatus>,
    /// Print builds for this architecture only
    #[arg(
        long,
        value_name = "ARCH",
        add = ArgValueCompleter::new(completion::architectures)
    )]
    pub arch: Option<Architecture>,
    /// How many builds.
    #[command(flatten)]
    pub limit: LimitArgs,
}

impl BuildRowArgs {
    /// Returns the states that were asked for, each once; none if all are.
    #[must_use]
    pub fn states(&self) -> Vec<BuildStatus> {
        if self.failed {
            return vec![BuildStatus::Failed];
        }
        let mut states = Vec::new();
        for state in &self.states {
            if !states.contains(state) {
                states.push(*state);
            }
        }
        states
    }
}

/// Which namespaces are printed.
#[derive(Args, Clone, Debug, Default)]
pub struct ListArgs {
    /// Print failed namespaces only
    #[arg(long, conflicts_with = "states")]
    pub failed: bool,
    /// Print namespaces in this state only
    ///
    /// One of running, done, failed and cancelled. Repeatable, or separated by commas.
    #[arg(
        long = "state",
        value_name = "STATE",
        value_delimiter = ',',
        add = completion::iteration_states()
    )]
    pub states: Vec<IterationStatus>,
    /// Print namespaces created with tokens of your name only
    #[arg(long)]
    pub mine: bool,
    /// How many namespaces.
    #[command(flatten)]
    pub limit: LimitArgs,
}

impl ListArgs {
    /// Returns whether a namespace in this state is printed.
    #[must_use]
    pub fn has(&self, status: IterationStatus) -> bool {
        match self.failed {
            true => status == IterationStatus::Failed,
            false => self.states.is_empty() || self.states.contains(&status),
        }
    }
}

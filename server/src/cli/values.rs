//! The values of flags that choose one of several.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::config::ReportKind;
use crate::config::pipelines::ParameterKind;

impl ValueEnum for ReportKind {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::CommitStatus, Self::MergeRequestNote]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::CommitStatus => ("commit-status", "A status on every origin commit"),
            Self::MergeRequestNote => (
                "merge-request-note",
                "A note on the merge requests of origin branches",
            ),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for ParameterKind {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Inputs, Self::Variables]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Inputs => ("inputs", "Typed inputs"),
            Self::Variables => ("variables", "Variables"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

//! The origins of a rebuild, as they are written on the command line.

use std::str::FromStr;

use buildbtw_model::{OriginSpec, OriginSpecError};

/// A source repository with or without a ref, or the URL of a merge request. Without a ref, the default branch is
/// meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginArgument(pub OriginSpec);

impl FromStr for OriginArgument {
    type Err = OriginSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.contains('/') {
            true => text.parse().map(Self),
            false => format!("{text}/HEAD").parse().map(Self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_default_branch_without_a_ref() {
        let parse = |text: &str| text.parse::<OriginArgument>().map(|origin| origin.0);
        assert_eq!(parse("libgreet"), parse("libgreet/HEAD"));
        assert_ne!(parse("libgreet"), parse("libgreet/main"));
        assert!(parse("libgreet/refs/heads/main").is_ok());
        assert!(parse("").is_err() && parse("../x").is_err());
    }
}

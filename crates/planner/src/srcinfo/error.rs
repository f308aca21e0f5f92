//! Errors of reading an `.SRCINFO`.

/// The reason why an `.SRCINFO` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrcinfoError {
    /// A required field is missing or empty.
    #[error("no usable {0}")]
    Missing(&'static str),
    /// A required field has an invalid value.
    #[error(transparent)]
    Invalid(#[from] buildbtw_model::InvalidName),
    /// A text is not a stored form.
    #[error("not the stored form of a source package: {0:?}")]
    NotStored(String),
    /// It exceeds a limit that real packages do not reach, so reading it would waste time and memory.
    #[error("more than {most} {of}")]
    TooMuch {
        /// The limit.
        most: usize,
        /// The items that exceed the limit.
        of: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_match_snapshot() {
        let invalid = "a b".parse::<buildbtw_model::Pkgname>().unwrap_err();
        let errors = [
            SrcinfoError::Missing("pkgbase"),
            SrcinfoError::Invalid(invalid),
            SrcinfoError::NotStored("{}".to_owned()),
            SrcinfoError::TooMuch {
                most: 10_000,
                of: "lines",
            },
        ];
        for error in &errors {
            match error {
                SrcinfoError::Missing(_)
                | SrcinfoError::Invalid(_)
                | SrcinfoError::NotStored(_)
                | SrcinfoError::TooMuch { .. } => {}
            }
        }
        insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"));
    }

    #[test]
    fn problems_of_lines_match_snapshot() {
        let text = "pkgbase = a\n\tpkgver = 1\n\tpkgrel = 1\n\tnothing\n\tdepends = a b\n\n\
                    pkgname = a\n\npkgname = a\n\npkgname = a b\n";
        let package = crate::parse_srcinfo(text).unwrap();
        let problems = package.problems().into_iter();
        let lines: Vec<String> = problems
            .map(|problem| format!("line {}: {}", problem.line, problem.reason))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}

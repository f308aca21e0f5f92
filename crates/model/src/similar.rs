//! Names that a mistyped one probably means.

/// Returns the known name that is most like a mistyped one, if any is.
#[must_use]
pub fn closest<'a>(mistyped: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mistyped = mistyped.to_lowercase();
    let allowed = (mistyped.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&mistyped, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_name_with_few_typing_errors() {
        let known = ["status", "name", "libalpha", "libalpha-2"];
        assert_eq!(closest("statsu", known), Some("status"));
        assert_eq!(closest("libalpa", known), Some("libalpha"));
        assert_eq!(closest("NAME", known), Some("name"));
        assert_eq!(closest("x", known), None);
        assert_eq!(closest("frobnicate", known), None);
    }
}

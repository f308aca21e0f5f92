//! Lists that are cut to what the screen has room for.

use buildbtw_model::Pkgbase;

/// Returns the line below a list that says how many rows are missing.
pub(crate) fn more(missing: usize) -> Option<String> {
    (missing > 0).then(|| format!("and {missing} more (`--all` prints them)"))
}

/// Returns the first lines, and how many others there are.
pub(crate) fn cut(mut lines: Vec<String>, most: usize, what: &str) -> Vec<String> {
    let missing = lines.len().saturating_sub(most);
    if missing > 0 {
        lines.truncate(most);
        lines.push(format!("and {missing} more {what}"));
    }
    lines
}

/// Returns the first few names, and the number of the others.
pub(crate) fn shortened(names: &[Pkgbase], shown: usize) -> String {
    let texts: Vec<&str> = names.iter().take(shown).map(Pkgbase::as_str).collect();
    match names.len().saturating_sub(shown) {
        0 => texts.join(", "),
        more => format!("{} and {more} more", texts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_many_are_missing() {
        assert_eq!(more(0), None);
        assert_eq!(
            more(230).as_deref(),
            Some("and 230 more (`--all` prints them)")
        );
        let lines = || vec!["one".to_owned(), "two".to_owned(), "three".to_owned()];
        assert_eq!(cut(lines(), 3, "notes"), lines());
        assert_eq!(cut(lines(), 1, "notes"), ["one", "and 2 more notes"]);
        let names: Vec<Pkgbase> = ["a", "b", "c"]
            .iter()
            .map(|name| name.parse().unwrap())
            .collect();
        assert_eq!(shortened(&names, 3), "a, b, c");
        assert_eq!(shortened(&names, 1), "a and 2 more");
    }
}

//! The names of package repositories in GitLab. GitLab's project paths allow fewer characters than pkgbases; these
//! are Arch Linux's rules for the mapping.

use buildbtw_model::Pkgbase;

/// Names that cannot be the path of a project, because GitLab's own URLs use them. Arch Linux has a rule for `tree`
/// only, and no packages with the other names, which are mapped the same way here.
const RESERVED: [&str; 17] = [
    "badges",
    "blame",
    "blob",
    "builds",
    "commits",
    "create",
    "create_dir",
    "edit",
    "files",
    "find_file",
    "new",
    "preview",
    "raw",
    "refs",
    "tree",
    "update",
    "wikis",
];

/// Returns the path of the project of a pkgbase, below its group.
pub(super) fn project_path(pkgbase: &Pkgbase) -> String {
    let text = between_words(pkgbase.as_str()).replace('+', "plus");
    let mut path = String::with_capacity(text.len());
    for c in text.chars() {
        let c = match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') => c,
            _ => '-',
        };
        // Two or more separators become one dash; a single one is kept.
        if matches!(c, '_' | '-') && path.ends_with(['_', '-']) {
            path.pop();
            path.push('-');
        } else {
            path.push(c);
        }
    }
    if RESERVED.contains(&path.as_str()) {
        format!("unix-{path}")
    } else {
        path
    }
}

/// Replaces a plus between a letter or digit and letters by a dash: `gtk+extra` becomes `gtk-extra`. The letters
/// after a plus do not count as those before the next: `a+b+c` becomes `a-b+c`.
fn between_words(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('+') {
        let (head, tail) = rest.split_at(at);
        let tail = tail.get(1..).unwrap_or_default();
        text.push_str(head);
        let before = head.ends_with(|c: char| c.is_ascii_alphanumeric());
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic());
        let letters = letters.unwrap_or(tail.len());
        if before && letters > 0 {
            text.push('-');
            let (word, after) = tail.split_at(letters);
            text.push_str(word);
            rest = after;
        } else {
            text.push('+');
            rest = tail;
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_names_like_arch_linux() {
        for (pkgbase, path) in [
            ("openimageio", "openimageio"),
            ("gtk2+extra", "gtk2-extra"),
            ("libsigc++", "libsigcplusplus"),
            ("libsigc++-3.0", "libsigcplusplus-3.0"),
            ("mysql++", "mysqlplusplus"),
            ("a+b+c", "a-bplusc"),
            ("a+b1+c", "a-b1-c"),
            ("tree", "unix-tree"),
            ("raw", "unix-raw"),
            ("a@b", "a-b"),
            ("x__y", "x-y"),
            ("x-_-y", "x-y"),
            ("lib32_x", "lib32_x"),
            ("SDL2", "SDL2"),
        ] {
            assert_eq!(project_path(&pkgbase.parse().unwrap()), path, "{pkgbase}");
        }
    }
}

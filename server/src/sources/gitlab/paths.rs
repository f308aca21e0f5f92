//! How a package repository of a GitLab is called. GitLab's project paths allow fewer characters than
//! pkgbases; these are Arch Linux's rules for the rest.

use buildbtw_model::Pkgbase;

/// Words that cannot be the path of a project, because they are parts of GitLab's own addresses. Arch
/// Linux has a rule for `tree` only, and no package of the others' names; they follow it here.
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

/// The path of the project of a pkgbase, below its group.
pub(super) fn project_path(pkgbase: &Pkgbase) -> String {
    let text = between_words(pkgbase.as_str()).replace('+', "plus");
    let mut path = String::with_capacity(text.len());
    for c in text.chars() {
        let c = match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') => c,
            _ => '-',
        };
        // Two and more separators become one dash; a single one stays what it is.
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

/// A plus between letters or digits and letters separates words: `gtk+extra` is `gtk-extra`. Letters that
/// end one such pair begin no other: `a+b+c` is `a-b+c` here.
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

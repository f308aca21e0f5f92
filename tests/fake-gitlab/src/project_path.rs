//! The mapping from a pkgbase to its GitLab project, as in Arch Linux.

/// Returns the last path segment of a pkgbase's project.
pub fn project_path(pkgbase: &str) -> String {
    if pkgbase == "tree" {
        // The name is reserved by GitLab.
        return "unix-tree".to_owned();
    }
    let replaced: String = plus_between_words(pkgbase)
        .replace('+', "plus")
        .chars()
        .map(|c| if is_allowed(c) { c } else { '-' })
        .collect();
    merge_separators(&replaced)
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

/// Replaces `([A-Za-z0-9]+)\+([A-Za-z]+)` by `\1-\2`; matches do not overlap.
fn plus_between_words(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len());
    let mut at = 0;
    while at < characters.len() {
        let word = run(&characters, at, |c| c.is_ascii_alphanumeric());
        let plus = at + word;
        let after = match characters.get(plus) {
            Some('+') if word > 0 => run(&characters, plus + 1, |c| c.is_ascii_alphabetic()),
            _ => 0,
        };
        let taken = word.max(1);
        out.extend(&characters[at..at + taken]);
        at += taken;
        if after > 0 {
            out.push('-');
            out.extend(&characters[plus + 1..=plus + after]);
            at = plus + 1 + after;
        }
    }
    out
}

fn run(characters: &[char], from: usize, is_in: impl Fn(&char) -> bool) -> usize {
    characters
        .iter()
        .skip(from)
        .take_while(|c| is_in(c))
        .count()
}

fn merge_separators(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut pending: Vec<char> = Vec::new();
    for c in name.chars() {
        if matches!(c, '_' | '-') {
            pending.push(c);
            continue;
        }
        flush(&mut out, &mut pending);
        out.push(c);
    }
    flush(&mut out, &mut pending);
    out
}

fn flush(out: &mut String, pending: &mut Vec<char>) {
    match pending.as_slice() {
        [] => {}
        [one] => out.push(*one),
        _ => out.push('-'),
    }
    pending.clear();
}

#[cfg(test)]
mod tests {
    use super::project_path;

    #[test]
    fn validates_project_paths() {
        for (pkgbase, path) in [
            ("pacman", "pacman"),
            ("gtk+extra", "gtk-extra"),
            ("libsigc++", "libsigcplusplus"),
            ("libsigc++-3.0", "libsigcplusplus-3.0"),
            ("a+b+c", "a-bplusc"),
            ("dvd+rw-tools", "dvd-rw-tools"),
            ("a__b-_c", "a-b-c"),
            ("a_b", "a_b"),
            ("perl@5", "perl-5"),
            ("tree", "unix-tree"),
        ] {
            assert_eq!(project_path(pkgbase), path, "{pkgbase}");
        }
    }
}

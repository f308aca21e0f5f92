//! Writes another release into the text of a `PKGBUILD`, as far as this is possible without running it.
//! Whether bash then sees the release is checked afterwards; here it only has to be likely.

use std::ops::Range;

const NAME: &[u8] = b"pkgrel";
/// Words that may precede an assignment in a command.
const BEFORE: &[&str] = &[
    "declare", "do", "else", "export", "local", "readonly", "then", "typeset",
];
/// Commands that read other files or run text as code.
const READERS: &[&str] = &[".", "eval", "source"];

/// Where the release is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In place of the assigned values.
    InPlace,
    /// At the end, where it overrides the text before.
    Appended,
}

impl Placement {
    /// Returns the text with another release; `None` if this placement is not possible.
    pub(crate) fn write(self, text: &[u8], release: &str) -> Option<Vec<u8>> {
        match self {
            Self::InPlace => assigned(text, release),
            Self::Appended => Some(appended(text, &format!("pkgrel={release}"))),
        }
    }
}

/// Appends a line to a text.
pub(crate) fn appended(text: &[u8], line: &str) -> Vec<u8> {
    let mut result = text.to_vec();
    if !result.is_empty() && !result.ends_with(b"\n") {
        result.push(b'\n');
    }
    result.extend_from_slice(line.as_bytes());
    result.push(b'\n');
    result
}

fn assigned(text: &[u8], release: &str) -> Option<Vec<u8>> {
    let values = values(text);
    if values.is_empty() {
        return None;
    }
    let mut result = Vec::with_capacity(text.len() + 8);
    let mut from = 0;
    for value in values {
        result.extend_from_slice(text.get(from..value.start).unwrap_or_default());
        result.extend_from_slice(release.as_bytes());
        from = value.end;
    }
    result.extend_from_slice(text.get(from..).unwrap_or_default());
    Some(result)
}

/// Returns whether the release is this plain number on a line of its own, and nothing else can depend on it
/// or change it.
pub(crate) fn is_plain(text: &[u8], release: &str) -> bool {
    let mentions = lines(text)
        .map(|line| count(text.get(line).unwrap_or_default()))
        .sum::<usize>();
    let [value] = &values(text)[..] else {
        return false;
    };
    let start = value.start.saturating_sub(NAME.len() + 1);
    let starts_line = start == 0 || text.get(start - 1) == Some(&b'\n');
    mentions == 1
        && starts_line
        && text.get(value.clone()) == Some(release.as_bytes())
        && !lines(text).any(|line| runs_other_code(text.get(line).unwrap_or_default()))
}

/// Returns the lines that are not comments.
fn lines(text: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    text.split_inclusive(|&byte| byte == b'\n')
        .map(move |line| {
            let range = start..start + line.len();
            start = range.end;
            range
        })
        .filter(|range| {
            let line = text.get(range.clone()).unwrap_or_default();
            !line.trim_ascii_start().starts_with(b"#")
        })
}

fn count(line: &[u8]) -> usize {
    line.windows(NAME.len())
        .filter(|text| *text == NAME)
        .count()
}

/// Returns whether a command of the line reads another file or runs text as code.
fn runs_other_code(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    line.split([';', '&', '|', '(', '{', '`']).any(|command| {
        let mut words = command.split_ascii_whitespace();
        let word =
            words.find(|word| !BEFORE.contains(word) && !["if", "!", "while"].contains(word));
        word.is_some_and(|word| READERS.contains(&word))
    })
}

/// Returns the ranges of the values that are assigned to the release.
fn values(text: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for line in lines(text) {
        let mut command = Command::default();
        for at in line.clone() {
            let rest = text.get(at..line.end).unwrap_or_default();
            let value = rest
                .strip_prefix(NAME)
                .and_then(|rest| rest.strip_prefix(b"="));
            let is_inside = |last: &Range<usize>| at + NAME.len() < last.end;
            if value.is_some() && command.takes_assignment() && !found.last().is_some_and(is_inside)
            {
                let start = at + NAME.len() + 1;
                found.push(start..word_end(text, start));
            }
            if let Some(byte) = rest.first() {
                command.add(*byte);
            }
        }
    }
    found
}

/// The parsing state of a command. Each byte is processed once, because lines can be long.
#[derive(Default)]
struct Command {
    /// The current word.
    word: Vec<u8>,
    /// Whether an earlier word excludes an assignment.
    is_other: bool,
}

impl Command {
    /// Returns whether a word that starts here can be an assignment.
    fn takes_assignment(&self) -> bool {
        self.word.is_empty() && !self.is_other
    }

    fn add(&mut self, byte: u8) {
        match byte {
            b';' | b'&' | b'|' | b'(' | b'{' => *self = Self::default(),
            byte if byte.is_ascii_whitespace() => {
                let word = std::mem::take(&mut self.word);
                let may_stand = std::str::from_utf8(&word).is_ok_and(may_precede_assignment);
                self.is_other |= !word.is_empty() && !may_stand;
            }
            byte => self.word.push(byte),
        }
    }
}

fn may_precede_assignment(word: &str) -> bool {
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.is_empty()
    };
    BEFORE.contains(&word)
        || word.starts_with('-')
        || word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// Returns the end of the bash word that starts here.
fn word_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        at = match byte {
            b'\\' => at + 2,
            b'\'' => after(text, at + 1, b'\''),
            b'"' => after(text, at + 1, b'"'),
            b'`' => after(text, at + 1, b'`'),
            b'$' => match text.get(at + 1) {
                Some(b'(') => after_nested(text, at + 1, b'(', b')'),
                Some(b'{') => after_nested(text, at + 1, b'{', b'}'),
                _ => at + 1,
            },
            b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => return at,
            byte if byte.is_ascii_whitespace() => return at,
            _ => at + 1,
        };
    }
    text.len()
}

/// Returns the position after the next unescaped `end`.
fn after(text: &[u8], start: usize, end: u8) -> usize {
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        at += match byte {
            b'\\' if end != b'\'' => 2,
            byte if byte == end => return at + 1,
            _ => 1,
        };
    }
    text.len()
}

/// Returns the position after the bracket that closes the one at `start`.
fn after_nested(text: &[u8], start: usize, open: u8, close: u8) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(&byte) = text.get(at) {
        at = match byte {
            b'\\' => at + 2,
            b'\'' => after(text, at + 1, b'\''),
            b'"' => after(text, at + 1, b'"'),
            _ => at + 1,
        };
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<String> {
        let text = Placement::InPlace.write(text.as_bytes(), "1.1")?;
        Some(String::from_utf8(text).unwrap())
    }

    #[test]
    fn replaces_release_in_every_assignment_only() {
        for (text, expected) in [
            (
                "pkgname=x\npkgrel=1 # first\n# pkgrel=9\n",
                "pkgname=x\npkgrel=1.1 # first\n# pkgrel=9\n",
            ),
            ("pkgrel='3'\npkgrel=4", "pkgrel=1.1\npkgrel=1.1"),
            (
                "  pkgrel=7\n\tpkgrel=\"8\"\n",
                "  pkgrel=1.1\n\tpkgrel=1.1\n",
            ),
            ("pkgrel=$((1 + 2)) # three\n", "pkgrel=1.1 # three\n"),
            ("pkgrel=$(echo \")\" ')')\n", "pkgrel=1.1\n"),
            ("pkgrel=${_rel:-'}'}\n", "pkgrel=1.1\n"),
            ("pkgrel=`echo 3`; x=1\n", "pkgrel=1.1; x=1\n"),
            (
                "if true; then pkgrel=1; else pkgrel=2; fi\n",
                "if true; then pkgrel=1.1; else pkgrel=1.1; fi\n",
            ),
            ("[[ a ]] && pkgrel=1\n", "[[ a ]] && pkgrel=1.1\n"),
            ("pkgver=1.0 pkgrel=1\n", "pkgver=1.0 pkgrel=1.1\n"),
            ("declare -r pkgrel=1\n", "declare -r pkgrel=1.1\n"),
            ("f() { pkgrel=5; }\n", "f() { pkgrel=1.1; }\n"),
        ] {
            assert_eq!(written(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn ignores_text_that_is_not_an_assignment() {
        for text in [
            "_pkgrel=1\n",
            "echo pkgrel=1\n",
            "sed -i 's/^pkgrel=.*/pkgrel=9/' PKGBUILD\n",
            ": ${pkgrel:=3}\n",
            "printf -v pkgrel 3\n",
            "# pkgrel=1\n",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    #[test]
    fn appends_release_on_a_new_line() {
        let text = Placement::Appended.write(b"pkgrel=1", "2").unwrap();
        assert_eq!(text, b"pkgrel=1\npkgrel=2\n");
    }

    #[test]
    fn treats_release_as_plain_only_when_mentioned_nowhere_else() {
        let plain = "pkgname=x\npkgver=1\npkgrel=3 # first\n# pkgrel\nsource=(a)\n\
                     package() { cp -r . \"$pkgdir\"; }\n";
        assert!(is_plain(plain.as_bytes(), "3"));
        for (from, to) in [
            ("pkgrel=3", "pkgrel=4"),
            ("pkgrel=3", " pkgrel=3"),
            ("pkgrel=3", "pkgrel=$((3))"),
            ("pkgrel=3", "pkgrel=3; pkgrel=4"),
            ("(a)", "(a-$pkgrel)"),
            ("source=(a)", "source common.sh"),
            ("source=(a)", "[[ -e x ]] && . ./x"),
            ("source=(a)", "if . ./x; then :; fi"),
            ("source=(a)", "eval x"),
        ] {
            let text = plain.replace(from, to);
            assert!(!is_plain(text.as_bytes(), "3"), "{text}");
        }
    }

    #[test]
    fn scans_lines_of_any_length_in_bounded_time() {
        let size = 1 << 20;
        for part in ["echo pkgrel=1 ", "pkgrel=1 ", "x", "pkgrel=$(", "pkgrel=' "] {
            let text = part.repeat(size / part.len());
            let _ = written(&text);
            is_plain(text.as_bytes(), "1");
        }
    }

    #[test]
    fn terminates_on_unfinished_text() {
        for text in [
            "pkgrel='",
            "pkgrel=$(",
            "pkgrel=\\",
            "pkgrel=${",
            "pkgrel=`",
            "pkgrel=",
            "pkgrel",
        ] {
            let _ = written(text);
            is_plain(text.as_bytes(), "");
        }
    }
}

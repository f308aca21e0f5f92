//! `.PKGINFO`: lines of `key = value`.
//!
//! Values are not validated: repositories contain packagers without an address and licences that are not SPDX
//! expressions, which pacman accepts. Lines that pacman cannot read, or reads differently from other readers, are
//! rejected.

use std::borrow::Cow;
use std::collections::HashSet;

use buildbtw_model::{PackageFileName, Pkgbase};

use crate::error::PackageError;

/// The longest line, in bytes. pacman cannot read a database with a line of 512 KiB.
const MAX_LINE: usize = 64 << 10;
/// The largest number of lines. No package has as many.
const MAX_LINES: usize = 10_000;
/// Keys that must not be repeated: pacman uses the last value, other readers the first.
const SINGLE: [&str; 10] = [
    "pkgname",
    "pkgbase",
    "pkgver",
    "pkgdesc",
    "url",
    "builddate",
    "packager",
    "size",
    "arch",
    "pkgtype",
];

/// A key whose values are pairs, for example `xdata = pkgtype=pkg`. Their names must not be repeated.
const XDATA: &str = "xdata";

/// Returns the name of a pair.
fn name_of(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name).trim()
}

/// Returns whether a character is a control character, a line break of Unicode, or changes the direction of text
/// (Unicode, `Bidi_Control`).
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// The metadata of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageInfo {
    fields: Vec<(String, String)>,
}

impl PackageInfo {
    pub(crate) fn parse(content: &[u8]) -> Result<Self, String> {
        let text = text(content)?;
        if text.lines().count() > MAX_LINES {
            return Err(format!("its .PKGINFO has more than {MAX_LINES} lines"));
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut once: HashSet<(&str, &str)> = HashSet::new();
        for (number, line) in (1..).zip(text.split('\n')) {
            if let Some(control) = line.chars().find(|character| is_control(*character)) {
                return Err(format!(
                    "its .PKGINFO has the control character U+{:04X} in line {number}",
                    u32::from(control)
                ));
            }
            if line.len() > MAX_LINE {
                return Err(format!(
                    "line {number} of its .PKGINFO is longer than {MAX_LINE} bytes"
                ));
            }
            // pacman trims only spaces.
            let line = line.trim_matches(' ');
            let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else {
                continue;
            };
            let (key, value) = (key.trim_matches(' '), value.trim_matches(' '));
            if SINGLE.contains(&key) && !once.insert((key, "")) {
                return Err(format!("its .PKGINFO has more than one {key}"));
            }
            if key == XDATA && !once.insert((key, name_of(value))) {
                let name = name_of(value);
                return Err(format!("its .PKGINFO has more than one {XDATA} {name}"));
            }
            // In a `desc` file, such a value would begin another section.
            if value.len() > 1 && value.starts_with('%') && value.ends_with('%') {
                return Err(format!(
                    "its .PKGINFO has {key} = {value}, which a repository database cannot contain"
                ));
            }
            fields.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self { fields })
    }

    /// Checks that the metadata matches the file name and the build.
    pub(crate) fn check(
        &self,
        file: &PackageFileName,
        pkgbase: &Pkgbase,
    ) -> Result<(), PackageError> {
        // Packages of other tools may have no pkgbase.
        let base = self.values("pkgbase").next().map(|_| pkgbase.to_string());
        for (key, expected) in [
            ("pkgname", Some(file.pkgname().to_string())),
            ("pkgver", Some(file.version().to_string())),
            ("arch", Some(file.architecture().to_string())),
            ("pkgbase", base),
        ] {
            let found = self.values(key).next().unwrap_or_default();
            if let Some(expected) = expected.filter(|expected| expected != found) {
                return Err(PackageError::Mismatch {
                    key,
                    found: found.to_owned(),
                    expected,
                });
            }
        }
        Ok(())
    }

    /// Returns the values of a key in order, without empty ones.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(name, value)| name == key && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// Returns the text. Only `backup`, which repository databases do not contain, may have names that are not UTF-8.
fn text(content: &[u8]) -> Result<Cow<'_, str>, String> {
    let is_name = |line: &[u8]| line.trim_ascii_start().starts_with(b"backup");
    let lines = || content.split(|byte| *byte == b'\n');
    if lines().any(|line| !is_name(line) && std::str::from_utf8(line).is_err()) {
        return Err("its .PKGINFO is not UTF-8".into());
    }
    Ok(String::from_utf8_lossy(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_repeated_single_value_keys() {
        for key in SINGLE {
            for text in [
                format!("{key} = a\n{key} = a\n"),
                format!("{key} = \nother = 1\n {key}=b\n"),
            ] {
                let error = PackageInfo::parse(text.as_bytes()).unwrap_err();
                assert!(error.contains(key), "{error}");
            }
        }
        for text in [
            "xdata = pkgtype=pkg\nxdata = pkgtype=debug\n",
            "xdata = pkgtype=pkg\ndepend = a\nxdata = pkgtype = pkg\n",
            "xdata = other\nxdata = other=1\n",
        ] {
            let error = PackageInfo::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains("xdata"), "{error}");
        }
        assert!(PackageInfo::parse(b"xdata = pkgtype=split\nxdata = other=1\n").is_ok());
        let several = PackageInfo::parse(b"depend = a\ndepend = b\nlicense = c\n").unwrap();
        assert_eq!(several.values("depend").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn rejects_control_characters_and_lines_pacman_cannot_read() {
        let long = format!("depend = {}\n", "x".repeat(MAX_LINE));
        for text in [
            "pkgdesc = a\0b\n",
            "pkgdesc = a\r\n",
            "pkgdesc = \u{1b}[31m\n",
            "pkgdesc = a\u{7f}\n",
            "pkgdesc = a\u{9b}m\n",
            "# comment\0\n",
            "pkgdesc = a\u{202e}b\n",
            "pkgdesc = a\u{2066}b\u{2069}\n",
            "pkgdesc = a\u{2028}b\n",
            "packager = \u{200f}a\n",
            "pkgdesc = %NAME%\n",
            &long,
        ] {
            assert!(PackageInfo::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(PackageInfo::parse(&[b'a', b'=', 0xff]).is_err());
    }

    #[test]
    fn reads_many_lines_and_rejects_too_many() {
        let lines = |count: usize| -> String {
            let lines = (0..count).map(|number| format!("xdata=name{number}\n"));
            lines.collect()
        };
        let info = PackageInfo::parse(lines(MAX_LINES).as_bytes()).unwrap();
        assert_eq!(info.values("xdata").count(), MAX_LINES);
        let error = PackageInfo::parse(lines(MAX_LINES + 1).as_bytes()).unwrap_err();
        assert!(error.contains("lines"), "{error}");
    }

    #[test]
    fn preserves_values() {
        let text =
            "# Generated by makepkg\npkgdesc = ünïcode = 100 %\npackager = Unknown Packager\n";
        let info = PackageInfo::parse(text.as_bytes()).unwrap();
        assert_eq!(
            info.values("pkgdesc").collect::<Vec<_>>(),
            ["ünïcode = 100 %"]
        );
    }
}

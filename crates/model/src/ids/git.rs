//! Names in a git repository.

use super::macros::{number_id, text_id};

fn git_ref(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 255 {
        return Err("1 to 255 bytes are allowed".into());
    }
    if text.starts_with(['-', '/']) || text.ends_with(['/', '.']) {
        return Err("it must not start with `-` or `/`, nor end with `/` or `.`".into());
    }
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    if let Some(c) = text.chars().find(|&c| forbidden(c)) {
        return Err(format!("it must not contain {c:?}"));
    }
    if text.contains("..") || text.contains("//") || text.contains("@{") || text == "@" {
        return Err("it must not contain `..`, `//` or `@{`".into());
    }
    if text
        .split('/')
        .any(|part| part.starts_with('.') || part.ends_with(".lock"))
    {
        return Err("no part of it may start with `.` or end with `.lock`".into());
    }
    Ok(())
}

text_id! {
    /// A branch, a tag or a commit of a source repository, by the rules of git-check-ref-format(1).
    GitRef, "git ref", git_ref,
    pattern = "^[^-/ ~^:?*\\[\\\\]([^ ~^:?*\\[\\\\]*[^/. ~^:?*\\[\\\\])?$",
    example = "main"
}

fn commit_hash(text: &str) -> Result<(), String> {
    let hex = text
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hex && matches!(text.len(), 40 | 64) {
        Ok(())
    } else {
        Err("expected 40 or 64 lower-case hexadecimal digits".into())
    }
}

text_id! {
    /// The full hash of a commit.
    CommitHash, "commit hash", commit_hash,
    pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$",
    example = "1a410efbd13591db07496601ebc7a059dd55cfe9"
}

impl CommitHash {
    /// Returns the abbreviated hash for display.
    #[must_use]
    pub fn short(&self) -> &str {
        self.as_str().get(..10).unwrap_or(self.as_str())
    }
}

text_id! {
    /// The full hash of a tree: the files of a commit, independent of its message and history.
    TreeHash, "tree hash", commit_hash,
    pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$",
    example = "3c4e9cd789d88d8d89c1073707c3585e41b0e614"
}

number_id! {
    /// When a commit was made, in seconds since the Unix epoch.
    CommitTime, "commit time";
}

impl CommitTime {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// Returns the value of `SOURCE_DATE_EPOCH`, which cannot be negative.
    #[must_use]
    pub fn source_date_epoch(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validates_refs_like_git() {
        for good in [
            "main",
            "feature/x",
            "v1.0",
            "a-b",
            "é",
            "1:2".replace(':', ".").as_str(),
        ] {
            assert!(good.parse::<GitRef>().is_ok(), "{good:?}");
        }
        for bad in [
            "",
            "-x",
            "/x",
            "x/",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "x.lock",
            "a/.b",
            "@{-1}",
            "a\\b",
            "--upload-pack=x",
            "a\nb",
            "@",
        ] {
            assert!(bad.parse::<GitRef>().is_err(), "{bad:?}");
        }
    }
}

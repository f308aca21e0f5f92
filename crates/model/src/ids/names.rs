//! Names of buildbtw's own objects.

use super::macros::text_id;

fn namespace_name(text: &str) -> Result<(), String> {
    let first = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if !first || !rest || text.len() > 63 {
        return Err(
            "1 to 63 of a-z, 0-9, `_` and `-` are allowed, starting with a letter or digit".into(),
        );
    }
    // The name is a section of pacman.conf and the name of a database (pacman.conf(5)).
    if matches!(text, "local" | "options") {
        return Err("pacman reserves this name".into());
    }
    Ok(())
}

text_id! {
    /// The name of a namespace; also the name of its pacman repository.
    NamespaceName, "namespace name", namespace_name,
    pattern = "^[a-z0-9][a-z0-9_-]{0,62}$",
    example = "libgreet-1"
}

fn repository_name(text: &str) -> Result<(), String> {
    let valid = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"@._+-".contains(&b));
    if text.is_empty() || text.len() > 63 || !valid || text.starts_with(['-', '.']) {
        return Err("1 to 63 letters, digits and @ . _ + - are allowed".into());
    }
    if matches!(text, "local" | "options") {
        return Err("pacman reserves this name".into());
    }
    Ok(())
}

text_id! {
    /// The name of a pacman repository, a section of pacman.conf(5).
    RepositoryName, "repository name", repository_name,
    pattern = "^[A-Za-z0-9@_+][A-Za-z0-9@._+-]{0,62}$",
    example = "core"
}

impl From<&NamespaceName> for RepositoryName {
    fn from(name: &NamespaceName) -> Self {
        // Every namespace name is a valid repository name: its rule is stricter.
        Self(name.as_str().into())
    }
}

fn worker_name(text: &str) -> Result<(), String> {
    let first = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if first && rest && text.len() <= 64 {
        Ok(())
    } else {
        Err("1 to 64 letters, digits and . _ - are allowed, starting with a letter or digit".into())
    }
}

text_id! {
    /// The name of a worker, chosen by the worker; unique on a server.
    WorkerName, "worker name", worker_name,
    pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    example = "builder-1"
}

fn worker_tag(text: &str) -> Result<(), String> {
    let first = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
    if first && rest && text.len() <= 32 {
        Ok(())
    } else {
        Err("1 to 32 of a-z, 0-9 and . _ - are allowed, starting with a letter or digit".into())
    }
}

text_id! {
    /// A tag of workers: only workers with it get the builds that need it.
    WorkerTag, "tag", worker_tag,
    pattern = "^[a-z0-9][a-z0-9._-]{0,31}$",
    example = "big"
}

fn sha256(text: &str) -> Result<(), String> {
    let hex = text
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hex && text.len() == 64 {
        Ok(())
    } else {
        Err("expected 64 lower-case hexadecimal digits".into())
    }
}

text_id! {
    /// A SHA-256 digest in hexadecimal.
    Sha256Digest, "SHA-256 digest", sha256,
    pattern = "^[0-9a-f]{64}$",
    example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
}

impl Sha256Digest {
    /// Returns the digest with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(64);
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_namespace_names_safe_as_folder_and_section() {
        for good in ["a", "openimageio-2", "0ad_x"] {
            assert!(good.parse::<NamespaceName>().is_ok(), "{good:?}");
        }
        for bad in [
            "",
            "A",
            "-a",
            "_a",
            "a/b",
            "local",
            "options",
            "a.b",
            "a]",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<NamespaceName>().is_err(), "{bad:?}");
        }
    }
}

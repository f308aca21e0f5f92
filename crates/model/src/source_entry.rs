//! Entries of a `source` array, read as makepkg reads them.

/// Version control systems whose repositories makepkg fetches; the names are also the protocols.
const REPOSITORIES: &[&str] = &["bzr", "fossil", "git", "hg", "svn"];
/// How a branch of Launchpad is written, which is no URL.
const LAUNCHPAD: &str = "bzr+lp:";

/// How an entry of a `source` array is come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind<'a> {
    /// It is a file of the source repository.
    InRepository,
    /// It is a file of the machine that builds, which counts only where the source repository has one of
    /// its name.
    OnMachine,
    /// A file, fetched by this protocol.
    File(&'a str),
    /// A repository of this version control system.
    Repository(&'a str),
    /// Nothing fetches it: the protocol, with the transport.
    NotFetched(&'a str),
}

/// How an entry is come by. A file of any protocol counts as one of the source repository where that has
/// one named as [`source_file_name`] says.
#[must_use]
pub fn source_kind(entry: &str) -> SourceKind<'_> {
    let address = address(entry);
    let Some((scheme, _)) = address.split_once("://") else {
        return match address.starts_with(LAUNCHPAD) {
            true => SourceKind::Repository("bzr"),
            false => SourceKind::InRepository,
        };
    };
    // `git+https://…` and `git://…` are repositories, `https://….git` is a file.
    let (protocol, transport) = scheme.split_once('+').unwrap_or((scheme, scheme));
    let is_fetched = matches!(transport, "http" | "https") || transport == protocol;
    match protocol {
        "local" => SourceKind::InRepository,
        "file" => SourceKind::OnMachine,
        _ if REPOSITORIES.contains(&protocol) && is_fetched => SourceKind::Repository(protocol),
        _ if scheme == protocol && !REPOSITORIES.contains(&protocol) => SourceKind::File(protocol),
        _ => SourceKind::NotFetched(scheme),
    }
}

/// The name of an entry that is a file, in the source repository or where it is downloaded to.
#[must_use]
pub fn source_file_name(entry: &str) -> &str {
    match entry.split_once("::") {
        Some((name, _)) => name,
        None => entry.rsplit_once('/').map_or(entry, |(_, last)| last),
    }
}

/// The address of an entry, `[name::]url`; `None` for a file of the source repository.
#[must_use]
pub fn source_url(entry: &str) -> Option<&str> {
    let is_in_repository = source_kind(entry) == SourceKind::InRepository;
    (!is_in_repository).then(|| address(entry))
}

/// The protocol of an entry, for example `https` or `git+https`; `None` for a file of the source
/// repository.
#[must_use]
pub fn source_protocol(entry: &str) -> Option<&str> {
    let url = source_url(entry)?;
    let protocol = url.split_once("://").map(|(protocol, _)| protocol);
    protocol.or_else(|| url.split_once(':').map(|(protocol, _)| protocol))
}

fn address(entry: &str) -> &str {
    entry.split_once("::").map_or(entry, |(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_no_protocol_for_files_of_the_repository() {
        for (entry, protocol) in [
            ("fix.patch", None),
            ("local://x.zip", None),
            ("https://example.org/x.tar.gz", Some("https")),
            ("x.tgz::http://example.org/v1", Some("http")),
            ("git+https://example.org/x.git#tag=v1", Some("git+https")),
            ("x::bzr+lp:x", Some("bzr+lp")),
        ] {
            assert_eq!(source_protocol(entry), protocol, "{entry}");
        }
        assert_eq!(source_url("x::ftp://h/y"), Some("ftp://h/y"));
    }

    #[test]
    fn distinguishes_sources_that_cannot_be_fetched() {
        use SourceKind::*;
        for (entry, kind) in [
            ("fix.patch", InRepository),
            ("x::local://y", InRepository),
            ("file://installer.bin", OnMachine),
            ("x::file:///etc/passwd", OnMachine),
            ("https://h/x.git", File("https")),
            ("own://h/x", File("own")),
            ("scp://h/x", File("scp")),
            ("git://h/x", Repository("git")),
            ("git+https://h/x?signed#tag=1", Repository("git")),
            ("svn://h/x", Repository("svn")),
            ("x::hg+http://h/x", Repository("hg")),
            ("bzr+lp:x", Repository("bzr")),
            ("git+ssh://h/x", NotFetched("git+ssh")),
            ("svn+ssh://h/x", NotFetched("svn+ssh")),
            ("git+file:///srv/x", NotFetched("git+file")),
            ("git+ext::sh", InRepository),
            ("https+file:///x", NotFetched("https+file")),
            ("bzr://h/x", Repository("bzr")),
        ] {
            assert_eq!(source_kind(entry), kind, "{entry}");
        }
    }

    #[test]
    fn names_files_like_makepkg() {
        for (entry, name) in [
            ("fix.patch", "fix.patch"),
            ("https://h/x-1.tar.gz", "x-1.tar.gz"),
            ("x.tgz::https://h/v1", "x.tgz"),
            ("file://installer.bin", "installer.bin"),
            ("file:///opt/installer.bin", "installer.bin"),
        ] {
            assert_eq!(source_file_name(entry), name, "{entry}");
        }
    }
}

//! Entries of a `source` array, interpreted like makepkg does.

/// The version control systems whose repositories makepkg fetches; the names are also the protocols.
const REPOSITORIES: &[&str] = &["bzr", "fossil", "git", "hg", "svn"];
/// The prefix of a Launchpad branch, which is not a URL.
const LAUNCHPAD: &str = "bzr+lp:";

/// Where the content of a `source` entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind<'a> {
    /// A file of the source repository.
    InRepository,
    /// A file of the build machine. It is only used if the source repository has a file of this name.
    OnMachine,
    /// A file that is downloaded by this protocol.
    File(&'a str),
    /// A repository of this version control system.
    Repository(&'a str),
    /// An entry that nothing can fetch: the protocol with the transport.
    NotFetched(&'a str),
}

/// Classifies an entry. A file of any protocol counts as a file of the source repository if that contains a file with
/// the name that [`source_file_name`] returns.
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

/// Returns the file name of an entry: that in the source repository, or that of the download.
#[must_use]
pub fn source_file_name(entry: &str) -> &str {
    match entry.split_once("::") {
        Some((name, _)) => name,
        None => entry.rsplit_once('/').map_or(entry, |(_, last)| last),
    }
}

/// Returns the URL of an entry (`[name::]url`); `None` for a file of the source repository.
#[must_use]
pub fn source_url(entry: &str) -> Option<&str> {
    let is_in_repository = source_kind(entry) == SourceKind::InRepository;
    (!is_in_repository).then(|| address(entry))
}

/// Returns the protocol of an entry, for example `https` or `git+https`; `None` for a file of the source repository.
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

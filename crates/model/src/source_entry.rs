//! Entries of a `source` array, as far as a plan has to understand them.

/// The address of an entry, `[name::]url`; `None` for a file of the source repository.
#[must_use]
pub fn source_url(entry: &str) -> Option<&str> {
    let address = entry.split_once("::").map_or(entry, |(_, address)| address);
    (protocol(address)? != "local").then_some(address)
}

/// The protocol of an entry, for example `https` or `git+https`; `None` for a file of the source
/// repository.
#[must_use]
pub fn source_protocol(entry: &str) -> Option<&str> {
    protocol(source_url(entry)?)
}

/// What stands before `://`, or ends with the `lp` of Launchpad (makepkg's `get_protocol`).
fn protocol(address: &str) -> Option<&str> {
    if let Some((protocol, _)) = address.split_once("://") {
        return Some(protocol);
    }
    let end = address.find("lp:")? + "lp".len();
    address.get(..end)
}

/// Version control systems that makepkg fetches repositories with.
const SYSTEMS: [&str; 5] = ["bzr", "fossil", "git", "hg", "svn"];

/// Whether builds fetch by a protocol, where what it needs is installed: repositories by HTTP or by the protocol
/// of their system, and files by whatever downloads them, but none of the machine that builds.
#[must_use]
pub fn is_fetched_protocol(protocol: &str) -> bool {
    match protocol.split_once('+') {
        None => !matches!(protocol, "file" | "lp"),
        Some((system, transport)) => {
            let is_known = matches!(transport, "http" | "https") || transport == system;
            SYSTEMS.contains(&system) && is_known
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_repository_have_no_protocol() {
        for (entry, protocol) in [
            ("fix.patch", None),
            ("local://x.zip", None),
            ("https://example.org/x.tar.gz", Some("https")),
            ("x.tgz::http://example.org/v1", Some("http")),
            ("git+https://example.org/x.git#tag=v1", Some("git+https")),
        ] {
            assert_eq!(source_protocol(entry), protocol, "{entry}");
        }
        assert_eq!(source_url("x::ftp://h/y"), Some("ftp://h/y"));
    }

    #[test]
    fn repositories_are_fetched_by_http_or_their_own_protocol() {
        for (entry, is_fetched) in [
            ("https://h/x", true),
            ("own://h/x", true),
            ("git://h/x", true),
            ("x::git+https://h/x#tag=1", true),
            ("hg+http://h/x", true),
            ("svn+svn://h/x", true),
            ("git+ssh://git@h/x", false),
            ("svn+ssh://h/x", false),
            ("hg+ssh://h/x", false),
            ("x::git+ext://sh", false),
            ("bzr+lp:name", false),
            ("lp:name", false),
            ("file:///x", false),
            ("git+file:///x", false),
            ("cvs+https://h/x", false),
        ] {
            let found = source_protocol(entry).is_none_or(is_fetched_protocol);
            assert_eq!(found, is_fetched, "{entry}");
        }
    }
}

//! Entries of a `source` array, as far as a plan has to understand them.

/// The address of an entry, `[name::]url`; `None` for a file of the source repository.
#[must_use]
pub fn source_url(entry: &str) -> Option<&str> {
    let address = entry.split_once("::").map_or(entry, |(_, address)| address);
    let (scheme, _) = address.split_once("://")?;
    (scheme != "local").then_some(address)
}

/// The protocol of an entry, for example `https` or `git+https`; `None` for a file of the source
/// repository.
#[must_use]
pub fn source_protocol(entry: &str) -> Option<&str> {
    let (protocol, _) = source_url(entry)?.split_once("://")?;
    Some(protocol)
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
}

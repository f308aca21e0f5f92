//! The server's address: `--url` if it is set, else the listen address, or the host of a request if the
//! server listens on all interfaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{bail, ensure};
use buildbtw_model::{Explanation, hide_user_info};

/// First path segments that the server uses. A prefix that begins with one of them would be ambiguous
/// behind a proxy that strips the prefix.
const OWN_PATHS: [&str; 9] = [
    "api",
    "assets",
    "builds",
    "healthz",
    "metrics",
    "namespaces",
    "readyz",
    "repo",
    "sources",
];
/// Maximum length of a host name (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// The base of links and repository addresses in a response, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Wraps an address without a trailing slash.
    #[must_use]
    pub(crate) fn new(url: String) -> Self {
        Self(url)
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `--url` may look like.
const EXAMPLE: &str = "use a URL like `https://build.example.org`";

/// Checks `--url`. Returns it without a trailing slash, and its path: empty, or beginning with a slash.
pub(crate) fn parse_url(text: &str) -> anyhow::Result<(String, String)> {
    let url = text.trim_end_matches('/');
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    let text = hide_user_info(text);
    ensure!(
        is_web,
        Explanation::with_hint(
            format!("--url: `{text}` does not start with http:// or https://"),
            EXAMPLE,
        )
    );
    let wrong = |why: &str| {
        let message = format!("--url: `{text}` is not the URL of a server{why}");
        Explanation::with_hint(message, EXAMPLE)
    };
    let parsed = reqwest::Url::parse(url).map_err(|error| wrong(&format!(": {error}")))?;
    ensure!(
        parsed.username().is_empty() && parsed.password().is_none(),
        Explanation::with_hint(
            format!("--url: `{text}` contains a user or a password"),
            "remove them: the URL is public",
        )
    );
    ensure!(
        parsed.query().is_none() && parsed.fragment().is_none(),
        Explanation::with_hint(
            format!("--url: `{text}` has a query or a fragment"),
            "remove it: only a path may follow the host",
        )
    );
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    // The parser drops characters such as spaces and tabs; workers might not.
    ensure!(checked_host(authority).is_some(), wrong(""));
    let mut segments = path.split('/').skip(1);
    let is_plain = |segment: &str| {
        let mut bytes = segment.bytes();
        !matches!(segment, "" | "." | "..")
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    ensure!(
        segments.clone().all(is_plain),
        Explanation::with_hint(
            format!("--url: the path of `{text}` cannot be used"),
            "use only letters, digits, `-`, `.`, `_` and `~` between single slashes",
        )
    );
    if let Some(first) = segments.next()
        && OWN_PATHS.contains(&first)
    {
        bail!(Explanation::with_hint(
            format!("--url: the path of `{text}` begins with `/{first}`, which is reserved"),
            "serve buildbtw below another path",
        ));
    }
    Ok((url.to_owned(), path.to_owned()))
}

/// Returns the address at which programs on this machine reach a server that listens at `address`.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, address.port())
}

/// Returns the host in lower case, or nothing if no server can be reached by it.
pub(crate) fn checked_host(text: &str) -> Option<String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let mapped = address.to_ipv4_mapped();
            if address.is_unspecified() || mapped.is_some_and(|address| address.is_unspecified()) {
                return None;
            }
            (format!("[{address}]"), port)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (host, port) = text.split_at(end);
            (checked_name(host)?, port)
        }
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Some(host),
        // An empty port is the default one (RFC 3986, section 3.2.3).
        Some("") => Some(host),
        Some(port) if port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port: u16 = port.parse().ok()?;
            (port > 0).then(|| format!("{host}:{port}"))
        }
        _ => None,
    }
}

fn checked_name(host: &str) -> Option<String> {
    if host.len() > MAX_HOST {
        return None;
    }
    let labels = host.strip_suffix('.').unwrap_or(host).split('.');
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        !label.is_empty()
            && !label.starts_with('-')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if !labels.clone().all(is_label) {
        return None;
    }
    // A name whose last label is a number is an IPv4 address (WHATWG URL, "ends in a number").
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    if labels.clone().next_back().is_some_and(is_number) {
        let address: Ipv4Addr = host.parse().ok()?;
        return (!address.is_unspecified()).then(|| address.to_string());
    }
    Some(host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_hosts_by_which_a_server_can_be_reached() {
        for (text, host) in [
            ("example.org", "example.org"),
            ("Example.ORG:8080", "example.org:8080"),
            ("build_box", "build_box"),
            ("example.org.", "example.org."),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("[2001:DB8::1]:8080", "[2001:db8::1]:8080"),
            ("[::1]", "[::1]"),
            ("localhost:", "localhost"),
        ] {
            assert_eq!(checked_host(text).as_deref(), Some(host), "{text}");
        }
    }

    #[test]
    fn rejects_malformed_hosts() {
        let long = "x".repeat(300);
        for text in [
            "",
            ":8080",
            "0.0.0.0:8080",
            "[::]:8080",
            "[::ffff:0.0.0.0]:8080",
            "[::",
            "[example.org]",
            "::1",
            "1.2.3",
            "1.2.3.4.5",
            "a..b",
            "-x.org",
            "user@example.org",
            "example.org/path",
            "example.org:0",
            "example.org:65536",
            "example.org:+80",
            "example.org:80:80",
            "exa mple.org",
            "example.org\"><script>",
            "$(id).org",
            "ex\u{e4}mple.org",
            &long,
        ] {
            assert_eq!(checked_host(text), None, "{text}");
        }
    }

    #[test]
    fn splits_the_path_off_an_address() {
        let prefix = |text| parse_url(text).map(|(url, prefix)| format!("{url} {prefix}"));
        assert_eq!(prefix("http://x").unwrap(), "http://x ");
        assert_eq!(
            prefix("https://x.org:8443//").unwrap(),
            "https://x.org:8443 "
        );
        assert_eq!(prefix("http://x/b/").unwrap(), "http://x/b /b");
        assert_eq!(
            prefix("http://[::1]:80/tools/build-btw").unwrap(),
            "http://[::1]:80/tools/build-btw /tools/build-btw"
        );
        for wrong in [
            "example.org",
            "http://",
            "http:///x",
            "http://u:p@x/",
            "http://0.0.0.0:8080",
            "http://x/?a=b",
            "http://x/#a",
            "http://x/a//b",
            "http://x/a/../b",
            "http://x/a%20b",
            "http://x/a b",
            "http://x y/",
            "http://x/\u{e4}",
            "http://x/repo",
            "http://x/api/v1",
        ] {
            let error = prefix(wrong).unwrap_err();
            assert!(error.to_string().contains("--url"), "{wrong}: {error}");
        }
    }

    #[test]
    fn refusals_match_snapshot() {
        let refused = [
            "build.example.org",
            "https://build.example.org:99999",
            "https://0.0.0.0",
            "https://user@build.example.org",
            "https://build.example.org/?a=b",
            "https://build.example.org/a//b",
            "https://build.example.org/api",
        ];
        let refused = refused.map(|text| parse_url(text).unwrap_err().to_string());
        insta::assert_snapshot!(refused.join("\n\n"));
    }

    #[test]
    fn refusals_do_not_show_passwords() {
        for text in [
            "https://u:s3cret@x",
            "https://u:s3cret@x/?a",
            "https://u:s3cret@x y",
            "u:s3cret@x",
        ] {
            let error = parse_url(text).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
            assert!(error.contains("(hidden)@x"), "{error}");
        }
    }

    #[test]
    fn names_a_loopback_address_for_all_interfaces() {
        for (listens, reached) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), reached);
        }
    }
}

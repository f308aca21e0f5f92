//! Explains why a source could not be fetched. Failures that a retry would not fix are the fault of the
//! package; all others are temporary, or the fault of the host or its network.

use crate::failure::Failure;
use crate::source::checkout::shown;

/// Returns the failure for curl's exit code and the server's status.
pub(super) fn of_curl(code: i32, status: &str, url: &str, last: &str) -> Failure {
    let what = format!("the source {} could not be fetched", shown(url));
    let redirected = match last {
        "" => String::new(),
        last if last == url => String::new(),
        last => format!(", redirected to {}", shown(last)),
    };
    // curl reports a refusal by HTTP as 22, and one by FTP with a specific code.
    let refused: Option<u16> = status.parse().ok().filter(|_| code == 22);
    if let Some(status) = refused.filter(|status| is_permanent(*status)) {
        let meaning = reason_phrase(status);
        return Failure::package(format!("{what}: HTTP status {status}{meaning}{redirected}"));
    }
    let lasting = match code {
        1 => Some("its protocol is not allowed"),
        3 => Some("its address is malformed"),
        9 | 67 => Some("the server refuses access"),
        47 => Some("it redirects too often"),
        63 => Some("it is larger than the disk limit"),
        78 => Some("the server has no such file"),
        _ => None,
    };
    match (lasting, refused) {
        (Some(why), _) => Failure::package(format!("{what}: {why}{redirected}")),
        (None, Some(status)) => {
            Failure::infrastructure(format!("{what}: HTTP status {status}{redirected}"))
        }
        (None, None) => {
            Failure::infrastructure(format!("{what} (curl: exit {code}){redirected}")).see_log()
        }
    }
}

/// Returns whether a status is permanent (RFC 9110). Excludes those that ask the client to wait, and those
/// about the connection.
fn is_permanent(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 407 | 408 | 421 | 425 | 429)
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        401 => " (Unauthorized)",
        403 => " (Forbidden)",
        404 => " (Not Found)",
        410 => " (Gone)",
        451 => " (Unavailable For Legal Reasons)",
        _ => "",
    }
}

/// git's messages about a repository that it could not fetch.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    lasting: Option<String>,
    host: Option<String>,
}

impl Refusal {
    /// Processes the next line that git prints.
    pub(super) fn line(&mut self, line: &str) {
        let text = line.trim();
        let connecting = text.split_once(": Failed to connect to ");
        if let Some((host, _)) = connecting.and_then(|(_, rest)| rest.split_once(' ')) {
            self.host = Some(host.to_owned());
        }
        let status = text
            .split_once("The requested URL returned error: ")
            .or_else(|| text.split_once("abort: HTTP Error "))
            .and_then(|(_, rest)| rest.get(..3))
            .and_then(|status| status.parse().ok());
        let is_refused = status.is_some_and(is_permanent)
            || (text.starts_with("fatal: repository '") && text.ends_with("not found"))
            || [
                "could not read Username",
                "Authentication failed",
                "not valid: is this a git repository",
                "access denied or repository not exported",
                "does not appear to be a git repository",
                "Repository not found",
                // Subversion.
                "E160013:",
                "E170000:",
            ]
            .iter()
            .any(|phrase| text.contains(phrase));
        if is_refused && self.lasting.is_none() {
            self.lasting = Some(text.to_owned());
        }
    }

    /// Returns the host that could not be reached, which differs from the URL's after a redirect.
    pub(super) fn unreachable_host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Returns the failure for an exit code of git.
    pub(super) fn of_git(self, code: i32, url: &str) -> Failure {
        self.of_tool("git", code, url)
    }

    /// Returns the failure for an exit code of a tool.
    pub(super) fn of_tool(self, tool: &str, code: i32, url: &str) -> Failure {
        let what = format!("the source {} could not be fetched", shown(url));
        match self.lasting {
            // The line may contain the URL with its password.
            Some(line) => Failure::package(format!("{what}: {}", line.replace(url, &shown(url)))),
            None => Failure::infrastructure(format!("{what} ({tool}: exit {code})")).see_log(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildbtw_model::FailureKind::{Infrastructure, Package};

    const URL: &str = "https://user:secret@example.org/x.tar.gz";

    #[test]
    fn blames_package_for_permanent_download_errors() {
        for (code, status, kind) in [
            (22, "400", Package),
            (22, "401", Package),
            (22, "403", Package),
            (22, "404", Package),
            (22, "410", Package),
            (22, "451", Package),
            (22, "407", Infrastructure),
            (22, "408", Infrastructure),
            (22, "429", Infrastructure),
            (22, "500", Infrastructure),
            (22, "502", Infrastructure),
            (22, "503", Infrastructure),
            (78, "550", Package),
            (67, "530", Package),
            (6, "000", Infrastructure),
            (7, "000", Infrastructure),
            (18, "200", Infrastructure),
            (28, "000", Infrastructure),
            (35, "000", Infrastructure),
            (47, "302", Package),
            (52, "000", Infrastructure),
            (56, "000", Infrastructure),
            (60, "000", Infrastructure),
        ] {
            let failure = of_curl(code, status, URL, URL);
            assert_eq!(failure.kind, kind, "{code} {status}");
            assert!(failure.message.contains("https://example.org/x.tar.gz"));
            assert!(!failure.message.contains("secret"), "{failure}");
        }
        let failure = of_curl(22, "404", URL, "https://mirror.example.org/y");
        assert!(
            failure.message.ends_with(
                "HTTP status 404 (Not Found), redirected to https://mirror.example.org/y"
            ),
            "{failure}"
        );
    }

    #[test]
    fn failures_match_snapshot() {
        let moved = "https://mirror.example.org/y";
        let curl = |code, status| of_curl(code, status, URL, URL);
        let git = |line: &str| {
            let mut refusal = Refusal::default();
            refusal.line(line);
            refusal.of_git(128, URL)
        };
        let text = crate::failure::recorded([
            ("protocol", curl(1, "000")),
            ("malformed address", curl(3, "000")),
            ("no connection", curl(7, "000")),
            ("refused by FTP", curl(67, "530")),
            ("not found by FTP", curl(78, "550")),
            ("redirects", curl(47, "302")),
            ("large file", curl(63, "200")),
            ("not found", curl(22, "404")),
            ("not found after a redirect", of_curl(22, "404", URL, moved)),
            ("not allowed", curl(22, "403")),
            ("failed server", curl(22, "503")),
            (
                "no repository",
                git("fatal: repository 'https://example.org/x/' not found"),
            ),
            ("failed git", git("fatal: early EOF")),
        ]);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn distinguishes_missing_git_repository_from_network_failure() {
        for (line, kind) in [
            (
                "fatal: repository 'https://example.org/x/' not found",
                Package,
            ),
            (
                "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
                Package,
            ),
            (
                "fatal: remote error: access denied or repository not exported: /x",
                Package,
            ),
            (
                "fatal: unable to access 'https://example.org/x/': The requested URL returned error: 403",
                Package,
            ),
            (
                "fatal: unable to access 'https://example.org/x/': The requested URL returned error: 503",
                Infrastructure,
            ),
            (
                "fatal: unable to access 'https://example.org/x/': Could not resolve host: example.org",
                Infrastructure,
            ),
            (
                "fatal: unable to connect to example.org: Connection refused",
                Infrastructure,
            ),
            ("fatal: early EOF", Infrastructure),
            (
                "error: RPC failed; curl 18 transfer closed with outstanding read data remaining",
                Infrastructure,
            ),
        ] {
            let mut refusal = Refusal::default();
            refusal.line(line);
            let failure = refusal.of_git(128, "https://example.org/x");
            assert_eq!(failure.kind, kind, "{line}");
        }
    }
}

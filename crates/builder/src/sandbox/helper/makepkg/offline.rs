//! Detects that a function failed because it tried to use the network. This is judged by the output of
//! programs, so it adds an explanation and never changes the failure kind.

use buildbtw_model::NetworkPolicy;

use crate::failure::Failure;
use crate::request::BuildRequest;

/// What programs print, in lower case, if they cannot resolve names or reach hosts.
const SIGNS: &[&str] = &[
    "could not resolve host",
    "couldn't resolve host",
    "could not resolve proxy",
    "could not resolve address",
    "unable to resolve host address",
    "temporary failure in name resolution",
    "temporary failure resolving",
    "name or service not known",
    "nodename nor servname provided",
    "name resolution failed",
    "failed to lookup address information",
    "dns error",
    "getaddrinfo enotfound",
    "getaddrinfo eai_again",
    "enetunreach",
    "network is unreachable",
    "no route to host",
    "dial tcp",
    "couldn't connect to server",
    "failed to establish a new connection",
    "you appear to be offline",
    "java.net.unknownhostexception",
    "unknown host",
    "spurious network error",
];

/// Those of them that also occur when the network refuses an address.
const REFUSALS: &[&str] = &[
    "no route to host",
    "network is unreachable",
    "ehostunreach",
    "enetunreach",
    "couldn't connect to server",
    "could not connect to server",
];
/// How many lines a function may print after a network error: if it continues for longer, it fails for
/// another reason.
const MAX_LINES_SINCE: u32 = 100;

/// The network errors of a run of makepkg.
#[derive(Debug, Default)]
pub(super) struct Offline {
    /// The function that was started last.
    function: Option<String>,
    /// The function that printed the last network error.
    complained: Option<String>,
    /// Whether the error may be due to a refused address.
    is_refusal: bool,
    /// The number of lines since the error.
    since: u32,
}

impl Offline {
    /// Processes the next line of the log.
    pub(super) fn line(&mut self, line: &str) {
        if let Some(message) = line.strip_prefix("==> ") {
            let started = message
                .strip_prefix("Starting ")
                .and_then(|rest| rest.strip_suffix("()..."));
            if let Some(function) = started {
                self.function = Some(function.to_owned());
            }
            return;
        }
        if self.function.is_none() {
            return;
        }
        self.since = self.since.saturating_add(1);
        let line = line.to_lowercase();
        let has = |signs: &[&str]| signs.iter().any(|sign| line.contains(sign));
        if has(SIGNS) {
            self.complained.clone_from(&self.function);
            self.is_refusal = has(REFUSALS);
            self.since = 0;
        }
    }

    /// Returns the function that failed shortly after a network error.
    fn failed(&self) -> Option<&str> {
        let complained = self.complained.as_deref();
        complained.filter(|_| self.complained == self.function && self.since <= MAX_LINES_SINCE)
    }

    /// Adds a hint about refused addresses to the failure of a run with a network.
    pub(super) fn explain_refusal(&self, failure: Failure) -> Failure {
        match self.failed().filter(|_| self.is_refusal) {
            Some(function) => failure.hint(format!(
                "{function}() reaches neither the build machine nor its neighbours and private networks; \
                 allow one with `--allow-source-network` of the worker or of `buildbtw build`"
            )),
            None => failure,
        }
    }

    /// Adds the network policy to the failure of a run without network.
    pub(super) fn explain(&self, mut failure: Failure, request: &BuildRequest) -> Failure {
        let Some(function) = self.failed() else {
            return failure;
        };
        let policy = request.network;
        let before = failure.message;
        let (message, hint) = match function {
            "pkgver" if policy.prepares_online() => (
                format!(
                    "{before}\npkgver() has a network in its first run, but not when it runs again before \
                     build()"
                ),
                "let pkgver() keep its result in a file".to_owned(),
            ),
            // Tests may expect connections to fail, and may fail for any other reason.
            "check" => (
                format!(
                    "{before}\ncheck() must not use the network: none is available after prepare() under any \
                     policy (`{policy}`)"
                ),
                "if it needs one, let prepare() download what it needs, with network policy `prepare`"
                    .to_owned(),
            ),
            "prepare" | "pkgver" => (
                format!("{function}() must not use the network: policy `{policy}`; {before}"),
                request.policy_hint(NetworkPolicy::Prepare),
            ),
            _ => (
                format!(
                    "{function}() must not use the network: none is available after prepare() under any \
                     policy (`{policy}`); {before}"
                ),
                format!(
                    "let prepare() download what {function}() needs, with network policy `prepare`"
                ),
            ),
        };
        failure.message = message;
        failure.hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Source;

    fn explained(log: &str, policy: NetworkPolicy) -> String {
        explained_of(log, policy, Source::Directory("/src".into())).message
    }

    fn explained_of(log: &str, policy: NetworkPolicy, source: Source) -> Failure {
        let (pkgbase, architecture) = ("x".parse().unwrap(), "x86_64".parse().unwrap());
        let mut request = BuildRequest::new(pkgbase, architecture, source);
        request.network = policy;
        let mut offline = Offline::default();
        log.lines().for_each(|line| offline.line(line));
        let failure = Failure::package("a function in the PKGBUILD failed");
        offline.explain(failure, &request)
    }

    #[test]
    fn names_function_and_network_policy() {
        let log = "==> Starting prepare()...\n\
                   curl: (6) Could not resolve host: example.org\n\
                   ==> ERROR: A failure occurred in prepare().\n    Aborting...\n";
        let message = explained(log, NetworkPolicy::Sources);
        assert!(
            message.starts_with("prepare() must not use the network: policy `sources`; "),
            "{message}"
        );
        let hint_of = |source| {
            explained_of(log, NetworkPolicy::Sources, source)
                .hint
                .unwrap()
        };
        // The hint matches the command that requested the build.
        assert_eq!(
            hint_of(Source::Directory("/src".into())),
            "build with `buildbtw build --network prepare`"
        );
        let commit = Source::Git {
            url: "https://example.org/x".to_owned(),
            commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        };
        assert_eq!(
            hint_of(commit),
            "plan with `buildbtw new --network prepare`"
        );
        let of_build = log.replace("prepare", "build");
        let message = explained(&of_build, NetworkPolicy::Prepare);
        assert!(
            message
                .starts_with("build() must not use the network: none is available after prepare()"),
            "{message}"
        );
        // It may have been the server of a test that did not respond.
        let of_check = log.replace("prepare", "check");
        let message = explained(&of_check, NetworkPolicy::Prepare);
        assert!(
            message
                .starts_with("a function in the PKGBUILD failed\ncheck() must not use the network"),
            "{message}"
        );
    }

    #[test]
    fn explanations_match_snapshot() {
        let explained = |function: &str, policy| {
            let log = format!("==> Starting {function}()...\nNetwork is unreachable\n");
            explained_of(&log, policy, Source::Directory("/src".into()))
        };
        let mut refused = Offline::default();
        refused.line("==> Starting prepare()...");
        refused.line("connect: No route to host");
        let text = crate::failure::recorded([
            ("prepare", explained("prepare", NetworkPolicy::Sources)),
            ("pkgver", explained("pkgver", NetworkPolicy::Sources)),
            (
                "pkgver in its second run",
                explained("pkgver", NetworkPolicy::Prepare),
            ),
            ("build", explained("build", NetworkPolicy::Prepare)),
            ("check", explained("check", NetworkPolicy::None)),
            (
                "refused address",
                refused.explain_refusal(Failure::package("failed")),
            ),
        ]);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn recognizes_network_errors_of_many_languages() {
        for line in [
            "error: failed to get `libc` as a dependency\n  [6] Couldn't resolve host name (Could not resolve host: static.crates.io)",
            "go: github.com/a/b@v1: Get \"https://proxy.golang.org/x\": dial tcp: lookup proxy.golang.org: no such host",
            "npm error request to https://registry.npmjs.org/x failed, reason: getaddrinfo EAI_AGAIN registry.npmjs.org",
            "urllib3.exceptions.NewConnectionError: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution",
            "fatal: unable to access 'https://example.org/': Could not resolve host: example.org",
            "wget: unable to resolve host address 'example.org'",
            "curl: (7) Failed to connect to 127.0.0.1 port 23420 after 0 ms: Couldn't connect to server",
        ] {
            let log = format!("==> Starting prepare()...\n{line}\n");
            let message = explained(&log, NetworkPolicy::None);
            assert!(message.contains("policy `none`"), "{line}");
        }
    }

    #[test]
    fn ignores_network_errors_long_before_the_failure() {
        let start = "==> Starting build()...\nconfigure: Name or service not known\n";
        let end = "==> ERROR: A failure occurred in build().\n";
        for (lines, is_explained) in [(20, true), (500, false)] {
            let log = format!("{start}{}{end}", "compiling\n".repeat(lines));
            let message = explained(&log, NetworkPolicy::Sources);
            assert_eq!(message.contains("network"), is_explained, "{message}");
        }
    }

    #[test]
    fn explains_refused_address_when_network_is_available() {
        for (line, is_explained) in [
            (
                "curl: (7) Failed to connect to 10.9.9.9 port 80 after 0 ms: Couldn't connect to server",
                true,
            ),
            ("connect: No route to host", true),
            ("curl: (6) Could not resolve host: example.org", false),
        ] {
            let mut offline = Offline::default();
            offline.line("==> Starting prepare()...");
            offline.line(line);
            let failure = offline.explain_refusal(Failure::package("failed"));
            let hint = failure.hint.unwrap_or_default();
            let has_hint = hint.contains("--allow-source-network");
            assert_eq!(has_hint, is_explained, "{line}: {hint}");
            assert_eq!(failure.message, "failed");
        }
    }

    #[test]
    fn ignores_network_errors_of_earlier_functions() {
        let log = "==> Starting prepare()...\nNetwork is unreachable\n\
                   ==> Starting build()...\nerror: x\n==> ERROR: A failure occurred in build().\n";
        let message = explained(log, NetworkPolicy::Sources);
        assert_eq!(message, "a function in the PKGBUILD failed");
        let before = "Network is unreachable\n==> Starting build()...\n";
        assert!(!explained(before, NetworkPolicy::Sources).contains("network"));
    }
}

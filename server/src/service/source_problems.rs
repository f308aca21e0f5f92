//! Finds sources that no worker can fetch, before anything is built.

use std::collections::BTreeSet;

use buildbtw_model::{Architecture, NetworkPolicy, SourceKind, source_kind, source_url};
use buildbtw_planner::{Problem, ProblemKind, SourcePackage};

use crate::state::fetched_protocols::FetchedProtocols;

/// The sources that builds can fetch.
pub(crate) struct FetchRules {
    network: NetworkPolicy,
    /// The protocols that at least one worker supports; `None` when unknown.
    protocols: Option<BTreeSet<String>>,
}

impl FetchRules {
    /// Returns the current rules for builds with a network policy. `fetched` are the protocols that workers report, if
    /// workers build.
    pub(crate) fn current(fetched: Option<&FetchedProtocols>, network: NetworkPolicy) -> Self {
        let protocols = fetched.and_then(FetchedProtocols::known);
        Self { network, protocols }
    }

    /// Returns the first problem with the sources of each package that is to be built.
    pub(crate) fn problems<'a>(
        &self,
        packages: impl Iterator<Item = &'a SourcePackage>,
        architecture: &Architecture,
    ) -> BTreeSet<Problem> {
        let problem = |package: &SourcePackage| {
            let message = package
                .sources(architecture)
                .into_iter()
                .find_map(|entry| problem(entry, self.network, &|kind| self.supports(kind)))?;
            Some(Problem {
                pkgbase: package.pkgbase().clone(),
                kind: ProblemKind::SourceNotFetched,
                message,
            })
        };
        packages.filter_map(problem).collect()
    }

    /// Returns the problems of one package, for any of the architectures.
    pub(crate) fn messages(
        &self,
        package: &SourcePackage,
        architectures: &[Architecture],
    ) -> Vec<String> {
        let problems = architectures
            .iter()
            .flat_map(|architecture| self.problems(std::iter::once(package), architecture));
        let messages: BTreeSet<String> = problems.map(|problem| problem.message).collect();
        messages.into_iter().collect()
    }

    fn supports(&self, protocol: &str) -> bool {
        let protocols = self.protocols.as_ref();
        protocols.is_none_or(|known| known.contains(protocol))
    }
}

fn problem(entry: &str, network: NetworkPolicy, fetched: &impl Fn(&str) -> bool) -> Option<String> {
    let kind = source_kind(entry);
    if kind == SourceKind::InRepository {
        return None;
    }
    if !network.fetches_sources() {
        let url = without_password(source_url(entry)?);
        return Some(format!(
            "the source {url} is not fetched under network policy `{network}`"
        ));
    }
    match kind {
        SourceKind::OnMachine => Some(format!(
            "the source `{entry}` names a file of the build host; add it to the source repository"
        )),
        SourceKind::NotFetched(protocol) => Some(format!(
            "sources are not fetched over `{protocol}`; use https, or add the file to the source repository"
        )),
        SourceKind::File(protocol) | SourceKind::Repository(protocol) => {
            (!fetched(protocol)).then(|| {
                format!(
                    "no worker fetches sources over `{protocol}`; install the client for it on a worker"
                )
            })
        }
        SourceKind::InRepository => None,
    }
}

/// Removes the user name and password from a URL.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_of(entry: &str, network: NetworkPolicy) -> Option<String> {
        problem(entry, network, &|kind| kind != "hg")
    }

    #[test]
    fn problems_match_snapshot() {
        let (none, sources) = (NetworkPolicy::None, NetworkPolicy::Sources);
        let problems = [
            ("x::https://me:secret@example.org/x", none),
            ("file:///etc/shadow", sources),
            ("git+ssh://git@example.org/x", sources),
            ("hg+https://example.org/x", sources),
        ];
        let problems = problems.map(|(entry, network)| problem_of(entry, network).unwrap());
        insta::assert_snapshot!(problems.join("\n"));
    }

    #[test]
    fn reports_remote_sources_under_policy_none() {
        let none = NetworkPolicy::None;
        assert_eq!(problem_of("fix.patch", none), None);
        let text = problem_of("x::https://me:secret@example.org/x", none).unwrap();
        assert!(
            text.contains("https://example.org/x is not fetched"),
            "{text}"
        );
        assert!(
            text.contains("`none`") && !text.contains("secret"),
            "{text}"
        );
    }

    #[test]
    fn names_protocols_no_worker_supports() {
        let sources = NetworkPolicy::Sources;
        assert_eq!(problem_of("https://example.org/x", sources), None);
        let text = problem_of("hg+https://example.org/x", sources).unwrap();
        assert!(text.contains("`hg`"), "{text}");
        for entry in ["file:///etc/shadow", "git+file:///srv/x"] {
            let text = problem_of(entry, sources).unwrap();
            assert!(text.contains("to the source repository"), "{text}");
        }
        for (entry, protocol) in [
            ("x::git+ssh://git@example.org/x", "`git+ssh`"),
            ("svn+ssh://example.org/x", "`svn+ssh`"),
            ("hg+ssh://example.org/x", "`hg+ssh`"),
        ] {
            let text = problem_of(entry, sources).unwrap();
            assert!(text.contains(protocol), "{text}");
        }
    }
}

//! Input hashes: builds with the same inputs can share packages.

use std::sync::Arc;

use buildbtw_model::{Architecture, BuildTool, MissingKeys, NetworkPolicy, Packager, Sha256Digest};
use sha2::Digest as _;

use crate::config::Config;
use crate::repos::base::BaseSnapshot;
use crate::sources::Head;

/// The version of the hash. Raise it when the same inputs no longer give the same packages.
const HASH_VERSION: &str = "buildbtw input 4";

/// The settings that decide the result of a build, besides its files.
#[derive(Clone, Debug)]
pub(super) struct BuildSettings {
    network: NetworkPolicy,
    missing_keys: MissingKeys,
    packager: Packager,
    build_tool: BuildTool,
}

impl BuildSettings {
    /// Returns the server's settings, for builds with this policy.
    pub(super) fn of(config: &Config, network: NetworkPolicy) -> Self {
        Self {
            network,
            missing_keys: config.network.missing_keys,
            packager: config.packager.clone(),
            build_tool: config.build_tool.clone(),
        }
    }
}

/// The inputs of a build, besides the packages of other builds.
pub(super) struct Inputs<'a> {
    pub(super) head: &'a Head,
    pub(super) architecture: &'a Architecture,
    pub(super) stage: u32,
    /// The dependencies that a bootstrap build is built without.
    pub(super) without: Option<&'a [Arc<str>]>,
    pub(super) build_settings: &'a BuildSettings,
    pub(super) base: &'a BaseSnapshot,
}

/// Returns the hash of a build's files, architecture and settings, the base snapshot, and the input hashes of the
/// builds it needs. The release bump is not included. `None` when one of these is unknown.
pub(super) fn input_hash<'a>(
    inputs: &Inputs<'_>,
    needs: impl Iterator<Item = Option<&'a Sha256Digest>>,
) -> Option<Sha256Digest> {
    let Inputs {
        head,
        architecture,
        stage,
        without,
        build_settings,
        base,
    } = inputs;
    let mut hasher = sha2::Sha256::new();
    let mut field = |text: &str| {
        // Each field has its length as a prefix, so that different inputs never give the same bytes.
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    field(HASH_VERSION);
    field(head.files());
    field(architecture.as_str());
    field(&stage.to_string());
    if let Some(without) = without {
        field("bootstrap");
        without.iter().for_each(|relation| field(relation));
    }
    field(build_settings.network.as_str());
    field(build_settings.missing_keys.as_str());
    field(build_settings.packager.as_str());
    field(build_settings.build_tool.name.as_str());
    if build_settings.build_tool.name != BuildTool::default().name {
        // Versions of this program that build differently differ in the version of this hash.
        field(build_settings.build_tool.version.as_str());
    }
    for (repository, digest) in &base.databases {
        field(repository.as_str());
        field(digest.as_deref().ok()?);
    }
    let mut needs: Vec<_> = needs.collect::<Option<_>>()?;
    needs.sort_unstable();
    for hash in needs {
        field(hash.as_str());
    }
    Some(Sha256Digest::from_bytes(&hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs<'a>(
        head: &'a Head,
        architecture: &'a Architecture,
        base: &'a BaseSnapshot,
        build_settings: &'a BuildSettings,
    ) -> Inputs<'a> {
        Inputs {
            head,
            architecture,
            stage: 1,
            without: None,
            build_settings,
            base,
        }
    }

    fn build_settings() -> BuildSettings {
        BuildSettings {
            network: NetworkPolicy::Sources,
            missing_keys: MissingKeys::Fail,
            packager: Packager::default(),
            build_tool: BuildTool::default(),
        }
    }

    fn head_of(commit: char) -> Head {
        Head {
            commit: commit.to_string().repeat(40).parse().unwrap(),
            tree: None,
            commit_time: None,
            clone_url: String::new(),
            srcinfo_sha256: "0".repeat(64).parse().unwrap(),
        }
    }

    #[test]
    fn includes_settings_that_affect_packages() {
        let (head, architecture) = (head_of('a'), "x86_64".parse().unwrap());
        let base = BaseSnapshot::default();
        let hash = |change: &dyn Fn(&mut BuildSettings)| {
            let mut build_settings = build_settings();
            change(&mut build_settings);
            let inputs = inputs(&head, &architecture, &base, &build_settings);
            input_hash(&inputs, std::iter::empty()).unwrap()
        };
        let changes: [&dyn Fn(&mut BuildSettings); 7] = [
            &|_| {},
            &|with| with.network = NetworkPolicy::Prepare,
            &|with| with.network = NetworkPolicy::None,
            &|with| with.missing_keys = MissingKeys::Warn,
            &|with| with.packager = "Jane Doe <jane@example.org>".parse().unwrap(),
            &|with| with.build_tool.name = "devtools".parse().unwrap(),
            &|with| {
                with.build_tool.name = "devtools".parse().unwrap();
                with.build_tool.version = "7.1".parse().unwrap();
            },
        ];
        let hashes: std::collections::HashSet<_> = changes.into_iter().map(hash).collect();
        assert_eq!(hashes.len(), changes.len());
    }

    fn hash(commit: char, base: &BaseSnapshot, needs: &[&Sha256Digest]) -> Option<Sha256Digest> {
        let head = head_of(commit);
        let architecture = "x86_64".parse().unwrap();
        input_hash(
            &inputs(&head, &architecture, base, &build_settings()),
            needs.iter().map(|hash| Some(*hash)),
        )
    }

    #[test]
    fn hashes_commits_with_equal_tree_equally() {
        let head = |commit: &str, tree: Option<&str>| Head {
            commit: commit.repeat(40).parse().unwrap(),
            tree: tree.map(|tree| tree.repeat(40).parse().unwrap()),
            commit_time: None,
            clone_url: String::new(),
            srcinfo_sha256: "0".repeat(64).parse().unwrap(),
        };
        let hash = |head: &Head| {
            let architecture = "x86_64".parse().unwrap();
            let none = std::iter::empty();
            let base = BaseSnapshot::default();
            input_hash(&inputs(head, &architecture, &base, &build_settings()), none).unwrap()
        };
        let first = hash(&head("a", Some("1")));
        assert_eq!(hash(&head("b", Some("1"))), first);
        assert_ne!(hash(&head("b", Some("2"))), first);
        assert_ne!(hash(&head("a", None)), hash(&head("b", None)));
    }

    #[test]
    fn hashes_every_input_independent_of_the_order_of_needs() {
        let base = BaseSnapshot {
            databases: vec![("core".parse().unwrap(), Ok("digest".into()))],
            ..BaseSnapshot::default()
        };
        let (a, b) = (
            hash('a', &base, &[]).unwrap(),
            hash('b', &base, &[]).unwrap(),
        );
        assert_ne!(a, b);
        assert_ne!(hash('a', &base, &[&a]), Some(a.clone()));
        assert_eq!(hash('c', &base, &[&a, &b]), hash('c', &base, &[&b, &a]));
        assert_ne!(hash('a', &BaseSnapshot::default(), &[]), Some(a));
    }

    #[test]
    fn hashes_bootstrap_build_differently() {
        let (head, architecture) = (head_of('a'), "x86_64".parse().unwrap());
        let (base, build_settings) = (BaseSnapshot::default(), build_settings());
        let hash = |without: Option<&[Arc<str>]>| {
            let inputs = Inputs {
                without,
                ..inputs(&head, &architecture, &base, &build_settings)
            };
            input_hash(&inputs, std::iter::empty()).unwrap()
        };
        let plain = hash(None);
        assert_ne!(hash(Some(&[])), plain);
        assert_ne!(hash(Some(&["tool".into()])), hash(Some(&[])));
    }

    #[test]
    fn computes_no_hash_for_unknown_inputs() {
        let base = BaseSnapshot {
            databases: vec![("core".parse().unwrap(), Err("unreachable".into()))],
            ..BaseSnapshot::default()
        };
        assert_eq!(hash('a', &base, &[]), None);
    }
}

//! Fetches the sources before the build: with tools of the host, as the unprivileged user, in a view
//! without package code, through a network that reaches neither the host nor its neighbours.

mod command;
mod download;
mod failures;
mod git;
mod lfs;
mod refusal;
mod vcs;

use std::path::Path;

use self::command::Fetch;
use super::headings::heading;
use super::network::Network;
use super::root::Root;
use crate::failure::Failure;
use crate::fetchers::Agent;
use crate::sandbox::job::BuildTask;
use crate::source::checkout::shown;
use crate::source::entry::{Entry, parse};

/// Fetches the sources that are not in `tree` into `folder`, as far as the policy allows. Returns the network
/// if `prepare()` needs it as well.
pub(super) fn fetch(
    root: &Root,
    task: &BuildTask,
    tree: &Path,
    folder: &Path,
) -> Result<Option<Network>, Failure> {
    let request = &task.request;
    let entries = request
        .sources
        .iter()
        .map(|source| parse(source)?.in_tree(tree))
        .collect::<Result<Vec<Entry>, Failure>>()?;
    let mut urls = entries.iter().filter_map(Entry::url);
    let Some(first) = urls.next() else {
        return match request.network.prepares_online() {
            true => Network::start(root, &task.access).map(Some),
            false => Ok(None),
        };
    };
    if !request.network.fetches_sources() {
        return Err(failures::not_allowed(request, first));
    }
    let agents = Agent::all();
    // Checked before any download, which is wasted if another source cannot be fetched.
    for entry in &entries {
        check_tools(entry, &agents)?;
    }
    let network = Network::start(root, &task.access)?;
    let fetch = Fetch {
        root,
        network: &network,
        folder,
        agents: &agents,
        largest: request.limits.disk_bytes,
        has_lfs: request.dependencies.iter().any(|name| is_git_lfs(name)),
    };
    for entry in &entries {
        fetch
            .entry(entry)
            .map_err(|failure| network.explain(failure))?;
    }
    Ok(Some(network).filter(|_| request.network.prepares_online()))
}

/// Returns whether a dependency is git-lfs, which unpacks the objects into a working copy.
fn is_git_lfs(dependency: &str) -> bool {
    dependency.split(['<', '>', '=']).next() == Some("git-lfs")
}

/// Fails if the host lacks the program for an entry.
fn check_tools(entry: &Entry, agents: &[Agent]) -> Result<(), Failure> {
    match entry {
        Entry::Local | Entry::OnMachine { .. } | Entry::Git { .. } => Ok(()),
        Entry::File { url, protocol, .. } => {
            let agent = Agent::of(agents, protocol);
            if agent.is_none() && !download::is_built_in(protocol) {
                return Err(failures::unsupported_protocol(url, protocol));
            }
            match agent.filter(|agent| !agent.is_installed()) {
                Some(agent) => Err(failures::no_agent(url, protocol, agent.program())),
                None => Ok(()),
            }
        }
        Entry::Vcs { url, tool, .. } => match tool.is_installed() {
            true => Ok(()),
            false => Err(failures::no_tool(url, *tool)),
        },
    }
}

impl Fetch<'_> {
    fn entry(&self, entry: &Entry) -> Result<(), Failure> {
        match entry {
            Entry::Local | Entry::OnMachine { .. } => Ok(()),
            Entry::File {
                url,
                name,
                protocol,
            } => {
                heading(&format!("fetching {}", shown(url)));
                self.download(url, name, protocol)
            }
            Entry::Git {
                url,
                name,
                revision,
            } => {
                heading(&format!("mirroring {}", shown(url)));
                self.mirror(url, name)?;
                if let Some(revision) = revision {
                    self.check_revision(url, name, revision)?;
                }
                self.fetch_lfs(url, name, revision.as_ref())
            }
            Entry::Vcs {
                url,
                tool,
                entry,
                name,
            } => {
                heading(&format!("fetching {}", shown(url)));
                self.fetch_vcs(*tool, url, entry, name)
            }
        }
    }
}

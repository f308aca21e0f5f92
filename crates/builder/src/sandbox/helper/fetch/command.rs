//! Starts the commands that fetch sources, and detects addresses that the network refuses.

use std::net::IpAddr;
use std::path::Path;

use super::failures;
use crate::failure::Failure;
use crate::fetchers::Agent;
use crate::sandbox::helper::accounts::BUILD_USER;
use crate::sandbox::helper::bwrap::{Sandboxed, View};
use crate::sandbox::helper::network::Network;
use crate::sandbox::helper::root::Root;
use crate::source::host_of;
use crate::sys::Identity;

/// The path of the folder for sources inside the sandbox.
pub(super) const FOLDER: &str = "/sources";

/// Fetches sources into a folder.
pub(super) struct Fetch<'a> {
    pub(super) root: &'a Root,
    pub(super) network: &'a Network,
    pub(super) folder: &'a Path,
    pub(super) agents: &'a [Agent],
    /// The size limit of one file in bytes.
    pub(super) largest: u64,
    /// Whether the build has git-lfs.
    pub(super) has_lfs: bool,
}

impl<'a> Fetch<'a> {
    /// Returns a command that can write to the folder for sources and has access to the network for sources.
    pub(super) fn tool(&self) -> Sandboxed<'a> {
        Sandboxed::new(View::HostTools(self.root), Identity::User(BUILD_USER))
            .through(self.network)
            .bind(self.folder.to_owned(), FOLDER, true)
            .folder(FOLDER)
    }

    /// Returns a failure if a host was unreachable because the network refuses all its addresses. `last` is
    /// the target of the last redirect.
    pub(super) fn refused(&self, url: &str, last: &str) -> Result<Option<Failure>, Failure> {
        let host = host_of(if last.is_empty() { url } else { last });
        let addresses: Vec<IpAddr> = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let output = self.tool().output(&["getent", "ahosts", "--", host])?;
                let text = String::from_utf8_lossy(&output.stdout);
                let words = text.lines().filter_map(|line| line.split(' ').next());
                words.filter_map(|word| word.parse().ok()).collect()
            }
        };
        let refused: Option<Vec<_>> = addresses
            .iter()
            .map(|address| self.network.refused_network(*address))
            .collect();
        let (Some(address), Some(network)) = (
            addresses.first(),
            refused.as_ref().and_then(|networks| networks.first()),
        ) else {
            return Ok(None);
        };
        let redirect = Some(last).filter(|_| host != host_of(url));
        let failure = failures::refused_network(url, *address, network, redirect);
        Ok(Some(failure))
    }
}

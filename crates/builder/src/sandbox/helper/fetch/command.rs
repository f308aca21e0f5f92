//! How commands that fetch sources are started, and whether the network refused a host.

use std::net::IpAddr;
use std::path::Path;

use crate::failure::Failure;
use crate::fetchers::Agent;
use crate::sandbox::helper::accounts::BUILD_USER;
use crate::sandbox::helper::bwrap::{Sandboxed, View};
use crate::sandbox::helper::network::Network;
use crate::sandbox::helper::root::Root;
use crate::source::checkout::shown;
use crate::source::host_of;
use crate::sys::Identity;

/// Where the folder for sources is seen.
pub(super) const FOLDER: &str = "/sources";

/// Fetches sources into a folder.
pub(super) struct Fetch<'a> {
    pub(super) root: &'a Root,
    pub(super) network: &'a Network,
    pub(super) folder: &'a Path,
    pub(super) agents: &'a [Agent],
    /// Bytes of one file.
    pub(super) largest: u64,
    /// Whether the build can use objects of git-lfs.
    pub(super) has_lfs: bool,
}

impl<'a> Fetch<'a> {
    /// A command that sees the folder for sources, and reaches what they may be fetched from.
    pub(super) fn tool(&self) -> Sandboxed<'a> {
        Sandboxed::new(View::HostTools(self.root), Identity::User(BUILD_USER))
            .through(self.network)
            .bind(self.folder.to_owned(), FOLDER, true)
            .folder(FOLDER)
    }

    /// The failure when a host could not be connected to because the network refuses all its addresses.
    /// `last` is where redirects ended.
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
        let redirected = match host == host_of(url) {
            true => String::new(),
            false => format!(", redirected to {}", shown(last)),
        };
        Ok(Some(Failure::package(format!(
            "the source {} could not be fetched: {address} belongs to {network}, from which sources may not \
             be fetched{redirected}\n\
             hint: allow it with `--allow-source-network {address}` of the worker or of `buildbtw build`",
            shown(url)
        ))))
    }
}

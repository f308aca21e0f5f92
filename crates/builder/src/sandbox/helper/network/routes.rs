//! Computes the routes of a restricted network from the refused and allowed networks. The kernel uses the
//! route with the longest prefix.

use std::net::{IpAddr, Ipv4Addr};

use crate::source_network::SourceNetwork;

/// Networks from which sources must not be fetched: the host, private networks, link-local addresses with
/// their metadata services, multicast and reserved addresses.
const REFUSED: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    // Includes `::`, `::1` and the obsolete IPv4-compatible addresses (RFC 4291, 2.5.5.1).
    "::/96",
    // Mapped addresses never occur in packets.
    "::ffff:0:0/96",
    // Local translators to IPv4 (RFC 8215).
    "64:ff9b:1::/48",
    "fc00::/7",
    "fe80::/10",
    // Site-local addresses, the predecessors of fc00::/7.
    "fec0::/10",
    "ff00::/8",
];

/// The treatment of packets for a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Forwarded to the gateway.
    Forward,
    /// Refused, which the sender learns immediately.
    Refuse,
}

/// A route.
pub(super) type Route = (SourceNetwork, Action);

/// Returns the routes besides the default route. `own` are the addresses and networks of the host and of
/// the server. `allowed` overrides the refused networks, except that a single address of the host or the
/// server must be allowed explicitly: allowing a network is meant for the other hosts in it. The loopback interface
/// is an exception, because its network has no other hosts.
pub(super) fn routes(own: &[SourceNetwork], allowed: &[SourceNetwork]) -> Vec<Route> {
    let always = REFUSED.iter().filter_map(|text| parse_refused(text));
    let mut refused: Vec<SourceNetwork> = always.chain(own.iter().copied()).collect();
    let forms: Vec<SourceNetwork> = refused
        .iter()
        .flat_map(|network| network.ipv6_equivalents())
        .collect();
    refused.extend(forms);
    refused.sort_unstable();
    refused.dedup();
    let loopback = SourceNetwork::of(Ipv4Addr::LOCALHOST.into(), 8);
    let single = own
        .iter()
        .filter(|network| network.is_single() && !loopback.contains(**network));
    let guarded: Vec<SourceNetwork> = single
        .filter(|network| !allowed.contains(network))
        .flat_map(|network| [vec![*network], network.ipv6_equivalents()].concat())
        .collect();
    refused.retain(|network| {
        guarded.contains(network) || !allowed.iter().any(|allowed| allowed.contains(*network))
    });
    let refused = refused.into_iter().map(|network| (network, Action::Refuse));
    let mut allowed = allowed.to_vec();
    allowed.sort_unstable();
    allowed.dedup();
    let allowed = allowed
        .into_iter()
        .map(|network| (network, Action::Forward));
    refused.chain(allowed).collect()
}

/// Returns the route that the kernel uses for an address; `None` for the default route.
pub(super) fn lookup(routes: &[Route], address: IpAddr) -> Option<Route> {
    let address = SourceNetwork::single(address);
    routes
        .iter()
        .filter(|(network, _)| network.contains(address))
        .max_by_key(|(network, _)| network.prefix())
        .copied()
}

/// Parses a network of [`REFUSED`]. Operators cannot specify the mapped form of IPv4.
fn parse_refused(text: &str) -> Option<SourceNetwork> {
    let (address, prefix) = text.split_once('/')?;
    Some(SourceNetwork::of(
        address.parse().ok()?,
        prefix.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<SourceNetwork> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn action(routes: &[Route], address: &str) -> Action {
        lookup(routes, address.parse().unwrap()).map_or(Action::Forward, |(_, action)| action)
    }

    #[test]
    fn parses_every_network_of_the_list() {
        assert!(REFUSED.iter().all(|text| parse_refused(text).is_some()));
    }

    #[test]
    fn blocks_private_networks_and_allows_public_ones() {
        let routes = routes(&[], &[]);
        for address in [
            "0.0.0.1",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert_eq!(action(&routes, address), Action::Refuse, "{address}");
        }
        for address in [
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "2001:db8::1",
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
        ] {
            assert_eq!(action(&routes, address), Action::Forward, "{address}");
        }
    }

    #[test]
    fn blocks_addresses_of_the_host() {
        let own = networks(&["203.0.113.0/24", "198.51.100.7", "2001:db8:7::/64"]);
        let routes = routes(&own, &[]);
        for address in ["203.0.113.1", "198.51.100.7", "2001:db8:7::9"] {
            assert_eq!(action(&routes, address), Action::Refuse, "{address}");
        }
        for address in ["203.0.114.1", "198.51.100.8", "2001:db8:8::9"] {
            assert_eq!(action(&routes, address), Action::Forward, "{address}");
        }
    }

    #[test]
    fn allows_configured_network_without_its_surroundings() {
        let own = networks(&["10.7.0.0/16", "10.7.0.9", "192.168.3.0/24", "127.0.0.1"]);
        let allowed = networks(&["10.7.0.0/16", "192.168.3.4", "127.0.0.0/8"]);
        let routes = routes(&own, &allowed);
        for address in ["10.7.1.1", "192.168.3.4", "127.0.0.1"] {
            assert_eq!(action(&routes, address), Action::Forward, "{address}");
        }
        for address in ["10.8.0.1", "192.168.3.5", "::1"] {
            assert_eq!(action(&routes, address), Action::Refuse, "{address}");
        }
    }

    #[test]
    fn blocks_the_host_inside_an_allowed_network() {
        let own = networks(&["10.7.0.9", "10.7.0.10", "10.7.0.0/16", "fd00::9"]);
        let allowed = networks(&["10.0.0.0/8", "10.7.0.10", "fd00::/8", "64:ff9b::/96"]);
        let routes = routes(&own, &allowed);
        for address in ["10.7.0.9", "fd00::9", "64:ff9b::10.7.0.9"] {
            assert_eq!(action(&routes, address), Action::Refuse, "{address}");
        }
        for address in ["10.7.0.8", "10.7.0.10", "10.8.0.1", "fd00::8"] {
            assert_eq!(action(&routes, address), Action::Forward, "{address}");
        }
    }
}

//! Reads the addresses of the host, and the networks that it reaches without a router.

use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::failure::{Context as _, Failure};
use crate::programs::SEARCH_PATH;
use crate::source_network::SourceNetwork;

/// The shortest prefixes of the host's networks. A wider route without a router leads elsewhere, for
/// example into a tunnel.
const WIDEST: [u8; 2] = [8, 16];

/// The network configuration of the host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HostNetwork {
    /// Its addresses and on-link networks.
    pub(super) own: Vec<SourceNetwork>,
    /// The interface of its default IPv6 route.
    pub(super) ipv6: Option<String>,
    /// An interface with an IPv6 address, other than loopback.
    pub(super) ipv6_interface: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Interface {
    #[serde(default)]
    ifname: String,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Debug, Deserialize)]
struct Address {
    local: Option<String>,
    /// The other end of a point-to-point link.
    address: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RouteEntry {
    #[serde(rename = "type", default = "unicast")]
    kind: String,
    #[serde(default)]
    dst: String,
    gateway: Option<String>,
    via: Option<serde_json::Value>,
    nexthops: Option<serde_json::Value>,
    dev: Option<String>,
}

fn unicast() -> String {
    "unicast".to_owned()
}

impl HostNetwork {
    /// Reads the configuration from the kernel.
    pub(super) fn read() -> Result<Self, Failure> {
        let interfaces = ip(&["-j", "address", "show"])?;
        let mut routes: Vec<RouteEntry> = ip(&["-4", "-j", "route", "show", "table", "all"])?;
        routes.extend(ip::<RouteEntry>(&[
            "-6", "-j", "route", "show", "table", "all",
        ])?);
        Ok(Self::of(&interfaces, &routes))
    }

    fn of(interfaces: &[Interface], routes: &[RouteEntry]) -> Self {
        let mut host = Self::default();
        for interface in interfaces {
            for address in &interface.addr_info {
                let texts = [&address.local, &address.address].into_iter().flatten();
                let networks: Vec<_> = texts.filter_map(|text| parsed(text)).collect();
                let is_usable =
                    |network: &SourceNetwork| network.is_ipv6() && interface.ifname != "lo";
                if host.ipv6_interface.is_none() && networks.iter().any(is_usable) {
                    host.ipv6_interface = Some(interface.ifname.clone());
                }
                host.own.extend(networks);
            }
        }
        for route in routes {
            host.add(route);
        }
        host
    }

    fn add(&mut self, route: &RouteEntry) {
        let is_way = matches!(&*route.kind, "unicast" | "local" | "broadcast" | "anycast");
        if !is_way {
            return;
        }
        if route.dst == "default" {
            let is_ipv6 = |gateway: &String| gateway.contains(':');
            if route.gateway.as_ref().is_some_and(is_ipv6) && self.ipv6.is_none() {
                self.ipv6.clone_from(&route.dev);
            }
            return;
        }
        let has_router = route.gateway.is_some() || route.via.is_some() || route.nexthops.is_some();
        let Some(network) = parsed(&route.dst).filter(|_| !has_router) else {
            return;
        };
        let [ipv4, ipv6] = WIDEST;
        let widest = if network.is_ipv6() { ipv6 } else { ipv4 };
        if network.prefix() >= widest {
            self.own.push(network);
        }
    }
}

/// Parses a network in the format of `ip`, or a single address.
fn parsed(text: &str) -> Option<SourceNetwork> {
    let (address, prefix) = text.split_once('/').unwrap_or((text, "128"));
    Some(SourceNetwork::of(
        address.parse().ok()?,
        prefix.parse().ok()?,
    ))
}

fn ip<T: serde::de::DeserializeOwned>(arguments: &[&str]) -> Result<Vec<T>, Failure> {
    let output = Command::new("ip")
        .args(arguments)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(super::failures::no_ip)?;
    if !output.status.success() {
        return Err(super::failures::not_listed());
    }
    // A kernel without IPv6 lists nothing.
    if output.stdout.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&output.stdout)
        .map_err(std::io::Error::other)
        .context("reading this machine's addresses and routes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(interfaces: &str, routes: &str) -> HostNetwork {
        HostNetwork::of(
            &serde_json::from_str::<Vec<Interface>>(interfaces).unwrap(),
            &serde_json::from_str::<Vec<RouteEntry>>(routes).unwrap(),
        )
    }

    #[test]
    fn lists_addresses_and_networks_without_a_router() {
        let interfaces = r#"[
            {"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8},
                                        {"family":"inet6","local":"::1","prefixlen":128}]},
            {"ifname":"eth0","addr_info":[{"family":"inet","local":"203.0.113.5","prefixlen":24},
                                          {"family":"inet6","local":"2001:db8::5","prefixlen":64}]},
            {"ifname":"ppp0","addr_info":[{"local":"198.51.100.1","address":"198.51.100.2"}]},
            {}]"#;
        let routes = r#"[
            {"dst":"default","gateway":"203.0.113.1","dev":"eth0","flags":[]},
            {"dst":"203.0.113.0/24","dev":"eth0","scope":"link"},
            {"type":"local","dst":"192.0.2.0/28","dev":"lo","table":"local"},
            {"dst":"198.18.5.0/24","gateway":"203.0.113.9","dev":"eth0"},
            {"dst":"198.18.6.0/24","nexthops":[{"gateway":"203.0.113.9"}]},
            {"dst":"198.18.7.0/24","via":{"family":"inet6","host":"fe80::1"}},
            {"type":"unreachable","dst":"198.18.8.0/24"},
            {"dst":"0.0.0.0/1","dev":"tun0"},
            {"dst":"2001:db8:1::/64","dev":"eth0"},
            {"dst":"2000::/3","dev":"tun0"},
            {"dst":"default","gateway":"fe80::1","dev":"eth0"}]"#;
        let host = host(interfaces, routes);
        let shown: Vec<String> = host.own.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "127.0.0.1/32",
                "::1/128",
                "203.0.113.5/32",
                "2001:db8::5/128",
                "198.51.100.1/32",
                "198.51.100.2/32",
                "203.0.113.0/24",
                "192.0.2.0/28",
                "2001:db8:1::/64",
            ]
        );
        assert_eq!(host.ipv6.as_deref(), Some("eth0"));
        assert_eq!(host.ipv6_interface.as_deref(), Some("eth0"));
    }

    #[test]
    fn finds_no_ipv6_route_on_host_without_ipv6() {
        let routes = r#"[{"dst":"default","gateway":"203.0.113.1","dev":"eth0"},
                         {"type":"unreachable","dst":"default","dev":"lo","metric":4294967295}]"#;
        let host = host("[]", routes);
        assert_eq!(host.ipv6, None);
        assert_eq!(host.ipv6_interface, None);
    }
}

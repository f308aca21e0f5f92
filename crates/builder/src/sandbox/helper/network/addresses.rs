//! The interfaces and addresses of the namespaces.

/// The interfaces of the outer namespace, to pasta and to the inner namespace, and that of the inner one.
pub(super) const UP: &str = "up0";
pub(super) const DOWN: &str = "down0";
pub(super) const INNER: &str = "eth0";
/// The networks of the two links, which are reserved for benchmarks (RFC 2544, RFC 5180). There are no
/// servers in them; only pasta responds, to name resolution.
pub(super) const IPV4_LINK: &str = "198.18.0.0/24";
pub(super) const IPV6_LINK: &str = "2001:2::/48";
/// The address from which pasta responds. It is arbitrary, so that the host's own stays private.
pub(super) const GATEWAY_MAC: &str = "9a:55:9a:55:9a:55";
pub(super) const GATEWAY: [&str; 2] = ["198.18.0.1", "2001:2::1"];
pub(super) const OUTER: [&str; 2] = ["198.18.0.2", "2001:2::2"];
pub(super) const OUTER_DOWN: [&str; 2] = ["198.18.0.5", "2001:2:0:1::1"];
pub(super) const INNER_ADDRESS: [&str; 2] = ["198.18.0.6", "2001:2:0:1::2"];

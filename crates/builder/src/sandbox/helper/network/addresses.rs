//! Interfaces and addresses of the namespaces.

/// Interfaces: from the outer namespace to pasta and to the inner one, and the inner one's own.
pub(super) const UP: &str = "up0";
pub(super) const DOWN: &str = "down0";
pub(super) const INNER: &str = "eth0";
/// Addresses of the two links. They are of networks for benchmarks (RFC 2544, RFC 5180), which nothing is
/// served from; only pasta answers, for name resolution.
pub(super) const IPV4_LINK: &str = "198.18.0.0/24";
pub(super) const IPV6_LINK: &str = "2001:2::/48";
/// What pasta answers from. Any will do; the machine's own is nobody's business.
pub(super) const GATEWAY_MAC: &str = "9a:55:9a:55:9a:55";
pub(super) const GATEWAY: [&str; 2] = ["198.18.0.1", "2001:2::1"];
pub(super) const OUTER: [&str; 2] = ["198.18.0.2", "2001:2::2"];
pub(super) const OUTER_DOWN: [&str; 2] = ["198.18.0.5", "2001:2:0:1::1"];
pub(super) const INNER_ADDRESS: [&str; 2] = ["198.18.0.6", "2001:2:0:1::2"];
